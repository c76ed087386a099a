"""KINDCluster v1alpha1: the whole cluster. Its settings are in provider.api.v1alpha1.common, its status in .status."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from provider.api import names
from provider.api.customresource import AGE, UNSEEN, Column, CustomResource, Scale
from provider.api.markers import FREE, IMMUTABLE, ONCE, RECREATE, Marker
from provider.api.meta import Resource
from provider.api.model import Model, validated_by
from provider.api.rules.cluster import OBJECT, SPEC
from provider.api.v1alpha1.common import ClusterName, ClusterSettings, Duration, Time, VersionOrMinor
from provider.api.v1alpha1.status import KINDClusterStatus

KINDCLUSTERS = Resource(names.GROUP, names.VERSION, "kindclusters", "KINDCluster")


class ControlPlaneEndpoint(Model):
    """Where the cluster's API server answers."""

    host: str = Field(min_length=1, max_length=512, description="host is a DNS name or an IP address.")
    port: int = Field(ge=1, le=65535, description="port is a TCP port.")


class OwnerIdentity(Model):
    """Ties the object to the containers made for it; written by the provider before anything is made."""

    token: str = Field(
        pattern=r"^[0-9a-f]{32}$", max_length=32, description="token is random; with namespace and name it makes the mark."
    )
    runtime: Literal["kind", "local"] = Field(description="runtime is the one that was chosen for this object.")


@validated_by(*SPEC)
class KINDClusterSpec(ClusterSettings):
    """What is wanted of one cluster."""

    cluster_name: Annotated[ClusterName | None, Marker(IMMUTABLE, kind="name")] = Field(
        None, description="clusterName is the name of the kind cluster; absent: the object's name. Immutable."
    )
    version: Annotated[VersionOrMinor | None, Marker(RECREATE)] = Field(
        None,
        description=(
            'version of Kubernetes, e.g. "v1.34.4", or a minor, e.g. "1.34", with or without the v; picks the node image kindest/node of '
            "that version where no image is named: for a minor the newest that the installed kind knows or the engine has."
        ),
    )
    control_plane_replicas: Annotated[int | None, Marker(RECREATE)] = Field(
        None, ge=1, le=9, description="controlPlaneReplicas: short form of nodes; absent: 1."
    )
    standalone: Annotated[bool | None, Marker(FREE)] = Field(
        None, description="standalone provisions without an owner Cluster although Cluster API is installed."
    )
    power_state: Annotated[Literal["Running", "Stopped", "Paused"] | None, Marker(FREE)] = Field(
        None,
        description=(
            "powerState: Running (default), Stopped (all nodes are stopped, what is on their disks stays) or Paused (all nodes are "
            "frozen where they are, and go on within seconds). A cluster is made and published first, and stopped or paused then."
        ),
    )
    ttl: Annotated[Duration | None, Marker(FREE)] = Field(
        None,
        description=(
            'ttl deletes the object, and its cluster with it, this long after its creation, e.g. "8h"; at most 8760h. Only without an '
            "owner Cluster. status.expiresAt has the time; the annotation infrastructure.cluster.x-k8s.io/extend-until puts it off."
        ),
    )
    expires_at: Annotated[Time | None, Marker(FREE)] = Field(
        None, description='expiresAt is a time to do that, e.g. "2030-01-31T18:00:00Z"; with ttl, the earlier of the two counts.'
    )
    expiry_policy: Annotated[Literal["Delete", "KeepUnready"] | None, Marker(FREE)] = Field(
        None,
        description=(
            "expiryPolicy: Delete (default) deletes an expired object however it is; KeepUnready keeps one for as long as it is not "
            "Ready, or never was, so that a failure can be looked into. At rest, as powerState asks, counts as Ready."
        ),
    )
    control_plane_endpoint: Annotated[ControlPlaneEndpoint | None, Marker(ONCE)] = Field(
        None, description="controlPlaneEndpoint is written by the provider, once. Leave it out."
    )
    identity: Annotated[OwnerIdentity | None, Marker(ONCE)] = Field(
        None, description="identity is written by the provider, once. Leave it out."
    )


@validated_by(*OBJECT)
class KINDCluster(Model):
    """KINDCluster is a whole kind cluster, control plane included, on the container engine beside the manager."""

    spec: KINDClusterSpec | None = Field(None, description="spec is what is wanted.")
    status: KINDClusterStatus | None = Field(None, description="status is what is there; written by the provider.")


DEFINITION = CustomResource(
    resource=KINDCLUSTERS,
    model=KINDCluster,
    short_names=("kc",),
    status=UNSEEN,
    scale=Scale(".spec.workerReplicas", ".status.workerReplicas"),
    columns=(
        Column("Cluster", ".status.clusterName"),
        Column("Phase", ".status.phase"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Version", ".status.version"),
        Column("Nodes", ".status.nodesReady"),
        Column("Endpoint", ".status.endpoints.host"),
        AGE,
        Column("Runtime", ".status.runtime", priority=1),
        Column("Expires", ".status.expiresAt", priority=1),
        Column("Plan", ".status.plan.class", priority=1),
        Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
    ),
)
