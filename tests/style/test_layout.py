"""Tests are found by the name of what they test: tests/unit mirrors provider/."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests" / "unit"
BESIDE_THE_PRODUCT = ("hack", "devenv")
"""Rooms outside provider/ that have unit tests, too."""


def place(path: Path) -> Path:
    """The folder that a file of unit tests belongs to."""
    parts = path.relative_to(UNIT).parent.parts
    return ROOT.joinpath(*parts) if parts and parts[0] in BESIDE_THE_PRODUCT else (ROOT / "provider").joinpath(*parts)


@pytest.mark.parametrize("path", sorted(UNIT.rglob("test_*.py")), ids=lambda path: str(path.relative_to(UNIT)))
def test_unit_tests_mirror_the_product(path: Path) -> None:
    """A file below tests/unit lies in the folder of what it tests; the folder beside it has modules."""
    assert list(place(path).glob("*.py")), f"there is no {place(path).relative_to(ROOT)}"
