"""Nodes in numbers, control-plane nodes as Cluster API counts Machines: how many there are, are ready, and run which version. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from provider.api import contract, patterns
from provider.api.conditions import ConditionType
from provider.api.kind import NodeRole
from provider.api.meta import Conditions, JsonObject, part
from provider.ports.runtime import NodeObservation
from provider.ports.workload import WorkloadObservation


def counters(nodes: Sequence[JsonObject], conditions: Conditions) -> JsonObject:
    """The counters of the control-plane contract ("ControlPlane: replicas"). `nodes`: status.nodes of a KINDCluster."""
    control_planes = [node for node in nodes if node["role"] == NodeRole.CONTROL_PLANE]
    ready = sum(1 for node in control_planes if node.get("ready"))
    available, up_to_date = conditions.get(ConditionType.AVAILABLE), conditions.get(ConditionType.UP_TO_DATE)
    return {
        "replicas": len(control_planes),
        "readyReplicas": ready,
        # A node that was Ready when it was last seen is of no use while the API server does not answer.
        "availableReplicas": ready if available is not None and available.true else 0,
        "upToDateReplicas": len(control_planes) if up_to_date is None or up_to_date.true else 0,
    }


def worker_counters(nodes: Sequence[JsonObject]) -> JsonObject:
    """What the scale subresource shows. `nodes`: status.nodes of a KINDCluster."""
    workers = [node for node in nodes if node["role"] == NodeRole.WORKER]
    return {"workerReplicas": len(workers), "readyWorkerReplicas": sum(1 for node in workers if node.get("ready"))}


def selector(metadata: Mapping[str, Any]) -> str:
    """Of the scale subresource, which must have one: nothing in the management cluster carries it, as there are no Machines."""
    return f"{contract.CLUSTER_NAME_LABEL}={part(metadata, 'labels').get(contract.CLUSTER_NAME_LABEL, '')}"


def versions(nodes: Sequence[NodeObservation], workload: WorkloadObservation) -> list[JsonObject]:
    """Kubernetes versions of the control-plane nodes with their number, oldest first ("ControlPlane: version"); empty while none has
    registered: the contract allows no entry without replicas.

    A node whose kubelet tells no version (a simulated one may) counts as one of the API server's.
    """
    names = {node.name for node in nodes if node.role is NodeRole.CONTROL_PLANE}
    kubelets = [node.version for node in workload.nodes if node.name in names]
    found = Counter(version if re.search(patterns.VERSION, version) else workload.version for version in kubelets)
    return [{"version": version, "replicas": found[version]} for version in sorted(found, key=_age)]


def _age(version: str) -> tuple[list[int], bool, str]:
    """Order of semantic versions: a pre-release comes before its release."""
    core, dash, pre = version.partition("-")
    return [int(part) for part in re.findall(r"\d+", core)], not dash, pre
