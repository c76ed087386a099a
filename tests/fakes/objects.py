"""FakeObjects: the objects of a made cluster in memory. Passes tests/contract like the real ones.

What controllers do is for a test to do (`set_status`). State is public on purpose: tests assert what exists.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provider.api import names
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, Resource, part
from provider.errors import Conflict, ProviderError, Terminal, Transient
from provider.ports.workload import Served

Place = tuple[str, str, str, str]
"""(group, plural, namespace, name)."""
NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
CLUSTER_SCOPED = {"Namespace", "ClusterRole", "CustomResourceDefinition", "StorageClass"}
BUILT_IN = {
    "v1": {"ConfigMap": "configmaps", "Namespace": "namespaces", "Secret": "secrets", "Service": "services"},
    "apps/v1": {"DaemonSet": "daemonsets", "Deployment": "deployments", "StatefulSet": "statefulsets"},
    "batch/v1": {"Job": "jobs"},
    "rbac.authorization.k8s.io/v1": {"ClusterRole": "clusterroles"},
    "apiextensions.k8s.io/v1": {"CustomResourceDefinition": "customresourcedefinitions"},
}


def _served(api_version: str, kind: str, plural: str, *, namespaced: bool) -> Served:
    group, _, version = api_version.rpartition("/")
    return Served(Resource(group, version, plural, kind), namespaced)


def _built_in() -> dict[str, dict[str, Served]]:
    return {
        api_version: {
            kind: _served(api_version, kind, plural, namespaced=kind not in CLUSTER_SCOPED) for kind, plural in kinds.items()
        }
        for api_version, kinds in BUILT_IN.items()
    }


@dataclass
class FakeObjects:
    kinds: dict[str, dict[str, Served]] = field(default_factory=_built_in)
    """By apiVersion, by kind."""
    stored: dict[Place, JsonObject] = field(default_factory=dict)
    applied: dict[Place, JsonObject] = field(default_factory=dict)
    """What was applied last: the fields that are ours."""
    calls: Counter[str] = field(default_factory=Counter)
    log: list[tuple[str, str]] = field(default_factory=list)
    """(verb, kind and name) of each write, in their order."""
    refuse: Callable[[str, JsonObject], ProviderError | None] = lambda _verb, _obj: None
    """Asked before each write."""
    establishes: bool = True
    """A CRD is established, and its kind served, as soon as it is there."""
    up: Callable[[], bool] = lambda: True
    numbers: int = 0

    def __post_init__(self) -> None:
        for name in ("default", "kube-system"):
            self.put(NAMESPACES, {"metadata": {"name": name}})

    # --- hooks -----------------------------------------------------------------------------------------------------------------

    def put(self, resource: Resource, obj: JsonObject) -> JsonObject:
        """As somebody else would create or replace it."""
        metadata = obj["metadata"]
        place = (resource.group, resource.plural, metadata.get("namespace", ""), metadata["name"])
        server = {"uid": self._number("uid"), "resourceVersion": self._number("rv"), "generation": 1}
        self.stored[place] = {
            **copy.deepcopy(obj),
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {**server, **metadata},
        }
        return self.stored[place]

    def find(self, kind: str, name: str, namespace: str = "default") -> JsonObject | None:
        return next(
            (
                obj
                for (_, _, _, found), obj in self.stored.items()
                if (obj["kind"], found) == (kind, name) and obj["metadata"].get("namespace", namespace) == namespace
            ),
            None,
        )

    def names(self, kind: str) -> list[str]:
        return sorted(obj["metadata"]["name"] for obj in self.stored.values() if obj["kind"] == kind)

    def set_status(self, kind: str, name: str, **status: Any) -> None:
        obj = self.find(kind, name)
        assert obj is not None, f"there is no {kind} {name}"
        obj["status"] = {"observedGeneration": obj["metadata"]["generation"], **status}

    def remove(self, kind: str, name: str) -> None:
        """As somebody else would delete it, finalizers or not."""
        self.stored = {place: obj for place, obj in self.stored.items() if (obj["kind"], place[3]) != (kind, name)}

    # --- the port --------------------------------------------------------------------------------------------------------------

    async def versions(self, group: str) -> list[str]:
        self._ask("versions")
        return [api_version.split("/")[1] for api_version in self.kinds if api_version.startswith(f"{group}/")]

    async def served(self, api_version: str) -> Mapping[str, Served]:
        self._ask("served")
        return dict(self.kinds.get(api_version, {}))

    async def get(self, resource: Resource, key: ObjectKey) -> JsonObject | None:
        self._ask("get")
        return copy.deepcopy(self.stored.get(_place(resource, key)))

    async def list(
        self, resource: Resource, selector: str, *, namespace: str = "", metadata_only: bool = False
    ) -> list[JsonObject]:
        self._ask("list")
        found = []
        for (group, plural, where, _), obj in self.stored.items():
            fits = (group, plural) == (resource.group, resource.plural) and namespace in ("", where)
            if fits and _selected(selector, part(obj, "metadata", "labels")):
                kept = ("apiVersion", "kind", "metadata") if metadata_only else tuple(obj)
                found.append(copy.deepcopy({name: obj[name] for name in kept}))
        return found

    async def apply(self, resource: Resource, key: ObjectKey, obj: JsonObject) -> JsonObject:
        self._write("apply", obj)
        place, live = _place(resource, key), self.stored.get(_place(resource, key))
        self._check(resource, key, obj, live)
        ours = copy.deepcopy({**obj, "metadata": {name: value for name, value in obj["metadata"].items() if name != "uid"}})
        before = live if live is not None else self.put(resource, {"metadata": _named(key)})
        after = _merged(before, self.applied.get(place, {}), ours)
        if after != before or live is None:
            meta = after["metadata"]
            meta["generation"] += live is not None and after.get("spec") != before.get("spec")
            meta["resourceVersion"] = self._number("rv")
        self.stored[place], self.applied[place] = after, ours
        if resource == names.CUSTOM_RESOURCE_DEFINITIONS and self.establishes:
            self.establish(after)
        return copy.deepcopy(after)

    async def delete(self, resource: Resource, key: ObjectKey, *, uid: str) -> None:
        place = _place(resource, key)
        live = self.stored.get(place)
        self._write("delete", live or {"kind": resource.kind, "metadata": {"name": key.name}})
        if live is None:
            return
        if live["metadata"]["uid"] != uid:
            raise Conflict(Reason.CONFLICT, "another uid")
        if live["metadata"].get("finalizers"):
            live["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            return
        del self.stored[place]
        self.applied.pop(place, None)
        if resource.kind == "Namespace":
            self.stored = {other: obj for other, obj in self.stored.items() if other[2] != key.name}

    def establish(self, crd: JsonObject) -> None:
        spec, kind = crd["spec"], crd["spec"]["names"]
        for version in spec["versions"]:
            api_version = f"{spec['group']}/{version['name']}"
            served = _served(api_version, kind["kind"], kind["plural"], namespaced=spec["scope"] == "Namespaced")
            self.kinds.setdefault(api_version, {})[kind["kind"]] = served
        crd["status"] = {"conditions": [{"type": "Established", "status": "True"}]}

    # --- inside ----------------------------------------------------------------------------------------------------------------

    def _check(self, resource: Resource, key: ObjectKey, obj: JsonObject, live: JsonObject | None) -> None:
        uid = obj["metadata"].get("uid")
        if uid is not None and (live is None or live["metadata"]["uid"] != uid):
            raise Conflict(Reason.CONFLICT, "uid mismatch")
        if (obj.get("apiVersion"), obj.get("kind")) != (resource.api_version, resource.kind):
            raise Terminal(Reason.BAD_REQUEST, "the object is of another kind")
        if resource == names.CONFIG_MAPS and set(obj) - {"apiVersion", "kind", "metadata", "data", "binaryData", "immutable"}:
            raise Terminal(Reason.INVALID, "field not declared in schema")
        if key.namespace and ("", NAMESPACES.plural, "", key.namespace) not in self.stored:
            raise Transient(Reason.NOT_FOUND, f'namespaces "{key.namespace}" not found')
        if resource.kind not in self.kinds.get(resource.api_version, {}):
            raise Transient(Reason.NOT_FOUND, "the server could not find the requested resource")

    def _write(self, verb: str, obj: JsonObject) -> None:
        self._ask(verb)
        if (error := self.refuse(verb, obj)) is not None:
            raise error
        self.log.append((verb, f"{obj['kind']} {obj['metadata']['name']}"))

    def _ask(self, verb: str) -> None:
        self.calls[verb] += 1
        if not self.up():
            raise Transient(Reason.API_UNREACHABLE, "connection refused")

    def _number(self, prefix: str) -> str:
        self.numbers += 1
        return f"{prefix}-{self.numbers}"


def _place(resource: Resource, key: ObjectKey) -> Place:
    return (resource.group, resource.plural, key.namespace, key.name)


def _named(key: ObjectKey) -> JsonObject:
    return {"name": key.name, **({"namespace": key.namespace} if key.namespace else {})}


def _selected(selector: str, labels: JsonObject) -> bool:
    name, _, value = selector.partition("=")
    return name in labels and value in ("", labels[name])


def _merged(live: Any, before: Any, ours: Any) -> Any:
    """The live value with ours, without what was ours before; lists as a whole."""
    if not isinstance(ours, dict) or not isinstance(live, dict):
        return copy.deepcopy(ours)
    was = before if isinstance(before, dict) else {}
    kept = {name: copy.deepcopy(value) for name, value in live.items() if name in ours or name not in was}
    return kept | {name: _merged(live.get(name), was.get(name), value) for name, value in ours.items()}
