"""A manager that dies at the n-th of its effects, and what has to hold whenever that is. Fakes only.

An *effect* is one write to the API or one changing call of the runtime. Its *points* are just before it, just after it and, for a
call of the runtime, each of its steps. A learning run counts the points of a part of a life; then each gets a run of its own.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from provider.api import contract, names
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, Resource, part
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import Transient
from provider.ports.registries import Registries
from provider.ports.runtime import ClusterRequest, Identity, NodeRunState, Progress, Workers
from tests.fakes.kube import FakeKube
from tests.fakes.objects import FakeObjects
from tests.fakes.runtime import FakeRuntime
from tests.fakes.world import KEY, World, kindcluster

CLUSTER = ObjectKey("default", "capi")
FOREIGN = ("demo2", "dem", "default-demo")
"""Clusters of somebody else whose names look like ours."""
FOREIGN_SECRET = ObjectKey("default", "demo2-config")


RANDOM = (names.KEPT_ANNOTATION, names.APPROVED_PLAN_ANNOTATION)
"""Annotations whose values come from a random token or UID."""


class Killed(BaseException):
    """SIGKILL: nothing of the manager runs after it."""


class Effects:
    """Counts points and effects; at point `at` the manager dies or, with `lost`, the answer of a write that was done is lost."""

    def __init__(self, at: int | None = None, *, lost: bool = False) -> None:
        self.at, self.lost = at, lost
        self.points, self.effects, self.answers = 0, 0, 0

    def point(self) -> None:
        self.points += 1
        if not self.lost and self.points == self.at:
            raise Killed

    def answer(self) -> None:
        self.answers += 1
        if self.lost and self.answers == self.at:
            raise Transient(Reason.API_UNREACHABLE, "The connection was cut before the answer came.")

    @contextmanager
    def effect(self) -> Iterator[None]:
        self.effects += 1
        self.point()
        yield
        self.point()


class MortalKube(FakeKube):
    """An API whose caller may die around each write."""

    effects: Effects

    async def create(self, resource: Resource, obj: JsonObject) -> JsonObject:
        with self.effects.effect():
            answer = await super().create(resource, obj)
        self.effects.answer()
        return answer

    async def patch(
        self, resource: Resource, key: ObjectKey, patch: JsonObject, *, subresource: str = "", version: str | None = None
    ) -> JsonObject | None:
        with self.effects.effect():
            answer = await super().patch(resource, key, patch, subresource=subresource, version=version)
        self.effects.answer()
        return answer

    async def delete(self, resource: Resource, key: ObjectKey, *, uid: str | None = None, version: str | None = None) -> None:
        with self.effects.effect():
            await super().delete(resource, key, uid=uid, version=version)
        self.effects.answer()


class MortalRuntime(FakeRuntime):
    """A runtime whose caller may die around and in the middle of each changing call."""

    def __init__(self, effects: Effects) -> None:
        super().__init__()
        self.effects = effects
        self.before_create: list[Callable[[Identity], None]] = []

    async def prepare(self, request: ClusterRequest, progress: Progress) -> None:
        with self.effects.effect():
            await super().prepare(request, self._mortal(progress))

    async def create(self, identity: Identity, request: ClusterRequest, progress: Progress) -> None:
        for check in self.before_create:
            check(identity)
        with self.effects.effect():
            await super().create(identity, request, self._mortal(progress))

    async def delete(self, identity: Identity, progress: Progress) -> None:
        with self.effects.effect():
            await super().delete(identity, self._mortal(progress))

    async def start(self, identity: Identity, progress: Progress) -> None:
        with self.effects.effect():
            await super().start(identity, self._mortal(progress))

    async def stop(self, identity: Identity, progress: Progress) -> None:
        with self.effects.effect():
            await super().stop(identity, self._mortal(progress))

    async def pause(self, identity: Identity, progress: Progress) -> None:
        with self.effects.effect():
            await super().pause(identity, self._mortal(progress))

    async def scale(self, identity: Identity, workers: Workers, progress: Progress) -> None:
        with self.effects.effect():
            await super().scale(identity, workers, self._mortal(progress))

    async def load(self, identity: Identity, images: Sequence[str], progress: Progress) -> None:
        with self.effects.effect():
            await super().load(identity, images, self._mortal(progress))

    async def connect(self, identity: Identity, wanted: Registries, progress: Progress) -> None:
        with self.effects.effect():
            await super().connect(identity, wanted, self._mortal(progress))

    def _mortal(self, progress: Progress) -> Progress:
        def step(news: Any) -> None:
            self.effects.point()
            progress(news)

        return step


class MortalObjects(FakeObjects):
    """A made cluster's API whose caller may die around each write."""

    def __init__(self, effects: Effects, violations: list[str]) -> None:
        super().__init__()
        self.effects, self.violations = effects, violations

    async def apply(self, resource: Resource, key: ObjectKey, obj: JsonObject) -> JsonObject:
        if names.ADDON_LABEL in obj["metadata"]["labels"] and not self._listed(resource.kind, key.name):
            self.violations.append(f"{key} was applied before an inventory listed it")
        with self.effects.effect():
            answer = await super().apply(resource, key, obj)
        self.effects.answer()
        return answer

    async def delete(self, resource: Resource, key: ObjectKey, *, uid: str) -> None:
        found = await self.get(resource, key)
        if found is not None and not {names.ADDON_LABEL, names.ADDON_INVENTORY_LABEL} & set(found["metadata"]["labels"]):
            self.violations.append(f"{key} was deleted, and is not ours")
        with self.effects.effect():
            await super().delete(resource, key, uid=uid)
        self.effects.answer()

    def _listed(self, kind: str, name: str) -> bool:
        lists = [obj for obj in self.stored.values() if names.ADDON_INVENTORY_LABEL in part(obj, "metadata", "labels")]
        rows = [row for obj in lists for row in json.loads(obj["data"]["objects"])]
        return any((row[2], row[4]) == (kind, name) for row in rows)


