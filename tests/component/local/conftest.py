"""The local runtime on fake components: real processes, real files, real TLS, no Kubernetes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provider.adapters.local import daemons
from provider.adapters.local.runtime import LocalRuntime
from provider.ports.runtime import Identity
from tests.fakes.local_components import FakeComponents

MARKERS = {"one": "1" * 24, "two": "2" * 24}


@pytest.fixture
def fake(tmp_path: Path) -> FakeComponents:
    return FakeComponents(tmp_path / "bin")


@pytest.fixture
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where clusters go; whatever a failing test leaves is ended by mark."""
    yield tmp_path / "local"
    for marker in MARKERS.values():
        daemons.end_all(f"{marker}{_own(tmp_path)}", {})


@pytest.fixture
async def runtime(root: Path, fake: FakeComponents, tmp_path: Path) -> LocalRuntime:
    return LocalRuntime(root, fake.find, fsync=False, short_root=tmp_path)


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return Identity("one", MARKERS["one"] + _own(tmp_path), "default/one")


@pytest.fixture
def stranger(tmp_path: Path) -> Identity:
    """Another KINDCluster that wants the same cluster name."""
    return Identity("one", MARKERS["two"] + _own(tmp_path), "other/one")


async def until(done: Callable[[], bool], seconds: float = 10.0) -> None:
    """Return as soon as it is so. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not done():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.01)


def _own(folder: Path) -> str:
    """So that two runs of the suite at once do not end each other's processes."""
    return f"{hash(str(folder)) & 0xFFFFFFFF:08x}"
