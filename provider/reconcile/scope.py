"""What one pass has read before it does anything: the object, its owner, its identity and its runtime. No effects, no decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from provider.api.conditions import Reason
from provider.api.meta import Conditions, JsonObject, ObjectKey, conditions_of
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.ports.runtime import Identity, Runtime
from provider.reconcile.attempts import Record, read_record
from provider.reconcile.capi import Owner
from provider.reconcile.identity import identity_of
from provider.reconcile.plan import Blocked

ESSENTIAL = ("clusterName", "identity", "deletionPolicy", "standalone")
"""What deletion needs; read alone when the rest of a spec cannot be read."""


@dataclass(frozen=True, slots=True)
class Scope:
    key: ObjectKey
    obj: JsonObject
    """The KINDCluster as read, or as returned by this pass's own last patch."""
    spec: KINDClusterSpec
    now: datetime
    owner: Owner
    identity: Identity | None
    """None until it is persisted: nothing can have been made for the object before."""
    runtime: Runtime | None
    """Set once spec.identity names one that this manager has."""
    conditions: Conditions
    """Of the status as read."""
    record: Record
    """Of the status as read: what is known of creating the cluster."""
    invalid: Blocked | None = None
    """Why the spec cannot be read; possible only when the stored object was never checked by our CRD."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        metadata: Mapping[str, Any] = self.obj["metadata"]
        return metadata

    @property
    def status(self) -> JsonObject:
        status: JsonObject = self.obj.get("status") or {}
        return status

    @property
    def generation(self) -> int:
        return int(self.metadata.get("generation", 0))

    @property
    def deleting(self) -> bool:
        return "deletionTimestamp" in self.metadata

    @property
    def provisioned(self) -> bool:
        """The endpoint is written once a cluster has answered, and survives move and backup, unlike status."""
        return self.spec.control_plane_endpoint is not None

    def after_patch(self, written: JsonObject) -> Scope:
        """The same with the object as our own patch left it."""
        return replace(self, obj=written, spec=KINDClusterSpec.model_validate(written.get("spec") or {}))


QUOTING = {
    "string_type": ' (text: quote it, such as "true")',
    "bool_type": " (true or false, without quotes)",
    "bool_parsing": " (true or false, without quotes)",
}
"""Kinds of pydantic's errors whose cure is a matter of quotes."""


def _unreadable(error: ValidationError) -> str:
    """The fields that a spec cannot be read for; of an API server with our CRD there are none."""
    found = {".".join(str(part) for part in entry["loc"]) + QUOTING.get(entry["type"], "") for entry in error.errors()}
    return ", ".join(sorted(found))


def open_scope(key: ObjectKey, obj: JsonObject, owner: Owner, runtimes: Mapping[str, Runtime], now: datetime) -> Scope:
    raw: JsonObject = obj.get("spec") or {}
    invalid = None
    try:
        spec = KINDClusterSpec.model_validate(raw)
    except ValidationError as error:
        invalid = Blocked(Reason.INVALID_SPEC, f"spec cannot be read; check these fields: {_unreadable(error)}.")
        spec = KINDClusterSpec.model_validate({name: raw[name] for name in ESSENTIAL if name in raw})
    runtime = runtimes.get(spec.identity.runtime) if spec.identity is not None else None
    status: JsonObject = obj.get("status") or {}
    conditions = conditions_of(status)
    return Scope(key, obj, spec, now, owner, identity_of(obj, spec), runtime, conditions, read_record(status), invalid)
