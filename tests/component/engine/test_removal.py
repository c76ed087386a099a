"""Removing containers when the engine cannot end them."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.dialects import DIALECTS
from provider.api.conditions import Reason
from provider.errors import Transient
from tests.fakes.engine_cli import FakeBinaries

STUCK = (
    "Error response from daemon: Could not kill running container 1d7116b5, cannot remove - "
    "tried to kill container, but did not receive an exit event\n"
)


def a_cgroup(folder: Path, *, frozen: bool) -> Path:
    folder.mkdir(parents=True)
    (folder / "freezer.state").write_text("FROZEN\n" if frozen else "THAWED\n")
    (folder / "freezer.self_freezing").write_text("1\n" if frozen else "0\n")
    return folder / "freezer.state"


async def test_a_frozen_process_of_a_node_is_thawed_and_only_there(tmp_path: Path) -> None:
    """cgroup v1: a node killed while its own runc holds a pod frozen can never be removed otherwise. Others' containers stay paused."""
    fake = FakeBinaries(tmp_path / "fake")
    node = fake.add("demo")["Id"]
    a_cgroup(tmp_path / "freezer/docker" / node, frozen=False)
    ours = a_cgroup(tmp_path / "freezer/docker" / node / "kubelet.slice/pod.scope", frozen=True)
    other = a_cgroup(tmp_path / "freezer/docker" / ("f" * 64), frozen=True)
    fake.fault("docker rm", code=1, stderr=STUCK)

    await Engine(DIALECTS["docker"], fake.env, 10.0, tmp_path / "freezer").remove([node])

    assert fake.containers == []
    assert ours.read_text() == "THAWED"
    assert other.read_text() == "FROZEN\n"


async def test_what_cannot_be_thawed_here_is_said_with_the_cure(tmp_path: Path) -> None:
    """A manager in a pod, or beside a remote engine, does not see the host's cgroups."""
    fake = FakeBinaries(tmp_path / "fake")
    node = fake.add("demo")["Id"]
    for _ in range(10):
        fake.fault("docker rm", code=1, stderr=STUCK)

    with pytest.raises(Transient, match=r"freezer\.state") as raised:
        await Engine(DIALECTS["docker"], fake.env, 10.0, tmp_path / "nothing").remove([node])

    assert raised.value.reason is Reason.DELETE_FAILED
    assert len(fake.containers) == 1
