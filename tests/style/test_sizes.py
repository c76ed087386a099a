"""Sizes that keep the code readable, and a docstring on every module."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTION_LINES = 60
FILE_LINES = 400
PRODUCT = sorted((ROOT / "provider").rglob("*.py"))
TOPS = ("provider", "hack", "devenv", "tests", "benchmarks", "conformance")
EVERYTHING = sorted(path for top in TOPS for path in (ROOT / top).rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_files_of_the_product_fit_a_readers_head(path: Path) -> None:
    """A file of the product has at most 400 lines; a longer one has more than one subject."""
    assert len(path.read_text().splitlines()) <= FILE_LINES


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_functions_of_the_product_fit_a_screen(path: Path) -> None:
    """A function of the product has at most 60 lines."""
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }
    assert {} == {function: lines for function, lines in long.items() if lines > FUNCTION_LINES}


@pytest.mark.parametrize("path", EVERYTHING, ids=name)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    """A module opens with a docstring: what lives there and why it is separate."""
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", EVERYTHING, ids=name)
def test_no_module_is_called_like_one_of_the_standard_library(path: Path) -> None:
    """A reader who sees the name in a traceback or an import thinks of the wrong one."""
    assert path.stem not in sys.stdlib_module_names - {"__main__"}
