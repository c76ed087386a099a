"""What the package depends on is what it imports: nothing more goes into its image, nothing is there by luck of another dependency."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMPORTED_AS = {"prometheus-client": "prometheus_client", "pyyaml": "yaml", "pytest-timeout": ""}
"""Distributions whose module has another name; "" when nothing imports it: pytest loads it as a plugin."""
OWN = {"provider", "capi_conformance"}


def imported(folder: Path) -> Iterator[str]:
    """Top-level names that the modules below a folder import, wherever in a module."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.partition(".")[0]


def declared(project: Path) -> set[str]:
    """Names of the modules that a pyproject.toml's dependencies bring."""
    requirements = tomllib.loads(project.read_text())["project"]["dependencies"]
    names = [re.split(r"[^\w-]", requirement, maxsplit=1)[0].lower() for requirement in requirements]
    return {IMPORTED_AS.get(name, name) for name in names} - {""}


@pytest.mark.fault(46, "imports against declared dependencies", invariants="I15")
@pytest.mark.parametrize(
    ("project", "package"),
    [("pyproject.toml", "provider"), ("conformance/pyproject.toml", "conformance/capi_conformance")],
)
def test_dependencies_are_what_is_imported(project: str, package: str) -> None:
    """Each declared dependency is imported, each import is declared or of the standard library."""
    assert declared(ROOT / project) == set(imported(ROOT / package)) - sys.stdlib_module_names - OWN
