"""What is tried again, when, and what is final: a host may be cured at any time, a spec only by an edit of it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.api.conditions import Reason
from provider.api.faults import Fault
from provider.backoff import COOLDOWN, CREATE
from provider.errors import Terminal, Transient
from provider.ports.runtime import NodeRunState, Problem, Verb
from provider.ports.tasks import TaskState, TaskStatus
from provider.reconcile.attempts import read_record
from provider.reconcile.plan import cooldown_left
from tests.fakes.clock import EPOCH
from tests.fakes.world import KEY, World, kindcluster

pytestmark = pytest.mark.unmeasured

OF_THE_HOST = sorted(reason for reason in Reason if reason.fault is Fault.HOST)
OF_THE_SPEC = sorted(reason for reason in Reason if reason.fault is Fault.SPEC)


@pytest.fixture
def world() -> World:
    return World()


async def test_a_failure_of_the_host_is_tried_again_slower_and_slower_and_never_given_up(world: World) -> None:
    """Reason and time of the next try are there to read; nothing is written that Cluster API would keep for ever."""
    world.runtime.fail("create", Transient(Reason.IMAGE_PULL_FAILED, "kindest/node:v9 cannot be pulled."), call=None)
    world.apply(kindcluster())
    await world.settle()

    ready = world.condition("Ready")
    assert ready["reason"] == "CreateRetrying"
    assert "kindest/node:v9" in ready["message"]
    assert world.status()["lastCreate"]["nextAttemptAt"] in ready["message"]
    assert world.status()["lastCreate"]["reason"] == "ImagePullFailed"

    await world.pass_time(24 * 3600)

    assert 144 <= world.runtime.calls["create"] <= 155
    assert "failureReason" not in world.status()
    assert world.status()["phase"] == "Creating"
    assert world.runtime.clusters == {}

    world.runtime.heal()
    await world.pass_time(CREATE.limit)
    assert world.status()["ready"] is True
    assert "reason" not in world.status()["lastCreate"]


@pytest.mark.parametrize("reason", OF_THE_HOST)
async def test_whatever_the_host_lacks_the_cure_is_enough(world: World, reason: Reason) -> None:
    """Also where an adapter called it terminal: the reason says whose fault it is."""
    world.runtime.fail("create", Terminal(reason, "The host lacks something."), call=None)
    world.apply(kindcluster())
    await world.pass_time(60)
    assert world.status()["phase"] != "Failed"
    world.runtime.heal()
    await world.pass_time(CREATE.limit)

    assert world.status()["ready"] is True


@pytest.mark.parametrize("reason", OF_THE_SPEC)
async def test_what_the_spec_says_wrongly_is_final_until_it_is_edited(world: World, reason: Reason) -> None:
    """One try is enough to know, and Cluster API may know."""
    world.runtime.fail("create", Terminal(reason, "The spec asks for something odd."))
    world.apply(kindcluster())
    await world.pass_time(3600)

    assert world.runtime.calls["create"] == 1
    assert (world.status()["phase"], world.condition("Ready")["reason"]) == ("Failed", "CreateFailed")
    assert (world.status()["failureReason"], world.status()["failureMessage"]) == (reason, "The spec asks for something odd.")

    world.edit({"spec": {"workerReplicas": 1}})
    await world.settle()
    assert world.status()["phase"] == "Ready"
    assert "failureReason" not in world.status()


async def test_an_edit_takes_the_failure_away_even_while_nothing_can_be_tried(world: World) -> None:
    """It was the former spec's."""
    world.runtime.fail("create", Terminal(Reason.CONFIG_REJECTED, "no"))
    world.apply(kindcluster())
    await world.settle()
    world.runtime.engine_up = False
    world.edit({"spec": {"workerReplicas": 1}})
    await world.settle()

    assert "failureReason" not in world.status()


@pytest.mark.parametrize("reason", [Reason.PORT_IN_USE, Reason.HOST_PATH_MISSING, Reason.DISK_FULL, Reason.HOST_LIMITS])
async def test_what_a_preflight_finds_gone_is_tried_at_once(world: World, reason: Reason) -> None:
    """Nobody waits ten minutes for a port that is free again; until then nothing is made, and the status stays as it is."""
    problem = Problem(reason, "spec.nodes[0].extraMounts[0].hostPath: /nope does not exist; create it.", terminal=True)
    world.runtime.problems.append(problem)
    world.apply(kindcluster())
    await world.pass_time(3600)
    assert world.runtime.calls["create"] == 0
    assert "/nope" in world.condition("Ready")["message"]
    assert "failureReason" not in world.status()
    history = len(world.status()["history"])
    wait = datetime.fromisoformat(world.status()["lastCreate"]["nextAttemptAt"]) - world.clock.now()
    assert wait < timedelta(seconds=CREATE.limit)

    world.runtime.problems.clear()
    await world.pass_time(15)

    assert world.status()["ready"] is True
    assert len(world.status()["history"]) <= history + 3


