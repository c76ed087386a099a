"""A whole small world around one Reconciler, all fakes: what a user does, and time, are the only inputs.

`settle` plays the queue and the task slots until nothing wants to happen at this moment of the fake clock; `pass_time` moves the clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from provider.api import contract, names
from provider.api.meta import JsonObject, ObjectKey, Resource, key_of
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import Conflict, ProviderError
from provider.ports.runtime import NodeRunState
from provider.reconcile.kindcluster import KINDClusterReconciler
from provider.reconcile.options import ReconcileOptions
from tests.fakes.clock import FakeClock
from tests.fakes.kube import FakeKube
from tests.fakes.runtime import FakeRuntime
from tests.fakes.tasks import FakeTasks
from tests.fakes.workload import FakeRecorder, FakeWorkload

KEY = ObjectKey("default", "demo")
MAX_PASSES = 200
WATCHED = (KINDCLUSTERS, contract.CLUSTERS)


def kindcluster(key: ObjectKey = KEY, **spec: Any) -> JsonObject:
    return {
        "apiVersion": KINDCLUSTERS.api_version,
        "kind": KINDCLUSTERS.kind,
        "metadata": {"name": key.name, "namespace": key.namespace},
        "spec": spec,
    }


@dataclass
class World:
    options: ReconcileOptions = field(default_factory=ReconcileOptions)
    clock: FakeClock = field(default_factory=FakeClock)
    runtime: FakeRuntime = field(default_factory=FakeRuntime)
    recorder: FakeRecorder = field(default_factory=FakeRecorder)
    errors: list[ProviderError] = field(default_factory=list)
    run_tasks: bool = True
    """False: started tasks stay running until the test ends them."""

    def __post_init__(self) -> None:
        self.kube = FakeKube(now=self.clock.now)
        self.workload = FakeWorkload(self.runtime)
        self.due: dict[ObjectKey, float] = {}
        self.restart()
        self.kube.watch(lambda _, resource, obj: self._see(resource, obj))

    def restart(self) -> None:
        """A new manager: nothing but the outside world is kept."""
        self.tasks = FakeTasks(self.clock, self._add)
        self.reconciler = KINDClusterReconciler(
            self.kube, self.workload, {"kind": self.runtime}, self.tasks, self.clock, self.recorder, self.options, self._add
        )
        self.due = dict.fromkeys(self._keys(), 0.0)
        for resource in WATCHED:
            for obj in self.kube.find(resource):
                self._see(resource, obj)

    def apply(self, obj: JsonObject) -> JsonObject:
        key = key_of(obj)
        self._add(key)
        return self.kube.put(KINDCLUSTERS, obj)

    def edit(self, patch: JsonObject, key: ObjectKey = KEY) -> None:
        self.kube.edit(KINDCLUSTERS, key, patch)
        self._add(key)

    def delete(self, key: ObjectKey = KEY) -> None:
        self.kube.remove(KINDCLUSTERS, key)
        self._add(key)

    def set_node(self, name: str, state: NodeRunState | None) -> None:
        """As docker stop, kill, pause or (None) rm -f would; the runtime's events bring every key back."""
        if state is None:
            self.runtime.remove_node(name)
        else:
            self.runtime.set_state(name, state)
        for key in self._keys():
            self._add(key)

    def get(self, key: ObjectKey = KEY) -> JsonObject | None:
        return self.kube.read(KINDCLUSTERS, key)

    def status(self, key: ObjectKey = KEY) -> JsonObject:
        obj = self.get(key)
        assert obj is not None, f"{key} is gone"
        status: JsonObject = obj.get("status") or {}
        return status

    def condition(self, kind: str, key: ObjectKey = KEY) -> JsonObject:
        return next((entry for entry in self.status(key).get("conditions", []) if entry["type"] == kind), {})

    def secret(self, name: str = "demo-config", namespace: str = "default") -> JsonObject | None:
        return self.kube.read(names.SECRETS, ObjectKey(namespace, name))

    async def look(self, key: ObjectKey = KEY) -> None:
        """One pass, whatever its outcome."""
        self.due.pop(key, None)
        try:
            result = await self.reconciler.reconcile(key)
        except Conflict:
            self._add(key)
        except ProviderError as error:
            self.errors.append(error)
            self.due[key] = self._now() + 1.0
        else:
            if result.requeue_after is not None:
                self.due.setdefault(key, self._now() + result.requeue_after)

    async def settle(self) -> None:
        """Until nothing is due at this moment. A world that never comes to rest is a hot loop, and fails."""
        for _ in range(MAX_PASSES):
            if self.run_tasks and self.tasks.work:
                await self.tasks.run(next(iter(self.tasks.work)))
                continue
            key = next((key for key, at in sorted(self.due.items(), key=lambda item: item[1]) if at <= self._now()), None)
            if key is None:
                return
            await self.look(key)
        raise AssertionError(f"still busy after {MAX_PASSES} passes: {self.due}")

    async def pass_time(self, seconds: float) -> None:
        """Let time go by, looking whenever somebody asked to."""
        end = self._now() + seconds
        await self.settle()
        while (soonest := min(self.due.values(), default=end + 1)) <= end:
            self.clock.advance(max(soonest - self._now(), 0.05))
            await self.settle()
        self.clock.advance(max(end - self._now(), 0.0))

    def _see(self, resource: Resource, obj: JsonObject) -> None:
        """What the watch tells. Events of Secrets are the tests' to play."""
        for watch in self.reconciler.watches:
            if watch.resource == resource and resource in WATCHED:
                for key in watch.keys(obj):
                    self._add(key)

    def _add(self, key: ObjectKey) -> None:
        self.due[key] = 0.0

    def _now(self) -> float:
        return self.clock.now().timestamp()

    def _keys(self) -> list[ObjectKey]:
        return [key_of(obj) for obj in self.kube.find(KINDCLUSTERS)]