class Life:
    """One or two management clusters (`home`, and `away` to move to), one engine with clusters of others on it, one object."""

    def __init__(self, effects: Effects) -> None:
        self.effects = effects
        self.violations: list[str] = []
        """What must never be, whenever it was."""
        self.runtime = MortalRuntime(effects)
        for name in FOREIGN:
            self.runtime.add_foreign(name)
        self.after_kill: Callable[[], None] = lambda: None
        """What the user does between two managers."""
        self.stores: dict[str, FakeObjects] = {}
        self.home, self.away = self._world(), self._world()
        self._canaries = self.canaries()

    def _world(self) -> World:
        world = World(runtime=self.runtime)
        world.kube = MortalKube(now=world.clock.now)
        world.kube.effects = self.effects
        world.workload.stores = self.stores
        world.workload.make_objects = lambda: MortalObjects(self.effects, self.violations)
        world.kube.groups.add(contract.CAPI_GROUP)
        world.kube.put(
            names.SECRETS, {"metadata": {"name": FOREIGN_SECRET.name, "namespace": "default"}, "data": {"value": "eA=="}}
        )
        world.kube.watch(self._released)
        self.runtime.before_create.append(self._finalizer_first)
        world.restart()
        return world

    async def time(self, world: World, seconds: float = 60) -> None:
        """Let time go by in one of them. A manager that dies is followed by another one."""
        try:
            await world.pass_time(seconds)
        except Killed:
            self.after_kill()
            world.restart()
            await world.pass_time(seconds + 120)
        if self.canaries() != self._canaries:
            self.violations.append("something of others was touched")

    def kill_at(self, points: int) -> None:
        """The manager dies that many points from now."""
        self.effects.at = self.effects.points + points

    def canaries(self) -> str:
        secrets = [world.kube.read(names.SECRETS, FOREIGN_SECRET) for world in (self.home, self.away)]
        return repr(([self.runtime.clusters.get(name) for name in FOREIGN], secrets))

    def _finalizer_first(self, identity: Identity) -> None:
        for world in (self.home, self.away):
            obj = world.get()
            if obj and obj["metadata"].get("finalizers") and (obj["spec"].get("identity") or {}).get("token"):
                return
        self.violations.append(f"{identity.cluster_name} was created before finalizer and identity were persisted")

    def _released(self, change: str, resource: Resource, obj: JsonObject) -> None:
        moved = contract.DELETE_FOR_MOVE_ANNOTATION in (obj["metadata"].get("annotations") or {})
        kept = (obj.get("spec") or {}).get("deletionPolicy") == "Retain"
        if (change, resource) == ("DELETED", KINDCLUSTERS) and self.runtime.marked() and not (moved or kept):
            self.violations.append("the finalizer went while containers lived")

    # --- what a user does ------------------------------------------------------------------------------------------------------

    async def create(self) -> None:
        """With Cluster API: the Cluster, our object, the owner reference that the core manager sets."""
        owner = self.home.kube.put(contract.CLUSTERS, capi_cluster())
        obj = kindcluster(workerReplicas=1, version="v1.34.3", updatePolicy="Recreate")
        obj["metadata"]["ownerReferences"] = [owner_reference(owner)]
        obj["metadata"]["labels"] = {contract.CLUSTER_NAME_LABEL: CLUSTER.name}
        self.home.apply(obj)
        await self.time(self.home)

    async def create_alone(self) -> None:
        """Without a Cluster, and with an end that is far off."""
        self.home.apply(kindcluster(workerReplicas=1, standalone=True, ttl="8h"))
        await self.time(self.home)

    async def expire(self) -> None:
        """Its time is over: nobody has to do anything."""
        await self.time(self.home, 8 * 3600)

    async def repair(self) -> None:
        self.home.set_node("demo-worker", NodeRunState.STOPPED)
        await self.time(self.home)

    async def stop(self) -> None:
        await self._power("Stopped")

    async def pause(self) -> None:
        await self._power("Paused")

    async def resume(self) -> None:
        await self._power("Running")

    async def _power(self, state: str) -> None:
        self.home.edit({"spec": {"powerState": state}})
        await self.time(self.home)

    async def addons(self) -> None:
        await self._addons(addon("one", "a", "b"), addon("two", "c"))

    async def change_addons(self) -> None:
        """One object goes, one changes, one comes, and one becomes another add-on's."""
        await self._addons(addon("one", "a", "d", data="new"), addon("three", "c"))

    async def drop_addons(self) -> None:
        await self._addons()

    async def _addons(self, *addons: JsonObject) -> None:
        self.home.edit({"spec": {"addons": list(addons)}})
        await self.time(self.home)

    async def update(self) -> None:
        self.home.edit({"spec": {"version": "v1.34.4"}})
        await self.time(self.home)

    async def approve(self) -> None:
        """The same edit where only this one plan is consented to."""
        self.home.edit({"spec": {"version": "v1.34.4", "updatePolicy": "Report"}})
        creates = self.runtime.calls["create"]
        await self.time(self.home)
        if self.runtime.calls["create"] != creates:
            self.violations.append("a cluster was replaced without consent")
        self.home.edit({"metadata": {"annotations": {names.APPROVED_PLAN_ANNOTATION: self.home.status()["plan"]["approval"]}}})
        await self.time(self.home)

    async def connect(self) -> None:
        """With the registry that clusters share, and a mirror."""
        mirror = {"host": "docker.io", "endpoints": ["https://mirror.example.org"]}
        self.home.edit({"spec": {"registry": "Shared", "registryMirrors": [mirror]}})
        await self.time(self.home)

    async def disconnect(self) -> None:
        self.home.edit({"spec": {"registry": None, "registryMirrors": None}})
        await self.time(self.home)

    async def leave(self) -> None:
        """The last cluster of the registry goes."""
        await self.delete()

    async def scale_up(self) -> None:
        await self._scale(3)

    async def scale_down(self) -> None:
        await self._scale(0)

    async def scale_and_back(self) -> None:
        """The wish is taken back while it is being fulfilled, or after a manager has died of it."""
        self.after_kill = lambda: self.home.edit({"spec": {"workerReplicas": 1}})
        await self._scale(3)
        await self._scale(1)

    async def _scale(self, workers: int) -> None:
        self.home.edit({"spec": {"workerReplicas": workers}})
        await self.time(self.home)

    async def delete(self) -> None:
        """As the core manager does when its Cluster is deleted: it keeps the Cluster until ours is gone."""
        self.home.delete()
        await self.time(self.home)

    async def keep(self) -> None:
        """The object goes, the cluster stays. A manager that died sees the policy before the delete at the latest."""
        self.home.edit({"spec": {"deletionPolicy": "Retain"}})
        await self.time(self.home)
        await self.delete()

    async def move(self) -> None:
        """There and back: the calls that `clusterctl move` makes, with time for both managers after each."""
        await self._move(self.home, self.away)
        await self._move(self.away, self.home)

    async def _move(self, source: World, target: World) -> None:
        source.kube.edit(contract.CLUSTERS, CLUSTER, {"spec": {"paused": True}})
        await self._both()
        moved = source.get()
        assert moved is not None
        owner = target.kube.put(contract.CLUSTERS, capi_cluster(paused=True))
        target.apply({key: value for key, value in _owned(moved, owner).items() if key != "status"})
        secrets = [obj for obj in source.kube.find(names.SECRETS) if obj["metadata"]["name"] == f"{CLUSTER.name}-kubeconfig"]
        for secret in secrets:
            target.kube.put(names.SECRETS, _owned(secret, owner))
        await self._both()
        source.edit({"metadata": {"annotations": {contract.DELETE_FOR_MOVE_ANNOTATION: ""}}})
        await self._both()
        source.delete()
        await self._both()
        source.edit({"metadata": {"finalizers": None}})
        source.kube.remove(contract.CLUSTERS, CLUSTER)
        _collect_garbage(source)
        await self._both()
        target.kube.edit(contract.CLUSTERS, CLUSTER, {"spec": {"paused": False}})
        await self._both()

    async def _both(self) -> None:
        for world in (self.home, self.away):
            for key in world._keys():
                world._add(key)
            await self.time(world)

    # --- the end ---------------------------------------------------------------------------------------------------------------

    def end_state(self) -> JsonObject:
        """All that is there, without what differs between any two runs: ids, versions, times, ports, tokens, key material."""
        objects = [
            obj for world in (self.home, self.away) for kind in (KINDCLUSTERS, names.SECRETS) for obj in world.kube.find(kind)
        ]
        return {
            "objects": [masked(obj) for obj in objects],
            "registry": (self.runtime.registry, {name: cluster.told for name, cluster in self.runtime.clusters.items()}),
            "nodes": sorted(
                (name, node.name, node.state, repr(node.registries))
                for name, cluster in self.runtime.clusters.items()
                for node in cluster.nodes
            ),
            "inside": sorted(map(repr, self._inside())),
        }

    def _inside(self) -> Iterator[tuple[object, ...]]:
        """What the object's cluster has of add-ons."""
        if KEY.name not in self.runtime.clusters:
            return
        for obj in self.home.workload.store(KEY.name).stored.values():
            metadata = obj["metadata"]
            yield obj["kind"], metadata["name"], metadata.get("labels"), metadata.get("annotations"), obj.get("data")


