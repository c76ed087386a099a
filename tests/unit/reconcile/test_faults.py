"""An API and an engine that misbehave while a cluster lives: single kinds of faults, and all of them at random, from recorded seeds."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, Resource
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import Conflict, ProviderError, Transient
from provider.ports.runtime import NodeRunState
from tests.conftest import Figure
from tests.fakes.kube import Call
from tests.fakes.mortal import Effects, Life
from tests.fakes.world import World, kindcluster

pytestmark = pytest.mark.unmeasured

SEED = 20261126
LIVES = 60
STEPS = 12


def failing_writes(world: World, error: ProviderError, odds: float, seed: int) -> None:
    """Every write is refused at these odds, before any effect."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose

    async def refuse(call: Call) -> None:
        if call.verb in ("create", "patch", "delete") and rng.random() < odds:
            raise error

    world.kube.before(refuse)


@pytest.mark.fault(9, "half of all writes are refused with 409", invariants="I1 I4")
async def test_half_of_all_writes_are_refused_as_conflicts(figure: Figure) -> None:
    """Each is repeated from a new read; nothing is made twice, everything goes away again."""
    for seed in range(SEED, SEED + 20):
        world = World()
        failing_writes(world, Conflict(Reason.CONFLICT, "It has changed."), 0.5, seed)
        world.apply(kindcluster())
        await world.pass_time(60)
        assert world.status()["phase"] == "Ready"
        assert world.runtime.calls["create"] == 1
        world.delete()
        await world.pass_time(60)
        assert (world.get(), world.runtime.clusters) == (None, {})
    figure("seed", SEED)


@pytest.mark.fault(10, "every call to the API fails for 30 seconds", invariants="I1 I7")
@pytest.mark.parametrize("verb", ["get", "list", "create", "patch", "*"])
async def test_an_api_that_fails_for_a_while_costs_time_only(verb: str) -> None:
    """A Ready cluster stays as it is; one that is to be made is made when the API is back."""
    world = World()
    over = world.clock.now().timestamp() + 30

    async def fail(call: Call) -> None:
        if verb in ("*", call.verb) and world.clock.now().timestamp() < over:
            raise Transient(Reason.API_ERROR, "503")

    world.apply(kindcluster())
    world.kube.before(fail)
    await world.pass_time(120)
    assert world.status()["phase"] == "Ready"
    before = repr(world.runtime.clusters)

    over = world.clock.now().timestamp() + 30
    world.edit({})
    await world.pass_time(120)
    assert (world.runtime.calls["create"], world.runtime.calls["delete"]) == (1, 0)
    assert (world.status()["phase"], repr(world.runtime.clusters)) == ("Ready", before)


