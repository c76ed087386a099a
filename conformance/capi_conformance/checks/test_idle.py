"""When nothing may be made: while paused, without a Cluster, for what another controller manages. All trials run side by side."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from capi_conformance.management import SECRET, Json
from capi_conformance.profiles import Profile
from capi_conformance.subject import MANAGED_BY, PAUSED, Subject
from capi_conformance.supply import Supply
from capi_conformance.waiting import POLL_SECONDS, wait

SHOW_FACTOR = 1.5
"""So many times as long as the first cluster took to become Available, nothing may be seen of a trial."""
NO_OBJECT = "the template holds no object of the provider"

Problem = Callable[[], str]


class Trial:
    """One Cluster, or a part of one, of which nothing may come."""

    def __init__(self, subject: Subject, **how: bool) -> None:
        self.subject, self.how = subject, how
        self.skipped = self.problem = ""

    def start(self) -> None:
        documents = self.subject.documents()
        own = [one for one in documents if one["kind"] in {kind.kind for kind in self.subject.profile.kinds}]
        if not own and set(self.how) != {"by_cluster"}:
            self.skipped = NO_OBJECT
            return
        for document in documents:
            if "by_cluster" in self.how and document["kind"] == "Cluster":
                document["spec"]["paused"] = True
        for document in own:
            if "by_annotation" in self.how:
                document["metadata"].setdefault("annotations", {})[PAUSED] = "false"
            if "managed_by" in self.how:
                document["metadata"].setdefault("annotations", {})[MANAGED_BY] = ""
            if "alone" in self.how:
                document["metadata"]["ownerReferences"] = [self._shim()]
        self.subject.management.apply(own if "alone" in self.how else documents)
        if "managed_by" in self.how:
            wait(self.subject.profile.seconds.reacted, self._unowned)

    def look(self) -> None:
        self.problem = self.problem or made(self.subject) or ("managed_by" in self.how and self._touched()) or ""

    def end(self) -> None:
        self.subject.end()
        self.subject.management.delete(SECRET, self.subject.namespace, f"{self.subject.name}-shim")

    def _shim(self) -> Json:
        """As a topology has it: a Secret owns the objects until they can be owned by the Cluster."""
        name, namespace = f"{self.subject.name}-shim", self.subject.namespace
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}}
        self.subject.management.apply([secret])
        uid = self.subject.management.get(SECRET, namespace, name)["metadata"]["uid"]
        return {"apiVersion": "v1", "kind": "Secret", "name": name, "uid": uid}

    def _unowned(self) -> str:
        objects = [self.subject.object_of(kind) for kind in self.subject.profile.kinds]
        owned = all((one.get("metadata") or {}).get("ownerReferences") for one in objects)
        return "" if owned else f"core has not owned the objects of {self.subject.name}"

    def _touched(self) -> str:
        """The rule is about infrastructure: the control plane is not what another system manages then."""
        kind = self.subject.profile.infrastructure
        obj = self.subject.object_of(kind)
        if obj and (writers := status_writers(obj)):
            return f"the status of {kind} was written to by {', '.join(writers)}: {obj.get('status')}"
        if obj and (finalizers := obj["metadata"].get("finalizers")):
            return f"{kind} has finalizers: {finalizers}"
        return ""


def status_writers(obj: Json) -> list[str]:
    """Who wrote the status: what a definition's default gives to it was written by nobody."""
    return [str(entry["manager"]) for entry in obj["metadata"].get("managedFields") or () if entry.get("subresource") == "status"]


def made(subject: Subject) -> str:
    """What there is of a cluster that should not have been made; empty when there is nothing."""
    if subject.secret():
        return "there is a kubeconfig Secret"
    for kind in subject.profile.kinds:
        for obj in subject.of(kind):
            marks = (obj.get("status") or {}).get("initialization") or {}
            if True in marks.values():
                return f"{kind} says {marks}"
    return ""


@pytest.fixture(scope="module")
def trials(supply: Supply, profile: Profile) -> dict[str, Trial]:
    """All that may make nothing, after the time in which it would have shown."""
    shown = supply.living().shown
    hows: dict[str, dict[str, bool]] = {
        "by the Cluster": {"by_cluster": True},
        "by the annotation": {"by_annotation": True},
        "by both": {"by_cluster": True, "by_annotation": True},
        "alone": {"alone": True},
        "managed by another": {"managed_by": True},
    }
    trials = {name: Trial(supply.fresh(), **how) for name, how in hows.items()}
    for trial in trials.values():
        trial.start()
    active = [trial for trial in trials.values() if not trial.skipped]
    until = time.monotonic() + max(profile.seconds.quiet, SHOW_FACTOR * shown)
    while time.monotonic() < until:
        for trial in active:
            trial.look()
        time.sleep(POLL_SECONDS)
    for trial in active:
        trial.end()
    return trials


def check(trial: Trial) -> None:
    if trial.skipped:
        pytest.skip(trial.skipped)
    assert not trial.problem, trial.problem


@pytest.mark.parametrize("way", ["by the Cluster", "by the annotation", "by both"])
@pytest.mark.rule("IC-14", "CP-22")
def test_nothing_is_made_while_paused(trials: dict[str, Trial], way: str) -> None:
    """What is paused when it is applied stays unmade, whatever the value of the annotation."""
    check(trials[way])


@pytest.mark.rule("IC-10")
def test_an_object_without_a_cluster_makes_nothing(trials: dict[str, Trial]) -> None:
    """A topology makes the object first, owned by a Secret."""
    check(trials["alone"])


@pytest.mark.rule("IC-11")
def test_what_another_controller_manages_is_left_alone(trials: dict[str, Trial]) -> None:
    """With the annotation managed-by on it: no finalizer, no status, no cluster, although a Cluster owns it."""
    check(trials["managed by another"])
