"""What the pages for contributors say of the tree is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
WALKS = ROOT / "docs" / "contributing" / "where-to-change-what.md"
ROW = re.compile(r"^\| `([\w/.]+)` \|", re.MULTILINE)
FILE = re.compile(r"^\d+\. `([\w/.]+)`( \(\*new\*\))?", re.MULTILINE)
LIMITS = {
    "A field of kind's configuration": 1,
    "A quirk of a container engine": 1,
    "A condition": 3,
    "How often every object is looked at": 1,
    "Something that takes long, such as a snapshot of a cluster": 10,
    "A kind of object": 4,
}
"""Change → files that may have to be edited by hand for it."""
TOPS = ("hack/", "devenv/", "benchmarks/", "conformance/", "tests/")


def places() -> set[str]:
    """Folders and modules that deserve a line: of the product each module at the top, each package, each adapter's package."""
    product = ROOT / "provider"
    found = {f"{path.relative_to(ROOT)}" for path in product.glob("*.py") if path.name != "__init__.py"}
    for folder in (product, product / "adapters"):
        found |= {f"{path.parent.relative_to(ROOT)}/" for path in folder.glob("*/__init__.py")}
    return found | set(TOPS)


def walks() -> dict[str, list[tuple[str, bool]]]:
    """Change → (file, whether it is new) in order."""
    sections = re.split(r"^## ", WALKS.read_text(), flags=re.MULTILINE)[1:]
    return {section.partition("\n")[0]: [(name, bool(new)) for name, new in FILE.findall(section)] for section in sections}


def test_the_architecture_page_lists_every_place_and_no_other() -> None:
    """A folder that is not in the table has no signpost; a line without a folder misleads."""
    assert places() == set(ROW.findall(ARCHITECTURE.read_text().partition("## One pass")[0]))


@pytest.mark.parametrize(("change", "limit"), LIMITS.items())
def test_a_change_touches_few_files_that_exist(change: str, limit: int) -> None:
    """The walk names real files, marks the new ones, and is no longer than promised."""
    files = walks()[change]

    assert 0 < len(files) <= limit
    assert [] == [name for name, new in files if (ROOT / name).exists() is new]


def test_every_walk_has_a_limit() -> None:
    """A walk that is added to the page is held to something."""
    assert LIMITS.keys() == walks().keys()
