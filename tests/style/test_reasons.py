"""Reasons are members of provider.api.conditions.Reason: no text stands in for one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = sorted((ROOT / "provider").rglob("*.py"))
CAMEL = re.compile(r"[A-Z][a-z]+(?:[A-Z][A-Za-z]*)*|[A-Z]{2,}[a-z]\w*")
TAKES_A_REASON = re.compile(
    r"Transient|Terminal|Conflict|NotOurs|ProviderError|Problem|Condition|Plan|EventNote|RuntimeHealth|RuntimeObservation|Listing"
    r"|Command(?:Missing|Failed|Timeout)|ComponentEnded|_rule|_again|_blocked"
)
"""Classes and functions one of whose first arguments is a reason."""


def literals(tree: ast.AST) -> Iterator[ast.Constant]:
    """Texts that stand where a reason belongs, and texts that a reason is compared with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            places = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
            places += node.args[:3] if TAKES_A_REASON.fullmatch(name) else []
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            about_reasons = any(isinstance(side, ast.Attribute) and side.attr == "reason" for side in sides)
            places = [inner for side in sides for inner in ast.walk(side) if isinstance(inner, ast.expr)] if about_reasons else []
        else:
            continue
        yield from (
            place
            for place in places
            if isinstance(place, ast.Constant) and isinstance(place.value, str) and CAMEL.fullmatch(place.value)
        )


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_stands_where_a_reason_belongs(path: Path) -> None:
    """Otherwise it would be missing in the reference, and have neither severity nor fault."""
    assert [] == [(place.lineno, place.value) for place in literals(ast.parse(path.read_text()))]


@pytest.mark.parametrize(
    "line",
    [
        'raise Transient("EngineMissing", message)',
        'errors.Terminal("NoSuchThing", message)',
        'RuntimeHealth(False, "KindTooOld", detail)',
        'RuntimeObservation(Presence.UNKNOWN, reason="NameLocked")',
        'error.reason in ("HostLimits", "DiskFull")',
        'error.reason != "EngineMissing"',
    ],
)
def test_the_rule_finds_texts(line: str) -> None:
    """A rule that finds nothing proves nothing."""
    assert list(literals(ast.parse(line)))
