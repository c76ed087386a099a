"""One lock per local cluster name: flock(2) on a file beside the cluster's folder.

Python's descriptors are not inherited by the processes of a cluster, so the lock ends with the manager that holds it, however it ends.
The file goes away with the cluster.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from provider.api.conditions import Reason
from provider.errors import Transient

TRIES = 20
"""Times that a lock is asked for: somebody who only looks (`in_use`) has it for microseconds."""


@contextlib.contextmanager
def locked(root: Path, name: str, *, keep: Callable[[], bool]) -> Iterator[None]:
    """Hold the lock of a name below `root`. At the end the file is removed unless `keep()`. Raises Transient(NameLocked)."""
    path = root / f".{name}.lock"
    fd = _take(path)
    if fd is None:
        message = f"Another process on this host works on the local cluster {name}; this goes on when it has finished."
        raise Transient(Reason.NAME_LOCKED, message)
    try:
        yield
    finally:
        if not keep():
            path.unlink(missing_ok=True)
        os.close(fd)


def in_use(root: Path, name: str) -> bool:
    """Whether somebody holds the lock of a name."""
    try:
        fd = os.open(root / f".{name}.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _take(path: Path) -> int | None:
    """None when somebody has it. A file that was removed while we waited to open it locks nothing: then again."""
    for _ in range(TRIES):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(FileNotFoundError):
            if _try(fd, fcntl.LOCK_EX) and os.fstat(fd).st_ino == path.stat().st_ino:
                return fd
        os.close(fd)
        os.sched_yield()
    return None


def _try(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
