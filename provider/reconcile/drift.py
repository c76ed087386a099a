"""Drift: what a cluster was made from, what is wanted now, and the difference. Pure.

The record is an annotation, so that `clusterctl move` and backups keep it (status is dropped by both). It is made of the spec's own fields
and never of what is rendered from them: another default of the manager, or a later version of it, must not make a running cluster look
outdated.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any

from provider.api import names
from provider.api.kind import NodeNames, NodeRole, node_names
from provider.api.markers import Mutability, UpdateClass, below, marked_fields
from provider.api.meta import JsonObject
from provider.api.v1alpha1.kindcluster import KINDClusterSpec

# All annotations of an object together have 256 KiB, and a patch of kubeadm's config alone may have 64.
SHOWN = 64
"""Characters up to which a value is kept as it is; of a longer one, the record has a fingerprint."""
CLASSES: Mapping[str, UpdateClass] = {
    f"{path}{field.name}": field.marker.mutability.update_class
    for path, fields in below(marked_fields(KINDClusterSpec))
    for field in fields
}
"""Field of the spec → what a change of it takes."""
COUNTS: Mapping[str, NodeRole] = {"controlPlaneReplicas": NodeRole.CONTROL_PLANE, "workerReplicas": NodeRole.WORKER}
"""Always in a record, however the spec says them: which nodes a cluster must have is read from them."""
WORKERS = "workerReplicas"
"""The one part of a cluster that can change in place, where nodes are only counted."""
POSSIBLE_COUNTS = frozenset(map(str, range(51)))
"""The CRD allows at most 50 nodes of a role."""


class UpdatePolicy(StrEnum):
    """spec.updatePolicy."""

    REFUSE = "Refuse"
    REPORT = "Report"
    RECREATE = "Recreate"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs from what the cluster was made from; empty text: absent."""

    field: str
    made: str
    wanted: str

    @property
    def update_class(self) -> UpdateClass:
        """A field that only another version of the provider knows was recorded because it takes a new cluster."""
        return CLASSES.get(self.field, UpdateClass.RECREATE)

    def __str__(self) -> str:
        if any(value.startswith("#") for value in (self.made, self.wanted)):
            return self.field
        return f"{self.field} ({self.made or 'none'} → {self.wanted or 'none'})"


@dataclass(frozen=True, slots=True)
class Drift:
    """The running cluster against what is wanted now."""

    changes: tuple[Change, ...] | None
    """What would need another cluster; None while there is no finished one, or what is wanted is not known."""
    nodes: NodeNames
    """The containers it must have: of what was made, which may be another number than is wanted now. Without workers that are to leave."""
    aim: NodeNames | None = None
    """Those that it is to have as soon as its workers are as wanted; None where nobody can tell, or there is no finished cluster."""
    update: str = ""
    """The changes, if the cluster may and can be replaced, and a replacement brings all of them; else empty."""
    approval: str = ""
    """What the annotation has to say to consent to a replacement, where nobody has consented to it; else empty."""
    replacing: tuple[Change, ...] = ()
    """While there is no finished cluster: the changes for which the one before it is being replaced."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What the object says about replacing its cluster."""

    policy: UpdatePolicy
    approved: str
    """The annotation; empty without one."""
    uid: str
    generation: int

    def to(self, found: tuple[Change, ...]) -> bool:
        return self.policy is UpdatePolicy.RECREATE or self.approved == self.approval(found)

    def approval(self, found: tuple[Change, ...]) -> str:
        """Of these changes alone. The generation by itself would say too little (ADR 110): a ConfigMap, a KINDControlPlane and a Cluster
        change what is wanted without it, and it starts anew when the object is moved or restored, with its annotations.
        """
        text = json.dumps([self.uid, *((change.field, change.made, change.wanted) for change in found)])
        return f"{self.generation}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def compare(
    made: Mapping[str, str] | None,
    wanted: Mapping[str, str] | None,
    *,
    consent: Consent,
    replaceable: bool,
    config: Mapping[str, Any],
    load_balancer: bool,
) -> Drift:
    """`made`: the record of a finished cluster, None without one. `wanted`: None where it is not known. `replaceable`: nothing contradicts
    what is wanted. `config`: kind's document of what is wanted now; `load_balancer`: several control planes get one before them.
    """
    if made is None:
        return Drift(None if wanted is None else changes({}, wanted), node_names(config, load_balancer=load_balancer))
    found, aim = None if wanted is None else changes(made, wanted), made
    if wanted is not None and scales_in_place(made, wanted):
        found, aim = tuple(change for change in found or () if change.field != WORKERS), {**made, WORKERS: wanted[WORKERS]}
    settled = {**made, WORKERS: min(made[WORKERS], aim[WORKERS], key=int)}
    names_of = partial(_counted, config, load_balancer=load_balancer)
    drift = Drift(found, names_of(settled), names_of(aim) if wanted is not None and replaceable else None)
    if not found or greatest(found) is not UpdateClass.RECREATE:
        return drift
    if consent.to(found):
        return replace(drift, update=listed(found) if replaceable else "")
    return replace(drift, approval=consent.approval(found))