@pytest.mark.fault(6, "a GET answers with the object that was deleted and made again since", invariants="I3")
async def test_an_answer_from_the_past_removes_nothing_of_the_present(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old object was being deleted; the new one of the same name has a cluster of its own by now."""
    world = World()
    world.apply(kindcluster())
    await world.pass_time(60)
    world.delete()
    past = world.get()
    await world.pass_time(60)
    world.apply(kindcluster())
    await world.pass_time(60)
    present, nodes = world.get(), repr(world.runtime.clusters)
    assert past is not None
    assert present is not None
    assert "deletionTimestamp" in past["metadata"]
    get = world.kube.get
    stale = [past] * 3

    async def answer(resource: Resource, key: ObjectKey) -> JsonObject | None:
        return stale.pop() if stale and resource == KINDCLUSTERS else await get(resource, key)

    monkeypatch.setattr(world.kube, "get", answer)
    world.edit({})
    for _ in range(3):
        await world.look()
    await world.pass_time(120)

    assert not stale
    after = world.get()
    assert after is not None
    assert after["metadata"]["uid"] == present["metadata"]["uid"]
    assert (after["status"]["phase"], repr(world.runtime.clusters)) == ("Ready", nodes)


@pytest.mark.fault(
    39, "the clock jumps by an hour and a year, in both directions, while creating and when Ready", invariants="I1 I4"
)
@pytest.mark.parametrize("jump", [3600, -3600, 365 * 86400, -365 * 86400])
async def test_a_jump_of_the_clock_costs_no_cluster(jump: int) -> None:
    """Waits that were counted before the jump end; a Ready cluster stays Ready."""
    world = World()
    world.run_tasks = False
    world.apply(kindcluster())
    await world.settle()
    world.clock.advance(jump)
    world.run_tasks = True
    await jumped(world)
    assert world.status()["phase"] == "Ready"

    world.clock.advance(jump)
    await jumped(world)
    assert world.status()["phase"] == "Ready"
    assert world.runtime.calls["create"] == 1


async def jumped(world: World) -> None:
    """The queue's own waits are of a clock that does not jump (provider/controller/workqueue.py): the resync comes."""
    world.edit({})
    await world.pass_time(60)


def stop_one(life: Life, rng: random.Random) -> None:
    if life.runtime.marked():
        life.home.set_node(rng.choice(life.runtime.marked()), rng.choice([NodeRunState.STOPPED, NodeRunState.PAUSED, None]))


FAULTS: list[Callable[[Life, random.Random], None]] = [
    lambda life, rng: life.home.kube.fail("*", Transient(Reason.API_TIMEOUT, "No answer."), times=rng.randint(1, 4)),
    lambda life, rng: life.home.kube.fail("patch", Conflict(Reason.CONFLICT, "It has changed."), times=rng.randint(1, 4)),
    lambda life, rng: life.home.kube.fail("create", Transient(Reason.API_ERROR, "500"), times=rng.randint(1, 3)),
    lambda life, rng: life.runtime.fail("create", Transient(Reason.ENGINE_FAILED, "It broke."), partial=rng.choice([0, 1, None])),
    lambda life, rng: life.runtime.fail("delete", Transient(Reason.ENGINE_FAILED, "It broke."), call=rng.randint(1, 2)),
    lambda life, rng: life.runtime.fail("observe", Transient(Reason.ENGINE_UNREACHABLE, "No answer."), call=rng.randint(1, 3)),
    lambda life, rng: life.runtime.fail("start", Transient(Reason.ENGINE_FAILED, "It broke.")),
    lambda life, rng: life.runtime.lie("create"),
    lambda life, rng: setattr(life.runtime, "engine_up", rng.random() < 0.5),
    stop_one,
    lambda life, rng: life.kill_at(rng.randint(1, 12)),
    lambda life, rng: life.home.edit({"spec": {"version": rng.choice(["v1.34.3", "v1.34.4"])}}),
]


@pytest.mark.fault(41, "random faults of API, engine, nodes and manager, then none", invariants="I1 I2 I3 I5 I6")
@pytest.mark.parametrize("seed", range(SEED, SEED + LIVES))
async def test_after_any_mixture_of_faults_the_object_recovers_and_goes_away(seed: int, figure: Figure) -> None:
    """Ready, or Failed with a reason; a delete leaves nothing; meanwhile nothing of others is touched, no finalizer early or late."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    life = Life(Effects())
    await life.create()
    for _ in range(STEPS):
        rng.choice(FAULTS)(life, rng)
        await life.time(life.home, rng.choice([1, 10, 60]))

    life.runtime.heal()
    life.home.kube._faults.clear()
    life.home.edit({"spec": {"healPolicy": "Recreate"}})
    await life.time(life.home, 3600)
    status = life.home.status()
    assert status["phase"] in ("Ready", "Failed"), status
    assert status["phase"] == "Ready" or life.home.condition("Ready")["reason"]

    await life.delete()
    await life.time(life.home, 600)
    assert (life.home.get(), life.runtime.marked(), life.violations) == (None, [], [])
    figure("faults", STEPS)
    figure("seed", SEED)
