"""Whether a cluster's etcd has lost its data: its containers run, its API server answers, and its objects are gone. Pure.

Every API server makes the namespace kube-system when its etcd is empty, and nobody can delete it: it has another UID only where etcd began
anew, on a tmpfs after a restart for one. What cannot be read proves nothing, and of several control planes one may begin anew while the
others keep the data: of them nothing is concluded (docs/adr/0099).
"""

from __future__ import annotations

from provider.api.kind import NodeNames, NodeRole
from provider.api.meta import JsonObject
from provider.ports.workload import WorkloadObservation


def known_uid(status: JsonObject) -> str:
    """Of the cluster as it was made; empty before it was seen."""
    return str(status.get("clusterUID") or "")


def is_told_by_uid(nodes: NodeNames) -> bool:
    """Whether a cluster of these nodes has but one etcd."""
    return sum(role is NodeRole.CONTROL_PLANE for _, role in nodes) == 1


def data_loss(status: JsonObject, nodes: NodeNames, seen: WorkloadObservation | None) -> str:
    """What a person has to know of it; empty where nothing is lost, or nothing can be told. `nodes`: those that the cluster must have."""
    known = known_uid(status)
    if seen is None or not known or seen.uid in ("", known) or not is_told_by_uid(nodes):
        return ""
    return (
        "etcd has lost its data, and with it all objects of the cluster: namespace kube-system is not the one the cluster began with. "
        "Data on a tmpfs (a kubeadm patch with dataDir: /tmp/etcd) ends with each restart of the node."
    )
