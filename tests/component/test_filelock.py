"""The one file lock: who gets it, who does not, and what becomes of its file."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from provider.adapters.filelock import FileLock, in_use


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one.lock"


def test_one_holder_at_a_time(path: Path) -> None:
    """In one process as well; asking makes no file and disturbs nobody."""
    assert not in_use(path)
    assert not path.exists()
    first, second = FileLock(path), FileLock(path)

    assert (first.acquire(), second.acquire(), in_use(path)) == (True, False, True)
    first.close()
    assert (in_use(path), second.acquire()) == (False, True)
    second.close()


def test_everybody_can_read_who_holds_it(path: Path) -> None:
    """The record of the last holder stays until the next one writes a shorter or longer one."""
    first, second = FileLock(path), FileLock(path)
    assert first.acquire()
    first.write_record("a long record")
    assert second.record == "a long record"
    first.write_record("short")

    assert second.record == "short"
    first.close()
    second.close()


def test_a_child_inherits_it_only_if_it_is_handed_on(path: Path) -> None:
    """Then the lock is held until the child ends, too."""
    lock = FileLock(path)
    assert lock.acquire()
    assert fcntl.fcntl(lock.fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    with subprocess.Popen([sys.executable, "-ISc", "input()"], pass_fds=[lock.fd], stdin=subprocess.PIPE) as child:
        lock.close()
        assert in_use(path)
        child.communicate(b"\n")
    assert not in_use(path)


def test_a_file_that_was_removed_and_made_again_is_another_lock(path: Path) -> None:
    """Whoever opened the old one gets the new one, or nothing: never both at once."""
    old, waiting = FileLock(path), FileLock(path)
    assert old.acquire()
    old.close(remove=True)
    new = FileLock(path)
    assert new.acquire()

    assert not waiting.acquire()
    new.close(remove=True)
    assert waiting.acquire()
    waiting.close(remove=True)
    assert not path.exists()


def test_many_takers_and_removers_are_never_two_inside(path: Path) -> None:
    """The same, with threads at full speed."""
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(100):
            lock = FileLock(path)
            if lock.acquire():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                os.sched_yield()
                inside[0] -= 1
                lock.close(remove=True)
            else:
                lock.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert most[0] == 1
    assert not path.exists()
