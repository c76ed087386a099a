"""`clusterctl move` between two management clusters: the cluster itself is not touched, and both Secrets go on working."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devenv.managed import Managed

NAME = "mover"
SECRETS = (f"{NAME}-kubeconfig", f"{NAME}-config")


@pytest.fixture
def pair(managed: Managed, artifacts: Path, tmp_path: Path) -> Iterator[tuple[Managed, Managed]]:
    """Two of them that reach the same place where clusters are, as two managers reach one container engine."""
    managed.local.mkdir(parents=True, exist_ok=True)
    with Managed.running(tmp_path / "other", artifacts, local=managed.local) as other:
        yield managed, other


def move(source: Managed, target: Managed) -> None:
    source.clusterctl.run("move", "--to-kubeconfig", str(target.api.kubeconfig), "-n", "default")


def check_arrival(source: Managed, target: Managed) -> None:
    assert {} == source.cluster(NAME) == source.kindcluster(NAME)
    target.wait_available(NAME)
    for secret in SECRETS:
        assert [f"{NAME}-control-plane"] == target.secret_nodes(secret)
        target.manager.wait(20, lambda secret=secret: not source.secret(secret), f"{secret} gone at the source")  # type: ignore[misc]


def owners(managed: Managed) -> list[str]:
    """clusterctl leaves an object behind one of whose owners is not moved, as the Secret NAME-shim is."""
    return [owner["kind"] for owner in managed.kindcluster(NAME)["metadata"]["ownerReferences"]]


@pytest.mark.fault(34, "real clusterctl move, there and back (local)", invariants="I3 I4")
@pytest.mark.parametrize("flavor", ["local", "topology"])
def test_a_move_forth_and_back_touches_nothing(pair: tuple[Managed, Managed], flavor: str) -> None:
    """Same processes (pid and start time) before, between and after; status is rebuilt; neither manager starts a task for it."""
    home, away = pair
    home.apply(home.generate(NAME, "--flavor", flavor).replace("value: auto", "value: local"))
    home.wait_available(NAME)
    home.manager.wait(60, lambda: owners(home) == ["Cluster"], "the topology controller's temporary owner is gone")
    before, identity = home.processes(NAME), home.kindcluster(NAME)["spec"]["identity"]
    log = len(home.manager.log)

    move(home, away)
    check_arrival(home, away)
    assert before == away.processes(NAME)
    assert identity == away.kindcluster(NAME)["spec"]["identity"]

    move(away, home)
    check_arrival(away, home)
    assert before == home.processes(NAME)
    assert "verb=" not in home.manager.log[log:] + away.manager.log

    home.delete(NAME)
    home.wait_gone(NAME)
    assert set() == home.processes(NAME)


@pytest.mark.fault(2, "both managers killed in the middle of a real move (local)", invariants="I3")
def test_managers_killed_in_the_middle_of_a_move_do_no_harm(pair: tuple[Managed, Managed]) -> None:
    """The source's manager is killed once the Cluster is paused, the target's once objects arrive; both find the same cluster later."""
    home, away = pair
    home.create(NAME)
    before = home.processes(NAME)

    with ThreadPoolExecutor(1) as worker:
        moving = worker.submit(move, home, away)
        home.manager.wait(30, lambda: (home.cluster(NAME).get("spec") or {}).get("paused"), "the source is paused")
        home.manager.kill()
        away.manager.wait(30, lambda: away.kindcluster(NAME), "the KINDCluster has arrived")
        away.manager.kill()
        moving.result(60)
    home.manager.start()
    away.manager.start()

    check_arrival(home, away)
    assert before == away.processes(NAME)
    away.delete(NAME)
    away.wait_gone(NAME)
