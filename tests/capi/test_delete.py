"""Ways in which a cluster goes away under Cluster API's real core manager and the real controller-manager, and what each leaves: nothing,
or, where nobody may destroy it, everything and a condition that says so.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from devenv.managed import CLUSTERS, Managed
from provider.adapters.local import daemons, state
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS

TEAM = "team"
PAUSED = "cluster.x-k8s.io/paused"
TROUBLESHOOTING = Path(__file__).resolve().parents[2] / "docs" / "troubleshooting.md"


def left_of(managed: Managed, name: str, namespace: str = "default") -> list[str]:
    """Objects, Secrets, files."""
    wanted = [f"clusters/{name}", f"kindclusters/{name}", f"secrets/{name}-kubeconfig", f"secrets/{name}-config"]
    objects = managed.api.kubectl("-n", namespace, "get", *wanted, "--ignore-not-found", "-o", "name").stdout.split()
    return [*objects, *(str(path) for path in managed.local.glob(f"{name}*"))]


def mark_of(managed: Managed, name: str) -> str:
    """By which the processes of a cluster are found, also when its files are gone."""
    managed.manager.wait(30, lambda: state.read(managed.local / name), f"{name} has begun to be there")
    known = state.read(managed.local / name)
    assert known is not None
    return known.marker


def remove_without_a_trace(managed: Managed, name: str, *flags: str) -> None:
    """The Cluster, as people do who are in a hurry: its finalizers are removed before core could pass the deletion on."""
    managed.pause_cluster(name, True)
    managed.wait_paused(name)
    managed.api.kubectl("delete", "cluster", name, "--wait=false", *flags)
    managed.manager.wait(
        30, lambda: "orphan" not in managed.cluster(name)["metadata"]["finalizers"], "garbage collection has done its part"
    )
    managed.patch(f"{CLUSTERS}/namespaces/default/clusters/{name}", {"metadata": {"finalizers": None}})
    managed.manager.wait(30, lambda: not managed.cluster(name), "the Cluster is gone")


def test_deleting_a_cluster_leaves_nothing(managed: Managed) -> None:
    """`kubectl delete cluster`: the objects, both Secrets, every process and file are gone when it returns."""
    name = "gone"
    managed.create(name, "--worker-machine-count", "2")
    mark = mark_of(managed, name)
    assert daemons.find(mark)

    managed.api.kubectl("delete", "cluster", name, "--timeout=60s", timeout=70)

    assert [] == left_of(managed, name)
    assert not daemons.find(mark)


@pytest.mark.fault(29, "deleted while it is made, with Cluster API", invariants="I2")
def test_deleting_while_the_cluster_is_made_leaves_nothing(managed: Managed) -> None:
    """The running create is stopped, and what it has made so far goes."""
    name = "early"
    managed.apply(managed.generate(name, "--flavor", "local"))
    mark = mark_of(managed, name)

    managed.api.kubectl("delete", "cluster", name, "--timeout=60s", timeout=70)

    assert f"Task ended KINDCluster=default/{name} verb=create outcome=Succeeded" not in managed.manager.log
    assert [] == left_of(managed, name)
    assert not daemons.find(mark)


def test_deleting_the_kindcluster_alone_deletes_its_cluster(managed: Managed) -> None:
    """A person's own delete is obeyed while the Cluster lives. That says so, makes nothing anew, and can be deleted afterwards."""
    name = "alone"
    managed.create(name)
    mark = mark_of(managed, name)

    managed.api.kubectl("delete", "kindcluster", name, "--timeout=60s", timeout=70)

    assert [f"cluster.cluster.x-k8s.io/{name}"] == left_of(managed, name)
    assert not daemons.find(mark)
    managed.manager.wait(
        60,
        lambda: "deleted while the cluster still exists" in managed.condition(name, "Available")["message"],
        "the Cluster says so",
    )
    managed.api.kubectl("delete", "cluster", name, "--timeout=60s", timeout=70)
    assert [] == left_of(managed, name)


@pytest.mark.fault(36, "the namespace is deleted, with Cluster API", invariants="I2")
def test_deleting_a_namespace_leaves_nothing(managed: Managed) -> None:
    """Nothing can be created there any more, not even an Event: clusters that are ready, being made, or paused until later go all the
    same, no pass fails over it again and again, and the namespace is really gone.
    """
    managed.api.kubectl("create", "namespace", TEAM)
    here, log = ("-n", TEAM), len(managed.manager.log)
    for name in ("settled", "held"):
        managed.apply(managed.generate(name, "--flavor", "local", *here))
    for name in ("settled", "held"):
        managed.api.kubectl(*here, "wait", "--for=condition=Available", f"cluster/{name}", "--timeout=90s", timeout=100)
    managed.api.kubectl(*here, "annotate", "kindcluster", "held", f"{PAUSED}=")
    managed.manager.wait_reason("held", "Paused", "Paused", namespace=TEAM)
    managed.apply(managed.generate("fresh", "--flavor", "local", *here))
    marks = [mark_of(managed, name) for name in ("settled", "held", "fresh")]

    managed.api.kubectl("delete", "namespace", TEAM, "--wait=false")
    managed.manager.wait(90, lambda: managed.manager.get("settled", TEAM) == {} == managed.manager.get("fresh", TEAM), "two gone")
    message = managed.manager.condition("held", "Paused", TEAM)["message"]
    assert "deletion waits" in message
    assert daemons.find(marks[1])
    managed.api.kubectl(*here, "annotate", "kindcluster", "held", f"{PAUSED}-")
    managed.api.kubectl("wait", "--for=delete", f"namespace/{TEAM}", "--timeout=90s", timeout=100)

    assert [] == [path for name in ("settled", "held", "fresh") for path in managed.local.glob(f"{name}*")]
    assert [] == [mark for mark in marks if daemons.find(mark)]
    said = managed.manager.log[log:]
    assert "because it is being terminated" in said
    assert f"Trying again KINDCluster={TEAM}/" not in said
    assert "defect" not in said


