"""The summary of the tiers counts honestly."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack import tiers

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


def test_an_unknown_tier_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A typing error must not look like a passed run."""
    assert 2 == tiers.main(["units"])
    assert "no such tier: units" in capsys.readouterr().err
