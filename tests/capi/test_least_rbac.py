"""config/rbac grants the manager what it needs, and nothing that it does not: read from the API server's audit log.

The manager is bound to exactly the roles of a release and takes clusters from creation to deletion: alone, under a Cluster, under
a Cluster with a topology; paused, with damaged Secrets. A new API call needs a scenario in `SCENARIOS` that makes it; a right that no
scenario can show goes to `UNSEEN`, with the reason.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from devenv import audit
from devenv.audit import Permission
from devenv.managed import CLUSTERS, MANAGER, Managed
from hack import release

ALONE = """
apiVersion: v1
kind: ConfigMap
metadata: {name: alone}
data:
  kind.yaml: |
    kind: Cluster
    apiVersion: kind.x-k8s.io/v1alpha4
    nodes: [{role: control-plane}]
---
apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
kind: KINDCluster
metadata: {name: alone}
spec: {runtime: local, standalone: true, configFrom: {configMapKeyRef: {name: alone, key: kind.yaml}}}
"""
EXPIRING = """
apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
kind: KINDCluster
metadata: {name: expiring}
spec: {runtime: local, standalone: true, ttl: 5s}
"""
Scenario = Iterator[None]
"""Yields once its cluster is asked for, so that the others are made meanwhile; then goes on to its end."""
UNSEEN: dict[Permission, str] = {}
"""Granted and not shown here, and why it is granted all the same."""


def alone(managed: Managed) -> Scenario:
    """Without a Cluster, from a config in a ConfigMap."""
    managed.apply(ALONE)
    yield
    managed.manager.wait_ready("alone")
    managed.api.kubectl("delete", "kindcluster", "alone", "--timeout=60s")


def expiring(managed: Managed) -> Scenario:
    """Without a Cluster, and gone when its time is over."""
    managed.apply(EXPIRING)
    yield
    managed.manager.wait_gone("expiring")


def owned(managed: Managed) -> Scenario:
    """Under a Cluster: paused and not, with Secrets that are damaged, then gone."""
    managed.apply(managed.generate("owned", "--flavor", "local"))
    yield
    managed.wait_available("owned")
    managed.pause_cluster("owned", True)
    managed.wait_paused("owned")
    managed.pause_cluster("owned", False)
    for secret in ("owned-kubeconfig", "owned-config"):
        path = f"/api/v1/namespaces/default/secrets/{secret}"
        wanted = managed.secret(secret)["data"]["value"]
        managed.patch(path, {"data": {"value": base64.b64encode(b"damaged").decode()}})
        wait_healed(managed, secret, wanted)
        managed.api.request("DELETE", path)
        wait_healed(managed, secret, wanted)
    managed.delete("owned")
    managed.wait_gone("owned")


def wait_healed(managed: Managed, secret: str, wanted: str) -> None:
    managed.manager.wait(30, lambda: (managed.secret(secret).get("data") or {}).get("value") == wanted, f"{secret} healed")


def with_topology(managed: Managed) -> Scenario:
    """Under a Cluster with a topology: one object mirrors the other. What happens twice is counted on the Event of the first time."""
    managed.apply(managed.generate("class", "--flavor", "topology").replace("value: auto", "value: local"))
    yield
    managed.wait_available("class")
    for control_planes, up_to_date in ((3, "False"), (1, "True")) * 2:
        set_control_planes(managed, control_planes)
        managed.manager.wait(30, functools.partial(is_up_to_date, managed, up_to_date), f"UpToDate={up_to_date}")
    managed.delete("class")
    managed.wait_gone("class")


def is_up_to_date(managed: Managed, status: str) -> bool:
    return bool(managed.manager.condition("class", "UpToDate").get("status") == status)


def set_control_planes(managed: Managed, count: int) -> None:
    patch = {"spec": {"topology": {"controlPlane": {"replicas": count}}}}
    managed.patch(f"{CLUSTERS}/namespaces/default/clusters/class", patch)


SCENARIOS: tuple[Callable[[Managed], Scenario], ...] = (alone, expiring, owned, with_topology)


@pytest.fixture(scope="module")
def lived(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Managed]:
    """After all lives."""
    with Managed.running(tmp_path_factory.mktemp("least"), artifacts, audited=True) as managed:
        try:
            for scenario in [started(scenario(managed)) for scenario in SCENARIOS]:
                assert [] == list(scenario), "yields once"
        except Exception as error:
            raise AssertionError(f"a scenario did not end; refused: {refused(managed)}") from error
        yield managed


def refused(managed: Managed) -> set[tuple[Permission, str]]:
    return {(entry.permission, entry.path) for entry in audit.entries(managed.api.folder, MANAGER) if entry.forbidden}


def started(scenario: Scenario) -> Scenario:
    next(scenario)
    return scenario


@pytest.fixture(scope="module")
def granted(artifacts: Path) -> set[Permission]:
    documents = yaml.safe_load_all((artifacts / release.COMPONENTS).read_text())
    return audit.granted(one for one in documents if one["kind"] in ("Role", "ClusterRole"))


def test_nothing_that_the_manager_asks_for_is_forbidden(lived: Managed) -> None:
    """Every request from creation to deletion is one that the release's roles allow."""
    assert set() == refused(lived)


@pytest.mark.fault(43, "granted against asked, by the audit log", invariants="I15")
def test_nothing_is_granted_that_the_manager_does_not_ask_for(lived: Managed, granted: set[Permission]) -> None:
    """Every verb on every resource was used, or is on the list with its reason; the list holds nothing that was used or is not granted."""
    used = {entry.permission for entry in audit.entries(lived.api.folder, MANAGER)}

    assert sorted(UNSEEN) == sorted(granted - used)
    assert [] == sorted(used - granted)


@pytest.mark.fault(47, "wildcards in roles", invariants="I15")
def test_roles_are_spelled_out(granted: set[Permission]) -> None:
    """No wildcard: it would grant what nobody looked at."""
    assert [] == [permission for permission in granted if "*" in "".join(permission)]
