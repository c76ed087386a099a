"""Writes docs/reference/reliability.md: each fault with the tests that make it, and what their last runs counted.

    python -m hack.reliability [--check | --record]

Which test makes which fault stands on the test: `@pytest.mark.fault(12, "SIGSTOP of etcd", invariants="I1 I8")`. Marks are read from
the source, so that the check needs no run. Counts come from the JUnit files of `hack.tiers` (out/junit-*.xml), into which tests/conftest.py
writes the row of each test; `--record` puts them into docs/reference/reliability.json, where they stay until the next record.
`--check` writes nothing; it fails when the page is stale or a fault has neither a test nor a reason.
"""

from __future__ import annotations

import ast
import collections
import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from hack.faults import FAULTS, INVARIANTS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "reliability.md"
FIGURES = PAGE.with_suffix(".json")
FAULT, FIGURE = "fault", "figure:"
"""Properties of a test case in a JUnit file: a row it belongs to; a number it counted."""

TEMPLATE = """\
# What has been broken on purpose

Each fault is made by the tests named below, which check the invariants beside it. Counts are of the last recorded runs (`make
reliability`), one run for each test case; a test of the kind "at every point" is one run and says under *figures* how many points it had.

| invariant | |
|---|---|
{% for name, text in invariants.items() -%}
| {{ name }} | {{ text }} |
{% endfor %}
## Faults

| # | fault | how it is made | invariants | tests | runs | passed | skipped | figures |
|---|---|---|---|---|---|---|---|---|
{% for row in rows -%}
| {{ row.cells | join(" | ") }} |
{% endfor %}
{% if untested %}
Not made by any test:
{% for row in untested %}
- {{ row.number }}, {{ row.fault.text }}: {{ row.fault.untested }}.
{%- endfor %}
{% endif %}
{%- if skips %}
Skipped in the recorded runs:
{% for reason, times in skips.items() %}
- {{ times }} x {{ reason }}
{%- endfor %}
{% endif %}
## Tests

{% for row in rows if row.marks -%}
{{ row.number }}. {{ row.fault.text }}:
{% for place, names in row.places.items() %}
    - `{{ place }}`: {{ names | join(", ") }}
{%- endfor %}
{% endfor -%}
"""


class Mark(NamedTuple):
    """One `pytest.mark.fault` on one test."""

    number: int
    how: str
    invariants: tuple[str, ...]
    file: str
    test: str


class Row(NamedTuple):
    """One line of the table."""

    number: int
    marks: list[Mark]
    recorded: dict[str, Any]

    @property
    def fault(self) -> Any:
        return FAULTS[self.number]

    @property
    def how(self) -> str:
        return "; ".join(dict.fromkeys(mark.how for mark in self.marks)) or f"not made: {self.fault.untested}"

    @property
    def invariants(self) -> str:
        return " ".join(sorted({name for mark in self.marks for name in mark.invariants}, key=lambda name: int(name[1:])))

    @property
    def places(self) -> dict[str, list[str]]:
        places: dict[str, list[str]] = {}
        for mark in self.marks:
            places.setdefault(mark.file, []).append(mark.test.removeprefix("test_"))
        return places

    @property
    def cells(self) -> list[object]:
        counts = [len(self.marks), self.runs, self.passed, self.skipped]
        return [self.number, self.fault.text, self.how, self.invariants, *counts, self.figures]

    @property
    def runs(self) -> int:
        return int(self._sum("passed") + self._sum("failed") + self._sum("skipped"))

    @property
    def passed(self) -> int:
        return self._sum("passed")

    @property
    def skipped(self) -> int:
        return self._sum("skipped")

    @property
    def figures(self) -> str:
        known = {name: value for tier in self.recorded.values() for name, value in tier["figures"].items()}
        return ", ".join(f"{name} {value}" for name, value in sorted(known.items()))

    def _sum(self, outcome: str) -> int:
        return sum(int(tier[outcome]) for tier in self.recorded.values())


def marks() -> list[Mark]:
    """All marks of the tests, by row, file and line."""
    found = [mark for path in sorted((ROOT / "tests").rglob("test_*.py")) for mark in _marks_of(path)]
    return sorted(found, key=lambda mark: mark.number)


