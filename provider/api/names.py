"""Names fixed by others: Cluster API's contract, kind's labels, and the ones users know us by.

Sources: Cluster API book "Contract rules for InfraCluster" (v1beta2) and api/core/v1beta2/common_types.go; kind
pkg/cluster/constants. Only constants live here.
"""

from __future__ import annotations

from provider.api.resources import Resource

GROUP = "infrastructure.cluster.x-k8s.io"
VERSION = "v1alpha1"
CONTRACT = "v1beta2"
KIND = "KINDCluster"

KINDCLUSTERS = Resource(GROUP, VERSION, "kindclusters", KIND)
KINDCLUSTER_TEMPLATES = Resource(GROUP, VERSION, "kindclustertemplates", f"{KIND}Template")

CONTROL_PLANE_GROUP = "controlplane.cluster.x-k8s.io"
CONTROL_PLANE_KIND = "KINDControlPlane"
KINDCONTROLPLANES = Resource(CONTROL_PLANE_GROUP, VERSION, "kindcontrolplanes", CONTROL_PLANE_KIND)
KINDCONTROLPLANE_TEMPLATES = Resource(CONTROL_PLANE_GROUP, VERSION, "kindcontrolplanetemplates", f"{CONTROL_PLANE_KIND}Template")

CAPI_GROUP = "cluster.x-k8s.io"
CLUSTERS = Resource(CAPI_GROUP, "", "clusters", "Cluster")
SECRETS = Resource("", "v1", "secrets", "Secret")
EVENTS = Resource("", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")

FINALIZER = "kindcluster.infrastructure.cluster.x-k8s.io"

PAUSED_ANNOTATION = "cluster.x-k8s.io/paused"
MANAGED_BY_ANNOTATION = "cluster.x-k8s.io/managed-by"
DELETE_FOR_MOVE_ANNOTATION = "clusterctl.cluster.x-k8s.io/delete-for-move"
CLUSTER_NAME_LABEL = "cluster.x-k8s.io/cluster-name"
PROVIDER_LABEL = "cluster.x-k8s.io/provider"
PROVIDER_NAME = "infrastructure-kind"
WATCH_FILTER_LABEL = "cluster.x-k8s.io/watch-filter"
TOPOLOGY_OWNED_LABEL = "topology.cluster.x-k8s.io/owned"
"""On what Cluster API made from a ClusterClass."""

MADE_FROM_ANNOTATION = "infrastructure.cluster.x-k8s.io/made-from"
"""On a KINDCluster: what of its spec the running cluster was made from (JSON, provider.reconcile.update). Survives move and backup."""

KINDCLUSTER_LABEL = "infrastructure.cluster.x-k8s.io/kindcluster"
"""On Secrets we write: the name of the KINDCluster in the same namespace that they belong to (at most 63 characters)."""

KIND_CLUSTER_LABEL = "io.x-k8s.kind.cluster"
KIND_ROLE_LABEL = "io.x-k8s.kind.role"
OWNER_MOUNT = "/kind/owner/"
"""Prefix of the container path of the ownership mount; the marker follows."""


CLUSTER_SECRET_TYPE = "cluster.x-k8s.io/secret"


def cluster_kubeconfig_secret_name(cluster: str) -> str:
    """Secret for Cluster API and its tools, named after the *Cluster* object (util/secret/consts.go)."""
    return f"{cluster}-kubeconfig"


def kubeconfig_secret_name(cluster_name: str) -> str:
    """Secret for people on the host; the name the first users of this provider know."""
    return f"{cluster_name}-config"
