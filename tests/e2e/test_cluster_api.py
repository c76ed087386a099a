"""Real kind under Cluster API's own core manager and clusterctl: the generated default is green, and what goes leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devenv import capi, engine
from devenv.managed import Managed

NAME = "e2e-capi"
TEAM = "team"

pytestmark = [pytest.mark.skipif(bool(capi.missing()), reason=capi.missing()), pytest.mark.timeout(1200)]


def left_of(managed: Managed, made: set[str]) -> list[str]:
    """Containers, those volumes, files of the manager that are named after the cluster; a name's lock is never removed."""
    files = [path for path in managed.manager.folder.rglob(f"*{NAME}*") if path.suffix != ".lock"]
    return [*engine.containers(NAME), *(made & set(engine.docker("volume", "ls", "-q").split())), *map(str, files)]


def test_a_generated_cluster_is_green_and_goes_without_a_rest(home: Managed) -> None:
    """Available with an empty message, phase Provisioned, every row of `clusterctl describe` good, a kubeconfig that works; then
    `kubectl delete cluster` returns when no object, Secret, container, volume or file is left.
    """
    home.apply(home.generate(NAME))
    home.wait_available(NAME, 300)

    cluster, kindcluster = home.cluster(NAME), home.kindcluster(NAME)
    assert ("True", "") == (home.condition(NAME, "Available")["status"], home.condition(NAME, "Available")["message"])
    assert "Provisioned" == cluster["status"]["phase"]
    assert {"infrastructureProvisioned": True, "controlPlaneInitialized": True} == cluster["status"]["initialization"]
    assert kindcluster["spec"]["controlPlaneEndpoint"] == cluster["spec"]["controlPlaneEndpoint"]
    shown, bad = home.described(NAME)
    assert {"Available", "InfrastructureReady", "ControlPlaneAvailable", "RemoteConnectionProbe", "Ready", "UpToDate"} <= shown
    assert [] == bad
    assert [f"{NAME}-control-plane"] == home.nodes(home.clusterctl.run("get", "kubeconfig", NAME).stdout)

    made = engine.volumes(NAME)
    assert made
    home.api.kubectl("delete", "cluster", NAME, "--timeout=120s", timeout=130)
    assert (
        {} == home.cluster(NAME) == home.kindcluster(NAME) == home.secret(f"{NAME}-kubeconfig") == home.secret(f"{NAME}-config")
    )
    assert [] == left_of(home, made)


@pytest.fixture
def team(home: Managed) -> Iterator[str]:
    """A namespace of its own, and whatever is left of it removed through the manager, then by force."""
    home.api.kubectl("create", "namespace", TEAM)
    yield TEAM
    home.api.kubectl("delete", "namespace", TEAM, "--ignore-not-found", "--timeout=60s", check=False, timeout=70)
    engine.remove_cluster(NAME)


@pytest.mark.fault(36, "the namespace is deleted while a real cluster is made", invariants="I2")
def test_a_namespace_that_goes_while_a_cluster_is_made_leaves_nothing(home: Managed, team: str) -> None:
    """kind is stopped, its containers and volumes are removed, and the namespace is really gone."""
    home.apply(home.generate(NAME, "-n", team))
    home.manager.wait(60, lambda: engine.containers(NAME, running=True), "a container")
    made = engine.volumes(NAME)

    home.api.kubectl("delete", "namespace", team, "--timeout=120s", timeout=130)

    assert [] == left_of(home, made)
    assert f"Trying again KINDCluster={team}/" not in home.manager.log
