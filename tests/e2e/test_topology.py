"""A Cluster with a topology on real kind: another version is reported, then, with consent, brought by replacing the cluster once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv import capi, engine
from devenv.managed import CLUSTERS, Managed
from hack import release
from provider.api.names import APPROVED_PLAN_ANNOTATION
from tests.envtest.crd import COLLECTION

NAME = "e2e-topology"
NODE = f"{NAME}-control-plane"
NEWER = "v1.34.5-e2e.1"
"""The engine gets the node image that it has under this tag as well."""

pytestmark = [pytest.mark.skipif(bool(capi.missing()), reason=capi.missing()), pytest.mark.timeout(1200)]


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[Managed]:
    newer = f"{engine.NODE_REPOSITORY}:{NEWER}"
    engine.docker("tag", engine.node_image(), newer)
    with Managed.running(tmp_path / "managed", release.write(tmp_path / "release"), runtime="kind") as managed:
        yield managed
    engine.remove_cluster(NAME)
    engine.docker("image", "rm", newer)


def set_topology(managed: Managed, **topology: Any) -> None:
    managed.patch(f"{CLUSTERS}/namespaces/default/clusters/{NAME}", {"spec": {"topology": topology}})


def _reached(managed: Managed) -> bool:
    """Available, and its message only says that the upgrade goes on: the image behind the newer tag is still the older one."""
    conditions = [managed.condition(NAME, kind)["status"] for kind in ("Available", "RemoteConnectionProbe")]
    return conditions == ["True", "True"] and "upgrading" in managed.condition(NAME, "Available")["message"]


def test_another_version_needs_consent_and_then_replaces_the_cluster_once(managed: Managed) -> None:
    """The same containers until the plan is approved on the KINDCluster; then others, at the same endpoint, from the other image."""
    version = engine.node_image().rpartition(":")[2]
    generated = managed.clusterctl.run("generate", "cluster", NAME, "--flavor", "topology", "--kubernetes-version", version)
    managed.apply(generated.stdout)
    managed.wait_available(NAME, 300)
    before, endpoint = engine.containers(NAME), managed.kindcluster(NAME)["spec"]["controlPlaneEndpoint"]

    set_topology(managed, version=NEWER)
    message = managed.manager.wait_reason(NAME, "UpToDate", "UpdateNeeded")["message"]
    assert f"version ({version} → {NEWER})" in message
    assert before == engine.containers(NAME)

    plan = managed.kindcluster(NAME)["status"]["plan"]
    assert ("Recreate", [{"field": "version", "from": version, "to": NEWER}]) == (plan["class"], plan["changes"])
    managed.patch(f"{COLLECTION}/{NAME}", {"metadata": {"annotations": {APPROVED_PLAN_ANNOTATION: plan["approval"]}}})
    managed.manager.wait_reason(NAME, "UpToDate", "UpToDate", seconds=180)
    managed.manager.wait(120, lambda: _reached(managed), "core has reached the new API server")

    (replaced,) = engine.inspect(*engine.containers(NAME))
    assert replaced["Id"] not in before
    assert f"{engine.NODE_REPOSITORY}:{NEWER}" == replaced["Config"]["Image"]
    assert endpoint == managed.kindcluster(NAME)["spec"]["controlPlaneEndpoint"]
    assert [NODE] == managed.secret_nodes(f"{NAME}-kubeconfig") == managed.secret_nodes(f"{NAME}-config", "config")
    assert 2 == managed.manager.log.count(f"Starting task KINDCluster=default/{NAME} verb=create")

    managed.api.kubectl("delete", "cluster", NAME, "--timeout=120s", timeout=130)
    assert [] == engine.containers(NAME)
