"""One lock per cluster name on this host, for both runtimes: nobody else makes, starts or removes a cluster of that name meanwhile.

The lock's file says who holds it. Runtime `kind` passes the descriptor on to its long children, so a killed manager's lock stays taken
until the last of them has ended; the next manager ends them, found by the holder's record, and takes over (docs/adr/0031). Runtime
`local` passes it on to nobody, so the lock ends with the manager, and its file is removed with the cluster (docs/adr/0081). A lock whose
holder lives is never taken away.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from provider.adapters import filelock
from provider.adapters.filelock import FileLock
from provider.adapters.process import strays
from provider.adapters.process.strays import MustFinish
from provider.api.conditions import Reason
from provider.errors import Transient

NAME_PATTERN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?")
LOCK = ".lock"
FOLDER_MODE = 0o700
PATIENCE = 10.0
"""Seconds that a dead holder's processes get, where killing them would leave something half-done."""
RELEASE = 3.0
"""Seconds for the kernel to close the descriptors of killed processes."""
POLL = 0.05


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock. Pids mean something only within one boot and one pid namespace."""

    pid: int
    started: int
    """Clock ticks since boot (proc(5)): a pid that is used again has another."""
    space: str
    """Boot id and pid namespace."""
    job: str
    """Value of CAPKIND_JOB in the environment of its children; empty when it has none."""
    instance: str
    """Which NameLocks object; two of one process are two parties."""

    @property
    def alive(self) -> bool:
        """Also True when it cannot be judged from here: the pid is of another boot or pid namespace."""
        return self.space != _space() or strays.start_time(self.pid) == self.started


@dataclass(frozen=True, slots=True)
class Held:
    """A lock while it is held."""

    fd: int
    """To be inherited by children that must keep the lock."""
    job: str


class NameLocks:
    """The locks below one folder: NAME.lock for every cluster name.

    `keep`: whether the file of a name stays when its lock is released. It must stay wherever children inherit the lock: they would go
    on holding a file without a name, and the next manager would not see them.
    """

    def __init__(self, folder: Path, keep: Callable[[str], bool] = lambda _: True) -> None:
        self._folder = folder
        self._keep = keep
        self._mine: set[str] = set()
        self._instance = secrets.token_hex(8)

    @contextlib.asynccontextmanager
    async def hold(self, name: str, job: str = "", must_finish: MustFinish = lambda _: False) -> AsyncIterator[Held]:
        """Hold the lock of a cluster name. Raises Transient(NameLocked) when a living process holds it.

        `job`, `must_finish`: for a holder whose children inherit the lock: how the next one finds them, and which of them it waits for.
        Without a job nobody's children are ended: one may still have the lock for a moment, forked by a holder that was killed then.
        """
        lock = await self._take(name, must_finish)
        self._mine.add(name)
        try:
            holder = Holder(os.getpid(), strays.start_time(os.getpid()) or 0, _space(), job, self._instance)
            lock.write_record(json.dumps(asdict(holder)))
            yield Held(lock.fd, job)
        finally:
            self._mine.discard(name)
            lock.close(remove=not self._keep(name))

    def in_use(self, name: str) -> bool:
        """Whether anybody other than this object works under the name, be it only a child that a dead manager left."""
        return name not in self._mine and filelock.in_use(self._path(name))

    async def _take(self, name: str, must_finish: MustFinish) -> FileLock:
        path = self._path(name)
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            if not lock.acquire():
                await self._take_over(name, lock, must_finish)
        except BaseException:
            lock.close()
            raise
        return lock

    async def _take_over(self, name: str, lock: FileLock, must_finish: MustFinish) -> None:
        """From a dead holder, or from an ended job of our own whose children still run."""
        holder = _read(lock)
        if holder is None or name in self._mine or (holder.alive and holder.instance != self._instance):
            raise _locked(name, holder)
        await strays.end(lambda: strays.of_job(holder.job), must_finish, PATIENCE)
        for _ in range(round(RELEASE / POLL)):
            if lock.acquire():
                return
            await asyncio.sleep(POLL)
        raise _locked(name, holder)

    def _path(self, name: str) -> Path:
        if not NAME_PATTERN.fullmatch(name):
            raise ValueError(f"not a cluster name: {name!r}")
        return self._folder / f"{name}{LOCK}"


def _locked(name: str, holder: Holder | None) -> Transient:
    who = f" (process {holder.pid})" if holder is not None else ""
    message = f"Another process on this host{who} works on a cluster named {name}; this goes on when it has finished."
    return Transient(Reason.NAME_LOCKED, message)


def _read(lock: FileLock) -> Holder | None:
    """None in the moment between taking a new file's lock and writing the record, too."""
    try:
        return Holder(**json.loads(lock.record))
    except (ValueError, TypeError):
        return None


def _space() -> str:
    """Empty where there is no /proc: then every pid is judged by its start time alone."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + " " + str(Path("/proc/self/ns/pid").readlink())
    return ""
