"""hack.reliability: the fault table is complete, and its check finds what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack import reliability
from hack.faults import FAULTS
from hack.reliability import Mark

REPORT = """<testsuites><testsuite>
<testcase name="a"><properties><property name="fault" value="1"/><property name="figure:kills" value="3"/></properties></testcase>
<testcase name="b"><properties><property name="fault" value="1"/><property name="figure:kills" value="4"/></properties><failure/></testcase>
<testcase name="c"><properties><property name="fault" value="1"/></properties><skipped message="no engine"/></testcase>
<testcase name="d"/>
</testsuite></testsuites>"""


@pytest.fixture(scope="module")
def marks() -> list[Mark]:
    """Of all tests; read once, as that takes most of a second."""
    return reliability.marks()


def test_every_fault_has_a_test_or_a_reason(marks: list[Mark]) -> None:
    """The check that `make verify` runs."""
    assert [] == reliability.problems(marks)


@pytest.mark.parametrize("number", [number for number, fault in FAULTS.items() if not fault.untested])
def test_a_fault_that_loses_its_tests_is_found(number: int, marks: list[Mark]) -> None:
    """Nobody removes a row by removing its test."""
    left = [mark for mark in marks if mark.number != number]

    assert [f"fault {number} has neither a test nor a reason"] == reliability.problems(left)


@pytest.mark.parametrize(
    "mark", [Mark(99, "how", ("I1",), "f", "t"), Mark(1, "how", ("I99",), "f", "t"), Mark(1, "how", (), "f", "t")]
)
def test_a_mark_of_nothing_is_found(mark: Mark, marks: list[Mark]) -> None:
    """A row or an invariant that does not exist, or no invariant at all."""
    assert len(reliability.problems([*marks, mark])) == 1


def test_reports_are_counted_by_row(tmp_path: Path) -> None:
    """Runs by outcome, numbers added up, reasons of skips kept; another record of the same tier replaces the first."""
    report = tmp_path / "junit-unit.xml"
    report.write_text(REPORT)

    once = reliability.record([report], {})
    assert {"passed": 1, "failed": 1, "skipped": 1, "figures": {"kills": 7}} == once["rows"]["1"]["unit"]
    assert {"no engine": 1} == once["skips"]
    assert once == reliability.record([report], once)
