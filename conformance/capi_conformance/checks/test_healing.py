"""Owner references and finalizers that are lost, as in a restored backup, are put back."""

from __future__ import annotations

import pytest

from capi_conformance.management import SECRET, Json
from capi_conformance.profiles import GroupKind
from capi_conformance.subject import Subject
from capi_conformance.waiting import wait


def owners(obj: Json) -> set[tuple[str, str, str, str]]:
    """Owner references, compared without the version of their API group: writers differ in it."""
    given = (obj.get("metadata") or {}).get("ownerReferences") or ()
    return {(one["apiVersion"].partition("/")[0], one["kind"], one["name"], one["uid"]) for one in given}


def owned(subject: Subject) -> dict[tuple[GroupKind, str], Json]:
    """Everything of the Cluster that has an owner, by kind and name."""
    found = {}
    for kind in (*subject.profile.kinds, SECRET):
        for one in subject.of(kind):
            if owners(one):
                found[kind, str(one["metadata"]["name"])] = one
    return found


def strip(subject: Subject, keys: list[tuple[GroupKind, str]], field: str) -> None:
    """Under a pause, so that no controller acts on a half-stripped Cluster; then the pause ends."""
    subject.pause(True)
    for kind in subject.profile.kinds:
        wait(subject.profile.seconds.reacted, lambda kind=kind: subject.paused_problem(kind, paused=True))  # type: ignore[misc]
    for kind, name in keys:
        subject.change(kind, name, {field: None})
    subject.pause(False)


@pytest.mark.rule("CTL-8")
def test_owner_references_that_were_stripped_come_back(subject: Subject) -> None:
    """On the objects that the Cluster refers to and on every Secret of the provider; the workload cluster is not touched."""
    identity, before = subject.identity(), owned(subject)
    strip(subject, list(before), "ownerReferences")

    def problem() -> str:
        for (kind, name), was in before.items():
            if missing := owners(was) - owners(subject.management.get(kind, subject.namespace, name)):
                return f"{kind} {name} has lost its owners {sorted(missing)}"
        return ""

    wait(subject.profile.seconds.healed, problem)
    subject.wait_available()
    assert identity == subject.identity(), "the workload cluster is another one"


@pytest.mark.rule("CTL-10")
def test_finalizers_that_were_stripped_come_back(subject: Subject) -> None:
    """Without them a deletion would leave the workload cluster behind."""
    identity, all_of_it = subject.identity(), {kind: subject.object_of(kind)["metadata"] for kind in subject.profile.kinds}
    before = {kind: meta for kind, meta in all_of_it.items() if meta.get("finalizers")}
    assert subject.profile.infrastructure in before, f"no finalizer on {subject.profile.infrastructure}"
    strip(subject, [(kind, meta["name"]) for kind, meta in before.items()], "finalizers")

    def problem() -> str:
        for kind, meta in before.items():
            if missing := set(meta["finalizers"]) - set(subject.object_of(kind)["metadata"].get("finalizers") or ()):
                return f"{kind} has lost its finalizers {sorted(missing)}"
        return ""

    wait(subject.profile.seconds.healed, problem)
    subject.wait_available()
    assert identity == subject.identity(), "the workload cluster is another one"