def _marks_of(path: Path) -> Iterator[Mark]:
    for node in ast.parse(path.read_text()).body:
        for decorator in getattr(node, "decorator_list", []):
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault":
                number, how = (ast.literal_eval(argument) for argument in decorator.args)
                invariants = next(ast.literal_eval(word.value) for word in decorator.keywords if word.arg == "invariants")
                yield Mark(number, how, tuple(invariants.split()), str(path.relative_to(ROOT)), node.name)  # type: ignore[attr-defined]


def problems(found: list[Mark]) -> list[str]:
    """A fault without test or reason, or with both; a mark of a row or an invariant that does not exist."""
    made = {mark.number for mark in found}
    without = [number for number, fault in FAULTS.items() if number not in made and not fault.untested]
    both = [number for number, fault in FAULTS.items() if number in made and fault.untested]
    odd = [
        mark
        for mark in found
        if mark.number not in FAULTS or not mark.invariants or not set(mark.invariants) <= INVARIANTS.keys()
    ]
    return [
        *(f"fault {number} has neither a test nor a reason" for number in without),
        *(f"fault {number} has a test: remove its reason" for number in both),
        *(f"{mark.file}: {mark.test}: no such fault or invariant, or no invariant" for mark in odd),
    ]


def page(found: list[Mark], figures: dict[str, Any]) -> str:
    rows = [
        Row(number, [mark for mark in found if mark.number == number], figures.get("rows", {}).get(str(number), {}))
        for number in FAULTS
    ]
    render = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False).from_string  # noqa: S701 - Markdown
    return render(TEMPLATE).render(
        invariants=INVARIANTS, rows=rows, untested=[row for row in rows if not row.marks], skips=figures.get("skips", {})
    )


def record(reports: list[Path], figures: dict[str, Any]) -> dict[str, Any]:
    """The figures, with those of the tiers that have a report replaced."""
    rows: dict[str, Any] = figures.get("rows", {})
    skips: collections.Counter[str] = collections.Counter()
    for report in reports:
        tier = report.stem.removeprefix("junit-")
        for tiers in rows.values():
            tiers.pop(tier, None)
        for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - our own pytest wrote it
            _count(case, tier, rows, skips)
    return {"rows": dict(sorted(rows.items(), key=lambda item: int(item[0]))), "skips": dict(skips)}


def _count(case: ET.Element, tier: str, rows: dict[str, Any], skips: collections.Counter[str]) -> None:
    properties = [(entry.get("name", ""), entry.get("value", "")) for entry in case.iter("property")]
    numbers = [value for name, value in properties if name == FAULT]
    skipped = case.find("skipped")
    outcome = (
        "skipped"
        if skipped is not None
        else "failed"
        if case.find("failure") is not None or case.find("error") is not None
        else "passed"
    )
    if numbers and skipped is not None:
        skips[skipped.get("message", "")] += 1
    for number in numbers:
        entry = rows.setdefault(number, {}).setdefault(tier, {"passed": 0, "failed": 0, "skipped": 0, "figures": {}})
        entry[outcome] += 1
        for name, value in properties:
            if name.startswith(FIGURE):
                _add(entry["figures"], name.removeprefix(FIGURE), int(value))


def _add(figures: dict[str, int], name: str, value: int) -> None:
    """Counts of several test cases add up; a seed stands for itself."""
    figures[name] = value if name == "seed" else figures.get(name, 0) + value


def main(arguments: list[str]) -> int:
    found = marks()
    if wrong := problems(found):
        print("\n".join(wrong), file=sys.stderr)
        return 1
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    if "--record" in arguments:
        figures = record(sorted((ROOT / "out").glob("junit-*.xml")), figures)
        FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=False) + "\n")
    text = page(found, figures)
    if "--check" in arguments:
        stale = not PAGE.exists() or PAGE.read_text() != text
        if stale:
            print("stale: docs/reference/reliability.md; run `make manifests` and commit the result", file=sys.stderr)
        return int(stale)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
