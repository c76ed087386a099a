"""`clusterctl move` of a real kind cluster between two management clusters of Cluster API: the engine is not asked for anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from devenv import capi, engine
from devenv.engine_events import EngineEvents
from devenv.managed import Managed

NAME = "e2e-move"
NODE = f"{NAME}-control-plane"

pytestmark = [pytest.mark.skipif(bool(capi.missing()), reason=capi.missing()), pytest.mark.timeout(1200)]


def containers() -> list[tuple[str, str]]:
    """(id, started at): equal lists, nobody touched them."""
    return [(one["Id"], one["State"]["StartedAt"]) for one in engine.inspect(*sorted(engine.containers(NAME)))]


def move(source: Managed, target: Managed) -> None:
    source.clusterctl.run("move", "--to-kubeconfig", str(target.api.kubeconfig), "-n", "default")


def killed_in_the_middle(source: Managed, target: Managed, victim: Managed, moment: Callable[[], object]) -> None:
    """The victim's manager alone is killed at that moment of the move, and started again at once, while the move goes on."""
    with ThreadPoolExecutor(1) as worker:
        moving = worker.submit(move, source, target)
        victim.manager.wait(30, moment, "the moment of the move")
        assert not moving.done(), "the move must be under way"
        victim.manager.kill()
        victim.manager.start()
        moving.result(60)


@contextmanager
def touching_nothing(events: EngineEvents, source: Managed, target: Managed) -> Iterator[None]:
    """Until the cluster is green at the target: same containers, no change seen by the engine, no job begun by either manager."""
    before, began = containers(), time.time()
    logs = {managed: len(managed.manager.log) for managed in (source, target)}
    yield
    target.wait_available(NAME)
    assert {} == source.cluster(NAME) == source.kindcluster(NAME)
    assert [NODE] == target.secret_nodes(f"{NAME}-kubeconfig") == target.secret_nodes(f"{NAME}-config", "config")
    assert [] == events.changes(began)
    assert before == containers()
    for managed, length in logs.items():
        assert "verb=" not in managed.manager.log[length:]


@pytest.mark.fault(34, "real clusterctl move of a real cluster, managers killed", invariants="I3 I4")
def test_a_cluster_moves_untouched_whichever_manager_is_killed(pair: tuple[Managed, Managed]) -> None:
    """Generated and green; forth, back, forth with the source's manager killed, back with the target's; then deleted without a rest."""
    home, away = pair
    home.apply(home.generate(NAME))
    home.wait_available(NAME, 300)
    assert [NODE] == home.nodes(home.clusterctl.run("get", "kubeconfig", NAME).stdout)

    with EngineEvents.of(NAME) as events:
        with touching_nothing(events, home, away):
            move(home, away)
        with touching_nothing(events, away, home):
            move(away, home)
        with touching_nothing(events, home, away):
            killed_in_the_middle(home, away, home, lambda: (home.cluster(NAME).get("spec") or {}).get("paused"))
        with touching_nothing(events, away, home):
            killed_in_the_middle(away, home, home, lambda: home.kindcluster(NAME))

    home.api.kubectl("delete", "cluster", NAME, "--timeout=120s", timeout=130)
    assert [] == engine.containers(NAME)
