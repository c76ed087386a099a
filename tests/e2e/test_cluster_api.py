"""Real kind under Cluster API's own core manager and clusterctl: the generated default, and moves that touch no container."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hack import release
from tests.harness import capi, engine
from tests.harness.managed import Managed

NAME = "e2e-capi"
NODE = f"{NAME}-control-plane"

pytestmark = [pytest.mark.skipif(bool(capi.missing()), reason=capi.missing()), pytest.mark.timeout(400)]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Managed, Managed]]:
    """Two management clusters whose managers reach the same container engine."""
    artifacts = release.write(tmp_path / "release")
    with (
        Managed.running(tmp_path / "home", artifacts, runtime="kind") as home,
        Managed.running(tmp_path / "away", artifacts, runtime="kind") as away,
    ):
        yield home, away
    engine.remove_cluster(NAME)


def containers() -> list[tuple[str, str]]:
    """(id, started at): equal lists, nobody touched them."""
    return [(one["Id"], one["State"]["StartedAt"]) for one in engine.inspect(*sorted(engine.containers(NAME)))]


def move(source: Managed, target: Managed) -> None:
    source.clusterctl.run("move", "--to-kubeconfig", str(target.api.kubeconfig), "-n", "default")


def check_arrival(source: Managed, target: Managed, before: list[tuple[str, str]]) -> None:
    target.wait_available(NAME)
    assert {} == source.cluster(NAME) == source.kindcluster(NAME)
    assert [NODE] == target.secret_nodes(f"{NAME}-kubeconfig") == target.secret_nodes(f"{NAME}-config", "config")
    assert before == containers()


def test_a_generated_cluster_is_available_moves_and_goes_away(pair: tuple[Managed, Managed]) -> None:
    """Forth undisturbed, back with both managers killed in the middle: same containers; then `kubectl delete cluster` leaves nothing."""
    home, away = pair
    node_version = engine.node_image().rpartition(":")[2]
    home.apply(home.clusterctl.run("generate", "cluster", NAME, "--kubernetes-version", node_version).stdout)
    home.wait_available(NAME, 300)
    before = containers()
    assert [NODE] == home.nodes(home.clusterctl.run("get", "kubeconfig", NAME).stdout)

    move(home, away)
    check_arrival(home, away, before)

    with ThreadPoolExecutor(1) as worker:
        moving = worker.submit(move, away, home)
        away.manager.wait(30, lambda: (away.cluster(NAME).get("spec") or {}).get("paused"), "the source is paused")
        away.manager.kill()
        home.manager.wait(30, lambda: home.kindcluster(NAME), "the KINDCluster has arrived")
        home.manager.kill()
        moving.result(60)
    away.manager.start()
    home.manager.start()
    check_arrival(away, home, before)
    assert "verb=delete" not in home.manager.log + away.manager.log

    home.api.kubectl("delete", "cluster", NAME, "--timeout=120s", timeout=130)
    assert [] == engine.containers(NAME)