def addon(name: str, *config_maps: str, data: str = "") -> JsonObject:
    objects = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": one}, "data": {"of": data}} for one in config_maps]
    return {"name": name, "manifests": "\n---\n".join(map(json.dumps, objects))}


def capi_cluster(**spec: object) -> JsonObject:
    reference = {"apiGroup": names.GROUP, "kind": KINDCLUSTERS.kind, "name": KEY.name}
    spec = {"infrastructureRef": reference, "controlPlaneRef": reference, **spec}
    return {"metadata": {"name": CLUSTER.name, "namespace": CLUSTER.namespace}, "spec": spec}


def owner_reference(owner: JsonObject) -> JsonObject:
    return {
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": "Cluster",
        "name": CLUSTER.name,
        "uid": owner["metadata"]["uid"],
    }


def _owned(obj: JsonObject, owner: JsonObject) -> JsonObject:
    copied = copy.deepcopy(obj)
    copied["metadata"]["ownerReferences"] = [owner_reference(owner)]
    return copied


def _collect_garbage(world: World) -> None:
    for secret in world.kube.find(names.SECRETS):
        if secret["metadata"].get("ownerReferences"):
            world.kube.remove(names.SECRETS, ObjectKey("default", secret["metadata"]["name"]))


def masked(obj: JsonObject) -> JsonObject:
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    return {
        "name": (obj["kind"], meta["namespace"], meta["name"]),
        "metadata": {key: meta.get(key) for key in ("finalizers", "labels")},
        "annotations": {key: key in RANDOM or value for key, value in (meta.get("annotations") or {}).items()},
        "owners": sorted(owner["kind"] for owner in meta.get("ownerReferences", [])),
        "spec": {key: bool(value) if key in ("identity", "controlPlaneEndpoint") else value for key, value in spec.items()},
        "status": {key: status.get(key) for key in ("phase", "ready", "initialization", "version", "nodesReady")},
        "conditions": [[condition[key] for key in ("type", "status", "reason")] for condition in status.get("conditions", [])],
        "nodes": [[node["name"], node["state"]] for node in status.get("nodes", [])],
        "data": sorted(obj.get("data") or {}),
    }
