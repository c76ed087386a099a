"""Runs tiers of checks one after the other and counts honestly: what passed, what failed, what was skipped and why.

    python -m hack.tiers TIER... [-- PYTEST-ARGUMENT...]

Cheap tiers come first, as they are named; when the unit tier fails, tiers that need tools are not started. A tool that cannot be had
skips the tests that need it, with the reason; it fails nothing. Tier `coverage`, named last, measures the tiers before it.
"""

from __future__ import annotations

import collections
import functools
import itertools
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from hack.tools import acquire, cache, components

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out"
UNIT_TEST_SECONDS = 30
COVERAGE_PERCENT = 90
LANES = 2
"""Tiers that run side by side."""
NO_TESTS = 5
"""pytest.ExitCode.NO_TESTS_COLLECTED."""


@dataclass
class Result:
    """One line of the summary. `counts` is empty for a check that counts nothing."""

    tier: str
    verdict: str
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    reasons: collections.Counter[str] = field(default_factory=collections.Counter)

    @property
    def bad(self) -> bool:
        return self.verdict in ("failed", "not run")


@dataclass(frozen=True)
class Tier:
    """Either tests (their folders) or commands of the virtual environment, by the name they get in the summary."""

    folders: tuple[str, ...] = ()
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    needs_tools: bool = False
    sets: tuple[str, ...] = ("basic",)
    """Which sets of tools (hack/tools/pins.py)."""


TIERS = {
    "unit": Tier(folders=("tests/unit", "tests/style")),
    "component": Tier(folders=("tests/component",)),
    "static": Tier(
        commands={
            "lint": ("ruff", "check", "."),
            "format": ("ruff", "format", "--check", "."),
            "types": ("mypy",),
            "layers": ("lint-imports",),
        }
    ),
    "generated": Tier(
        commands={
            "CRDs": ("python", "-m", "hack.crdgen", "--check"),
            "roles": ("python", "-m", "hack.rbac", "--check"),
            "reference pages": ("python", "-m", "hack.reference", "--check"),
            "fault table": ("python", "-m", "hack.reliability", "--check"),
        }
    ),
    "contract": Tier(folders=("tests/contract",), needs_tools=True),
    "envtest": Tier(folders=("tests/envtest",), needs_tools=True),
    "local": Tier(folders=("tests/local",), needs_tools=True),
    "capi": Tier(folders=("tests/capi",), needs_tools=True, sets=("basic", "capi")),
    "conformance": Tier(folders=("conformance/capi_conformance/checks",), needs_tools=True, sets=("basic", "capi")),
    "conformance-selftest": Tier(folders=("conformance/selftest",), needs_tools=True, sets=("basic", "capi")),
    "e2e": Tier(folders=("tests/e2e",), needs_tools=True),
    "kills": Tier(folders=("tests/kills",), needs_tools=True),
    "hostile": Tier(folders=("tests/envtest/hostile",), needs_tools=True),
    "coverage": Tier(),
}


def main(arguments: Sequence[str]) -> int:
    names, extra = _split(arguments)
    if unknown := [name for name in names if name not in TIERS]:
        print(f"no such tier: {', '.join(unknown)}; there are {', '.join(TIERS)}", file=sys.stderr)
        return 2
    OUT.mkdir(exist_ok=True)
    if "coverage" in names:
        subprocess.run([sys.executable, "-m", "coverage", "erase"], cwd=ROOT, check=False)
    results: list[Result] = []
    missing: dict[tuple[str, ...], str] = {}
    measured = "coverage" in names
    for needs_tools, group in itertools.groupby(names, key=lambda name: TIERS[name].needs_tools):
        if needs_tools and any(result.bad for result in results if result.tier == "unit"):
            results += [Result(name, "not run", reasons=collections.Counter(["the unit tier failed"])) for name in group]
        elif needs_tools:
            results += _with_tools(list(group), extra, missing, measured=measured)
        else:
            for name in group:
                results += _run(name, TIERS[name], extra, measured=measured, earlier=results)
    print(_summary(results, "; ".join(dict.fromkeys(filter(None, missing.values())))))
    return 1 if any(result.bad for result in results) else 0


def _with_tools(names: list[str], extra: Sequence[str], missing: dict[tuple[str, ...], str], *, measured: bool) -> list[Result]:
    """Tiers that mostly wait for processes run side by side; each one's output is shown when it is over."""
    for tier in (TIERS[name] for name in names):
        if tier.sets not in missing:
            missing[tier.sets] = _tools(tier.sets)
    if len(names) == 1:
        return _run(names[0], TIERS[names[0]], extra, measured=measured, earlier=[])

    def run(name: str) -> Result:
        log = OUT / f"{name}.log"
        with log.open("w") as output:
            result = _timed(name, lambda: _tests(name, TIERS[name], extra, measured=measured, output=output))
        print(f"\n--- {name}: output ---\n{log.read_text()}", flush=True)
        return result

    with ThreadPoolExecutor(LANES) as lanes:
        return list(lanes.map(run, names))


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return list(arguments[:at]), list(arguments[at + 1 :])


