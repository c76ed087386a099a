"""How often a cluster that does not get Ready is looked at: often at first, hardly ever after a day."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.api.conditions import Reason
from provider.api.names import SECRETS
from provider.backoff import SETTLING
from provider.errors import Terminal
from tests.fakes.world import World, kindcluster

HOUR = 3600.0


async def looks_in_an_hour(world: World) -> int:
    world.apply(kindcluster())
    await world.settle()
    before = world.runtime.calls["observe"]
    await world.pass_time(HOUR)
    assert world.status().get("ready") is not True
    return world.runtime.calls["observe"] - before


async def test_a_node_that_never_gets_ready_is_looked_at_less_and_less() -> None:
    """It was looked at twelve thousand times an hour."""
    world = World()
    world.workload.not_ready.add("demo-control-plane")

    assert await looks_in_an_hour(world) < 100


async def test_a_secret_that_is_not_ours_is_asked_for_once_a_minute() -> None:
    """The longer wait wins: the cluster is not Ready because of the Secret, and its nodes will not change that."""
    world = World()
    world.kube.put(SECRETS, {"metadata": {"name": "demo-config", "namespace": "default"}, "type": "Opaque"})

    assert await looks_in_an_hour(world) < 70


async def test_a_kubeconfig_that_is_refused_is_read_less_and_less() -> None:
    """Each reading is a process on the engine and a text of the node's choice."""
    world = World()
    world.runtime.fail("kubeconfig", Terminal(Reason.KUBECONFIG_REFUSED, "It runs a program."), call=None)

    assert await looks_in_an_hour(world) < 100


@pytest.mark.parametrize("seconds", [1, 10, 40])
async def test_a_node_that_gets_ready_is_seen_soon_after(seconds: int) -> None:
    """A tenth of the time that it took, at most."""
    world = World()
    world.workload.not_ready.add("demo-control-plane")
    world.apply(kindcluster())
    await world.settle()
    await world.pass_time(seconds)
    world.workload.not_ready.clear()
    await world.pass_time(0.3 + seconds / 8)

    assert world.status()["ready"] is True


@given(st.timedeltas())
def test_no_wait_is_shorter_or_longer_than_its_limits(elapsed: timedelta) -> None:
    """Whatever a clock that jumps makes of the time elapsed."""
    assert SETTLING.first <= SETTLING.delay(elapsed).total_seconds() <= SETTLING.limit
