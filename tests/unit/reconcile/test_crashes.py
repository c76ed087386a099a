"""A manager killed before and after every single effect of a life: create, repair, replace, delete. The end is that of the undisturbed run.

The crash points are enumerated, not sampled: a learning run counts the effects (API writes and runtime operations), then every one of
them gets its own kill before and after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from provider.ports.runtime import ClusterRequest, Identity, NodeRunState, Progress
from tests.fakes.kube import Call
from tests.fakes.runtime import FakeRuntime
from tests.fakes.world import World, kindcluster


class Killed(BaseException):
    """SIGKILL: nothing of the manager runs after it."""


class Killer:
    """Counts effects and kills at one of them. Each effect has two points: just before it and just after it."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.points = at, 0

    def point(self) -> None:
        self.points += 1
        if self.at is not None and self.points == self.at:
            raise Killed


class MortalRuntime(FakeRuntime):
    """A runtime whose callers may die around and in the middle of each operation."""

    def __init__(self, killer: Killer) -> None:
        super().__init__()
        self._killer = killer

    async def prepare(self, request: ClusterRequest, progress: Progress) -> None:
        self._killer.point()
        await super().prepare(request, progress)
        self._killer.point()

    async def create(self, identity: Identity, request: ClusterRequest, progress: Progress) -> None:
        self._killer.point()

        def step(news: object) -> None:
            self._killer.point()
            progress(news)  # type: ignore[arg-type]

        await super().create(identity, request, step)
        self._killer.point()

    async def delete(self, identity: Identity, progress: Progress) -> None:
        self._killer.point()
        await super().delete(identity, progress)
        self._killer.point()

    async def start(self, identity: Identity, progress: Progress) -> None:
        self._killer.point()
        await super().start(identity, progress)
        self._killer.point()


def mortal_world(killer: Killer) -> World:
    world = World(runtime=MortalRuntime(killer))

    async def around(call: Call) -> None:
        if call.verb in ("create", "patch", "delete"):
            killer.point()

    world.kube.before(around)
    return world


async def live(world: World, act: Callable[[], Awaitable[None]]) -> None:
    """Do it, and if the manager dies on the way, start another one and let it go on."""
    try:
        await act()
    except Killed:
        world.restart()
        await world.pass_time(120)


async def creating(world: World) -> None:
    world.apply(kindcluster(workerReplicas=1, version="v1.34.3", updatePolicy="Recreate"))
    await world.pass_time(60)


async def repairing(world: World) -> None:
    world.set_node("demo-worker", NodeRunState.STOPPED)
    await world.pass_time(60)


async def updating(world: World) -> None:
    world.edit({"spec": {"version": "v1.34.4"}})
    await world.pass_time(60)


async def deleting(world: World) -> None:
    world.delete()
    await world.pass_time(60)


async def points_of(until: Callable[[World], Awaitable[None]]) -> tuple[int, int]:
    """(first, last) crash points of one part of a life, learnt from an undisturbed run."""
    killer = Killer()
    world = mortal_world(killer)
    for part in (creating, repairing, updating, deleting):
        first = killer.points + 1
        await part(world)
        if part is until:
            return first, killer.points
    raise AssertionError("unknown part")


def whole(world: World) -> None:
    assert (world.status()["phase"], world.status()["ready"]) == ("Ready", True)
    assert world.runtime.marked() == ["demo-control-plane", "demo-worker"]
    assert world.secret() is not None


@pytest.mark.parametrize("part", [creating, repairing], ids=lambda part: part.__name__)
async def test_a_kill_at_any_instruction_of_making_ends_in_one_ready_cluster(part: Callable[[World], Awaitable[None]]) -> None:
    """Ready, exactly the nodes asked for, Secret published: whatever the moment."""
    first, last = await points_of(part)
    assert last - first >= 2, "the learning run saw no effects"

    for at in range(first, last + 1):
        world = mortal_world(Killer(at))
        await live(world, lambda world=world: creating(world))  # type: ignore[misc]
        if part is repairing:
            await live(world, lambda world=world: repairing(world))  # type: ignore[misc]
        whole(world)


async def test_a_kill_at_any_instruction_of_replacing_ends_in_one_cluster_of_the_new_kind() -> None:
    """Ready and up to date, made of the new spec: whatever the moment."""
    first, last = await points_of(updating)
    assert last - first >= 2, "the learning run saw no effects"

    for at in range(first, last + 1):
        world = mortal_world(Killer(at))
        await creating(world)
        await repairing(world)
        await live(world, lambda world=world: updating(world))  # type: ignore[misc]

        whole(world)
        assert world.condition("UpToDate")["status"] == "True"
        assert world.runtime.requests[-1].version == "v1.34.4"


async def test_a_kill_at_any_instruction_of_deleting_leaves_nothing() -> None:
    """No object, no container, no Secret: whatever the moment."""
    first, last = await points_of(deleting)
    assert last - first >= 2, "the learning run saw no effects"

    for at in range(first, last + 1):
        world = mortal_world(Killer(at))
        await creating(world)
        await repairing(world)
        await live(world, lambda world=world: deleting(world))  # type: ignore[misc]

        assert world.get() is None
        assert world.secret() is None
        assert world.runtime.marked() == []


async def test_a_kill_at_any_instruction_of_keeping_keeps_cluster_and_secret() -> None:
    """The object is gone; the cluster and a Secret that garbage collection cannot reach are not: whatever the moment."""

    async def keeping(world: World) -> None:
        world.edit({"spec": {"deletionPolicy": "Retain"}})
        await world.pass_time(60)
        await deleting(world)

    killer = Killer()
    world = mortal_world(killer)
    await creating(world)
    first = killer.points + 1
    await keeping(world)
    assert killer.points - first >= 1, "the learning run saw no effects"

    for at in range(first, killer.points + 1):
        world = mortal_world(Killer(at))
        await creating(world)
        await live(world, lambda world=world: keeping(world))  # type: ignore[misc]
        if world.get() is not None:
            await deleting(world)

        secret = world.secret()
        assert world.get() is None
        assert secret is not None
        assert "ownerReferences" not in secret["metadata"]
        assert world.runtime.marked() == ["demo-control-plane", "demo-worker"]


async def test_a_kill_while_making_followed_by_a_delete_leaves_nothing() -> None:
    """The user gives up right after the crash."""
    first, last = await points_of(creating)

    for at in range(first, last + 1):
        world = mortal_world(Killer(at))
        with pytest.raises(Killed):
            await creating(world)
        world.delete()
        world.restart()
        await world.pass_time(60)

        assert world.get() is None
        assert world.runtime.marked() == []
