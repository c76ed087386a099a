"""A Cluster is provisioned: in which order things come true, what core and users see in the end."""

from __future__ import annotations

import re

import pytest

from capi_conformance.crds import COUNTERS, contracts
from capi_conformance.history import Event
from capi_conformance.management import CLUSTER, SECRET, Json, Management
from capi_conformance.profiles import GroupKind, Profile
from capi_conformance.subject import CLUSTER_LABEL, Subject, at, condition
from capi_conformance.supply import Provisioned, initialized
from capi_conformance.waiting import wait
from capi_conformance.workload import Workload

NEGATIVE = {"Paused", "Deleting", "RollingOut", "ScalingUp", "ScalingDown", "Updating", "Remediating"}
"""Conditions that are good when False (clusterctl's internal/util/tree)."""
ROW = re.compile(r"─(\w+)\s+(True|False|Unknown)\b")


def events(provisioned: Provisioned, kind: GroupKind) -> list[Event]:
    """What happened to the object of this kind until the Cluster was Available."""
    name = provisioned.subject.object_of(kind)["metadata"]["name"]
    return list(provisioned.history.of(kind, name))


def provisioned_marks(obj: Json) -> list[object]:
    """What an infrastructure object says for either contract."""
    return [at(obj, "status", "initialization", "provisioned"), at(obj, "status", "ready")]


@pytest.mark.rule("CP-10", "CP-15")
def test_the_kubeconfig_is_there_before_the_control_plane_is_called_initialized(
    provisioned: Provisioned, profile: Profile
) -> None:
    """Core connects as soon as it may, and after a failure again only after half a minute."""
    first = next((one for one in events(provisioned, profile.control_plane) if initialized(one.obj)), None)
    secret = next(provisioned.history.of(SECRET, f"{provisioned.subject.name}-kubeconfig"), None)

    assert first, f"no {profile.control_plane} was ever called initialized"
    assert secret, "there was no kubeconfig Secret"
    assert secret.order < first.order, "the kubeconfig Secret was written after the control plane had been called initialized"


@pytest.mark.rule("CP-10")
def test_the_workload_api_answers_when_the_control_plane_is_called_initialized(provisioned: Provisioned) -> None:
    """Tried at that very moment, with the kubeconfig from the Secret."""
    assert [""] == provisioned.moment, f"the workload API did not answer at that moment: {provisioned.moment}"


@pytest.mark.rule("IC-5", "CP-5")
def test_the_endpoint_is_known_when_the_infrastructure_is_provisioned(provisioned: Provisioned, profile: Profile) -> None:
    """Core reads it in the same pass; it may also come from a control plane object of its own."""
    first = next(one for one in events(provisioned, profile.infrastructure) if True in provisioned_marks(one.obj))
    holder = first.obj
    if not profile.one_object and not at(holder, "spec", "controlPlaneEndpoint"):
        holder = provisioned.subject.object_of(profile.control_plane)
    endpoint = at(holder, "spec", "controlPlaneEndpoint") or {}

    assert endpoint.get("host") and endpoint.get("port"), f"provisioned without an endpoint: {endpoint}"
    assert endpoint == provisioned.subject.cluster()["spec"]["controlPlaneEndpoint"]


@pytest.mark.rule("IC-7")
def test_what_is_provisioned_stays_provisioned(provisioned: Provisioned, profile: Profile) -> None:
    """The mark of neither contract is ever taken back."""
    for marks in zip(*(provisioned_marks(one.obj) for one in events(provisioned, profile.infrastructure)), strict=True):
        said = [mark is True for mark in marks]
        assert sorted(said) == said, f"provisioned, write by write: {said}"


@pytest.mark.rule("IC-3", "IC-7", "CP-3", "CP-10")
def test_every_contract_that_is_promised_is_kept(provisioned: Provisioned, profile: Profile) -> None:
    """Each contract has marks of its own, read in a version that is named for it; a label without them makes core wait for ever."""
    subject = provisioned.subject
    wanted = {
        (profile.infrastructure, "v1beta2"): ("status", "initialization", "provisioned"),
        (profile.infrastructure, "v1beta1"): ("status", "ready"),
        (profile.control_plane, "v1beta2"): ("status", "initialization", "controlPlaneInitialized"),
        (profile.control_plane, "v1beta1"): ("status", "initialized"),
    }
    for kind in profile.kinds:
        promised = contracts(subject.management.definition(kind))
        for (of, contract), path in wanted.items():
            if of == kind and contract in promised:
                obj = subject.object_of(kind, promised[contract][-1])
                assert at(obj, *path) is True, f"{kind} promises {contract}, but its {'.'.join(path)} is {at(obj, *path)}"


