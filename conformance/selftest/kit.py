"""Runs the kit as another provider's developer would: a process of its own, a profile, two kubeconfigs."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SOURCE = Path(__file__).resolve().parent.parent
CHECKS = SOURCE / "capi_conformance" / "checks"
TEMPLATE = Path(__file__).parent / "template.yaml"
Seconds = dict[str, float]

GREEN: Seconds = {"available": 120, "reacted": 30, "healed": 30, "deleted": 60, "quiet": 2, "settled": 15, "stable": 4}
"""Without a fault nothing waits in vain, however busy the machine is."""
FAULTY: Seconds = {"available": 60, "reacted": 15, "healed": 15, "deleted": 30, "quiet": 15, "settled": 8, "stable": 15}
"""A fault shows before nothing has happened for long; what never comes is not waited for for long."""
RUN_SECONDS = 600.0
"""Patience with a whole run on a busy machine; alone it takes a minute or two."""


@dataclass(frozen=True)
class Outcome:
    verdict: str
    """passed, failed, error (of a fixture) or skipped."""
    said: str


@dataclass(frozen=True)
class Report:
    outcomes: dict[str, Outcome]
    """By name of the test, parameters included."""
    output: str

    def of(self, check: str) -> Outcome:
        """Of the test whose name begins like this."""
        found = [outcome for name, outcome in self.outcomes.items() if name.startswith(check)]
        assert len(found) == 1, f"{check}: {sorted(self.outcomes)}\n{self.output}"
        return found[0]


def profile(fault: str, namespace: str, seconds: Seconds, **different: Any) -> dict[str, Any]:
    return {
        "infrastructure": "FakeCluster.infrastructure.cluster.x-k8s.io",
        "controlPlane": "FakeControlPlane.controlplane.cluster.x-k8s.io",
        "templates": ["FakeClusterTemplate.infrastructure.cluster.x-k8s.io"],
        "template": str(TEMPLATE),
        "variables": {"FAULT": fault},
        "namespace": namespace,
        "name": "c",
        "seconds": seconds,
        **different,
    }


def run(folder: Path, given: dict[str, Any], flags: Sequence[str], environ: dict[str, str], tests: Sequence[str]) -> Report:
    folder.mkdir(parents=True, exist_ok=True)
    path, junit = folder / "profile.yaml", folder / "junit.xml"
    path.write_text(yaml.safe_dump(given))
    argv = [sys.executable, "-m", "capi_conformance", f"--profile={path}", *flags, "-q", f"--junitxml={junit}", *tests]
    environ = {**environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    assert junit.exists(), done.stdout + done.stderr
    return Report(_outcomes(junit), done.stdout + done.stderr)


def _outcomes(junit: Path) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for case in ET.parse(junit).getroot().iter("testcase"):  # noqa: S314 - our own pytest wrote it
        outcome = Outcome("passed", "")
        for verdict, tag in (("failed", "failure"), ("error", "error"), ("skipped", "skipped")):
            if (element := case.find(tag)) is not None and outcome.verdict == "passed":
                outcome = Outcome(verdict, f"{element.get('message')}\n{element.text}")
        known = found.get(case.attrib["name"])
        found[case.attrib["name"]] = outcome if known is None or known.verdict == "passed" else known
    return found
