"""What one reconcile pass has read and found, field by field; each says when it is set. No effects, no decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from provider.api import names
from provider.api.resources import ObjectKey, Resource
from provider.api.v1alpha1 import KINDClusterSpec
from provider.ports import (
    ClusterRequest,
    Identity,
    JobStatus,
    JsonObject,
    NodeRole,
    Runtime,
    RuntimeObservation,
    WorkloadObservation,
)
from provider.reconcile.plan import Plan
from provider.reconcile.update import Change


class Owner(StrEnum):
    """What became of the Cluster API Cluster that owns the object."""

    NONE = "None"
    """The object has no owner reference to a Cluster."""
    PRESENT = "Present"
    GONE = "Gone"
    """The reference names a Cluster that does not exist, or another one with the same name."""


@dataclass(slots=True)
class Scope:
    key: ObjectKey
    obj: JsonObject
    """The KINDCluster as read (or as returned by our own last patch of this pass)."""
    spec: KINDClusterSpec
    now: datetime

    owner: Owner = Owner.NONE
    cluster: JsonObject | None = None
    """The owner Cluster; set when owner is PRESENT."""
    control_plane: JsonObject | None = None
    """The KINDControlPlane that the owner Cluster names, if it names one and it exists."""
    control_plane_missing: bool = False
    """The owner Cluster names a KINDControlPlane that does not exist: what is wanted cannot be told."""
    standalone: bool = False
    """Provision without an owner: asked for, or Cluster API is not installed."""

    runtime: Runtime | None = None
    """Set once spec.identity names one that this manager has."""
    identity: Identity | None = None
    request: ClusterRequest | None = None
    config_hash: str = ""
    made_from: Mapping[str, str] = field(default_factory=dict)
    """What a cluster made now would be made from (reconcile.update)."""
    disagreement: Plan | None = None
    """Why spec and KINDControlPlane cannot both be had."""
    changes: tuple[Change, ...] | None = None
    """What differs from what the running cluster was made from; None when there is none, or it cannot be told."""
    expected: tuple[tuple[str, NodeRole], ...] = ()

    job: JobStatus | None = None
    observation: RuntimeObservation | None = None
    """None while a job works on the cluster: its progress is the news then."""
    workload: WorkloadObservation | None = None
    """None when there was nothing to ask."""
    decision: Plan | None = None
    rival: str = ""

    secret_published: bool | None = None
    """None: not looked at in this pass."""
    problem: tuple[str, str] | None = None
    """(reason, message) of something that stands in the way in this pass."""
    requeue_after: float | None = None
    """Seconds; the soonest wait of all phases."""

    @property
    def meta(self) -> Mapping[str, Any]:
        meta: Mapping[str, Any] = self.obj["metadata"]
        return meta

    @property
    def status(self) -> JsonObject:
        status: JsonObject = self.obj.get("status") or {}
        return status

    @property
    def generation(self) -> int:
        return int(self.meta.get("generation", 0))

    @property
    def deleting(self) -> bool:
        return "deletionTimestamp" in self.meta

    @property
    def last_create(self) -> JsonObject:
        record: JsonObject = self.status.get("lastCreate") or {}
        return record

    @property
    def disturbed(self) -> bool:
        """A job is at work on the cluster itself. Preparing its replacement leaves it alone."""
        return self.job is not None and self.job.unfinished and self.job.verb != "prepare"

    @property
    def provisioned(self) -> bool:
        """The endpoint is written once a cluster has answered, and survives move and backup, unlike status."""
        return self.spec.control_plane_endpoint is not None

    def wait(self, seconds: float) -> None:
        """Look again after this long, or sooner if another phase wants so."""
        self.requeue_after = seconds if self.requeue_after is None else min(self.requeue_after, seconds)


def annotated(obj: JsonObject, annotation: str) -> bool:
    """Existence counts, whatever the value (Cluster API util/annotations)."""
    return annotation in (obj["metadata"].get("annotations") or {})


def paused(cluster: JsonObject) -> bool:
    """Whether a Cluster is."""
    return (cluster.get("spec") or {}).get("paused") is True


def pause_reason(kind: str, obj: JsonObject, cluster: JsonObject | None) -> str:
    """Why an object is paused, in the contract's words; empty when it is not (Cluster API util/paused)."""
    parts = []
    if cluster is not None and paused(cluster):
        parts.append("Cluster spec.paused is set to true")
    if annotated(obj, names.PAUSED_ANNOTATION):
        parts.append(f"{kind} has the {names.PAUSED_ANNOTATION} annotation")
    return ", ".join(parts)


def owner_reference(obj: JsonObject) -> Mapping[str, Any] | None:
    """The reference to a Cluster API Cluster, by group and kind (the version and `controller` may be anything)."""
    for reference in obj["metadata"].get("ownerReferences") or []:
        group = str(reference.get("apiVersion", "")).partition("/")[0]
        if reference.get("kind") == names.CLUSTERS.kind and group == names.CAPI_GROUP:
            found: Mapping[str, Any] = reference
            return found
    return None


def references(cluster: JsonObject, key: ObjectKey) -> bool:
    """Whether Cluster.spec.infrastructureRef names this KINDCluster."""
    return referred(cluster, "infrastructureRef", names.KINDCLUSTERS) == key


def referred(cluster: JsonObject, reference: str, resource: Resource) -> ObjectKey | None:
    """The object of this type that a Cluster's reference names (v1beta2 apiGroup or v1beta1 apiVersion form), in its namespace."""
    found = (cluster.get("spec") or {}).get(reference) or {}
    group = found.get("apiGroup") or str(found.get("apiVersion", "")).partition("/")[0]
    if (group, found.get("kind")) != (resource.group, resource.kind) or not found.get("name"):
        return None
    return ObjectKey(cluster["metadata"]["namespace"], found["name"])
