"""Processes that outlive their starter: found by mark, ended as themselves, never taken for another."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from provider.adapters.local import daemons
from provider.adapters.local.daemons import Daemon
from provider.adapters.local.watching import Watcher
from tests.component.local.conftest import until

SLEEP = ["/bin/sleep", "3600"]
LOOKS = 3000
"""Some of which meet an exec: 277 of as many did, where an empty environment counted as the end."""

SEARCHES = 300


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[str]:
    mark = f"daemons{hash(str(tmp_path)) & 0xFFFFFFFF:08x}"
    yield mark
    daemons.end_all(mark, {})


def of_process(daemon: Daemon, name: str) -> bytes:
    return Path(f"/proc/{daemon.pid}/{name}").read_bytes()


async def test_a_daemon_has_no_tie_to_its_starter(marker: str, tmp_path: Path) -> None:
    """A session of its own, init (or a subreaper) for a parent, nothing of our environment, output to a private file."""
    daemon = await daemons.start("part", ["/bin/sh", "-c", "echo said; exec sleep 3600"], marker=marker, folder=tmp_path)

    assert os.getsid(daemon.pid) == daemon.pid
    assert f"PPid:\t{os.getpid()}" not in of_process(daemon, "status").decode()
    environ = of_process(daemon, "environ")
    assert {entry.partition(b"=")[0] for entry in environ.split(b"\0") if entry} <= {
        b"PATH",
        b"HOME",
        b"LC_ALL",
        b"PWD",
        b"CAPKIND_OWNER",
    }
    await until(lambda: (tmp_path / "part.log").read_text() != "")
    assert (tmp_path / "part.log").stat().st_mode & 0o777 == 0o600
    assert daemons.find(marker) == {"part": [replace(daemon, at="")]}


async def test_a_program_that_cannot_be_run_says_so_in_its_log(marker: str, tmp_path: Path) -> None:
    """Where the reason of a component's end is looked for."""
    daemon = await daemons.start("part", [str(tmp_path / "nothing")], marker=marker, folder=tmp_path)
    await until(lambda: not daemons.alive(daemon))
    assert "No such file" in (tmp_path / "part.log").read_text()


async def test_a_daemon_in_the_middle_of_an_exec_is_no_ended_one(marker: str, tmp_path: Path) -> None:
    """It has no environment for a moment, as each has right after its start: here again and again."""
    script = tmp_path / "again"
    script.write_text('#!/bin/sh\nexec "$0"\n')
    script.chmod(0o700)
    daemon = await daemons.start("part", [str(script)], marker=marker, folder=tmp_path)

    assert 0 == sum(not daemons.alive(daemon) for _ in range(LOOKS))


async def test_a_process_in_the_middle_of_an_exec_is_found(marker: str, tmp_path: Path) -> None:
    """By a search as well: one that is missed once is taken for ended, and left running."""
    script = tmp_path / "again"
    script.write_text('#!/bin/sh\nexec "$0"\n')
    script.chmod(0o700)
    daemon = await daemons.start("part", [str(script)], marker=marker, folder=tmp_path)

    assert 0 == sum(daemons.find(marker) != {"part": [replace(daemon, at="")]} for _ in range(SEARCHES))

    daemons.end_all(marker, {})
    assert not daemons.alive(daemon)


async def test_a_frozen_daemon_is_there_and_goes_on_when_it_is_thawed(marker: str, tmp_path: Path) -> None:
    """Twice is as good as once. Frozen, it can still be ended; ended, it can be neither frozen nor thawed, and that is no error."""
    daemon = await daemons.start("part", SLEEP, marker=marker, folder=tmp_path)
    assert not daemons.frozen(daemon)
    for _ in range(2):
        daemons.freeze(daemon)
        assert daemons.frozen(daemon) and daemons.alive(daemon)
    for _ in range(2):
        daemons.thaw(daemon)
        await until(lambda: not daemons.frozen(daemon))
        assert daemons.alive(daemon)

    daemons.freeze(daemon)
    daemons.end(daemon)
    daemons.freeze(daemon)
    daemons.thaw(daemon)
    assert not daemons.frozen(daemon) and not daemons.alive(daemon)


async def test_ending_ends_the_very_process(marker: str, tmp_path: Path) -> None:
    """Twice is as good as once."""
    daemon = await daemons.start("part", SLEEP, marker=marker, folder=tmp_path)
    assert daemons.alive(daemon)

    daemons.end(daemon)
    daemons.end(daemon)

    assert not daemons.alive(daemon)
    assert daemons.find(marker) == {}


@pytest.mark.parametrize(
    "wrong", [{"started": 1}, {"started": 0}, {"mark": "somebody/else"}], ids=["pid reused", "never seen", "mark"]
)
async def test_a_process_that_merely_has_the_pid_is_not_touched(marker: str, tmp_path: Path, wrong: dict[str, object]) -> None:
    """Start time and mark have to fit too."""
    daemon = await daemons.start("part", SLEEP, marker=marker, folder=tmp_path)
    taken_for = replace(daemon, **wrong)  # type: ignore[arg-type]

    assert not daemons.alive(taken_for)
    daemons.end(taken_for)

    assert daemons.alive(daemon)


async def test_all_of_a_mark_are_ended_recorded_or_not(marker: str, tmp_path: Path) -> None:
    """Also two of one component; others' marks, even those that begin alike, live on."""
    recorded = await daemons.start("a", SLEEP, marker=marker, folder=tmp_path)
    for component in ("a", "b"):
        await daemons.start(component, SLEEP, marker=marker, folder=tmp_path)
    other = await daemons.start("a", SLEEP, marker=f"{marker}0", folder=tmp_path)

    daemons.end_all(marker, {"a": recorded})

    assert daemons.find(marker) == {}
    assert daemons.alive(other)
    daemons.end_all(f"{marker}0", {})


def test_a_zombie_counts_as_dead() -> None:
    """Nobody has to wait for it before it is seen as ended; ending it buries it."""
    child = subprocess.Popen([sys.executable, "-c", ""], env={daemons.MARK: "zombie/part"})
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not daemons.alive(Daemon(child.pid, 1, "zombie/part"))
    assert daemons.find("zombie") == {}
    assert child.wait() == 0


async def test_the_watcher_tells_each_end_once(marker: str, tmp_path: Path) -> None:
    """At once, also of what had ended before; forgotten daemons are not told of, new ones wake it."""
    first = await daemons.start("a", SLEEP, marker=marker, folder=tmp_path)
    second = await daemons.start("b", SLEEP, marker=marker, folder=tmp_path)
    watcher = Watcher()
    dead = Daemon(first.pid, 1, first.mark)
    watcher.watch({"x": [first, dead], "y": [second]})
    assert await watcher.next(1.0) == "x"

    daemons.end(first)
    assert await watcher.next(5.0) == "x"
    watcher.watch({"x": [first, dead], "y": [second]})
    assert await watcher.next(0.05) is None

    watcher.watch({"x": [first, dead]})
    assert await watcher.next(1.0) == "y"
    daemons.end(second)
    assert await watcher.next(0.05) is None
    watcher.wake()
    assert await watcher.next(30.0) is None
    watcher.close()
