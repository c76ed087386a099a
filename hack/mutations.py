"""Checks the tests of faults themselves: a bug is put into a copy of the tree, and a test of a fault must turn red.

    python -m hack.mutations [NAME...]

Each bug is one of those that this kind of program is known for. It is an exact replacement of text, so that it fails loudly when the code
it is about moves (tests/unit/hack/test_mutations.py checks that without a run). Without a bug the same tests must pass: red says nothing
otherwise. Nothing here touches the checkout: all runs are in a copy.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hack.reliability import FAULT

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ["provider", "hack", "tests", "config", "pyproject.toml"]
"""What the runs need of the checkout."""
LONGEST_TEST, LONGEST_RUN = 60, 600
"""Seconds. A test that a bug makes hang is red."""
HANGS = ["-o", "timeout_method=signal", f"--timeout={LONGEST_TEST}"]
"""By signal, pytest lives on and reports; the other method ends it."""
CRASHES = "tests/unit/reconcile/test_crashes.py"
CLAIMS = "tests/unit/reconcile/test_claims.py"
LIFE = "tests/unit/reconcile/test_kindcluster.py"
OWNERSHIP = "tests/unit/reconcile/test_ownership.py"
KIND = "tests/component/kind/test_runtime.py"


class Mutation(NamedTuple):
    """One bug: `old`, found once in `file`, becomes `new`; `tests` are the arguments of pytest that have to find it."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTATIONS = [
    Mutation(
        "finalizer late",
        "provider/reconcile/claim.py",
        "    if FINALIZER not in finalizers:\n",
        "    if FINALIZER not in finalizers and scope.provisioned:\n",
        (LIFE, f"{CRASHES}::test_a_kill_at_any_effect_of_making_ends_as_the_undisturbed_run"),
    ),
    Mutation(
        "two creates of one name",
        "provider/reconcile/claim.py",
        "    if holder is not None and holder != claim.key:\n        return str(holder)\n",
        "",
        (CLAIMS, "-k", "holds_the_name"),
    ),
    Mutation(
        "delete by name",
        "provider/adapters/kind/ownership.py",
        "    return owned(listing.clusters.get(identity.cluster_name, ()), identity)\n",
        "    return list(listing.clusters.get(identity.cluster_name, ()))\n",
        (KIND, "-k", "foreign or mixed"),
    ),
    Mutation(
        "error is absence (delete)",
        "provider/reconcile/delete.py",
        "        return Deletion(Blocked(Reason.DELETE_BLOCKED, message, UNKNOWN_RETRY), seen=seen)\n",
        "        return Deletion(None, seen=seen)\n",
        (LIFE,),
    ),
    Mutation(
        "error is absence (create)",
        "provider/reconcile/plan.py",
        "    if observation.presence is Presence.UNKNOWN:\n"
        "        return Blocked(observation.reason or Reason.ENGINE_UNREACHABLE, observation.detail, UNKNOWN_RETRY)\n",
        "",
        (LIFE,),
    ),
    Mutation(
        "no timeout",
        "provider/controller/controller.py",
        "            async with asyncio.timeout(self.timeout):\n",
        "            async with asyncio.timeout(None):\n",
        ("tests/unit/controller/test_controller.py",),
    ),
    Mutation(
        "a failed removal releases",
        "provider/reconcile/delete.py",
        "        return Deletion(Blocked(Reason.DELETE_BLOCKED, failure, COOLDOWN), seen=seen)\n",
        "        return Deletion(None, seen=seen)\n",
        (LIFE,),
    ),
    Mutation(
        "filter on delete",
        "provider/reconcile/kindcluster.py",
        "            return await self._delete(scope)\n",
        "            return await self._delete(scope) if scope.provisioned else Result()\n",
        (LIFE, OWNERSHIP),
    ),
    Mutation(
        "secret in the log",
        "provider/observability/logformat.py",
        '            "msg": redact(record.getMessage()),\n',
        '            "msg": record.getMessage(),\n',
        ("tests/unit/observability/test_logformat.py",),
    ),
    Mutation(
        "adopt a foreign cluster (plan)",
        "provider/reconcile/plan.py",
        "    if observation.ownership is Ownership.FOREIGN:\n"
        "        return Blocked(Reason.NAME_CONFLICT, observation.detail, FOREIGN_RETRY)\n",
        "",
        (LIFE,),
    ),
    Mutation(
        "adopt a foreign cluster (kind)",
        "provider/adapters/kind/ownership.py",
        "    own = owned(found, identity)\n",
        "    own = list(found)\n",
        (KIND, "-k", "foreign or mixed"),
    ),
]


class Stale(Exception):
    """The text to replace is not found exactly once."""


def mutated(mutation: Mutation, root: Path = ROOT) -> str:
    """The file's text with the bug in it. Raises Stale."""
    text = (root / mutation.file).read_text()
    if (times := text.count(mutation.old)) != 1:
        raise Stale(f"{mutation.name}: the text to replace is found {times} times in {mutation.file}, not once")
    return text.replace(mutation.old, mutation.new)


def red(report: Path) -> list[str]:
    """Tests of faults that failed, with the rows they belong to, in a JUnit file (tests/conftest.py writes the rows into it)."""
    found: dict[str, set[int]] = {}
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - our own pytest wrote it
        rows = {int(entry.get("value", "")) for entry in case.iter("property") if entry.get("name") == FAULT}
        if rows and case.find("failure") is not None:
            found.setdefault(case.get("name", "").split("[")[0].removeprefix("test_"), set()).update(rows)
    return [f"{', '.join(map(str, sorted(rows)))}: {name}" for name, rows in found.items()]


def run(copy: Path, tests: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether all passed, and which tests of faults did not. Raises subprocess.TimeoutExpired."""
    report = copy / "junit.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *HANGS, f"--junitxml={report}", *tests]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=LONGEST_RUN, check=False)
    if done.returncode not in (0, 1) or not report.exists():  # 0: all passed, 1: some failed
        raise RuntimeError(f"pytest ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == 0, red(report)


def check(mutation: Mutation, copy: Path) -> list[str]:
    """The tests that find the bug. Raises Stale."""
    file = copy / mutation.file
    whole = file.read_text()
    file.write_text(mutated(mutation, copy))
    try:
        return run(copy, mutation.tests)[1]
    except subprocess.TimeoutExpired:
        return []
    finally:
        file.write_text(whole)


def make_copy(folder: Path) -> None:
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, folder / name)


def main(names: list[str]) -> int:
    chosen = [one for one in MUTATIONS if not names or one.name in names]
    missed = []
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        copy = Path(folder)
        make_copy(copy)
        for tests in dict.fromkeys(one.tests for one in chosen):
            passed, failed = run(copy, tests)
            if not passed:
                print(f"fails without any bug: {' '.join(tests)}\n" + "\n".join(failed), file=sys.stderr)
                return 1
        print("bug | fault rows: tests that found it\n--- | ---")
        for one in chosen:
            found = check(one, copy)
            print(f"{one.name} | {'; '.join(found) or 'NONE'}", flush=True)
            missed += [] if found else [one.name]
    if missed:
        print(f"no test of a fault finds: {', '.join(missed)}", file=sys.stderr)
    return int(bool(missed) or not chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
