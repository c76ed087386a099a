"""What is left in the state folder of clusters that nobody works on any more: logs of failed creates, lock files, scratch folders, records
of volumes on daemons that are gone.

Bounded by age and number, whatever happens. An entry of a cluster's name goes only while that name's lock is held, so it never belongs to
work in progress; a name that somebody works on is passed over. A lock file goes with its lock held, too: whoever opened it meanwhile
notices that it has no name any more (filelock.FileLock), and one that a child still holds cannot be taken (docs/adr/0031).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from provider.adapters import state_dir
from provider.adapters.filelock import FileLock
from provider.adapters.locks import FOLDER_MODE, LOCK, NAME_PATTERN

HOUR, DAY = 3600.0, 86400.0


@dataclass(frozen=True, slots=True)
class Part:
    """One folder whose entries bear clusters' names."""

    folder: str
    locks: str
    """Where the locks of these names are."""
    ending: str
    keep: int
    """Entries, the newest ones."""
    age: float
    """Seconds since an entry was last written."""


PARTS = (
    Part(state_dir.LOGS, state_dir.LOCKS, "", keep=50, age=14 * DAY),
    Part(state_dir.CLUSTER_SCRATCH, state_dir.LOCKS, "", keep=20, age=HOUR),
    Part(state_dir.VOLUMES, state_dir.LOCKS, "", keep=500, age=365 * DAY),
    Part(state_dir.LOCKS, state_dir.LOCKS, LOCK, keep=200, age=DAY),
    Part(state_dir.LOCAL, state_dir.LOCAL, LOCK, keep=200, age=DAY),
)
"""Locks last: looking for one makes it."""


def prune(folder: Path) -> None:
    """Of the state folder; called by whatever adds to it. Never raises for an entry that cannot be removed: the next call tries again."""
    for part in PARTS:
        for path, name in _superfluous(folder, part):
            with suppress(OSError):
                _remove(path, folder / part.locks / f"{name}{LOCK}")


def _superfluous(folder: Path, part: Part) -> Iterator[tuple[Path, str]]:
    """Path and cluster name, of what is too old or too much. What bears no cluster's name is not ours to judge."""
    entries = [(_written(path), path) for path in _entries(folder / part.folder) if path.name.endswith(part.ending)]
    for position, (written, path) in enumerate(sorted(entries, reverse=True)):
        name = path.name.removesuffix(part.ending)
        if NAME_PATTERN.fullmatch(name) and (position >= part.keep or time.time() - written >= part.age):
            yield path, name


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _written(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def _remove(path: Path, lock_path: Path) -> None:
    lock_path.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
    lock = FileLock(lock_path)
    held = False
    try:
        held = lock.acquire()
        if held and path != lock_path:
            shutil.rmtree(path)
    finally:
        lock.close(remove=held)
