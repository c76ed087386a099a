"""One lock per cluster name on this host: nobody else makes, starts or removes a cluster of that name meanwhile.

A plain flock(2) on a file whose text says who holds it. Long children inherit the descriptor, so a killed manager's lock stays taken
until the last of its children is gone; the next manager ends those, recognised by the holder's record, and takes over. A lock whose
holder lives is never taken away.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from provider.adapters.process import strays
from provider.api.conditions import Reason
from provider.errors import Transient

NAME_PATTERN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?")
FILE_MODE, FOLDER_MODE = 0o600, 0o700
PATIENCE = 10.0
"""Seconds that a dead holder's leftovers get to finish what must not be torn."""
RELEASE = 3.0
"""Seconds for the kernel to close the descriptors of killed processes."""
POLL = 0.05


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock. Pids mean something only within one boot and one pid namespace."""

    pid: int
    started: int
    space: str
    """Boot id and pid namespace."""
    job: str
    instance: str
    """Which NameLocks object; two of one process are two parties."""

    @property
    def alive(self) -> bool:
        """Also True when nobody here can tell."""
        return self.space != _space() or strays.start_time(self.pid) == self.started


@dataclass(frozen=True, slots=True)
class Held:
    fd: int
    """To be inherited by children that must keep the lock."""
    job: str


class NameLocks:
    """The locks of one state folder (settings.state_dir/locks)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mine: set[str] = set()
        self._instance = secrets.token_hex(8)

    @contextlib.asynccontextmanager
    async def hold(self, name: str, job: str, must_finish: Callable[[Sequence[str]], bool]) -> AsyncIterator[Held]:
        """Hold the lock of a cluster name. Raises Transient(NameLocked) when somebody who lives holds it."""
        fd = await self._take(name, must_finish)
        self._mine.add(name)
        try:
            _write(fd, Holder(os.getpid(), strays.start_time(os.getpid()) or 0, _space(), job, self._instance))
            yield Held(fd, job)
        finally:
            self._mine.discard(name)
            os.close(fd)

    def in_use(self, name: str) -> bool:
        """Whether somebody other than this object works under the name, be it only a dead manager's leftover."""
        path = self._path(name)
        if name in self._mine or not path.exists():
            return False
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            return not _try(fd)
        finally:
            os.close(fd)

    async def _take(self, name: str, must_finish: Callable[[Sequence[str]], bool]) -> int:
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        fd = os.open(self._path(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            if not _try(fd):
                await self._inherit(name, fd, must_finish)
        except BaseException:
            os.close(fd)
            raise
        return fd

    async def _inherit(self, name: str, fd: int, must_finish: Callable[[Sequence[str]], bool]) -> None:
        """Take over from a dead holder, or from an ended job of our own whose children still run."""
        holder = _read(fd)
        if holder is None or name in self._mine or (holder.alive and holder.instance != self._instance):
            raise _locked(name, holder)
        await strays.end(lambda: strays.of_job(holder.job), must_finish, PATIENCE)
        for _ in range(round(RELEASE / POLL)):
            if _try(fd):
                return
            await asyncio.sleep(POLL)
        raise _locked(name, holder)

    def _path(self, name: str) -> Path:
        if not NAME_PATTERN.fullmatch(name):
            raise ValueError(f"not a cluster name: {name!r}")
        return self._folder / f"{name}.lock"


def _locked(name: str, holder: Holder | None) -> Transient:
    who = f" (process {holder.pid})" if holder is not None else ""
    message = f"Another process on this host{who} works on a cluster named {name}; this goes on when it has finished."
    return Transient(Reason.NAME_LOCKED, message)


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(fd: int, holder: Holder) -> None:
    os.ftruncate(fd, 0)
    os.pwrite(fd, json.dumps(asdict(holder)).encode(), 0)


def _read(fd: int) -> Holder | None:
    try:
        return Holder(**json.loads(os.pread(fd, 4096, 0)))
    except (ValueError, TypeError):
        return None


def _space() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + " " + str(Path("/proc/self/ns/pid").readlink())
    return ""
