"""What is left of clusters that nobody works on: bounded by age and number, never anything in use."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from provider.adapters import filelock, pruning
from provider.adapters.filelock import FileLock
from provider.adapters.pruning import prune

YEAR = 365 * pruning.DAY
INHERITED = "import sys; print(1, flush=True); sys.stdin.read()"


def entry(path: Path, age: float = 0.0) -> Path:
    """A folder with a file, or a lock's file, last written so many seconds ago."""
    if path.suffix == ".lock":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    else:
        path.mkdir(parents=True)
        (path / "content").touch()
    then = time.time() - age
    os.utime(path, (then, then))
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.mark.parametrize("name", ["logs/demo", "scratch/clusters/demo", "locks/demo.lock", "local/demo.lock"])
def test_what_is_old_goes_and_what_is_new_stays(state: Path, name: str) -> None:
    """Each part has its own age."""
    old, new = entry(state / name, YEAR), entry((state / name).with_name(f"new{Path(name).suffix}"))
    prune(state)
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("part", pruning.PARTS, ids=lambda part: part.folder)
def test_no_part_grows_for_ever(state: Path, part: pruning.Part) -> None:
    """However fast clusters come and go; the newest entries stay."""
    for number in range(part.keep + 5):
        entry(state / part.folder / f"c{number}{part.ending}", age=number)
    prune(state)
    assert {f"c{number}{part.ending}" for number in range(part.keep)} == {path.name for path in (state / part.folder).iterdir()}


def test_pruning_leaves_no_lock_files_of_its_own(state: Path) -> None:
    """It takes the lock of every name that it removes something of."""
    entry(state / "logs/demo", YEAR)
    prune(state)
    assert [] == list((state / "locks").iterdir())


@pytest.mark.parametrize("name", ["logs/demo", "scratch/clusters/demo", "locks/demo.lock"])
def test_nothing_of_a_name_in_use_goes(state: Path, name: str) -> None:
    """Be it ever so old: its holder may be writing there."""
    old = entry(state / name, YEAR)
    (state / "locks").mkdir(exist_ok=True)
    lock = FileLock(state / "locks/demo.lock")
    assert lock.acquire()
    os.utime(state / "locks/demo.lock", (0, 0))
    prune(state)
    assert old.exists()
    assert filelock.in_use(state / "locks/demo.lock")
    lock.close()


def test_a_lock_that_only_a_child_of_a_killed_manager_holds_stays(state: Path) -> None:
    """The next manager finds that child by it."""
    path = entry(state / "locks/demo.lock", YEAR)
    lock = FileLock(path)
    assert lock.acquire()
    with subprocess.Popen(
        [sys.executable, "-ISc", INHERITED], pass_fds=[lock.fd], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        lock.close()
        prune(state)
        assert path.exists()
        child.communicate()
    prune(state)
    assert not path.exists()


def test_two_never_hold_one_name_while_its_file_is_pruned(state: Path) -> None:
    """Whoever opened the file before it was removed must not hold a lock that the next one cannot see."""
    inside, worst, stop = [0], [0], threading.Event()
    guard = threading.Lock()
    path = state / "locks/demo.lock"

    def work() -> None:
        while not stop.is_set():
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
            if lock.acquire():
                with guard:
                    inside[0] += 1
                    worst[0] = max(worst[0], inside[0])
                with guard:
                    inside[0] -= 1
            lock.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for _ in range(300):
        if path.exists():
            os.utime(path, (0, 0))
        prune(state)
    stop.set()
    for worker in workers:
        worker.join()
    assert 1 == worst[0]


def test_what_bears_no_clusters_name_is_left_alone(state: Path) -> None:
    """Somebody may have put it there."""
    mine = entry(state / "logs/My Notes", YEAR)
    (state / "logs/link").symlink_to(entry(state / "elsewhere"))
    prune(state)
    assert mine.exists()
    assert (state / "elsewhere/content").exists()


def test_a_clock_that_was_set_back_removes_nothing(state: Path) -> None:
    """Entries of the future are new ones."""
    new = entry(state / "logs/demo", -YEAR)
    prune(state)
    assert new.exists()


def test_a_state_folder_without_anything_is_no_error(state: Path) -> None:
    """The first start."""
    prune(state)