async def test_a_port_that_is_taken_during_a_pull_is_noticed_as_soon_as_it_is_free(world: World) -> None:
    """Steps of a pull are none of the create: nothing was begun, and nothing else has to be waited for."""
    world.runtime.fail("prepare", Transient(Reason.IMAGE_PULL_FAILED, "no network"), call=None)
    world.apply(kindcluster(image="kindest/node:v1.34.4"))
    await world.pass_time(1200)
    world.runtime.heal()
    pulling = world.runtime.hang("prepare")
    world.clock.advance(CREATE.limit)
    settled = asyncio.create_task(world.settle())
    await pulling.reached.wait()
    world.runtime.problems.append(Problem(Reason.PORT_IN_USE, "Port 80 is in use.", terminal=False))
    pulling.release()
    await settled
    assert (0, "CreateRetrying") == (world.runtime.calls["create"], world.condition("Ready")["reason"])
    later = datetime.fromisoformat(world.status()["lastCreate"]["nextAttemptAt"]) - world.clock.now()
    assert later > timedelta(seconds=60)

    world.runtime.problems.clear()
    await world.pass_time(15)

    assert world.status()["ready"] is True


async def test_a_manager_killed_in_a_later_try_goes_on(world: World) -> None:
    """The failure of the try before is no verdict on the one that was interrupted."""
    world.runtime.fail("create", Transient(Reason.NETWORK_FAILED, "no network"))
    world.apply(kindcluster())
    await world.settle()
    world.run_tasks = False
    await world.pass_time(20)
    assert world.tasks.work

    world.run_tasks = True
    world.restart()
    await world.settle()

    assert world.status()["ready"] is True


def test_a_verdict_of_an_earlier_version_on_a_host_is_no_verdict() -> None:
    """It called every failure final after three tries."""
    status = {"failureReason": "PortInUse", "failureMessage": "why", "lastCreate": {"generation": 1, "configHash": "h"}}

    assert not read_record(status).attempts(1, "h").given_up


# --- the wall clock ----------------------------------------------------------------------------------------------------------------

JUMPS = [timedelta(hours=1), timedelta(days=365)]


@pytest.mark.parametrize("jump", [sign * jump for jump in JUMPS for sign in (1, -1)])
@pytest.mark.parametrize("tries", [1, 10])
async def test_a_clock_that_jumps_delays_no_try_beyond_its_longest_wait(world: World, jump: timedelta, tries: int) -> None:
    """The time of the next try is in the status, and was told by another clock then. Forward: one try comes early, not many."""
    world.runtime.fail("create", Transient(Reason.NETWORK_FAILED, "no network"), call=None)
    world.apply(kindcluster())
    await world.settle()
    while world.runtime.calls["create"] < tries:
        await world.pass_time(60)
    before = world.runtime.calls["create"]

    world.clock.advance(jump.total_seconds())
    world.restart()
    await world.settle()
    assert world.runtime.calls["create"] <= before + 1
    await world.pass_time(CREATE.limit)

    assert before < world.runtime.calls["create"] <= before + 8


@given(st.sampled_from(Verb), st.floats(-4e8, 4e8))
def test_no_cooldown_is_longer_than_itself(verb: Verb, seconds: float) -> None:
    """Of a task that ended at any time, past or future: a clock that was put back must not make what waits wait for as long."""
    task = TaskStatus(verb, TaskState.FAILED, finished_at=EPOCH + timedelta(seconds=seconds))

    assert timedelta(0) <= cooldown_left(task, verb, EPOCH) <= COOLDOWN


@pytest.mark.parametrize("jump", [sign * jump for jump in JUMPS for sign in (1, -1)])
async def test_a_clock_that_jumps_delays_no_repair(world: World, jump: timedelta) -> None:
    """A start that did not help is repeated after its cooldown, whatever the clock says meanwhile."""
    world.apply(kindcluster())
    await world.settle()
    world.runtime.fail("start", Transient(Reason.START_FAILED, "It does not stay up."))
    world.set_node("demo-control-plane", NodeRunState.STOPPED)
    await world.settle()
    assert world.runtime.calls["start"] == 1

    world.clock.advance(jump.total_seconds())
    await world.look(KEY)
    await world.pass_time(COOLDOWN.total_seconds())

    assert world.runtime.calls["start"] == 2
    assert world.status()["ready"] is True
