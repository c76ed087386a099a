"""One lock per cluster name: who gets it, who does not, and what a killed manager leaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from provider.adapters.locks import NameLocks
from provider.adapters.process import strays
from provider.errors import Transient

MANAGER = """
import asyncio, os, subprocess, sys
from pathlib import Path
from provider.adapters.locks import NameLocks

async def main():
    async with NameLocks(Path(sys.argv[1])).hold("demo", "demo/abc", lambda argv: False) as held:
        child = subprocess.Popen(
            [sys.executable, "-ISc", "import time; time.sleep(60)", "LEFTOVER"],
            pass_fds=[held.fd], env={"CAPKIND_JOB": held.job}, start_new_session=True)
        print(child.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


FORKED = """
import asyncio, os, sys, time
from pathlib import Path
from provider.adapters.locks import NameLocks

async def main():
    async with NameLocks(Path(sys.argv[1])).hold("demo"):
        if os.fork() == 0:  # as every child is between fork and exec
            print(os.getpid(), flush=True)
            time.sleep(60)
        time.sleep(60)

asyncio.run(main())
"""


def never(_: Sequence[str]) -> bool:
    return False


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that holds the lock and has a child that inherited it: (process, child's pid)."""
    argv = [sys.executable, "-c", MANAGER, str(tmp_path)]
    with subprocess.Popen(argv, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        yield process, child
        process.kill()
        if strays.start_time(child) is not None:
            os.kill(child, signal.SIGKILL)


@pytest.fixture
def forked(tmp_path: Path) -> Iterator[int]:
    """A child that holds the lock of a killed holder without a job: its pid."""
    argv = [sys.executable, "-c", FORKED, str(tmp_path)]
    with subprocess.Popen(argv, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        holder.kill()
    yield child
    if strays.start_time(child) is not None:
        os.kill(child, signal.SIGKILL)


async def test_a_lock_is_free_again_afterwards(tmp_path: Path) -> None:
    """Also after an error."""
    locks = NameLocks(tmp_path)
    with pytest.raises(KeyError):
        async with locks.hold("demo", "demo/1", never):
            raise KeyError
    async with locks.hold("demo", "demo/2", never), locks.hold("other", "other/2", never):
        pass


async def test_the_same_name_cannot_be_taken_twice(tmp_path: Path) -> None:
    """Neither by the same object nor by another one of this process."""
    locks = NameLocks(tmp_path)
    async with locks.hold("demo", "demo/1", never):
        for other in (locks, NameLocks(tmp_path)):
            with pytest.raises(Transient) as caught:
                async with other.hold("demo", "demo/1", never):
                    pass
            assert "NameLocked" == caught.value.reason
        assert not locks.in_use("demo")
        assert NameLocks(tmp_path).in_use("demo")


async def test_files_are_private_and_say_who_holds_them(tmp_path: Path) -> None:
    """For a person who wonders why nothing happens."""
    folder = tmp_path / "locks"
    async with NameLocks(folder).hold("demo", "demo/1", never):
        holder = json.loads((folder / "demo.lock").read_text())

    assert (os.getpid(), "demo/1") == (holder["pid"], holder["job"])
    assert (0o700, 0o600) == (folder.stat().st_mode & 0o777, (folder / "demo.lock").stat().st_mode & 0o777)


async def test_a_lock_whose_holder_lives_is_never_taken(tmp_path: Path, manager: tuple[subprocess.Popen[str], int]) -> None:
    """Its children are left alone, too."""
    _, child = manager
    locks = NameLocks(tmp_path)
    with pytest.raises(Transient):
        async with locks.hold("demo", "demo/2", never):
            pass

    assert locks.in_use("demo")
    assert None is not strays.start_time(child)


@pytest.mark.fault(3, "the holder of a name is killed, its children live", invariants="I4")
async def test_a_dead_holders_children_are_ended_and_the_lock_taken_over(
    tmp_path: Path, manager: tuple[subprocess.Popen[str], int]
) -> None:
    """As long as one of them lives, the name is in use; the next manager ends them, found by their environment."""
    process, child = manager
    process.kill()
    process.wait()
    locks = NameLocks(tmp_path)
    assert locks.in_use("demo")
    async with locks.hold("demo", "demo/2", never):
        assert None is strays.start_time(child)


@pytest.mark.fault(3, "a holder without a job is killed while it starts a process", invariants="I4")
async def test_without_a_job_nobody_is_ended(tmp_path: Path, forked: int) -> None:
    """A lock that no child inherits may be held by one all the same, for a moment. It is waited for; every other process lives."""
    with pytest.raises(Transient) as caught:
        async with NameLocks(tmp_path).hold("demo"):
            pass

    assert "NameLocked" == caught.value.reason
    assert None is not strays.start_time(forked)
    os.kill(forked, signal.SIGKILL)
    async with NameLocks(tmp_path).hold("demo"):
        pass


async def test_what_must_finish_is_waited_for(tmp_path: Path, manager: tuple[subprocess.Popen[str], int]) -> None:
    """An engine command that makes a container is waited for."""
    process, child = manager
    process.kill()
    process.wait()

    async def finish() -> None:
        await asyncio.sleep(0.3)
        os.kill(child, signal.SIGTERM)

    async with asyncio.TaskGroup() as group:
        group.create_task(finish())
        async with NameLocks(tmp_path).hold("demo", "demo/2", lambda argv: argv[-1] == "LEFTOVER"):
            pass


async def test_a_holder_of_another_pid_namespace_counts_as_alive(tmp_path: Path) -> None:
    """Its pid means nothing here."""
    locks = NameLocks(tmp_path)
    async with locks.hold("demo", "demo/1", never):
        path = tmp_path / "demo.lock"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"space": "elsewhere", "instance": "x", "pid": 999999}))
        with pytest.raises(Transient):
            async with NameLocks(tmp_path).hold("demo", "demo/1", never):
                pass


async def test_a_file_goes_with_what_it_guards(tmp_path: Path) -> None:
    """Where children inherit the lock it stays; runtime `local` removes it with the cluster."""
    exists = True
    locks = NameLocks(tmp_path, keep=lambda _: exists)
    async with locks.hold("demo"):
        pass
    assert (tmp_path / "demo.lock").exists()
    exists = False
    async with locks.hold("demo"):
        pass
    assert not (tmp_path / "demo.lock").exists()


@pytest.mark.fault(45, "names with slashes, dots, dashes", invariants="I3")
@pytest.mark.parametrize("name", ["../x", "", "A", "a/b", ".", "a" * 64])
async def test_only_cluster_names_become_files(tmp_path: Path, name: str) -> None:
    """The CRD has checked them; a path is still never built from anything else."""
    with pytest.raises(ValueError, match="not a cluster name"):
        NameLocks(tmp_path).in_use(name)
