"""The summary of the tiers counts honestly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hack import tiers
from hack.tiers import Tier

SUITE = '<testsuite tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}">{cases}</testsuite>'
REPORT = f"<testsuites>{SUITE}</testsuites>"
SKIPPED = '<testcase><skipped message="no engine"/></testcase>'


def report(folder: Path, *, tests: int, failures: int = 0, errors: int = 0, skipped: int = 0) -> Path:
    path = folder / "junit.xml"
    path.write_text(REPORT.format(tests=tests, failures=failures, errors=errors, skipped=skipped, cases=SKIPPED * skipped))
    return path


@pytest.mark.parametrize(
    ("numbers", "exit_code", "verdict"),
    [
        ({"tests": 3}, 0, "passed"),
        ({"tests": 3, "skipped": 1}, 0, "passed"),
        ({"tests": 3, "skipped": 3}, 0, "skipped"),
        ({"tests": 3, "failures": 1}, 1, "failed"),
        ({"tests": 3, "errors": 1}, 1, "failed"),
        ({"tests": 3}, 2, "failed"),
        ({"tests": 3, "skipped": 3}, 3, "failed"),
    ],
)
def test_a_tier_is_called_what_it_is(tmp_path: Path, numbers: dict[str, int], exit_code: int, verdict: str) -> None:
    """A tier whose tests were all skipped did not pass; one that pytest could not finish did neither."""
    assert verdict == tiers.count(report(tmp_path, **numbers), exit_code).verdict


def test_reasons_of_skipped_tests_are_counted(tmp_path: Path) -> None:
    """Each reason appears once, with how many tests it concerns."""
    result = tiers.count(report(tmp_path, tests=3, failures=1, skipped=2), 1)

    assert {"passed": 0, "failed": 1, "skipped": 2} == result.counts
    assert {"no engine": 2} == result.reasons


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tier]:
    """The tiers that there are; a test fills them."""
    offered: dict[str, Tier] = {}
    monkeypatch.setattr(tiers, "TIERS", offered)
    monkeypatch.setattr(tiers, "OUT", tmp_path)
    return offered


def says(name: str, code: int = 0) -> dict[str, tuple[str, ...]]:
    """A command that writes `said NAME` and ends like this."""
    return {name: ("python", "-c", f"print('said', '{name}'); raise SystemExit({code})")}


def test_a_failed_unit_tier_stops_what_needs_tools_and_nothing_else(
    offered: dict[str, Tier], capfd: pytest.CaptureFixture[str]
) -> None:
    """It is cheap to know first; what it keeps from running is said."""
    offered |= {
        "unit": Tier(commands=says("unit", 1)),
        "slow": Tier(commands=says("slow"), needs_tools=True),
        "cheap": Tier(commands=says("cheap")),
    }

    assert 1 == tiers.main(["unit", "slow", "cheap"])

    shown = capfd.readouterr().out
    assert re.search(r"^slow +not run .*\n +1 x the unit tier failed$", shown, re.MULTILINE)
    assert re.search(r"^cheap +passed", shown, re.MULTILINE)
    assert "said cheap" in shown and "said slow" not in shown


def test_each_tier_shows_what_it_said_in_one_piece(offered: dict[str, Tier], capfd: pytest.CaptureFixture[str]) -> None:
    """They run side by side; the summary keeps the order in which they were named, and one that failed fails all."""
    offered |= {"one": Tier(commands=says("one", 1)), "two": Tier(commands=says("two"))}

    assert 1 == tiers.main(["one", "two"])

    shown = capfd.readouterr().out
    assert re.search(r"--- one: failed after \d+ s ---\nsaid one\n", shown)
    assert re.search(r"--- two: passed after \d+ s ---\nsaid two\n", shown)
    assert re.search(r"^one +failed .*\ntwo +passed", shown, re.MULTILINE)


def test_an_unknown_tier_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error must not look like a passed run."""
    assert 2 == tiers.main(["units"])
    assert "no such tier: units" in capsys.readouterr().err
