"""Names that Cluster API's contract fixes: its types, annotations, labels and the kubeconfig Secret's shape. Never names of our own.

Sources: Cluster API book "Contract rules for InfraCluster" (v1beta2), api/core/v1beta2/common_types.go, util/secret/consts.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provider.api.meta import Resource

CAPI_GROUP = "cluster.x-k8s.io"
CLUSTERS = Resource(CAPI_GROUP, "", "clusters", "Cluster")

PAUSED_ANNOTATION = "cluster.x-k8s.io/paused"
MANAGED_BY_ANNOTATION = "cluster.x-k8s.io/managed-by"
DELETE_FOR_MOVE_ANNOTATION = "clusterctl.cluster.x-k8s.io/delete-for-move"
CLUSTER_NAME_LABEL = "cluster.x-k8s.io/cluster-name"
WATCH_FILTER_LABEL = "cluster.x-k8s.io/watch-filter"
TOPOLOGY_OWNED_LABEL = "topology.cluster.x-k8s.io/owned"
"""On what Cluster API made from a ClusterClass."""

CLUSTER_SECRET_TYPE = "cluster.x-k8s.io/secret"


def cluster_kubeconfig_secret_name(cluster: str) -> str:
    """Secret for Cluster API and its tools, named after the *Cluster* object (util/secret/consts.go)."""
    return f"{cluster}-kubeconfig"


def group_of(reference: Mapping[str, Any]) -> str:
    """API group that an object reference names: `apiGroup` (contract v1beta2) or the group in `apiVersion` (v1beta1, ownerReferences)."""
    return str(reference.get("apiGroup") or str(reference.get("apiVersion", "")).partition("/")[0])