def scales_in_place(made: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether another number of workers needs no other cluster: nodes that are listed with something of their own are kind's to make."""
    return "nodes" not in made and "nodes" not in wanted


def _counted(config: Mapping[str, Any], counts: Mapping[str, str], *, load_balancer: bool) -> NodeNames:
    """Names depend on the roles alone, so the counts of a record are enough."""
    nodes = [{"role": str(role)} for field, role in COUNTS.items() for _ in range(int(counts[field]))]
    return node_names({**config, "nodes": nodes}, load_balancer=load_balancer)


def wanted_values(spec: KINDClusterSpec, config: Mapping[str, Any]) -> dict[str, Any]:
    """What a cluster made now would be made from: field → value.

    `config`: kind's document rendered from the spec, for the number of nodes and for networking with what the Cluster supplies.
    """
    dumped, fields = spec.model_dump(by_alias=True, exclude_none=True), dict[str, Any]()
    for field in spec.marked:
        if field.marker.mutability not in (Mutability.IN_PLACE, Mutability.RECREATE, Mutability.KEPT):
            continue
        if field.fields and not field.is_list:
            given = config.get(field.kind_name) if field.kind_name else dumped.get(field.name)
            fields |= {f"{field.name}.{name}": value for name, value in (given or {}).items()}
        elif field.name in dumped:
            fields[field.name] = dumped[field.name]
    if all(set(node) <= {"role"} for node in fields.get("nodes", ())):
        fields.pop("nodes", None)
    fields["runtime"] = _runtime(spec)
    fields |= {field: sum(1 for node in config["nodes"] if node["role"] == role) for field, role in COUNTS.items()}
    return dict(sorted(fields.items()))


def made_from(spec: KINDClusterSpec, config: Mapping[str, Any]) -> dict[str, str]:
    """The record of a cluster made now: field → value or fingerprint."""
    return {field: _short(as_text(value)) for field, value in wanted_values(spec, config).items()}


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))


def recorded(obj: JsonObject) -> dict[str, str] | None:
    """The record of an object; None without one, or with one that cannot be read (then what runs counts as what is wanted)."""
    text = (obj["metadata"].get("annotations") or {}).get(names.MADE_FROM_ANNOTATION)
    if text is None:
        return None
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not all(isinstance(value, str) for value in record.values()):
        return None
    # Anybody who may edit the object can write this annotation, and a node is listed for each that it counts.
    return record if all(record.get(field, "") in POSSIBLE_COUNTS for field in COUNTS) else None


def as_annotation(made_from: Mapping[str, str]) -> str:
    return json.dumps(made_from, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def changes(made: Mapping[str, str], now: Mapping[str, str]) -> tuple[Change, ...]:
    fields = sorted(made.keys() | now.keys())
    return tuple(
        Change(field, made.get(field, ""), now.get(field, "")) for field in fields if made.get(field, "") != now.get(field, "")
    )


def greatest(found: Iterable[Change]) -> UpdateClass:
    """Of a set of changes, which has at least one: it is brought as a whole."""
    return max((change.update_class for change in found), key=list(UpdateClass).index)


def listed(found: tuple[Change, ...]) -> str:
    return ", ".join(map(str, found))


def _runtime(spec: KINDClusterSpec) -> str:
    """Chosen once and kept in spec.identity: only naming another one is a change."""
    chosen = spec.identity.runtime if spec.identity else ""
    return chosen if spec.runtime in (None, "auto") else str(spec.runtime)


def _short(text: str) -> str:
    if len(text) <= SHOWN and not text.startswith(("{", "[", "#")):
        return text
    return f"#{hashlib.sha256(text.encode()).hexdigest()[:16]}"
