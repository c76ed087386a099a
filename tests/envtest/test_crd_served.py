"""The CRD as people and programs meet it: columns, explain, pruning, the Cluster API contract."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from devenv.managed import MERGE
from provider.api import names
from provider.api.customresource import UNSEEN
from tests.envtest.crd import COLLECTION, JsonObject, KindClusters, collection, control_plane, kindcluster
from tests.fakes.kstatus import Status, kstatus

READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Ready",
    "message": "",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
STATUS = {
    "clusterName": "shown",
    "phase": "Ready",
    "ready": True,
    "version": "v1.34.4",
    "nodesReady": "3/3",
    "endpoints": {"host": "https://127.0.0.1:35553", "internal": "https://shown-control-plane:6443"},
    "runtime": "kind",
    "conditions": [READY],
    "initialization": {"provisioned": True, "controlPlaneInitialized": True},
}


@pytest.fixture(scope="module")
def shown(kindclusters: KindClusters) -> Iterator[JsonObject]:
    """A Ready object."""
    yield kindclusters.set_status(kindclusters.create(kindcluster("shown")), STATUS)
    kindclusters.delete("shown")


def test_the_schema_is_structural_and_the_names_are_accepted(kindclusters: KindClusters) -> None:
    """The API server reports a schema it cannot prune by as condition NonStructuralSchema."""
    conditions = {c["type"]: c["status"] for c in kindclusters.definition()["status"]["conditions"]}
    assert conditions["Established"] == conditions["NamesAccepted"] == "True"
    assert "NonStructuralSchema" not in conditions


def test_kubectl_get_answers_the_first_questions(kindclusters: KindClusters, shown: JsonObject) -> None:
    """NAME, CLUSTER, PHASE, READY, VERSION, NODES, ENDPOINT, AGE, and under the short name."""
    header, row = kindclusters.api.kubectl("get", "kc", "shown").stdout.splitlines()
    assert header.split() == ["NAME", "CLUSTER", "PHASE", "READY", "VERSION", "NODES", "ENDPOINT", "AGE"]
    assert row.split()[:-1] == ["shown", "shown", "Ready", "True", "v1.34.4", "3/3", "https://127.0.0.1:35553"]


def test_kubectl_get_wide_says_what_runs_it_and_what_is_wrong(kindclusters: KindClusters, shown: JsonObject) -> None:
    """Runtime, the end of its time and what an edit leads to, if there are such, and the Ready condition's message are for `-o wide`."""
    header, row = kindclusters.api.kubectl("get", "kc", "shown", "-o", "wide").stdout.splitlines()
    assert header.split()[-4:] == ["RUNTIME", "EXPIRES", "PLAN", "MESSAGE"]
    assert row.split()[-1] == "kind"


def test_it_is_listed_with_the_rest_of_cluster_api(kindclusters: KindClusters, shown: JsonObject) -> None:
    """`kubectl get cluster-api` shows it (category)."""
    assert (
        "kindcluster.infrastructure.cluster.x-k8s.io/shown" in kindclusters.api.kubectl("get", "cluster-api", "-o", "name").stdout
    )


@pytest.mark.parametrize("path", ["kindcluster", "kindcluster.spec", "kindcluster.spec.nodes.extraMounts", "kindcluster.status"])
def test_kubectl_explains_every_field(kindclusters: KindClusters, path: str) -> None:
    """Descriptions come from the models; none is missing."""
    text = kindclusters.api.kubectl("explain", path).stdout
    assert "DESCRIPTION:" in text
    assert "<no description>" not in text.replace("metadata\t<ObjectMeta>", "")


def test_kubectl_waits_for_ready(kindclusters: KindClusters, shown: JsonObject) -> None:
    """`kubectl wait --for=condition=Ready` works: conditions are as everywhere in Kubernetes."""
    kindclusters.api.kubectl("wait", "--for=condition=Ready", "kc/shown", "--timeout=5s")


@pytest.mark.parametrize("made", [kindcluster(), control_plane(version="v1.34.4")], ids=lambda made: str(made["kind"]))
def test_an_object_that_nobody_has_seen_is_in_progress(kindclusters: KindClusters, made: JsonObject) -> None:
    """As stored, read, listed: kstatus would call an object without a status finished. Nothing has been written, so the owner is free."""
    name, api = f"unseen-{made['kind'].lower()}", kindclusters.api
    path = collection(made["kind"])
    api.request("POST", path, {**made, "metadata": {**made["metadata"], "name": name}})
    _, read = api.request("GET", f"{path}/{name}")
    (listed,) = [one for one in api.request("GET", path)[1]["items"] if one["metadata"]["name"] == name]
    api.request("DELETE", f"{path}/{name}")

    assert (kstatus(read), kstatus(listed)) == (Status.IN_PROGRESS, Status.IN_PROGRESS)
    assert read["status"] == UNSEEN
    assert all(entry.get("subresource") != "status" for entry in read["metadata"]["managedFields"])


def test_an_edit_is_in_progress_until_it_is_observed(kindclusters: KindClusters) -> None:
    """Also for `kubectl wait`, which compares the condition's generation. What a merge patch leaves out stays default."""
    stored = kindclusters.create(kindcluster("edited"))
    paused = {"type": "Paused", "status": "True", "reason": "Paused", "message": "it is"}
    path = f"{COLLECTION}/edited"
    written = {"conditions": [{**READY, **paused}]}
    _, only_paused = kindclusters.api.request("PATCH", f"{path}/status", {"status": written}, content_type=MERGE)
    ready = kindclusters.set_status({**stored, "metadata": only_paused["metadata"]}, {**STATUS, "observedGeneration": 1})
    _, edited = kindclusters.api.request("PATCH", path, {"spec": {"workerReplicas": 1}}, content_type=MERGE)
    waited = kindclusters.api.kubectl("wait", "--for=condition=Ready", "kc/edited", "--timeout=1s", check=False)
    kindclusters.delete("edited")

    assert [kstatus(one) for one in (only_paused, ready, edited)] == [Status.IN_PROGRESS, Status.CURRENT, Status.IN_PROGRESS]
    assert waited.returncode != 0 and "timed out" in waited.stderr


def test_an_unknown_field_is_refused_where_people_write(kindclusters: KindClusters) -> None:
    """kubectl asks for strict field validation: a typo is an error, not a silently different cluster."""
    document = json.dumps(kindcluster("typo", workerReplica=2))
    with pytest.raises(subprocess.CalledProcessError) as failure:
        kindclusters.api.kubectl("apply", "-f", "-", stdin=document)
    assert 'unknown field "spec.workerReplica"' in failure.value.stderr


def test_an_unknown_field_is_pruned_where_programs_write(kindclusters: KindClusters) -> None:
    """A client without field validation gets an object without the field."""
    stored = kindclusters.create(kindcluster("pruned", future={"field": 1}, workerReplicas=1), strict=False)
    kindclusters.delete("pruned")
    assert stored["spec"] == {"workerReplicas": 1}


def test_nothing_is_defaulted_by_the_server(kindclusters: KindClusters) -> None:
    """What is absent stays absent: a later version may choose differently, and Git shows what was asked for."""
    stored = kindclusters.create(kindcluster("bare", nodes=[{}], networking={}))
    kindclusters.delete("bare")
    assert stored["spec"] == {"nodes": [{}], "networking": {}}


def test_an_explicit_null_is_never_stored(kindclusters: KindClusters) -> None:
    """Cluster API's core controller fails on `controlPlaneEndpoint: null`; absent is fine."""
    stored = kindclusters.create(kindcluster("nothing", controlPlaneEndpoint=None, nodes=None, version=None, identity=None))
    kindclusters.delete("nothing")
    assert stored["spec"] == {}


def test_status_is_written_only_through_its_own_door(kindclusters: KindClusters, shown: JsonObject) -> None:
    """Status subresource: a spec writer cannot change status, a status writer cannot change spec."""
    _, spoilt = kindclusters.api.request("PUT", f"{COLLECTION}/shown?dryRun=All", {**shown, "status": {}})
    assert spoilt["status"]["phase"] == "Ready"
    _, spoilt = kindclusters.api.request("PUT", f"{COLLECTION}/shown/status?dryRun=All", {**shown, "spec": {"workerReplicas": 9}})
    assert spoilt["spec"] == {}


def test_two_conditions_of_one_type_are_refused(kindclusters: KindClusters, shown: JsonObject) -> None:
    """Conditions are a map by type, so that several writers can own one each."""
    (refusal,) = kindclusters.complaints_about_status(shown, {"conditions": [READY, READY]})
    assert refusal.startswith("status.conditions[1]: Duplicate value")


def test_the_definition_carries_the_contract(kindclusters: KindClusters) -> None:
    """Cluster API finds the version that speaks its contract by the CRD's label, clusterctl the provider's parts by theirs."""
    definition = kindclusters.definition()
    assert definition["metadata"]["name"] == "kindclusters.infrastructure.cluster.x-k8s.io"
    assert definition["metadata"]["labels"]["cluster.x-k8s.io/v1beta2"] == names.VERSION
    assert definition["metadata"]["labels"]["cluster.x-k8s.io/provider"] == "infrastructure-kind"
    assert definition["spec"]["scope"] == "Namespaced"
    assert definition["spec"]["names"] == {
        "kind": "KINDCluster",
        "listKind": "KINDClusterList",
        "plural": "kindclusters",
        "singular": "kindcluster",
        "shortNames": ["kc"],
        "categories": ["cluster-api"],
    }


def test_a_failed_create_is_repaired_by_an_edit(kindclusters: KindClusters) -> None:
    """Between identity and endpoint everything but the name may be corrected: a wrong image is not the end of the object."""
    identity = {"token": "0" * 32, "runtime": "kind"}
    before = kindcluster("broken", image="no/such:image", identity=identity, nodes=[{"role": "control-plane"}])
    after = kindcluster("broken", version="v1.34.4", identity=identity, workerReplicas=2)
    assert kindclusters.complaints_about_change(before, after) == []