def ways_out(name: str) -> list[str]:
    """The blocks of shell in the page's section about this, for another name than the page's."""
    section = TROUBLESHOOTING.read_text().partition("## The Cluster is gone and the KINDCluster is not")[2].partition("\n## ")[0]
    return [block.replace("demo", name) for block in re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)]


def shell(managed: Managed, script: str) -> None:
    """As a reader would type it; stops at the first failure."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, **managed.clusterctl.environment()},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


@pytest.mark.fault(30, "the owner vanished, with Cluster API", invariants="I3")
def test_a_cluster_whose_owner_vanished_is_kept_and_reported_until_somebody_decides(managed: Managed) -> None:
    """Garbage collection wants the KINDCluster gone, but nobody has asked for the end of the kind cluster: it runs on, the condition says
    what to do, and the page's first way out (delete it) works as printed.
    """
    name = "orphan"
    managed.create(name)
    before, mark = managed.processes(name), mark_of(managed, name)

    remove_without_a_trace(managed, name)

    message = managed.manager.wait_reason(name, "Ready", "OwnerGone")["message"]
    assert "ownerReferences" in message
    assert "deletionTimestamp" in managed.kindcluster(name)["metadata"]
    assert before == managed.processes(name)
    delete_it, _ = ways_out(name)
    shell(managed, delete_it)
    assert [] == left_of(managed, name)
    assert not daemons.find(mark)


def test_a_cluster_whose_owner_vanished_can_be_given_another(managed: Managed) -> None:
    """The page's second way out (keep it): the same processes under a new Cluster, which becomes Available."""
    name = "adopted"
    managed.create(name)
    before = managed.processes(name)
    remove_without_a_trace(managed, name)
    managed.manager.wait_reason(name, "Ready", "OwnerGone")

    _, keep_it = ways_out(name)
    shell(managed, keep_it)
    managed.apply(managed.generate(name, "--flavor", "local").partition("---")[2])
    managed.wait_available(name)

    assert before == managed.processes(name)
    managed.api.kubectl("delete", "cluster", name, "--timeout=60s", timeout=70)
    assert [] == left_of(managed, name)


def test_a_kindcluster_that_was_orphaned_is_looked_after(managed: Managed) -> None:
    """`--cascade=orphan` takes the owner reference away and deletes nothing: the cluster stays as it is, until its object is deleted."""
    name = "left"
    managed.create(name)
    before = managed.processes(name)

    remove_without_a_trace(managed, name, "--cascade=orphan")

    managed.manager.wait_reason(name, "Paused", "NotPaused")
    found = managed.kindcluster(name)
    assert "deletionTimestamp" not in found["metadata"] and not found["metadata"].get("ownerReferences")
    managed.manager.wait_reason(name, "Ready", "Ready")
    assert before == managed.processes(name)
    managed.api.kubectl("delete", "kindcluster", name, "--timeout=60s", timeout=70)
    assert [] == left_of(managed, name)


@pytest.mark.parametrize("how", ["retain", "foreground", "orphan"])
def test_a_cluster_that_is_kept_keeps_its_secrets_from_garbage_collection(managed: Managed, how: str) -> None:
    """Whatever the deletion, the only admin kubeconfig stays; the object created again with its spec takes cluster and Secrets back."""
    name = f"kept-{how}"
    managed.create(name)
    before, path = managed.processes(name), f"/apis/{KINDCLUSTERS.api_version}/namespaces/default/kindclusters/{name}"
    if how != "orphan":
        managed.patch(path, {"spec": {"deletionPolicy": "Retain"}})
    spec = managed.kindcluster(name)["spec"]
    cascade = "background" if how == "retain" else how

    managed.api.kubectl("delete", "kindcluster", name, f"--cascade={cascade}", "--timeout=60s", timeout=70)
    managed.api.kubectl("delete", "cluster", name, "--timeout=60s", timeout=70)

    secrets = [f"secret/{name}-kubeconfig", f"secret/{name}-config"]
    kept = managed.api.kubectl("get", *secrets, "-o", "jsonpath={.items[*].metadata.ownerReferences}").stdout
    assert "" == kept.strip()
    assert before == managed.processes(name)
    again = {"apiVersion": KINDCLUSTERS.api_version, "kind": KINDCLUSTERS.kind, "metadata": {"name": name}}
    spec |= {"standalone": True, "deletionPolicy": "Delete"}
    managed.api.kubectl("create", "-f", "-", stdin=json.dumps(again | {"spec": spec}))
    managed.manager.wait_reason(name, "Ready", "Ready")
    assert before == managed.processes(name)
    managed.api.kubectl("delete", "kindcluster", name, "--timeout=60s", timeout=70)
    assert [] == left_of(managed, name)