@pytest.mark.rule("CP-15", "CTL-8")
def test_the_kubeconfig_secret_has_its_shape(subject: Subject, profile: Profile) -> None:
    """Core sees Secrets with the label alone; a move takes what is owned."""
    secret = subject.secret()
    owners = [
        GroupKind(one["kind"], one["apiVersion"].partition("/")[0]) for one in secret["metadata"].get("ownerReferences") or ()
    ]

    assert "cluster.x-k8s.io/secret" == secret["type"]
    assert subject.name == (secret["metadata"].get("labels") or {}).get(CLUSTER_LABEL), (
        f"label {CLUSTER_LABEL} is wrong or missing"
    )
    assert set(owners) & {CLUSTER, *profile.kinds}, f"owned neither by the Cluster nor by its control plane: {owners}"
    assert [] == subject.workload().plugins(), "core refuses credentials that come from a program"


@pytest.mark.rule("CP-15")
def test_get_kubeconfig_prints_one_that_works(subject: Subject) -> None:
    """`clusterctl get kubeconfig` is how users get it."""
    printed = subject.management.clusterctl("get", "kubeconfig", subject.name, f"--namespace={subject.namespace}")

    problem = Workload(printed.encode(), subject.management.environ).problem()
    assert not problem, f"the workload cluster does not answer: {problem}"


@pytest.mark.rule("IC-7", "CP-10", "CP-12", "CTL-6")
def test_the_cluster_is_available_with_an_empty_message(subject: Subject) -> None:
    """Available=True with an empty message, phase Provisioned, both marks."""
    cluster = subject.cluster()

    assert "" == subject.available_problem()
    assert "Provisioned" == at(cluster, "status", "phase")
    assert {"infrastructureProvisioned": True, "controlPlaneInitialized": True} == at(cluster, "status", "initialization")


@pytest.mark.rule("IC-8", "CP-12")
def test_describe_shows_nothing_that_is_not_good(subject: Subject) -> None:
    """Every row of `clusterctl describe` is True, or a False that is good."""

    def problem() -> str:
        argv = ("describe", "cluster", subject.name, f"--namespace={subject.namespace}", "--show-conditions", "all")
        said = subject.management.clusterctl(*argv)
        rows = ROW.findall(said)
        bad = [" ".join(row) for row in rows if row[1] != ("False" if row[0] in NEGATIVE else "True")]
        missing = {"Available", "InfrastructureReady", "ControlPlaneAvailable", "Ready"} - {name for name, _ in rows}
        return f"not good: {bad}, missing: {sorted(missing)}\n{said}" if bad or missing else ""

    wait(subject.profile.seconds.reacted, problem)


@pytest.mark.rule("IC-8", "CP-12")
def test_objects_report_their_conditions(subject: Subject, instance: GroupKind, profile: Profile) -> None:
    """Ready, if there is one, and Available of a control plane are True and have nothing to say, Paused is False; each has a reason."""
    obj = subject.object_of(instance)

    if condition(obj, "Ready"):
        assert "" == subject.condition_problem(obj, "Ready")
    if instance == profile.control_plane:
        assert "" == subject.condition_problem(obj, "Available")
    assert "" == subject.condition_problem(obj, "Paused", "False", "NotPaused")
    assert "" == condition(obj, "Paused").get("message", "")
    assert [] == [one["type"] for one in obj["status"]["conditions"] if not one.get("reason")], "conditions without a reason"


@pytest.mark.rule("CTL-8")
def test_objects_keep_what_core_has_written(subject: Subject, instance: GroupKind, profile: Profile) -> None:
    """Core owns and labels what a Cluster refers to; a finalizer keeps infrastructure until its work is undone."""
    meta = subject.object_of(instance)["metadata"]
    owners = [(one["apiVersion"].partition("/")[0], one["kind"], one["name"]) for one in meta.get("ownerReferences") or ()]

    assert (CLUSTER.group, CLUSTER.kind, subject.name) in owners, f"the Cluster is not among the owners: {owners}"
    assert subject.name == (meta.get("labels") or {}).get(CLUSTER_LABEL), f"label {CLUSTER_LABEL} is wrong or missing"
    assert meta.get("finalizers") or instance != profile.infrastructure, (
        "no finalizer: nothing keeps the object while its cluster is taken down"
    )


@pytest.mark.rule("CP-6", "CP-7")
def test_the_cluster_shows_what_its_control_plane_counts(subject: Subject, home: Management, profile: Profile) -> None:
    """Every replica of a Cluster that is Available is ready, available and up to date, and runs a version that is named."""
    versions = home.definition(profile.control_plane)["spec"]["versions"]
    if not any(at(one, "subresources", "scale") for one in versions):
        pytest.skip("it has no notion of replicas")

    def problem() -> str:
        shown = at(subject.cluster(), "status", "controlPlane") or {}
        numbers = {name: shown.get(name) for name in COUNTERS}
        if len(set(numbers.values())) != 1 or not shown.get("replicas"):
            return f"the Cluster's replicas should all be the same number, are {numbers}"
        named = [one.get("replicas", shown["replicas"]) for one in shown.get("versions") or ()]
        return (
            "" if not named or sum(named) == shown["replicas"] else f"versions of {named} replicas, there are {shown['replicas']}"
        )

    wait(profile.seconds.reacted, problem)
