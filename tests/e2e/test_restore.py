"""A management cluster is lost and its objects come back from a backup: the running kind cluster is taken over as it is."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from devenv import capi, engine
from devenv.engine_events import EngineEvents
from devenv.managed import CLUSTERS, Managed

NAME = "e2e-restore"
NODE = f"{NAME}-control-plane"
SECRETS = (f"{NAME}-config", f"{NAME}-kubeconfig")
KEPT = ("name", "namespace", "labels", "annotations", "finalizers")
STABLE_SECONDS = 120
"""Cluster API's own end-to-end tests demand this of every object."""

pytestmark = [pytest.mark.skipif(bool(capi.missing()), reason=capi.missing()), pytest.mark.timeout(1200)]


def objects(managed: Managed) -> dict[str, dict[str, Any]]:
    """By the path of each in the API: all that a user has of the cluster."""
    secrets = {f"/api/v1/namespaces/default/secrets/{name}": managed.secret(name) for name in SECRETS}
    cluster = {f"{CLUSTERS}/namespaces/default/clusters/{NAME}": managed.cluster(NAME)}
    return cluster | {managed.path(NAME): managed.kindcluster(NAME)} | secrets


def back_up(managed: Managed, file: Path) -> None:
    """kubectl's own YAML, without what the old API server put in: status, UIDs, and owners that are not there any more."""
    named = [f"kindcluster/{NAME}", f"cluster/{NAME}", *(f"secret/{name}" for name in SECRETS)]
    found = yaml.safe_load(managed.api.kubectl("get", "-o", "yaml", *named).stdout)
    for one in found["items"]:
        one.pop("status", None)
        one["metadata"] = {key: value for key, value in one["metadata"].items() if key in KEPT}
    file.write_text(yaml.safe_dump(found))
    file.chmod(0o600)


def containers() -> list[tuple[str, str]]:
    """(id, started at): equal lists, nobody touched them."""
    return [(one["Id"], one["State"]["StartedAt"]) for one in engine.inspect(*sorted(engine.containers(NAME)))]


def check_taken_over(managed: Managed, before: dict[str, dict[str, Any]]) -> None:
    """Green, new objects, same identity and endpoint, both Secrets lead to the cluster."""
    managed.wait_available(NAME)
    after, old = managed.kindcluster(NAME), before[managed.path(NAME)]
    assert old["metadata"]["uid"] != after["metadata"]["uid"]
    assert old["spec"] == after["spec"]
    assert [NODE] == managed.secret_nodes(f"{NAME}-kubeconfig") == managed.secret_nodes(f"{NAME}-config", "config")
    assert [] == managed.described(NAME)[1]


def check_stable(managed: Managed) -> None:
    """Watched for two minutes, none of the objects changes: nobody writes what is there already."""
    before = objects(managed)
    with ThreadPoolExecutor(len(before)) as watches:
        said = [watches.submit(changes, managed, path, one["metadata"]["resourceVersion"]) for path, one in before.items()]
        assert ["", "", "", ""] == [one.result() for one in said]
    assert before == objects(managed)


def changes(managed: Managed, path: str, version: str) -> str:
    """What a watch from that version on says until the server ends it."""
    folder, _, name = path.rpartition("/")
    query = f"watch=1&timeoutSeconds={STABLE_SECONDS}&fieldSelector=metadata.name%3D{name}&resourceVersion={version}"
    return managed.api.kubectl("get", "--raw", f"{folder}?{query}", timeout=STABLE_SECONDS + 30).stdout


@pytest.mark.fault(35, "a real cluster, objects restored from a backup", invariants="I3 I4")
def test_a_running_cluster_is_taken_over_from_a_backup(pair: tuple[Managed, Managed], tmp_path: Path) -> None:
    """From YAML into the same API after everything vanished; from `clusterctl move --to-directory` into another; then quiet."""
    home, away = pair
    home.apply(home.generate(NAME))
    home.wait_available(NAME, 300)
    before, nodes, began = objects(home), containers(), time.time()
    with EngineEvents.of(NAME) as events:
        back_up(home, tmp_path / "backup.yaml")
        home.abandon(NAME)
        assert not any(objects(home).values())
        home.manager.start()
        home.api.kubectl("apply", "-f", str(tmp_path / "backup.yaml"))
        check_taken_over(home, before)

        before = objects(home)
        home.clusterctl.run("move", "--to-directory", str(tmp_path), "-n", "default")
        home.abandon(NAME)
        away.clusterctl.run("move", "--from-directory", str(tmp_path), "-n", "default")
        check_taken_over(away, before)

        check_stable(away)
        assert [] == events.changes(began)
        assert nodes == containers()
    away.delete(NAME)
    away.wait_gone(NAME, 120)
    assert [] == engine.containers(NAME)
