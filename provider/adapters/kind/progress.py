"""kind's step lines → Steps. The words are kind's; emoji and their number of blanks vary by version and are dropped.

Lines look like ` • Starting control-plane 🕹️  ...` and ` ✓ Starting control-plane 🕹️` (kind pkg/internal/cli/status.go, without a
terminal). They are progress for people and never a proof: what exists is observed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from provider.ports.runtime import Progress, Step, StepState

STEP_LINE = re.compile(r"^\s*(?P<sign>[•✓✗]) (?P<text>.+?)(?:\s+\.\.\.)?\s*$")
SIGNS = {"•": StepState.STARTED, "✓": StepState.SUCCEEDED, "✗": StepState.FAILED}
DECORATION = re.compile(r"[^\x00-\x7f]+")
JOIN_WORKERS, JOIN_CONTROL_PLANES, STORAGE = "Joining worker nodes", "Joining more control-plane nodes", "Installing StorageClass"


class StepLines:
    """Reads kind's lines and reports every step once when it starts and once when it ends."""

    def __init__(self, report: Progress, now: Callable[[], float]) -> None:
        self._report = report
        self._now = now
        self._started: dict[str, float] = {}
        self.states: dict[str, StepState] = {}

    def feed(self, line: str) -> None:
        match = STEP_LINE.match(line)
        if match is None:
            return
        name, state = _name(match["text"]), SIGNS[match["sign"]]
        if not name or self.states.get(name) is state:
            return
        self.states[name] = state
        if state is StepState.STARTED:
            self._started[name] = self._now()
            self._report(Step(name, state))
        else:
            self._report(Step(name, state, round(self._now() - self._started.get(name, self._now()), 1)))

    def failed_step(self) -> str:
        """Name of the step that failed or was running last; empty when there was none."""
        unfinished = [name for name, state in self.states.items() if state is not StepState.SUCCEEDED]
        return unfinished[-1] if unfinished else ""

    def all_done(self, roles: Iterable[str]) -> bool:
        """Whether the last step that a cluster of these node roles has was seen to succeed."""
        counts = list(roles)
        last = STORAGE
        if counts.count("control-plane") > 1:
            last = JOIN_CONTROL_PLANES
        if "worker" in counts:
            last = JOIN_WORKERS
        return self.states.get(last) is StepState.SUCCEEDED


def _name(text: str) -> str:
    return " ".join(DECORATION.sub(" ", text).split())
