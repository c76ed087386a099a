"""What one pass has read before it does anything: the object, its owner, its identity and its runtime. No effects, no decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from provider.api.conditions import Reason
from provider.api.fit import fit
from provider.api.meta import Conditions, JsonObject, ObjectKey, conditions_of, shorten
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.api.v1alpha1.status import KINDClusterStatus
from provider.ports.runtime import Identity, Runtime
from provider.reconcile.attempts import Record, read_record
from provider.reconcile.capi import Owner
from provider.reconcile.identity import identity_of
from provider.reconcile.plan import Blocked

ESSENTIAL = ("clusterName", "identity", "deletionPolicy", "standalone")
"""What deletion needs; read alone when the rest of a spec cannot be read."""
MAX_FIELDS = 300
"""Characters of the names of fields that cannot be read."""


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
    status: JsonObject
    """As read, without what is not of the status's model: an object may have been stored by another version, or by hand."""
    conditions: Conditions
    """Of the status as read."""
    record: Record
    """Of the status as read: what is known of creating the cluster."""
    invalid: Blocked | None = None
    """Why the spec cannot be read; possible only when the stored object was never checked by our CRD."""
    unreadable: tuple[str, ...] = ()
    """Essential fields that cannot be read: whether anything was made for the object, and what is to become of it, is not known."""
    filled: Mapping[str, Any] = field(default_factory=dict)
    """What of `spec` comes from the config that spec.configFrom names, whole fields, merged with what the spec has of them."""
    unresolved: Blocked | None = None
    """Why that config is not part of `spec`."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        metadata: Mapping[str, Any] = self.obj["metadata"]
        return metadata

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

    @property
    def knows_what_is_wanted(self) -> bool:
        """Neither the KINDControlPlane that the Cluster names is missing, nor the config that spec.configFrom names."""
        return not self.owner.control_plane_missing and self.unresolved is None

    @property
    def begun(self) -> bool:
        """Whether anything may have been made for the object."""
        return self.provisioned or bool(self.record.last_create.get("startedAt"))

    def after_patch(self, written: JsonObject) -> Scope:
        """The same with the object as our own patch left it."""
        spec = KINDClusterSpec.model_validate({**(written.get("spec") or {}), **self.filled})
        status = fit(KINDClusterStatus, written.get("status"))
        return replace(self, obj=written, spec=spec, status=status)


QUOTING = {
    "string_type": ' (text: quote it, such as "true")',
    "bool_type": " (true or false, without quotes)",
    "bool_parsing": " (true or false, without quotes)",
}
"""Kinds of pydantic's errors whose cure is a matter of quotes."""


def open_scope(key: ObjectKey, obj: JsonObject, owner: Owner, runtimes: Mapping[str, Runtime], now: datetime) -> Scope:
    raw = obj.get("spec")
    invalid: Blocked | None = None
    unreadable: tuple[str, ...] = ()
    try:
        spec = KINDClusterSpec.model_validate({} if raw is None else raw)
    except ValidationError as error:
        invalid = Blocked(Reason.INVALID_SPEC, f"spec cannot be read; check these fields: {_fields(error)}.")
        spec, unreadable = _essential(raw)
    runtime = runtimes.get(spec.identity.runtime) if spec.identity is not None else None
    status = fit(KINDClusterStatus, obj.get("status"))
    conditions = conditions_of(status)
    return Scope(
        key, obj, spec, now, owner, identity_of(obj, spec), runtime, status, conditions, read_record(status), invalid, unreadable
    )


def _essential(raw: object) -> tuple[KINDClusterSpec, tuple[str, ...]]:
    """What can be read of the essential fields, and the names of those that cannot."""
    if not isinstance(raw, dict):
        return KINDClusterSpec(), ESSENTIAL
    found: JsonObject = {}
    unreadable: list[str] = []
    for name in ESSENTIAL:
        if name in raw:
            try:
                KINDClusterSpec.model_validate({name: raw[name]})
            except ValidationError:
                unreadable.append(name)
            else:
                found[name] = raw[name]
    return KINDClusterSpec.model_validate(found), tuple(unreadable)


def _fields(error: ValidationError) -> str:
    """The first few: a spec may be wrong in a hundred thousand places."""
    found = {".".join(map(str, one["loc"])) + QUOTING.get(one["type"], "") for one in error.errors(include_input=False)}
    return shorten(", ".join(sorted(found)), MAX_FIELDS) or "all"
