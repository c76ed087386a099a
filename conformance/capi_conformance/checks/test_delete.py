"""Deletion: it leaves nothing, is reported, and waits for the end of a pause."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from capi_conformance.history import Event, History
from capi_conformance.management import Json
from capi_conformance.profiles import GroupKind, Profile
from capi_conformance.subject import PAUSED, Subject, condition
from capi_conformance.supply import Supply
from capi_conformance.waiting import hold, wait
from capi_conformance.workload import Workload


@dataclass
class Deletion:
    """What was seen of the deletion of a Cluster."""

    subject: Subject
    workload: Workload
    problem: str = ""
    """Why it did not go away in time."""
    answered: list[str] = field(default_factory=list)
    """Infrastructure that was let go while the workload API still answered."""
    had_ready: dict[GroupKind, bool] = field(default_factory=dict)
    """Which objects had the condition Ready before."""
    deleting: dict[GroupKind, list[Json]] = field(default_factory=dict)
    """Condition Ready of each write to an object that was being deleted."""


@pytest.fixture(scope="module")
def deletion(supply: Supply, profile: Profile) -> Deletion:
    """A cluster that was Available, deleted by its Cluster."""
    subject = supply.living().subject
    supply.used_up()
    seen = Deletion(subject, subject.workload())
    seen.had_ready = {kind: bool(condition(subject.object_of(kind), "Ready")) for kind in profile.kinds}

    def listener(event: Event) -> None:
        if event.what == "DELETED":
            if event.kind == profile.infrastructure and not seen.workload.problem():
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


@pytest.mark.rule("IC-8")
def test_a_deleted_cluster_goes_away(deletion: Deletion) -> None:
    """In time, with everything that it refers to."""
    assert "" == deletion.problem


@pytest.mark.rule("IC-8")
def test_the_workload_cluster_is_gone_before_its_object(deletion: Deletion) -> None:
    """The finalizer holds the object until there is nothing any more that it stands for."""
    assert [] == deletion.answered, "the workload API still answered when the object was let go"


@pytest.mark.rule("CTL-8")
def test_nothing_is_left_of_a_deleted_cluster(deletion: Deletion, profile: Profile) -> None:
    """No object of Cluster API or the provider, no Secret."""

    def problem() -> str:
        left = deletion.subject.objects()
        return f"left: {', '.join(sorted(left))}" if left else ""

    wait(profile.seconds.reacted, problem)


@pytest.mark.rule("IC-8", "CP-12")
def test_a_deletion_is_reported(deletion: Deletion, instance: GroupKind, profile: Profile) -> None:
    """Ready is not True any more on an object that is being deleted, and has a reason. (A control plane may go at once.)"""
    if instance != profile.infrastructure and instance not in deletion.deleting:
        return
    if not deletion.had_ready.get(instance):
        pytest.skip("it has no condition Ready, which is optional")
    said = [one for one in deletion.deleting.get(instance, []) if one.get("status") != "True" and one.get("reason")]

    assert said, f"Ready while being deleted: {deletion.deleting.get(instance)}"


@pytest.mark.rule("IC-14", "CP-22")
def test_a_deletion_waits_for_the_end_of_a_pause(supply: Supply, profile: Profile) -> None:
    """What has a finalizer keeps it, and the workload cluster lives; when the pause is over, all goes."""
    subject = supply.living().subject
    supply.used_up()
    identity, workload = subject.identity(), subject.workload()
    subject.annotate(PAUSED, "")
    for kind in profile.kinds:
        wait(profile.seconds.reacted, lambda kind=kind: subject.paused_problem(kind, paused=True))  # type: ignore[misc]
    held = {kind: meta["name"] for kind in profile.kinds if (meta := subject.object_of(kind)["metadata"]).get("finalizers")}
    assert profile.infrastructure in held, f"no finalizer on {profile.infrastructure}"

    subject.delete()
    for kind, name in held.items():
        subject.management.delete(kind, subject.namespace, name)

    def let_go() -> str:
        lost = [str(kind) for kind, name in held.items() if not subject.management.get(kind, subject.namespace, name)]
        return f"let go while paused: {', '.join(lost)}" if lost else ""

    try:
        hold(profile.seconds.quiet, let_go)
        assert identity == workload.identity(subject.mark), "the workload cluster was touched while paused"
    finally:
        subject.end()
