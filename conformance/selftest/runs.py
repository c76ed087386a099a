"""Runs of the kit, a process for each fault, several at a time: a run mostly waits."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from devenv import capi
from devenv.controlplane import ManagementAPI
from selftest import definitions, kit
from selftest.faults import DEFINITIONS, Fault

AT_ONCE = 4
GREEN = "green"
"""Name of the run without a fault."""


@dataclass
class Place:
    """One management cluster with the fake provider at work."""

    api: ManagementAPI
    clusterctl: capi.Clusterctl


@dataclass
class Runs:
    """Of the kit; started as soon as they are known, so that tests wait side by side."""

    home: Place
    away: Place
    folder: Path
    pool: ThreadPoolExecutor
    started: dict[str, Future[kit.Report]] = field(default_factory=dict)

    def start(self, name: str, fault: Fault | None) -> None:
        self.started[name] = self.pool.submit(self._run, fault)

    def _run(self, fault: Fault | None) -> kit.Report:
        if fault is None:
            return self._kit(GREEN, kit.profile("none", GREEN, kit.GREEN), [])
        tests = [_node(name) for name in (fault.before, fault.check) if name]
        if fault in DEFINITIONS:
            group = fault.name if "." in fault.name else f"{fault.name}.{definitions.INFRASTRUCTURE}"
            different = {"templates": [group]} if "Template" in fault.name else {"infrastructure": group, "templates": []}
            return self._kit(
                fault.name.lower(), kit.profile("none", fault.name.lower().replace(".", "-"), kit.FAULTY, **different), tests
            )
        return self._kit(fault.name, kit.profile(fault.name, fault.name, {**kit.FAULTY, **dict(fault.seconds)}), tests)

    def _kit(self, name: str, profile: dict[str, object], tests: list[str]) -> kit.Report:
        flags = [f"--kubeconfig={self.home.api.kubeconfig}", f"--target-kubeconfig={self.away.api.kubeconfig}"]
        return kit.run(self.folder / name, profile, flags, self.home.clusterctl.environment(), tests)


def _node(check: str) -> str:
    """file::name of a test of the kit; parameters are not part of it, all of them run."""
    name = check.partition("[")[0]
    (path,) = [path for path in kit.CHECKS.glob("test_*.py") if f"def {name}(" in path.read_text()]
    return f"{path}::{name}"
