"""kubeadm's config for a worker that joins, made from the one that kind has written into a control plane of the same cluster. Pure.

kind writes one file into every node, from one template and the same patches, with InitConfiguration, JoinConfiguration and what else
kubeadm reads (kind pkg/cluster/internal/kubeadm/config.go); the nodes' files differ in names, addresses and the section of control planes.
So the JoinConfiguration of a control plane without that section, at another name and address, is what kind would have written for a worker,
patches and all. The token is another one: kind's own, known to everybody, ends with the cluster's first day.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

TOKEN = re.compile(r"--token\s+(?P<token>[a-z0-9]{6}\.[a-z0-9]{16})\b")
AUTHORITY = re.compile(r"--discovery-token-ca-cert-hash\s+(?P<hash>sha256:[0-9a-f]{64})\b")


class UnusableConfig(ValueError):
    """The file is not what kind writes, or does not fit the new node."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What lets a node join."""

    token: str
    authority: str
    """Fingerprint of the cluster's certificate authority, by which the node knows whom it talks to."""


def ticket(printed: str) -> Ticket:
    """Of what `kubeadm token create --print-join-command` prints. Raises UnusableConfig."""
    token, authority = TOKEN.search(printed), AUTHORITY.search(printed)
    if token is None or authority is None:
        raise UnusableConfig("kubeadm gave no token")
    return Ticket(token["token"], authority["hash"])


def worker_config(source: str, pattern: str, name: str, addresses: Sequence[str], allowed: Ticket) -> str:
    """`source`: /kind/kubeadm.conf of the node `pattern`; `name`, `addresses`: of the worker. Raises UnusableConfig."""
    try:
        documents = [document for document in yaml.safe_load_all(source) if document]
        join = next(document for document in documents if document["kind"] == "JoinConfiguration")
        bootstrap = join["discovery"]["bootstrapToken"]
        bootstrap.pop("unsafeSkipCAVerification", None)
        bootstrap |= {"token": allowed.token, "caCertHashes": [allowed.authority]}
        join["discovery"].pop("tlsBootstrapToken", None)
        join.pop("controlPlane", None)
        arguments = join["nodeRegistration"]["kubeletExtraArgs"]
        given = arguments if isinstance(arguments, dict) else {one["name"]: one["value"] for one in arguments}
        own = {
            "node-ip": _addresses_like(str(given["node-ip"]), addresses),
            "provider-id": str(given["provider-id"]).removesuffix(pattern) + name,
        }
        _put(arguments, own)
    except (yaml.YAMLError, StopIteration, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, UnusableConfig):
            raise
        raise UnusableConfig(f"/kind/kubeadm.conf of {pattern} is not what kind writes ({type(error).__name__})") from error
    return yaml.safe_dump(join, sort_keys=False)


def _addresses_like(shape: str, addresses: Sequence[str]) -> str:
    """One address of each family that the pattern has, in its order: "172.18.0.3", "172.18.0.3,fc00::3"."""
    own = {ipaddress.ip_address(address).version: address for address in reversed(addresses)}
    families = [ipaddress.ip_address(address.strip()).version for address in shape.split(",")]
    if missing := [family for family in families if family not in own]:
        raise UnusableConfig(f"the engine gave the node no IPv{missing[0]} address")
    return ",".join(own[family] for family in families)


def _put(arguments: Any, values: dict[str, str]) -> None:
    """Into the kubelet's arguments: a map, or from kubeadm v1beta4 on a list."""
    if isinstance(arguments, dict):
        arguments |= values
        return
    for one in arguments:
        if one["name"] in values:
            one["value"] = values[one["name"]]
