"""The kit belongs to no provider."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "capi_conformance"
KIT = sorted(PACKAGE.rglob("*.py"))
ALLOWED = re.compile(r"(capi_conformance|pytest|yaml)(\.|$)")
STANDARD = sys.stdlib_module_names


@pytest.mark.parametrize("path", KIT, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_kit_imports_nothing_but_itself(path: Path) -> None:
    """Beside the standard library, pytest and YAML: a provider's own code comes in by the name of a host module in its profile alone."""
    tree = ast.walk(ast.parse(path.read_text()))
    names = [name for node in tree for name in _imported(node)]

    assert [] == [name for name in names if name.partition(".")[0] not in STANDARD and not ALLOWED.match(name)]


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [str(node.module)] if isinstance(node, ast.ImportFrom) else []
