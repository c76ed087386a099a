"""What import contracts cannot see: which modules may read the environment and the clock, and that the contracts do bite."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = sorted((ROOT / "provider").rglob("*.py"))
ALLOWED = {
    "os.environ": (
        "provider/settings.py",
        "provider/adapters/",
    ),
    "os.getenv": (),
    "os.system": (),
    "os.popen": (),
    "asyncio.create_subprocess_exec": ("provider/adapters/process/command.py",),
    "asyncio.create_subprocess_shell": (),
    "time.time": ("provider/adapters/",),
    "time.monotonic": ("provider/adapters/",),
    "time.sleep": ("provider/adapters/local/daemons.py",),
    "datetime.now": ("provider/adapters/",),
}
"""Dotted name to the files and folders that may use it. Settings are read in one place; decisions get the time through ports.Clock."""

VIOLATIONS = {
    "provider/ports/kube.py": "import provider.reconcile.plan",
    "provider/adapters/kube/client.py": "import provider.reconcile.plan",
    "provider/controller/workqueue.py": "import provider.adapters.process.command",
    "provider/reconcile/plan.py": "import socket",
    "provider/controller/tasks.py": "import kopf",
    "provider/controller/watch.py": "import kubernetes",
    "provider/settings.py": "import subprocess",
    "provider/api/meta.py": "import hack.tiers",
    "hack/release.py": "import tests.fakes",
    "provider/manager.py": "import provider.reconcile.plan",
}


def uses(tree: ast.AST) -> Iterator[str]:
    """Dotted names `a.b` in the code; docstrings and comments do not count."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_environment_clock_and_processes_are_used_where_they_may_be(path: Path) -> None:
    """Each effect has a home; everywhere else it arrives as an argument or through a port."""
    place = str(path.relative_to(ROOT))
    found = {use for use in uses(ast.parse(path.read_text())) if use in ALLOWED}
    assert set() == {use for use in found if not place.startswith(ALLOWED[use] or "-")}


def test_every_import_contract_bites(tmp_path: Path) -> None:
    """A copy of the product with one violation each breaks every contract: none of them is vacuous."""
    for package in ("provider", "hack", "devenv", "benchmarks"):
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for place, line in VIOLATIONS.items():
        path = tmp_path / place
        path.write_text(f"{path.read_text()}\n{line}\n")
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]

    said = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path), "LC_ALL": "C.UTF-8"}, capture_output=True, text=True, check=False
    ).stdout

    assert "Contracts: 0 kept, 10 broken." in said, said
