"""Names that this provider chose: API groups, finalizer, labels, annotations, Secrets; and the core kinds that it uses.

What Cluster API fixes is in provider.api.contract, what kind fixes in provider.api.kind.
"""

from __future__ import annotations

from provider.api.meta import Resource

GROUP = "infrastructure.cluster.x-k8s.io"
CONTROL_PLANE_GROUP = "controlplane.cluster.x-k8s.io"
VERSION = "v1alpha1"

SECRETS = Resource("", "v1", "secrets", "Secret")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
EVENTS = Resource("", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
CUSTOM_RESOURCE_DEFINITIONS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")

FINALIZER = "kindcluster.infrastructure.cluster.x-k8s.io"

MADE_FROM_ANNOTATION = "infrastructure.cluster.x-k8s.io/made-from"
"""On a KINDCluster: what of its spec the running cluster was made from (JSON, provider.reconcile.drift). Survives move and backup."""

APPROVED_PLAN_ANNOTATION = "infrastructure.cluster.x-k8s.io/approved-plan"
"""On a KINDCluster, set by a person: the value of status.plan.approval, by which that plan, and no other one, may be carried out."""

KEPT_ANNOTATION = "infrastructure.cluster.x-k8s.io/kept-by"
"""On Secrets of a cluster that outlived its object: the marker of the identity that they belong to."""

DAEMON_ANNOTATION = "infrastructure.cluster.x-k8s.io/engine-daemon"
"""On a KINDCluster: the engine daemon its containers are on. Survives move and backup; set by hand where that daemon is gone for good."""

EXTEND_ANNOTATION = "infrastructure.cluster.x-k8s.io/extend-until"
"""On a KINDCluster, by a person: a time (RFC 3339) before which it does not expire, whatever spec.ttl and spec.expiresAt say."""

REGISTRY_LABEL = "infrastructure.cluster.x-k8s.io/registry"
"""On the container of the shared registry, which makes it ours: its port on the engine's host."""

KINDCLUSTER_LABEL = "infrastructure.cluster.x-k8s.io/kindcluster"
"""On Secrets we write: the name of the KINDCluster in the same namespace that they belong to (at most 63 characters)."""

ADDON_LABEL = "infrastructure.cluster.x-k8s.io/addon"
"""In a made cluster, on every object of an add-on: the name of the add-on. What does not carry it is never changed or deleted."""

ADDON_INVENTORY_LABEL = "infrastructure.cluster.x-k8s.io/addon-inventory"
"""In a made cluster, on the ConfigMap that lists an add-on's objects: the name of the add-on."""

ADDON_APPLIED_ANNOTATION = "infrastructure.cluster.x-k8s.io/applied"
"""On that ConfigMap: the digest of the manifests that have been applied whole."""


def kubeconfig_secret_name(cluster_name: str) -> str:
    """Secret with the kubeconfig for people on the host."""
    return f"{cluster_name}-config"