def _tools(sets: tuple[str, ...]) -> str:
    """Get all tools of these sets; what could not be had, in words.

    PATH gets their folder (and $E2E_BIN before it), so that children find them.
    """
    given = os.environ.get("E2E_BIN")
    os.environ["PATH"] = os.pathsep.join([*([given] if given else []), os.environ["PATH"]])
    problems = [acquire.all_of(*sets)]
    if "capi" in sets:
        problems.append(components.acquire(acquire.Means.of_this_machine()))
    os.environ["PATH"] = os.pathsep.join([*([given] if given else []), str(cache.bin_folder()), os.environ["PATH"]])
    return "; ".join(filter(None, problems))


def _run(name: str, tier: Tier, extra: Sequence[str], *, measured: bool, earlier: Sequence[Result]) -> list[Result]:
    if name == "coverage":
        return [_timed("coverage", lambda: _coverage(earlier))]
    if tier.folders:
        return [_timed(name, lambda: _tests(name, tier, extra, measured=measured))]
    return [_timed(label, functools.partial(_command, command)) for label, command in tier.commands.items()]


def _timed(name: str, work: Callable[[], Result]) -> Result:
    print(f"\n--- {name} ---", flush=True)
    began = time.monotonic()
    result = work()
    result.tier, result.seconds = name, time.monotonic() - began
    return result


def _command(command: Sequence[str]) -> Result:
    done = subprocess.run([Path(sys.executable).parent / command[0], *command[1:]], cwd=ROOT, check=False)
    return Result("", "passed" if done.returncode == 0 else "failed")


def _tests(name: str, tier: Tier, extra: Sequence[str], *, measured: bool, output: IO[str] | None = None) -> Result:
    report = OUT / f"junit-{name}.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", *(("coverage", "run", "--parallel-mode", "-m") if measured else ()), "pytest", "-q"]
    limit = [f"--timeout={UNIT_TEST_SECONDS}"] if name == "unit" else []
    argv = [*command, *limit, f"--junitxml={report}", *tier.folders, *extra]
    done = subprocess.run(argv, cwd=ROOT, check=False, stdout=output, stderr=subprocess.STDOUT if output else None)
    if done.returncode == NO_TESTS:
        return Result("", "skipped", reasons=collections.Counter(["no tests selected"]))
    if not report.exists():
        return Result("", "failed", reasons=collections.Counter([f"pytest ended with {done.returncode} and without a report"]))
    return count(report, done.returncode)


def count(report: Path, exit_code: int) -> Result:
    """What a JUnit file of pytest says. Skipped only is "skipped"; an exit code other than 0 is never "passed"."""
    suite = ET.parse(report).getroot().find("testsuite")  # noqa: S314 - our own pytest wrote it
    assert suite is not None
    total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    reasons = collections.Counter(element.get("message", "") for element in suite.iter("skipped"))
    verdict = "failed" if failed or exit_code else "skipped" if skipped == total else "passed"
    return Result("", verdict, counts={"passed": total - failed - skipped, "failed": failed, "skipped": skipped}, reasons=reasons)


def _coverage(earlier: Sequence[Result]) -> Result:
    """Demands the percentage only when every tier that adds to it has run."""
    incomplete = [
        result.tier for result in earlier if result.tier in ("unit", "component", "envtest") and result.verdict != "passed"
    ]
    subprocess.run([sys.executable, "-m", "coverage", "combine", "--quiet"], cwd=ROOT, check=False)
    limit = [] if incomplete else [f"--fail-under={COVERAGE_PERCENT}"]
    done = subprocess.run([sys.executable, "-m", "coverage", "report", *limit], cwd=ROOT, check=False)
    if incomplete:
        return Result("", "skipped", reasons=collections.Counter([f"no limit demanded, incomplete: {', '.join(incomplete)}"]))
    return Result("", "passed" if done.returncode == 0 else "failed")


def _summary(results: Sequence[Result], missing: str) -> str:
    lines = ["", f"{'tier':<20} {'result':<8} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}"]
    for result in results:
        numbers = [f"{result.counts[key]}" if key in result.counts else "" for key in ("passed", "failed", "skipped")]
        lines.append(
            f"{result.tier:<20} {result.verdict:<8} {numbers[0]:>7} {numbers[1]:>7} {numbers[2]:>8} {result.seconds:>8.1f}"
        )
        lines += [f"    {times} x {reason}" for reason, times in result.reasons.most_common()]
    return "\n".join([*lines, *([f"tools that could not be had: {missing}"] if missing else [])])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
