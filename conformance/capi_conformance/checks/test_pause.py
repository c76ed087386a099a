"""Pausing: reported by a condition, obeyed however it is asked for, and ended when the request ends."""

from __future__ import annotations

import pytest

from capi_conformance.management import SECRET, Json
from capi_conformance.profiles import GroupKind
from capi_conformance.subject import PAUSED, Subject
from capi_conformance.waiting import hold, wait

WAYS = [(True, False), (False, True), (True, True)]
NAMES = ["by the Cluster", "by the annotation", "by both"]


def pause(subject: Subject, by_cluster: bool, by_annotation: bool) -> None:
    """The annotation counts whatever its value."""
    if by_cluster:
        subject.pause(True)
    if by_annotation:
        subject.annotate(PAUSED, "false")


def resume(subject: Subject) -> None:
    subject.annotate(PAUSED, None)
    subject.pause(False)


def substance(obj: Json) -> Json:
    """What a provider may not change of an object while it is paused."""
    meta = obj["metadata"]
    kept = {name: meta.get(name) for name in ("labels", "annotations", "finalizers", "ownerReferences")}
    return {"spec": obj.get("spec"), "metadata": kept, "status": _without_paused(obj.get("status") or {})}


def _without_paused(status: Json) -> Json:
    return {**status, "conditions": [one for one in status.get("conditions") or () if one["type"] != "Paused"]}


@pytest.mark.parametrize(("by_cluster", "by_annotation"), WAYS, ids=NAMES)
@pytest.mark.rule("IC-14", "CP-22")
def test_a_pause_is_reported_and_so_is_its_end(subject: Subject, by_cluster: bool, by_annotation: bool) -> None:
    """Paused=True with reason Paused, then False with reason NotPaused, on every object of the provider."""
    pause(subject, by_cluster, by_annotation)
    for kind in subject.profile.kinds:
        wait(subject.profile.seconds.reacted, lambda kind=kind: subject.paused_problem(kind, paused=True))  # type: ignore[misc]

    resume(subject)
    for kind in subject.profile.kinds:
        wait(subject.profile.seconds.reacted, lambda kind=kind: subject.paused_problem(kind, paused=False))  # type: ignore[misc]


@pytest.mark.parametrize(("by_cluster", "by_annotation"), WAYS, ids=NAMES)
@pytest.mark.rule("IC-14", "CP-22", "CTL-10")
def test_nothing_is_done_while_paused(subject: Subject, by_cluster: bool, by_annotation: bool) -> None:
    """Objects stay as they are, the workload cluster is the same, a Secret that is lost stays lost; it is back after the pause."""
    kinds, identity, workload = subject.profile.kinds, subject.identity(), subject.workload()
    pause(subject, by_cluster, by_annotation)
    for kind in kinds:
        wait(subject.profile.seconds.reacted, lambda kind=kind: subject.paused_problem(kind, paused=True))  # type: ignore[misc]
    before = {kind: substance(subject.object_of(kind)) for kind in kinds}
    subject.management.delete(SECRET, subject.namespace, f"{subject.name}-kubeconfig")

    hold(subject.profile.seconds.quiet, lambda: _touched(subject, before))
    assert identity == workload.identity(subject.mark), "the workload cluster is another one"

    resume(subject)
    wait(subject.profile.seconds.reacted, lambda: "" if subject.secret() else "the kubeconfig Secret is not back after the pause")
    subject.wait_available()
    assert identity == subject.identity(), "the workload cluster is another one"


def _touched(subject: Subject, before: dict[GroupKind, Json]) -> str:
    if subject.secret():
        return "the kubeconfig Secret was written while paused"
    changed = [str(kind) for kind, was in before.items() if was != substance(subject.object_of(kind))]
    return f"changed while paused: {', '.join(changed)}" if changed else ""
