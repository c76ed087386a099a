"""FakeKube: provider.ports.kube.Kube in memory, with the manners of a real API server that reconcilers trip over.

It has uids, resourceVersions, generations, a separate status, 404/409 answers, deletion that waits for finalizers, label
selectors and no-op writes that change nothing. tests/contract/test_kube.py runs one suite against it and a real API server.

Tests act as a user through `put`, `edit`, `read` and `remove`, which bypass faults, and steer the fake through
- `fail("patch", error, times=2)`: the next calls of a verb raise,
- `before(hook)`: a coroutine function called before each call of the port; it may change objects (a concurrent writer) or raise,
- `calls`: what was asked, in order; `writes()` for the changing ones.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from provider.api.conditions import Reason
from provider.api.contract import CLUSTERS
from provider.api.meta import JsonObject, ObjectKey, Resource
from provider.api.names import GROUP
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import Conflict, ProviderError, Terminal, Transient

BUILT_IN_GROUPS = frozenset({"", "coordination.k8s.io", "apiextensions.k8s.io", "events.k8s.io"})
READ_ONLY_METADATA = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "name", "namespace")

Objects = list[JsonObject]
Calls = list["Call"]
"""`list` is a method of the fake."""

Slot = tuple[str, str, str, str]
"""group, plural, namespace, name."""


@dataclass(frozen=True)
class Call:
    """One call of the port."""

    verb: str
    resource: Resource
    key: ObjectKey | None = None
    body: JsonObject | None = None
    subresource: str = ""


@dataclass
class Fault:
    verb: str
    error: ProviderError
    times: int
    resource: Resource | None


Hook = Callable[[Call], Awaitable[None]]
Watcher = Callable[[str, Resource, JsonObject], None]
"""Called with ADDED, MODIFIED or DELETED after each change."""


def merge(target: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


def selects(selector: str, labels: Mapping[str, str]) -> bool:
    """Equality-based and existence selectors: `a=b`, `a==b`, `a!=b`, `a`, `!a`, joined by commas."""
    return all(_one(part.strip(), labels) for part in selector.split(",") if part.strip())


def _one(part: str, labels: Mapping[str, str]) -> bool:
    if "!=" in part:
        name, value = part.split("!=", 1)
        return labels.get(name.strip()) != value.strip()
    if "=" in part:
        name, value = part.split("=", 1)
        return labels.get(name.strip()) == value.lstrip("=").strip()
    return part[1:] not in labels if part.startswith("!") else part in labels


@dataclass
class FakeKube:
    groups: set[str] = field(default_factory=lambda: {GROUP, *BUILT_IN_GROUPS})
    """API groups served. Add names.CAPI_GROUP to have Cluster API "installed"."""
    with_status: set[str] = field(default_factory=lambda: {KINDCLUSTERS.plural, CLUSTERS.plural, "kindcontrolplanes"})
    """Plurals of resources that have a status subresource and a generation."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ahead: timedelta = timedelta(0)
    """How far the server's clock is ahead of `now`."""
    silent: bool = False
    """It does not tell its time."""
    calls: list[Call] = field(default_factory=list)
    _objects: dict[Slot, JsonObject] = field(default_factory=dict)
    _versions: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _faults: list[Fault] = field(default_factory=list)
    _hooks: list[Hook] = field(default_factory=list)
    _watchers: list[Watcher] = field(default_factory=list)

    # --- the port --------------------------------------------------------------------------------------------------------------

    async def get(self, resource: Resource, key: ObjectKey) -> JsonObject | None:
        await self._called(Call("get", resource, key))
        return self.read(resource, key)

    async def list(self, resource: Resource, *, namespace: str | None = None, labels: str = "") -> Objects:
        await self._called(Call("list", resource))
        return self.find(resource, namespace=namespace, labels=labels)

    async def create(self, resource: Resource, obj: JsonObject) -> JsonObject:
        meta = obj.get("metadata") or {}
        await self._called(
            Call("create", resource, ObjectKey(meta.get("namespace", ""), meta.get("name", "")), copy.deepcopy(obj))
        )
        return self.put(resource, obj)

    async def patch(
        self, resource: Resource, key: ObjectKey, patch: JsonObject, *, subresource: str = "", version: str | None = None
    ) -> JsonObject | None:
        await self._called(Call("patch", resource, key, copy.deepcopy(patch), subresource))
        current = self._objects.get(_slot(resource, key))
        if current is None or resource.group not in self.groups:
            return None
        sent = version or (patch.get("metadata") or {}).get("resourceVersion")
        if sent is not None and sent != current["metadata"]["resourceVersion"]:
            raise Conflict(Reason.CONFLICT, f"{resource.kind} {key} changed since it was read.")
        return self.edit(resource, key, patch, subresource=subresource)

    async def delete(self, resource: Resource, key: ObjectKey, *, uid: str | None = None, version: str | None = None) -> None:
        await self._called(Call("delete", resource, key))
        current = self._objects.get(_slot(resource, key))
        if current is None or resource.group not in self.groups:
            return
        if uid is not None and uid != current["metadata"]["uid"]:
            raise Conflict(Reason.CONFLICT, f"{resource.kind} {key} is another object of the same name.")
        if version is not None and version != current["metadata"]["resourceVersion"]:
            raise Conflict(Reason.CONFLICT, f"{resource.kind} {key} changed since it was read.")
        self.remove(resource, key)

    async def time(self) -> datetime | None:
        await self._called(Call("time", Resource("", "", "", "")))
        return None if self.silent else (self.now() + self.ahead).replace(microsecond=0)

    async def serves(self, group: str) -> bool:
        await self._called(Call("serves", Resource(group, "", "", "")))
        return group in self.groups

    # --- what a user does (no faults) ------------------------------------------------------------------------------------------

    def read(self, resource: Resource, key: ObjectKey) -> JsonObject | None:
        obj = self._objects.get(_slot(resource, key)) if resource.group in self.groups else None
        return copy.deepcopy(obj)

    def find(self, resource: Resource, *, namespace: str | None = None, labels: str = "") -> Objects:
        if resource.group not in self.groups:
            return []
        return [
            copy.deepcopy(obj)
            for (group, plural, where, _), obj in sorted(self._objects.items())
            if (group, plural) == (resource.group, resource.plural)
            and namespace in (None, where)
            and selects(labels, obj["metadata"].get("labels") or {})
        ]

    def put(self, resource: Resource, obj: JsonObject) -> JsonObject:
        """Create, as kubectl create would. The server sets what the server sets; a status sent along is dropped."""
        if resource.group not in self.groups:
            raise Transient(Reason.NOT_FOUND, f"The API server does not serve {resource.plural}.{resource.group}.")
        new = copy.deepcopy(obj)
        meta = new.setdefault("metadata", {})
        if "name" not in meta:
            meta["name"] = f"{meta['generateName']}{next(self._versions):05d}"
        key = ObjectKey(meta.setdefault("namespace", "default"), meta["name"])
        if _slot(resource, key) in self._objects:
            raise Conflict(Reason.ALREADY_EXISTS, f"{resource.kind} {key} exists already.")
        number = next(self._versions)
        meta.pop("deletionTimestamp", None)
        meta.update(uid=f"00000000-0000-4000-8000-{number:012d}", creationTimestamp=self._timestamp())
        new.setdefault("kind", resource.kind)
        new.setdefault("apiVersion", resource.api_version)
        if resource.plural in self.with_status:
            new.pop("status", None)
            meta["generation"] = 1
        self._store(resource, key, new, "ADDED")
        return copy.deepcopy(new)

    def edit(self, resource: Resource, key: ObjectKey, patch: JsonObject, *, subresource: str = "") -> JsonObject:
        """Merge-patch an existing object; a patch that changes nothing leaves the resourceVersion alone."""
        old = self._objects[_slot(resource, key)]
        new = merge(old, patch)
        if resource.plural in self.with_status:
            new = _split(old, new, subresource)
        for name in READ_ONLY_METADATA:
            if name in old["metadata"]:
                new["metadata"][name] = old["metadata"][name]
        for name in [name for name, value in new["metadata"].items() if value in ({}, [])]:
            del new["metadata"][name]
        _refuse_new_finalizers(resource, key, old, new)
        if new == old:
            return copy.deepcopy(old)
        if "generation" in old["metadata"] and new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] += 1
        if "deletionTimestamp" in new["metadata"] and not new["metadata"].get("finalizers"):
            self._drop(resource, key, new)
        else:
            self._store(resource, key, new, "MODIFIED")
        return copy.deepcopy(new)

    def remove(self, resource: Resource, key: ObjectKey) -> None:
        """Delete, as kubectl delete would: with finalizers the object stays and gets a deletionTimestamp."""
        obj = copy.deepcopy(self._objects[_slot(resource, key)])
        meta = obj["metadata"]
        if not meta.get("finalizers"):
            self._drop(resource, key, obj)
        elif "deletionTimestamp" not in meta:
            meta.update(deletionTimestamp=self._timestamp(), deletionGracePeriodSeconds=0)
            if "generation" in meta:
                meta["generation"] += 1
            self._store(resource, key, obj, "MODIFIED")

    # --- steering --------------------------------------------------------------------------------------------------------------

    def fail(self, verb: str, error: ProviderError, *, times: int = 1, resource: Resource | None = None) -> None:
        """Make the next `times` calls of `verb` ("*": any) raise `error`, before any effect."""
        self._faults.append(Fault(verb, error, times, resource))

    def before(self, hook: Hook) -> None:
        self._hooks.append(hook)

    def watch(self, watcher: Watcher) -> None:
        self._watchers.append(watcher)

    def writes(self, resource: Resource | None = None) -> Calls:
        changing = ("create", "patch", "delete")
        return [call for call in self.calls if call.verb in changing and resource in (None, call.resource)]

    # --- inside ----------------------------------------------------------------------------------------------------------------

    async def _called(self, call: Call) -> None:
        self.calls.append(call)
        for hook in self._hooks:
            await hook(call)
        for fault in self._faults:
            if fault.times > 0 and fault.verb in ("*", call.verb) and fault.resource in (None, call.resource):
                fault.times -= 1
                raise fault.error

    def _timestamp(self) -> str:
        return (self.now() + self.ahead).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _store(self, resource: Resource, key: ObjectKey, obj: JsonObject, change: str) -> None:
        obj["metadata"]["resourceVersion"] = str(next(self._versions))
        self._objects[_slot(resource, key)] = copy.deepcopy(obj)
        self._tell(change, resource, obj)

    def _drop(self, resource: Resource, key: ObjectKey, obj: JsonObject) -> None:
        del self._objects[_slot(resource, key)]
        obj["metadata"]["resourceVersion"] = str(next(self._versions))
        self._tell("DELETED", resource, obj)

    def _tell(self, change: str, resource: Resource, obj: JsonObject) -> None:
        for watcher in self._watchers:
            watcher(change, resource, copy.deepcopy(obj))


def _slot(resource: Resource, key: ObjectKey) -> Slot:
    return (resource.group, resource.plural, key.namespace, key.name)


def _split(old: JsonObject, new: JsonObject, subresource: str) -> JsonObject:
    """Status goes through its subresource and nothing else does."""
    kept, taken = (old, new) if subresource == "status" else (new, old)
    result: JsonObject = {name: copy.deepcopy(value) for name, value in kept.items() if name != "status"}
    if "status" in taken:
        result["status"] = copy.deepcopy(taken["status"])
    return result


def _refuse_new_finalizers(resource: Resource, key: ObjectKey, old: JsonObject, new: JsonObject) -> None:
    """As the API server does once deletion has begun (422)."""
    added = set(new["metadata"].get("finalizers", [])) - set(old["metadata"].get("finalizers", []))
    if "deletionTimestamp" in old["metadata"] and added:
        raise Terminal(Reason.INVALID, f"{resource.kind} {key}: no new finalizers can be added if the object is being deleted.")
