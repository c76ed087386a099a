"""Real kind on a real engine, a real management API, the manager as a real process. Without an engine: skipped, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv import engine, registry
from devenv.controlplane import ManagementAPI
from devenv.managed import Managed
from devenv.manager import ManagerProcess
from hack import release

ROOT = Path(__file__).resolve().parent.parent.parent
KINDCLUSTERS = "kindclusters.infrastructure.cluster.x-k8s.io"
FLAGS = ("--runtime=kind", "--log-level=debug")
OURS = ("e2e-", "c-e2e-")
"""How the names of all kind clusters begin that this tier makes, and nobody else's should."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if "tests/e2e/" in item.nodeid]
    reason = engine.missing() if here else ""
    for item in here:
        item.add_marker(pytest.mark.e2e)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_sessionstart(session: pytest.Session) -> None:
    """A name that is taken is, rightly, left alone by the manager: what an earlier run left when it was cut off must go first.

    Once, before any worker of the run (pytest-xdist) makes a cluster. Not in pytest_configure, which a run that only comes by this folder
    (`pytest -k something`) calls as well: it would remove the clusters of another run of this tier.
    """
    config = session.config
    if not hasattr(config, "workerinput") and not config.option.collectonly and not engine.missing():
        engine.remove_leftovers(OURS)


@pytest.fixture(scope="session")
def api() -> Iterator[ManagementAPI]:
    """A management cluster with our CRDs and garbage collection."""
    with ManagementAPI.temporary(controller_manager=True) as api:
        api.kubectl("apply", "-k", str(ROOT / "config" / "crd"))
        api.kubectl("wait", "--for=condition=Established", "crd", KINDCLUSTERS)
        yield api


@pytest.fixture
def manager(api: ManagementAPI, tmp_path: Path) -> Iterator[ManagerProcess]:
    """A running manager with a private HOME. Whatever a failing test leaves is deleted through it, else by force."""
    manager = ManagerProcess(
        api, tmp_path, *FLAGS, f"--default-image={engine.node_image()}", f"--registry-image={registry.image()}"
    )
    manager.start()
    yield manager
    _clean_up(manager)


def _clean_up(manager: ManagerProcess) -> None:
    if manager.api.kubectl("get", "kindclusters", "-A", "-o", "name").stdout.split():
        manager.kill()
        manager.start()
        manager.api.kubectl("delete", "kindclusters", "-A", "--all", "--timeout=120s", check=False, timeout=130)
    manager.end()


@pytest.fixture
def foreign_kubeconfig(tmp_path: Path) -> Path:
    """Where a test's own `kind create cluster` writes, so that nobody's file is touched."""
    return tmp_path / "by-hand.kubeconfig"


@pytest.fixture(scope="session")
def managed_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Managed, Managed]]:
    """Two management clusters with Cluster API, whose managers reach the same container engine."""
    folder = tmp_path_factory.mktemp("managed")
    artifacts = release.write(folder / "release")
    with (
        Managed.running(folder / "home", artifacts, runtime="kind") as home,
        Managed.running(folder / "away", artifacts, runtime="kind") as away,
    ):
        yield home, away


@pytest.fixture
def pair(managed_pair: tuple[Managed, Managed]) -> Iterator[tuple[Managed, Managed]]:
    """Both empty and at work. What a failing test leaves in them is removed by force."""
    yield managed_pair
    for managed in managed_pair:
        managed.manager.kill()
        for name in managed.names():
            managed.abandon(name)
            engine.remove_cluster(name)
        managed.manager.start()


@pytest.fixture
def home(pair: tuple[Managed, Managed]) -> Managed:
    """One of the two, for tests that need no other."""
    return pair[0]
