"""Runs tiers of checks side by side and counts honestly: what passed, what failed, what was skipped and why.

    python -m hack.tiers TIER... [-- PYTEST-ARGUMENT...]

The unit tier, if named, comes first and has every core; when it fails, tiers that need tools are not started. The others share a few
lanes, in the order in which they are named; one that needs tools starts as soon as they are there. The output of each is shown when it is
over. A tool that cannot be had skips the tests that need it, with the reason; it fails nothing. Tier `coverage` measures those tiers that
it demands.
"""

from __future__ import annotations

import collections
import functools
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from hack import lanes
from hack.tools import acquire, cache, components

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out"
UNIT_TEST_SECONDS = 60
COVERAGE_PERCENT = 90
LANES = 3
"""Tiers that run side by side: more than there are cores, because most of them mostly wait for processes."""
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
    workers: int = 0
    """Processes that share the tests (pytest-xdist), a file at a time unless the tier is `even`; 0: pytest itself runs them."""
    even: bool = False
    """Any worker may take any test: nothing that a file's tests share costs much."""
    measured: bool = False
    """Tier `coverage` demands it."""


TIERS = {
    "unit": Tier(folders=("tests/unit", "tests/style"), workers=2, even=True, measured=True),
    "component": Tier(folders=("tests/component",), workers=2, even=True, measured=True),
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
    "contract": Tier(folders=("tests/contract",), needs_tools=True, measured=True),
    "envtest": Tier(folders=("tests/envtest",), needs_tools=True, measured=True),
    "local": Tier(folders=("tests/local",), needs_tools=True, measured=True),
    "capi": Tier(folders=("tests/capi",), needs_tools=True, sets=("basic", "capi"), workers=2),
    "conformance": Tier(folders=("conformance/capi_conformance/checks",), needs_tools=True, sets=("basic", "capi")),
    "conformance-selftest": Tier(folders=("conformance/selftest",), needs_tools=True, sets=("basic", "capi")),
    "e2e": Tier(folders=("tests/e2e",), needs_tools=True, workers=2),
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
    measured = "coverage" in names
    if measured:
        subprocess.run([sys.executable, "-m", "coverage", "erase"], cwd=ROOT, check=False)
    results: list[Result] = []
    if "unit" in names:
        results += [_run(job, extra, measured=measured) for job in _jobs("unit")]
    failed = any(result.bad for result in results)
    results += _side_by_side(
        [name for name in names if name not in ("unit", "coverage")], extra, failed=failed, measured=measured
    )
    if measured:
        results.append(_timed(Job("coverage", TIERS["coverage"]), lambda: _coverage(results)))
    print(_summary(results))
    return 1 if any(result.bad for result in results) else 0


@dataclass(frozen=True)
class Job:
    """A tier's tests, or one of its commands; `label` is its name in the summary."""

    label: str
    tier: Tier
    command: tuple[str, ...] = ()


def _jobs(name: str) -> Iterator[Job]:
    tier = TIERS[name]
    if tier.folders:
        yield Job(name, tier)
    for label, command in tier.commands.items():
        yield Job(label, tier, command)


def _side_by_side(names: Sequence[str], extra: Sequence[str], *, failed: bool, measured: bool) -> list[Result]:
    """`failed`: the unit tier has."""
    jobs = [job for name in names for job in _jobs(name)]
    shown = len(jobs) == 1  # nothing else speaks meanwhile
    with ThreadPoolExecutor(1) as fetching:
        tools = {
            sets: fetching.submit(_tools, sets)
            for sets in sorted({job.tier.sets for job in jobs if job.tier.needs_tools}, key=len)
            if not failed
        }

        def piece(job: Job) -> lanes.Piece[Result]:
            if job.tier.needs_tools and failed:
                return lanes.Piece(lambda: Result(job.label, "not run", reasons=collections.Counter(["the unit tier failed"])))
            got = tools[job.tier.sets] if job.tier.needs_tools else None
            run = functools.partial(_run if shown else _logged, job, extra, measured=measured, tools=got)
            return lanes.Piece(run, after=got)

        results = lanes.run([piece(job) for job in jobs], LANES)
    if problems := "; ".join(dict.fromkeys(filter(None, (got.result().problems for got in tools.values())))):
        results.append(Result("tools", "missing", reasons=collections.Counter([problems])))
    return results


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return list(arguments[:at]), list(arguments[at + 1 :])


@dataclass(frozen=True)
class Tools:
    path: str
    """PATH of what uses them."""
    problems: str
    """What could not be had, in words."""


def _tools(sets: tuple[str, ...]) -> Tools:
    """Get all tools of these sets. On PATH, $E2E_BIN comes first, then the folder of the tools."""
    given = [folder for folder in (os.environ.get("E2E_BIN"),) if folder]
    means = acquire.Means.of_this_machine(os.pathsep.join([*given, os.environ["PATH"]]))
    problems = [acquire.all_of(means, *sets)]
    if "capi" in sets:
        problems.append(components.acquire(means))
    path = os.pathsep.join([*given, str(cache.bin_folder()), os.environ["PATH"]])
    return Tools(path, "; ".join(filter(None, problems)))


def _logged(job: Job, extra: Sequence[str], *, measured: bool, tools: Future[Tools] | None) -> Result:
    """Its output goes to a file and is shown when it is over, in one piece."""
    log = OUT / f"{job.label.replace(' ', '-')}.log"
    with log.open("w") as output:
        result = _run(job, extra, measured=measured, tools=tools, output=output)
    print(f"\n--- {job.label}: {result.verdict} after {result.seconds:.0f} s ---\n{log.read_text()}", flush=True)
    return result


def _run(
    job: Job, extra: Sequence[str], *, measured: bool, tools: Future[Tools] | None = None, output: IO[str] | None = None
) -> Result:
    environ = {**os.environ, **({"PATH": tools.result().path} if tools else {})}

    def start(argv: Sequence[str | Path]) -> int:
        stderr = subprocess.STDOUT if output else None
        return subprocess.run(argv, cwd=ROOT, env=environ, check=False, stdout=output, stderr=stderr).returncode

    if job.command:
        return _timed(job, lambda: _command(job.command, start))
    return _timed(job, lambda: _tests(job, extra, start, measured=measured and job.tier.measured))


def _timed(job: Job, work: Callable[[], Result]) -> Result:
    print(f"\n--- {job.label} ---", flush=True)
    began = time.monotonic()
    result = work()
    result.tier, result.seconds = job.label, time.monotonic() - began
    return result


Start = Callable[[Sequence[str | Path]], int]
"""Runs a command and returns its exit code."""


def _command(command: Sequence[str], start: Start) -> Result:
    code = start([Path(sys.executable).parent / command[0], *command[1:]])
    return Result("", "passed" if code == 0 else "failed")


def _tests(job: Job, extra: Sequence[str], start: Start, *, measured: bool) -> Result:
    report = OUT / f"junit-{job.label}.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", *(("coverage", "run", "--parallel-mode", "-m") if measured else ()), "pytest", "-q"]
    if job.label == "unit":
        command.append(f"--timeout={UNIT_TEST_SECONDS}")
    if job.tier.workers:
        command += [f"--numprocesses={job.tier.workers}", f"--dist={'worksteal' if job.tier.even else 'loadfile'}"]
    code = start([*command, f"--junitxml={report}", *job.tier.folders, *extra])
    if code == NO_TESTS:
        return Result("", "skipped", reasons=collections.Counter(["no tests selected"]))
    if not report.exists():
        return Result("", "failed", reasons=collections.Counter([f"pytest ended with {code} and without a report"]))
    return count(report, code)


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
    complete = {result.tier for result in earlier if result.verdict == "passed"}
    incomplete = [name for name, tier in TIERS.items() if tier.measured and name not in complete]
    subprocess.run([sys.executable, "-m", "coverage", "combine", "--quiet"], cwd=ROOT, check=False)
    limit = [] if incomplete else [f"--fail-under={COVERAGE_PERCENT}"]
    done = subprocess.run([sys.executable, "-m", "coverage", "report", *limit], cwd=ROOT, check=False)
    if incomplete:
        return Result("", "skipped", reasons=collections.Counter([f"no limit demanded, incomplete: {', '.join(incomplete)}"]))
    return Result("", "passed" if done.returncode == 0 else "failed")


def _summary(results: Sequence[Result]) -> str:
    lines = ["", f"{'tier':<20} {'result':<8} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}"]
    for result in results:
        numbers = [f"{result.counts[key]}" if key in result.counts else "" for key in ("passed", "failed", "skipped")]
        lines.append(
            f"{result.tier:<20} {result.verdict:<8} {numbers[0]:>7} {numbers[1]:>7} {numbers[2]:>8} {result.seconds:>8.1f}"
        )
        lines += [f"    {times} x {reason}" for reason, times in result.reasons.most_common()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
