"""Deletion and its edges: what is not a Cluster's makes nothing, what is deleted leaves nothing, and nothing is deleted while paused."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.conformance.history import Event, History
from tests.conformance.management import SECRET, Json
from tests.conformance.profile import GroupKind, Profile
from tests.conformance.subject import MANAGED_BY, PAUSED, Subject, condition
from tests.conformance.supply import Supply
from tests.conformance.test_pause import made
from tests.conformance.waiting import hold, wait
from tests.conformance.workload import Workload


@dataclass
class Deletion:
    """What was seen of the deletion of a Cluster."""

    subject: Subject
    workload: Workload
    problem: str = ""
    """Why it did not go away in time."""
    answered: list[str] = field(default_factory=list)
    """Kinds whose object was let go while the workload API still answered."""
    deleting: dict[GroupKind, list[Json]] = field(default_factory=dict)
    """Condition Ready of each write to an object that was being deleted."""


@pytest.fixture(scope="module")
def deletion(supply: Supply, profile: Profile) -> Deletion:
    """A cluster that was Available, deleted by its Cluster."""
    subject = supply.living().subject
    supply.used_up()
    seen = Deletion(subject, subject.workload())

    def listener(event: Event) -> None:
        if event.what == "DELETED":
            if event.kind == profile.control_plane and not seen.workload.problem():
                seen.answered.append(str(event.kind))
        elif "deletionTimestamp" in event.obj["metadata"]:
            seen.deleting.setdefault(event.kind, []).append(condition(event.obj, "Ready"))

    with History(subject.management, subject.namespace, profile.kinds, listener):
        subject.delete()
        try:
            wait(profile.seconds.deleted, subject.gone_problem)
        except AssertionError as error:
            seen.problem = str(error)
    return seen


def test_a_deleted_cluster_goes_away(deletion: Deletion) -> None:
    """In time, with everything that it refers to."""
    assert "" == deletion.problem


def test_the_workload_cluster_is_gone_before_its_object(deletion: Deletion) -> None:
    """The finalizer holds the object until there is nothing any more that it stands for."""
    assert [] == deletion.answered, "the workload API still answered when the object was let go"


def test_nothing_is_left_of_a_deleted_cluster(deletion: Deletion, profile: Profile) -> None:
    """No object of Cluster API or the provider, no Secret."""

    def problem() -> str:
        left = deletion.subject.objects()
        return f"left: {', '.join(sorted(left))}" if left else ""

    wait(profile.seconds.reacted, problem)


def test_a_deletion_says_so(deletion: Deletion, instance: GroupKind) -> None:
    """Ready is not True any more on an object that is being deleted, and has a reason."""
    said = [one for one in deletion.deleting.get(instance, []) if one.get("status") != "True" and one.get("reason")]

    assert said, f"Ready while being deleted: {deletion.deleting.get(instance)}"


def test_a_deletion_waits_for_the_end_of_a_pause(supply: Supply, profile: Profile) -> None:
    """The objects keep their finalizers and the workload cluster lives; when the pause is over, all goes."""
    subject = supply.living().subject
    supply.used_up()
    identity, workload = subject.identity(), subject.workload()
    names = {kind: subject.object_of(kind)["metadata"]["name"] for kind in profile.kinds}
    subject.annotate(PAUSED, "")
    for kind in profile.kinds:
        wait(profile.seconds.reacted, lambda kind=kind: subject.paused_problem(kind, paused=True))  # type: ignore[misc]

    subject.delete()
    for kind, name in names.items():
        subject.management.delete(kind, subject.namespace, name)

    def let_go() -> str:
        lost = [str(kind) for kind, name in names.items() if not subject.management.get(kind, subject.namespace, name)]
        return f"let go while paused: {', '.join(lost)}" if lost else ""

    hold(profile.seconds.quiet, let_go)
    assert identity == workload.identity(subject.mark), "the workload cluster was touched while paused"

    for kind, name in names.items():
        subject.change(kind, name, {"annotations": {PAUSED: None}})
    wait(profile.seconds.deleted, subject.gone_problem)


def test_an_object_without_a_cluster_makes_nothing(supply: Supply, profile: Profile) -> None:
    """A topology makes the object first, owned by a Secret; and it goes when it is deleted then."""
    subject = supply.fresh()
    documents = _of_the_provider(subject.documents(), profile)
    shim = f"{subject.name}-shim"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": shim, "namespace": subject.namespace}}
    subject.management.apply([secret])
    uid = subject.management.get(SECRET, subject.namespace, shim)["metadata"]["uid"]
    for document in documents:
        owner = {"apiVersion": "v1", "kind": "Secret", "name": shim, "uid": uid}
        document["metadata"]["ownerReferences"] = [owner]

    subject.management.apply(documents)
    try:
        hold(profile.seconds.quiet, lambda: made(subject))
    finally:
        subject.end()
        subject.management.delete(SECRET, subject.namespace, shim)


def test_what_somebody_else_manages_is_left_alone(supply: Supply, profile: Profile) -> None:
    """With the annotation managed-by on it: no finalizer, no status, no cluster, although a Cluster owns it."""
    subject = supply.fresh()
    documents = subject.documents()
    for document in _of_the_provider(documents, profile):
        document["metadata"].setdefault("annotations", {})[MANAGED_BY] = ""
    subject.management.apply(documents)

    def touched() -> str:
        for kind in profile.kinds:
            obj = subject.object_of(kind)
            if obj and (obj.get("status") or obj["metadata"].get("finalizers")):
                return f"{kind} was written to: {obj['metadata'].get('finalizers')} {obj.get('status')}"
        return made(subject)

    wait(profile.seconds.reacted, lambda: "" if _all_owned(subject, profile) else "core has not owned the objects")
    try:
        hold(profile.seconds.quiet, touched)
    finally:
        subject.end()


def _of_the_provider(documents: list[Json], profile: Profile) -> list[Json]:
    own = [one for one in documents if one["kind"] in {kind.kind for kind in profile.kinds}]
    if not own:
        pytest.skip("the template holds no object of the provider")
    return own


def _all_owned(subject: Subject, profile: Profile) -> bool:
    return all((subject.object_of(kind).get("metadata") or {}).get("ownerReferences") for kind in profile.kinds)
