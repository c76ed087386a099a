"""What one reconcile pass has read and found, field by field; each says when it is set. No effects, no decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.api.meta import JsonObject, ObjectKey
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.ports.runtime import ClusterRequest, Identity, Runtime, RuntimeObservation
from provider.ports.tasks import TaskStatus
from provider.ports.workload import WorkloadObservation
from provider.reconcile.drift import Change
from provider.reconcile.identity import identity_of
from provider.reconcile.plan import Action, Plan


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

    task: TaskStatus | None = None
    observation: RuntimeObservation | None = None
    """None while a task works on the cluster: its progress is the news then."""
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
        """A task is at work on the cluster itself. Preparing its replacement leaves it alone."""
        return self.task is not None and self.task.changes_cluster

    @property
    def provisioned(self) -> bool:
        """The endpoint is written once a cluster has answered, and survives move and backup, unlike status."""
        return self.spec.control_plane_endpoint is not None

    def wait(self, seconds: float) -> None:
        """Look again after this long, or sooner if another phase wants so."""
        self.requeue_after = seconds if self.requeue_after is None else min(self.requeue_after, seconds)


ESSENTIAL = ("clusterName", "identity", "deletionPolicy", "standalone")
"""What deletion needs; read alone when the rest of a spec cannot be read."""


def open_scope(key: ObjectKey, obj: JsonObject, runtimes: Mapping[str, Runtime], now: datetime) -> tuple[Scope, Plan | None]:
    """The scope, and why the spec cannot be read, if so (possible only when the stored object was never checked by our CRD)."""
    raw, problem = obj.get("spec") or {}, None
    try:
        spec = KINDClusterSpec.model_validate(raw)
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(str(part) for part in entry["loc"]) for entry in error.errors()}))
        message = f"spec cannot be read; check these fields: {fields}."
        problem = Plan(Action.WAIT, Reason.INVALID_SPEC, message)
        spec = KINDClusterSpec.model_validate({name: raw[name] for name in ESSENTIAL if name in raw})
    scope = Scope(key, obj, spec, now)
    scope.identity = identity_of(key, spec)
    if spec.identity is not None:
        scope.runtime = runtimes.get(spec.identity.runtime)
    return scope, problem
