"""One Cluster under test in one management cluster: what can be observed of it, and what the tests do to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import yaml

from capi_conformance.management import CLUSTER, SECRET, Json, Management
from capi_conformance.profiles import GroupKind, Profile
from capi_conformance.waiting import wait
from capi_conformance.workload import Workload

PAUSED = "cluster.x-k8s.io/paused"
MANAGED_BY = "cluster.x-k8s.io/managed-by"
CLUSTER_LABEL = "cluster.x-k8s.io/cluster-name"


@dataclass(frozen=True)
class Subject:
    management: Management
    profile: Profile
    name: str

    @property
    def namespace(self) -> str:
        return self.profile.namespace

    @property
    def mark(self) -> str:
        """Name of what the kit leaves in the workload cluster."""
        return f"{self.namespace}-{self.name}"

    def at(self, management: Management) -> Subject:
        """The same cluster, seen from another management cluster."""
        return replace(self, management=management)

    # --- what is observed -------------------------------------------------------------------------------------------------------

    def cluster(self) -> Json:
        return self.management.get(CLUSTER, self.namespace, self.name)

    def object_of(self, kind: GroupKind, version: str = "") -> Json:
        """The infrastructure or control plane object that the Cluster refers to, or {}; in the newest version unless one is named."""
        spec = self.cluster().get("spec") or {}
        for field in ("infrastructureRef", "controlPlaneRef"):
            reference = spec.get(field) or {}
            if (reference.get("kind"), reference.get("apiGroup")) == (kind.kind, kind.group):
                return self.management.get(kind, self.namespace, reference["name"], version)
        return {}

    def secret(self) -> Json:
        return self.management.get(SECRET, self.namespace, f"{self.name}-kubeconfig")

    def workload(self) -> Workload:
        return Workload.of(self.secret(), self.management.environ)

    def identity(self) -> Json:
        return self.workload().identity(self.mark)

    def of(self, kind: GroupKind) -> list[Json]:
        """Objects of a kind that are its, whether it refers to them or not."""
        return [one for one in self.management.all(kind, self.namespace) if self._is_its(one)]

    def objects(self) -> dict[str, Json]:
        """Everything there is of it: kinds of Cluster API and its providers, and Secrets. Kind and name → object."""
        kinds = (*self.management.kinds(), SECRET)
        pool = [(kind, one) for kind in kinds for one in self.management.all(kind, self.namespace)]
        found = {(kind.kind, one["metadata"]["name"]): one for kind, one in pool if self._is_its(one)}
        while more := {
            (kind.kind, one["metadata"]["name"]): one
            for kind, one in pool
            if any((owner["kind"], owner["name"]) in found for owner in one["metadata"].get("ownerReferences") or ())
            and (kind.kind, one["metadata"]["name"]) not in found
        }:
            found |= more
        return {f"{kind}/{name}": one for (kind, name), one in found.items()}

    def _is_its(self, one: Json) -> bool:
        """By name, by label, or by being owned by the Cluster."""
        meta = one["metadata"]
        owners = [(owner["kind"], owner["name"]) for owner in meta.get("ownerReferences") or ()]
        called = meta["name"] == self.name or str(meta["name"]).startswith(f"{self.name}-")
        return called or (meta.get("labels") or {}).get(CLUSTER_LABEL) == self.name or ("Cluster", self.name) in owners

    # --- what may be wrong --------------------------------------------------------------------------------------------------------

    def available_problem(self) -> str:
        """Why it is not Available with nothing to say; empty when it is."""
        return self.condition_problem(self.cluster(), "Available")

    def condition_problem(self, obj: Json, kind: str, status: str = "True", reason: str = "") -> str:
        """Why a condition is not as it should be: its message is empty, too, unless a reason is asked for."""
        if not obj:
            return f"{self.name}: the object with the condition {kind} does not exist"
        found = condition(obj, kind)
        if found.get("status") != status or (reason and found.get("reason") != reason) or (not reason and found.get("message")):
            wanted = f"{status} {reason}".strip() if reason else f"{status} with an empty message"
            return f"{obj['kind']} {self.name}: {kind} should be {wanted}, is {found or 'absent'}; all: {brief(obj)}"
        return ""

    def paused_problem(self, kind: GroupKind, *, paused: bool) -> str:
        """Why the condition Paused of an object does not say so, for what the object is now."""
        obj = self.object_of(kind)
        status, reason = ("True", "Paused") if paused else ("False", "NotPaused")
        if problem := self.condition_problem(obj, "Paused", status, reason):
            return problem
        seen = condition(obj, "Paused").get("observedGeneration", obj["metadata"]["generation"])
        return (
            ""
            if seen == obj["metadata"]["generation"]
            else f"{kind}: Paused is that of generation {seen}, not of the present one"
        )

    def gone_problem(self) -> str:
        left = [str(kind) for kind in self.profile.kinds if self.of(kind)]
        if self.cluster():
            left.append(f"the Cluster: {brief(self.cluster())}")
        return f"{self.name} is not gone, there is still {', '.join(left)}" if left else ""

    def wait_available(self) -> float:
        return wait(self.profile.seconds.available, self.available_problem)

    # --- what is done to it -------------------------------------------------------------------------------------------------------

    def documents(self) -> list[Json]:
        """What its template makes of it."""
        argv = ["generate", "cluster", self.name, f"--target-namespace={self.namespace}", *self.profile.generate]
        if self.profile.template is not None:
            argv.append(f"--from={self.profile.template.resolve()}")
        text = self.management.clusterctl(*argv, variables=self.profile.variables)
        return [one for one in yaml.safe_load_all(text) if one]

    def pause(self, paused: bool) -> None:
        self.management.patch(CLUSTER, self.namespace, self.name, {"spec": {"paused": paused}})

    def annotate(self, annotation: str, value: str | None) -> None:
        """On every object of the provider; None removes it."""
        for kind in self.profile.kinds:
            if obj := self.object_of(kind):
                self.change(kind, obj["metadata"]["name"], {"annotations": {annotation: value}})

    def change(self, kind: GroupKind, name: str, metadata: dict[str, Any]) -> None:
        self.management.patch(kind, self.namespace, name, {"metadata": metadata})

    def delete(self) -> None:
        """Returns at once."""
        self.management.delete(CLUSTER, self.namespace, self.name)

    def end(self) -> None:
        """Delete it and its objects, even if it is paused or they have no owner; returns when they are gone."""
        self.delete()
        if self.cluster():
            self.management.try_patch(CLUSTER, self.namespace, self.name, {"spec": {"paused": False}})
        for kind in self.profile.kinds:
            for one in self.of(kind):
                name, unpaused = one["metadata"]["name"], {"metadata": {"annotations": {PAUSED: None}}}
                self.management.try_patch(kind, self.namespace, name, unpaused)

        def problem() -> str:
            for kind in () if self.cluster() else self.profile.kinds:
                for one in self.of(kind):
                    self.management.delete(kind, self.namespace, one["metadata"]["name"])
            return self.gone_problem()

        wait(self.profile.seconds.deleted, problem)


def condition(obj: Json, kind: str) -> Json:
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == kind), {})


def brief(obj: Json) -> str:
    """All conditions in a line."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return "; ".join(f"{one['type']}={one['status']} {one.get('message') or ''}".strip() for one in conditions) or "no conditions"


def at(obj: Any, *keys: str) -> Any:
    """A value deep in an object, or None."""
    for key in keys:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj
