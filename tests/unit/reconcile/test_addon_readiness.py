"""When an object of an add-on is ready: as kstatus and `kubectl rollout status` tell it, whatever stands in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider.reconcile.addon_readiness import CHECKS, unready

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("type", "status", "conditions", "replicas")), inner)
    ),
    max_leaves=8,
)


def obj(kind: str, status: dict[str, Any], *, generation: int = 2, group: str = "apps/v1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": group,
        "kind": kind,
        "metadata": {"name": "a", "generation": generation},
        "spec": spec,
        "status": {"observedGeneration": 2, **status},
    }


def counts(updated: int = 2, replicas: int = 2, available: int = 2) -> dict[str, int]:
    return {"updatedReplicas": updated, "replicas": replicas, "availableReplicas": available, "readyReplicas": available}


def daemons(wanted: int = 2, updated: int = 2, available: int = 2) -> dict[str, int]:
    return {"desiredNumberScheduled": wanted, "updatedNumberScheduled": updated, "numberAvailable": available}


def holding(kind: str, status: str = "True", **more: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, **more}]}


CRD, JOB, API = "apiextensions.k8s.io/v1", "batch/v1", "apiregistration.k8s.io/v1"


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (obj("Deployment", counts(), replicas=2), ""),
        (obj("Deployment", {}, replicas=0), ""),
        (obj("Deployment", counts(), generation=3, replicas=2), "not been seen"),
        (obj("Deployment", counts(updated=1), replicas=2), "1 of 2 pods of the new version"),
        (obj("Deployment", counts(replicas=3), replicas=2), "pods of the old version"),
        (obj("Deployment", counts(available=1), replicas=2), "1 of 2 pods available"),
        (obj("Deployment", {}), "0 of 1 pods"),
        (
            obj("Deployment", holding("Progressing", "False", reason="ProgressDeadlineExceeded", message="no image")),
            "does not get on: no image",
        ),
        (obj("StatefulSet", counts(), replicas=2), ""),
        (obj("StatefulSet", counts(), generation=3, replicas=2), "not been seen"),
        (obj("StatefulSet", counts(available=1), replicas=2), "1 of 2 pods ready"),
        (obj("StatefulSet", counts(updated=0), replicas=2), "0 of 2 pods of the new version"),
        (obj("StatefulSet", counts(updated=1), replicas=2, updateStrategy={"rollingUpdate": {"partition": 1}}), ""),
        (obj("StatefulSet", counts(updated=0), replicas=2, updateStrategy={"type": "OnDelete"}), ""),
        (obj("DaemonSet", daemons()), ""),
        (obj("DaemonSet", daemons(), generation=3), "not been seen"),
        (obj("DaemonSet", daemons(updated=1)), "1 of 2 pods of the new version"),
        (obj("DaemonSet", daemons(updated=1), updateStrategy={"type": "OnDelete"}), ""),
        (obj("DaemonSet", daemons(available=0)), "0 of 2 pods available"),
        (obj("ReplicaSet", counts(), replicas=2), ""),
        (obj("ReplicaSet", counts(), generation=3, replicas=2), "not been seen"),
        (obj("ReplicaSet", counts(available=0), replicas=2), "0 of 2 pods available"),
        (obj("Job", holding("Complete"), group=JOB), ""),
        (obj("Job", {}, group=JOB), "is not complete"),
        (obj("Job", holding("Failed", message="too often"), group=JOB), "has failed: too often"),
        (obj("Pod", holding("Ready"), group="v1"), ""),
        (obj("Pod", {"phase": "Succeeded"}, group="v1"), ""),
        (obj("Pod", {"phase": "Failed"}, group="v1"), "has failed"),
        (obj("Pod", holding("Ready", "False"), group="v1"), "is not ready"),
        (obj("CustomResourceDefinition", holding("Established"), group=CRD), ""),
        (obj("CustomResourceDefinition", {}, group=CRD), "is not established"),
        (
            obj("CustomResourceDefinition", holding("NamesAccepted", "False", message="taken"), group=CRD),
            "another one has: taken",
        ),
        (obj("APIService", holding("Available"), group=API), ""),
        (obj("APIService", {}, group=API), "is not available"),
        (obj("ConfigMap", {}, group="v1"), ""),
        (obj("Deployment", {}, group="other.test/v1"), ""),
    ],
)
def test_each_kind_is_ready_when_its_status_says_so(one: dict[str, Any], says: str) -> None:
    """In words that name what is missing."""
    assert says in unready(one)
    assert bool(says) == bool(unready(one))


def test_what_is_being_deleted_is_not_ready() -> None:
    """Of any kind."""
    assert "deleted" in unready({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"deletionTimestamp": "now"}})


@settings(deadline=None)
@given(st.sampled_from(sorted(CHECKS)), JSON, JSON)
def test_whatever_stands_in_an_object_is_an_answer(kind: tuple[str, str], spec: object, status: object) -> None:
    """Anybody in the cluster may write it."""
    one = {"apiVersion": f"{kind[0]}/v1" if kind[0] else "v1", "kind": kind[1], "metadata": None, "spec": spec, "status": status}
    assert isinstance(unready(one), str)
