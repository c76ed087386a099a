"""flock(2) on a file: take it, record who holds it, ask whether it is held. The only caller of flock in provider/ (docs/adr/0081).

The lock belongs to the open descriptor: the kernel releases it when the last copy is closed, however the processes that have one end.
Who may hold which lock, and for how long, is decided by the users: locks.py and state_dir.py.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

FILE_MODE = 0o600
TRIES = 20
"""A lock that is held is asked for so often: `in_use` of another process holds it for microseconds."""
MAX_RECORD = 4096


class FileLock:
    """One opened lock file. Two objects are two parties, in one process as well. Raises OSError where the file cannot be opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fd = _open(path)
        """Closed in every program that is started, except where it is passed on (pass_fds): that child then holds the lock too."""

    def acquire(self) -> bool:
        """Take the lock if nobody has it; never waits."""
        for _ in range(TRIES):
            if not _flock(self.fd, fcntl.LOCK_EX):
                os.sched_yield()
            elif self._is_current():
                return True
            else:
                # The last holder removed the file between our open and our flock. What we hold has no name any more: the next one
                # to come makes a new file, and would have that lock while we believe that we have it.
                os.close(self.fd)
                self.fd = _open(self._path)
        return False

    @property
    def record(self) -> str:
        """What the holder wrote, or the last one; readable without holding the lock. Empty in a new file."""
        return os.pread(self.fd, MAX_RECORD, 0).decode(errors="replace")

    def write_record(self, text: str) -> None:
        """Say who holds it. Only for the holder."""
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, text.encode(), 0)

    def close(self, *, remove: bool = False) -> None:
        """Release the lock. `remove`: and remove its file; only for a holder whose descriptor no child inherited."""
        if remove:
            self._path.unlink(missing_ok=True)  # before the lock is released: afterwards the file may be another holder's
        os.close(self.fd)

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self.fd), self._path.stat())
        except FileNotFoundError:
            return False


def in_use(path: Path) -> bool:
    """Whether anybody holds the lock. Makes no file."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _flock(fd, fcntl.LOCK_SH)  # shared, so that two who only ask do not find each other
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)


def _flock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
