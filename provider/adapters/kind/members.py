"""Nodes of a cluster as its own API has them, and what is done to them there: by kubectl and kubeadm in a control plane's container.

Those are the programs that kind itself uses, in the version of the cluster, with an address that leads to its API server whatever the
manager's own way to it is. Never here: containers, and whether a node may go (scaling.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.errors import with_excerpt
from provider.adapters.engine.listing import Container
from provider.adapters.kind import joinconfig
from provider.adapters.kind.joinconfig import Ticket, UnusableConfig
from provider.api import names
from provider.api.conditions import Reason
from provider.errors import Transient

KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")
ASK = (*KUBECTL, "--request-timeout=15s")
"""For what does not wait: it would cut a watch, too."""
LEAVING = f"{names.GROUP}/leaving"
"""Annotation of a Node that we have cordoned: by it a node that is wanted again is told from one that somebody else has cordoned."""
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
NO_BALANCER = "node.kubernetes.io/exclude-from-external-load-balancers"
ROW = (
    '{range .items[*]}{.metadata.name}{"\\t"}{.metadata.annotations.' + LEAVING.replace(".", "\\.") + '}{"\\t"}'
    '{.spec.taints[*].key}{"\\n"}{end}'
)
MAX_LIST = 1 << 20
DRAIN_SECONDS, READY_SECONDS, DELETE_SECONDS = 60, 60, 20
"""For the pods of one node to go (a pod gets 30 s to end by default); for new nodes to become Ready; for a Node's deletion."""
MARGIN = 10.0
"""Seconds that a command gets on top of its own time limit."""
LIFETIME = "15m"
"""Of a token: longer than a join takes, and short enough not to be worth stealing."""
POD = re.compile(r'pods?/?"?(?P<name>[a-z0-9][-a-z0-9.]*)"? -n "?(?P<namespace>[a-z0-9][-a-z0-9]*)"?')
"""How `kubectl drain` names a pod that it cannot evict."""
MOST_PODS = 5


@dataclass(frozen=True, slots=True)
class Member:
    """A Node object."""

    name: str
    leaving: bool
    """We have cordoned it."""
    taints: frozenset[str]
    """Their keys."""


async def members(engine: Engine, head: Container) -> dict[str, Member]:
    """By name. Raises Transient."""
    text = await engine.output_of(head.id, *ASK, "get", "nodes", "-o", f"jsonpath={ROW}", limit=MAX_LIST)
    rows = (line.split("\t") for line in text.splitlines() if line.strip())
    return {name: Member(name, leaving == "true", frozenset(taints.split())) for name, leaving, taints in rows}


async def ticket(engine: Engine, head: Container) -> Ticket:
    """A fresh one. Raises Transient."""
    command = ("kubeadm", "token", "create", "--ttl", LIFETIME, "--print-join-command")
    try:
        return joinconfig.ticket(await engine.output_of(head.id, *command, limit=MAX_LIST))
    except UnusableConfig as error:
        raise Transient(Reason.JOIN_FAILED, f"{head.name}: {error}.") from error


async def drain(engine: Engine, head: Container, name: str) -> None:
    """Cordon a node, marked as leaving, and evict its pods, as their PodDisruptionBudgets allow. Raises Transient(DRAIN_FAILED)."""
    await _patch(engine, head, name, {"metadata": {"annotations": {LEAVING: "true"}}, "spec": {"unschedulable": True}})
    options = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", f"--timeout={DRAIN_SECONDS}s")
    done = await engine.attempt(head.id, *KUBECTL, "drain", name, *options, timeout=DRAIN_SECONDS + MARGIN)
    if done.returncode != 0:
        raise Transient(Reason.DRAIN_FAILED, holding(name, f"{done.stderr}\n{done.stdout}"))


def holding(name: str, said: str) -> str:
    """Why a node cannot be drained, from what kubectl said."""
    pods = list(dict.fromkeys(f"{one['namespace']}/{one['name']}" for one in POD.finditer(said)))
    more = f" and {len(pods) - MOST_PODS} more" if len(pods) > MOST_PODS else ""
    cure = "It stays, cordoned, until they are gone; raise workerReplicas again to keep it."
    if not pods:
        return with_excerpt(f"{name} could not be drained within {DRAIN_SECONDS} s. {cure}", said)
    what = f"{', '.join(pods[:MOST_PODS])}{more}"
    return f"{name} could not be drained within {DRAIN_SECONDS} s: pods {what} are kept by a PodDisruptionBudget, or do not end. {cure}"


async def keep(engine: Engine, head: Container, member: Member) -> None:
    """A node that was on its way out is wanted again. One that somebody else has cordoned is left as it is."""
    if member.leaving:
        await _patch(engine, head, member.name, {"metadata": {"annotations": {LEAVING: None}}, "spec": {"unschedulable": None}})


async def delete(engine: Engine, head: Container, name: str) -> None:
    """Absent is success."""
    await engine.execute(
        head.id, *ASK, "delete", "node", name, "--ignore-not-found", "--wait=false", timeout=DELETE_SECONDS + MARGIN
    )


async def take_workloads(engine: Engine, head: Container, member: Member) -> None:
    """A control plane that is left alone, as kind makes one (kind pkg/cluster/internal/create/actions/kubeadminit)."""
    if CONTROL_PLANE in member.taints:
        await engine.execute(head.id, *ASK, "taint", "nodes", member.name, f"{CONTROL_PLANE}-")
    await engine.execute(head.id, *ASK, "label", "nodes", member.name, f"{NO_BALANCER}-")


async def wait_ready(engine: Engine, head: Container, names: Sequence[str]) -> None:
    """Or until their time is over: whether they are is observed, and no reason to let them go again."""
    nodes = [f"node/{name}" for name in names]
    options = ("--for=condition=Ready", f"--timeout={READY_SECONDS}s")
    await engine.attempt(head.id, *KUBECTL, "wait", *nodes, *options, timeout=READY_SECONDS + MARGIN)


async def _patch(engine: Engine, head: Container, name: str, patch: object) -> None:
    await engine.execute(head.id, *ASK, "patch", "node", name, "--type=merge", "-p", json.dumps(patch))
