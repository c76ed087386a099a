"""Condition types, as an enum: one docstring each, from which docs/reference/conditions.md is made. Their reasons: provider.api.conditions.

Polarity: conditions are positive (True is good, message empty) except Paused, Expiring, NodesSimulated, RollingOut, ScalingUp,
ScalingDown, Reconciling and Stalled, which are negative; the last two are there only while they are True.
"""

from __future__ import annotations

from enum import StrEnum


class ConditionType(StrEnum):
    READY = "Ready"
    """The cluster is usable: API server answers, every expected node is Ready, the kubeconfig Secret is published."""
    AVAILABLE = "Available"
    """The control plane answers; mirrored by Cluster API into ControlPlaneAvailable."""
    PAUSED = "Paused"
    """Nothing is changed, neither here nor on the engine, while this is True."""
    ENGINE_REACHABLE = "EngineReachable"
    """The runtime (container engine and kind, or the local binaries) answers."""
    OWNERSHIP_VERIFIED = "OwnershipVerified"
    """What runs under the cluster's name carries this object's marker."""
    CONTAINERS_RUNNING = "ContainersRunning"
    """Every expected node container (or local process) exists and runs."""
    CONTROL_PLANE_READY = "ControlPlaneReady"
    """The cluster's API server answers /readyz."""
    NODES_READY = "NodesReady"
    """Every expected node is registered and Ready."""
    KUBECONFIG_PUBLISHED = "KubeconfigPublished"
    """The kubeconfig Secret exists with current content."""
    CONFIG_RESOLVED = "ConfigResolved"
    """Only with spec.configFrom: kind's config there can be read, is valid, and goes with the fields of the spec."""
    POLICY_ALLOWED = "PolicyAllowed"
    """The manager's policy allows this namespace what the spec asks of the host; asked before anything is made, what runs is left alone."""
    IMAGES_AVAILABLE = "ImagesAvailable"
    """The images that nodes are made from are on the engine, or in the manager's folder of archives; Unknown: they have to be pulled."""
    ENDPOINT_CURRENT = "EndpointCurrent"
    """The API server answers at spec.controlPlaneEndpoint, which Cluster API has copied for good."""
    IMAGES_PRELOADED = "ImagesPreloaded"
    """Every node has every image of spec.images; only where there are some. Ready does not wait for it."""
    REGISTRY_READY = "RegistryReady"
    """Every node knows the registries of spec.registry and spec.registryMirrors; only where there are some. Ready does not wait for it."""
    ADDONS_READY = "AddonsReady"
    """Every add-on of spec.addons is applied and ready, and nothing of a former one is left; only where there are, or were, some. Ready
    does not wait for it."""
    UP_TO_DATE = "UpToDate"
    """The cluster was made from what is wanted now; only where spec.updatePolicy accepts edits can it be False."""
    NODES_SIMULATED = "NodesSimulated"
    """Only on runtime `local`: nodes are simulated, pods are marked Running and run nothing."""
    EXPIRING = "Expiring"
    """Only with spec.ttl or spec.expiresAt: the object is deleted within minutes, at status.expiresAt."""
    ROLLING_OUT = "RollingOut"
    """The cluster is being replaced, or what the replacement needs is being fetched."""
    SCALING_UP = "ScalingUp"
    """Workers join, or control-plane nodes are being made: those of a new cluster, or of one that replaces another."""
    SCALING_DOWN = "ScalingDown"
    """Workers leave, or the cluster is being deleted, or replaced by one with fewer control-plane nodes."""
    RECONCILING = "Reconciling"
    """For kstatus (Flux, Argo CD): the cluster is usable, and what the spec asks for is still on its way. Absent otherwise."""
    STALLED = "Stalled"
    """For kstatus (Flux, Argo CD): nothing comes of the spec until somebody edits this object or another one. Absent otherwise."""
