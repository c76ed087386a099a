"""Clusters for the tests: one exists at a time, made on first use, with the events of its creation recorded."""

from __future__ import annotations

import itertools
import subprocess
from dataclasses import dataclass, field

from capi_conformance.history import Event, History
from capi_conformance.management import CLUSTER, SECRET, Json, Management
from capi_conformance.profiles import Profile
from capi_conformance.subject import Subject, at


@dataclass
class Provisioned:
    """A cluster that has become Available, and how."""

    subject: Subject
    history: History
    moment: list[str] = field(default_factory=list)
    """What was wrong with the workload API when the control plane was first called initialized; [""] when nothing was."""
    shown: float = 0.0
    """Seconds until it was Available: by then something was to be seen of it."""


class Supply:
    def __init__(self, home: Management, profile: Profile) -> None:
        self.home, self.profile = home, profile
        self._numbers = itertools.count(1)
        self._living: Provisioned | None = None
        self._made: list[Subject] = []

    def living(self) -> Provisioned:
        """The one that lives, or a new one."""
        if self._living is None:
            self._living = self._make()
        return self._living

    def fresh(self) -> Subject:
        """For a test that makes a Cluster by itself, and lets it go."""
        subject = Subject(self.home, self.profile, f"{self.profile.name}-{next(self._numbers)}")
        self._made.append(subject)
        return subject

    def used_up(self) -> None:
        """The living one is not fit for other tests any more."""
        self._living = None

    def clear(self, place: Management) -> None:
        """Delete whatever is left. Fails with what does not go."""
        for subject in self._made:
            subject.at(place).end()

    def _make(self) -> Provisioned:
        subject = self.fresh()
        moment: list[str] = []

        def listener(event: Event) -> None:
            if event.kind == self.profile.control_plane and initialized(event.obj) and not moment:
                moment.append(_answer_problem(subject))

        history = History(self.home, subject.namespace, (CLUSTER, SECRET, *self.profile.kinds), listener)
        with history:
            self.home.apply(subject.documents())
            seconds = subject.wait_available()
        subject.workload().mark(subject.mark)
        return Provisioned(subject, history, moment, seconds)


def initialized(control_plane: Json) -> bool:
    """Says that the workload API can be used; an object that is the infrastructure, too, says so by being provisioned."""
    marks = at(control_plane, "status", "initialization") or {}
    return any(value is True for value in marks.values())


def _answer_problem(subject: Subject) -> str:
    try:
        return subject.workload().problem()
    except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as error:
        return str(error)
