"""What a cluster with several control planes needs to survive restarts of its containers, whoever restarts them (docs/adr/0104).

An engine gives a container the next free address whenever it starts, so after a restart in another order the addresses are others.
kind's nodes and load balancer call one another by name; two things do not, and are put right here once, while the cluster is well:

- etcd: its members keep the addresses of each other that they had when they joined, and find no quorum at others. They are given names.
- Envoy, kind's load balancer since 0.32: the command of its container empties its configuration whenever it starts. It is kept, and
  put back by what the command starts.

Everything may be repeated. The caller holds the name's lock.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from provider.adapters.addresses import address_of
from provider.adapters.engine.cli import Engine
from provider.adapters.engine.listing import Container
from provider.adapters.kind.ownership import containers_of, control_plane
from provider.adapters.steps import as_step
from provider.api.kind import NodeRole
from provider.errors import ProviderError
from provider.ports.runtime import Identity, Progress

STEP = "Making it survive restarts"
MAX_MEMBERS = 1 << 16
"""Bytes of etcd's answer; nine members take some 2 KiB."""
ANSWER = 15.0
"""Seconds that etcd gets to list its members; without a quorum it does not answer at all."""
PKI = "/etc/kubernetes/pki"
# etcdctl is in no node, kubectl is in every one, and can post to any server: etcd answers JSON at /v3 (its gRPC gateway). Without
# /dev/null, the node's own kubeconfig would add its credentials, which etcd does not know.
ETCD = (
    'printf %s "$2" | kubectl --kubeconfig=/dev/null --request-timeout=10s --server=https://127.0.0.1:2379'
    f" --certificate-authority={PKI}/etcd/ca.crt --client-certificate={PKI}/apiserver-etcd-client.crt"
    f' --client-key={PKI}/apiserver-etcd-client.key create --raw "$1" -f -'
)
# What etcd would find under a node's name, said by a node. Of its addresses on the engine's networks, one has to be among them.
LEADS_THERE = """
name=$1; shift
getent ahosts "$name" | cut -d' ' -f1 | grep -qxF -e "$(printf '%s\\n' "$@")" || { echo "$name does not lead to $*" >&2; exit 1; }
"""
# The command of kind's Envoy container writes empty cds.yaml and lds.yaml and then starts `envoy` from PATH, again and again (kind
# pkg/cluster/internal/loadbalancer/config.go). Its image has nothing in /usr/local/sbin, which comes first in PATH.
ENVOY = PurePosixPath("/home", "envoy")
"""Its folder in kind's container, where the command writes."""
KEEP_BALANCER = rf"""
cd {ENVOY} 2>/dev/null && [ -s lds.yaml ] || exit 0
grep -q '^- ' lds.yaml || exit 0
for file in cds lds; do cp $file.yaml $file.new && mv $file.new $file.kept || exit 1; done
[ -e /usr/local/sbin/envoy ] && exit 0
program=$(command -v envoy) || exit 1
printf '#!/bin/sh\nfor file in cds lds; do cat {ENVOY}/$file.kept >{ENVOY}/$file.yaml; done\nexec %s "$@"\n' "$program" \
  >/usr/local/sbin/envoy.new && chmod 755 /usr/local/sbin/envoy.new && mv /usr/local/sbin/envoy.new /usr/local/sbin/envoy
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """One of etcd, whose address is to become a name."""

    id: str
    name: str
    url: str
    """What it is to be known by."""


async def survive_restarts(engine: Engine, identity: Identity, progress: Progress) -> None:
    """Never raises ProviderError: the cluster is well, and only a restart would tell that this failed. Stopping it tries again."""
    with suppress(ProviderError):
        own = containers_of(await engine.containers(), identity)
        if sum(1 for one in own if one.role is NodeRole.CONTROL_PLANE) <= 1:
            return
        try:
            await as_step(progress, STEP, _survive(engine, own))
        except ProviderError as error:
            logger.warning(
                "A cluster may not survive a restart of its containers",
                extra={"cluster": identity.cluster_name, "reason": error.reason, "detail": error.message},
            )


async def _survive(engine: Engine, own: Sequence[Container]) -> None:
    """The load balancer first: it is of use also where etcd's members cannot be named, and get their addresses back."""
    for balancer in own:
        if balancer.role is NodeRole.LOAD_BALANCER and balancer.state.running:
            await engine.execute(balancer.id, "sh", "-c", KEEP_BALANCER)
    await _name_members(engine, own)


async def _name_members(engine: Engine, own: Sequence[Container]) -> None:
    node = control_plane(own)
    if node is None:
        return
    nodes = {one.name: one for one in own if one.role is NodeRole.CONTROL_PLANE}
    asked = ("sh", "-c", f"{ETCD} 2>/dev/null", "sh", "/v3/cluster/member/list", "{}")
    answer = await engine.tail(node.id, asked, limit=MAX_MEMBERS, timeout=ANSWER)
    for member in unnamed(answer, {*nodes}):
        if nodes[member.name].state.running:  # under a name that leads nowhere, the others would lose a member that is well
            await engine.execute(node.id, "sh", "-c", LEADS_THERE, "sh", member.name, *nodes[member.name].addresses)
        body = json.dumps({"ID": member.id, "peerURLs": [member.url]})
        await engine.execute(node.id, "sh", "-c", ETCD, "sh", "/v3/cluster/member/update", body)


def unnamed(answer: str, names: set[str]) -> list[Member]:
    """Of etcd's list: the members on our own nodes that are known by an address, with the URL to know them by. Whatever else it says
    (an etcd of somebody else, names already, no list at all) yields none."""
    try:
        members = json.loads(answer)["members"]
        return list(_unnamed(members, names))
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _unnamed(members: Sequence[dict[str, object]], names: set[str]) -> Iterator[Member]:
    for member in members:
        name, one, urls = member["name"], member["ID"], member["peerURLs"]
        if name not in names or not (isinstance(one, str) and one.isdecimal()) or not (isinstance(urls, list) and len(urls) == 1):
            continue
        url = urlsplit(str(urls[0]))
        if address_of(url.hostname or "") is None:
            continue
        yield Member(one, str(name), f"{url.scheme}://{name}:{url.port}")
