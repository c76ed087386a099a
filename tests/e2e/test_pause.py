"""A paused cluster is not touched, however it was paused and whatever was going on: counted by the engine's own events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from devenv import capi, engine
from devenv.engine_events import EngineEvents
from devenv.managed import Managed
from provider.api.contract import PAUSED_ANNOTATION

NAME = "e2e-pause"
NODE = f"{NAME}-control-plane"
QUIET = 4.0
"""Seconds in which an unpaused manager does all that it must not do here several times over (it notices and repairs within one)."""
CLUSTER, ANNOTATION = "Cluster spec.paused is set to true", f"KINDCluster has the {PAUSED_ANNOTATION} annotation"
WAYS = {"cluster": (CLUSTER,), "annotation": (ANNOTATION,)}

pytestmark = [pytest.mark.skipif(bool(capi.missing()), reason=capi.missing()), pytest.mark.timeout(1200)]


class Scenario:
    """Of one cluster, with a way to pause it."""

    def __init__(self, managed: Managed, way: str, events: EngineEvents) -> None:
        self.managed, self.reasons, self.events = managed, WAYS[way], events
        self.since = 0.0

    def switch(self, paused: bool) -> None:
        if ANNOTATION in self.reasons:
            self.managed.annotate(NAME, PAUSED_ANNOTATION, "" if paused else None)
        if CLUSTER in self.reasons:
            self.managed.pause_cluster(NAME, paused)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing happens from the moment the pause is acknowledged until it ends, not even when an edit brings the object back."""
        self.switch(True)
        self.managed.wait_paused(NAME)
        self.since = time.time()
        yield
        self.managed.annotate(NAME, "example.org/touched", f"{self.since}")
        until = time.monotonic() + QUIET
        self.managed.manager.wait(QUIET + 5, lambda: time.monotonic() > until, "quiet seconds")
        assert [] == self.events.changes(self.since)
        for reason in self.reasons:
            assert reason in self.managed.manager.condition(NAME, "Paused")["message"]
        self.switch(False)

    def kill_node(self) -> None:
        """By the test itself, while paused: only what comes after it counts again."""
        assert [] == self.events.changes(self.since)
        engine.docker("kill", NODE)
        self.wait_change("disconnect", self.since)
        self.since = self.events.changes()[-1].at

    def wait_change(self, action: str, since: float) -> None:
        self.managed.manager.wait(60, lambda: action in {one.action for one in self.events.so_far(since)}, action)


@pytest.mark.fault(33, "a real cluster is paused", invariants="I9")
@pytest.mark.parametrize(("way", "workers"), [("cluster", 0), ("annotation", 1)])
def test_a_paused_cluster_is_not_touched(home: Managed, way: str, workers: int) -> None:
    """Paused while creating, while ready (and broken), while deleting; each time it goes on to the good end afterwards."""
    with EngineEvents.of(NAME) as events:
        scenario = Scenario(home, way, events)
        home.apply(home.generate(NAME, "--worker-machine-count", str(workers)))
        paused_while_creating(scenario)
        home.wait_available(NAME, 300)
        paused_while_ready(scenario)
        home.wait_available(NAME, 120)
        paused_while_deleting(scenario, containers=1 + workers)
        home.wait_gone(NAME, 120)
    assert [] == engine.containers(NAME)


def paused_while_creating(scenario: Scenario) -> None:
    """kind is stopped where it stands; what it had made stays until the pause is over, then it is made anew."""
    scenario.wait_change("start", 0)
    with scenario.paused():
        assert engine.containers(NAME), "the remains are left alone"
        assert scenario.managed.manager.condition(NAME, "Ready").get("status") != "True"


def paused_while_ready(scenario: Scenario) -> None:
    """A node that dies while paused stays dead; after the pause it is started, not replaced."""
    nodes = engine.containers(NAME)
    with scenario.paused():
        scenario.kill_node()
    scenario.wait_change("start", scenario.since)
    scenario.managed.manager.wait_ready(NAME, 120)
    assert sorted(nodes) == sorted(engine.containers(NAME))


def paused_while_deleting(scenario: Scenario, containers: int) -> None:
    """The removal is under way when the pause comes: it goes no further than the step it was at, and the object stays."""
    began = time.time()
    scenario.managed.delete(NAME)
    scenario.wait_change("kill", began)
    with scenario.paused():
        assert len(engine.containers(NAME)) >= containers - 1
        assert "deletion waits" in scenario.managed.manager.condition(NAME, "Paused")["message"]
        assert scenario.managed.secret(f"{NAME}-config")
