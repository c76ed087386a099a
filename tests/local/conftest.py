"""The embedded runtime with its real processes. Without the binaries: skipped, with the reason."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.tools import find
from provider.adapters.local import components, daemons
from provider.adapters.local.runtime import LocalRuntime
from provider.ports.runtime import ClusterRequest, Identity


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if "tests/local/" in item.nodeid]
    reason = find.missing(*components.ALL, "kubectl") if here else ""
    for item in here if reason else ():
        item.add_marker(pytest.mark.skip(reason=reason))


RUN = os.environ.setdefault("CAPKIND_TEST_RUN", secrets.token_hex(4))
"""Part of every marker, inherited by children: two runs on one machine must not take each other's processes for their own."""


def find_tool(name: str) -> str | None:
    with contextlib.suppress(find.ToolMissing):
        return find.path(name)
    return None


def identity(name: str, marker: str = "a") -> Identity:
    """`marker`: one hexadecimal digit, repeated."""
    return Identity(name, marker * 24 + RUN, f"default/{name}")


def request(name: str, workers: int = 0, **config: object) -> ClusterRequest:
    """One control plane and workers; `nodes=[]` asks for none at all."""
    nodes = [{"role": "control-plane"}, *[{"role": "worker"}] * workers]
    return ClusterRequest({"name": name, "nodes": nodes, **config}, None, None, 120.0)


def quiet(step: object) -> None:
    """Nobody listens."""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """Where clusters go; whatever a failing test leaves is ended by mark."""
    yield tmp_path / "local"
    for marker in "ab":
        daemons.end_all(identity("any", marker).marker, {})


@pytest.fixture
async def runtime(root: Path) -> LocalRuntime:
    return LocalRuntime(root, find_tool, fsync=False)
