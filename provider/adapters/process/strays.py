"""Strays: processes that a job left running, a job of this manager or of one that was killed. They are not our children.

A process is named by pid *and* start time, and signalled through a pidfd, so that a reused pid is never hit. Everything is read from
/proc; where there is none (not Linux), nothing is found and nothing is killed. Raises OSError when it cannot be read.
"""

from __future__ import annotations

import asyncio
import contextlib
import glob
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

VARIABLE = "CAPKIND_JOB"
"""Environment variable that names the job a process works for; children inherit it."""
PROC = Path("/proc")
POLL = 0.05
SESSION, FLAGS, START_TIME = 3, 6, 19
"""Positions in /proc/PID/stat, counted from the state (field 3 of proc(5))."""
KERNEL_THREAD = 0x00200000
"""Flag of what never has arguments or environment (PF_KTHREAD of the kernel's include/linux/sched.h)."""
EXEC_SECONDS = 0.1
"""In the middle of execve(2) a process has no environment: it is looked at again for this long."""
EXEC_READS = 4
"""An exec between the open and the read of a file of /proc empties it, also of a process that has arguments by then: read so often."""
DEATH = 5.0
"""Seconds to wait for killed processes to end. One in an uninterruptible wait of the kernel may never; we go on without it."""

MustFinish = Callable[[Sequence[str]], bool]
"""Given a process's arguments (at least one): whether killing it would leave something half-done that may show up later."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that was seen running. `started` in clock ticks since boot (proc(5), field 22 of stat)."""

    pid: int
    started: int
    argv: tuple[str, ...]
    """Empty in the moments when the kernel replaces or tears down the process's memory (execve(2), exit(2))."""
    sure: bool = True
    """False: what it works for cannot be told in such a moment. It is looked at again, and not killed for it."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A process that was seen running, and the value of a variable in its environment."""

    pid: int
    started: int
    value: str


class _Stat(NamedTuple):
    session: int
    started: int
    of_kernel: bool


def start_time(pid: int) -> int | None:
    """When the process started; None when there is none, or only its zombie."""
    stat = _stat(pid)
    return stat.started if stat else None


def state(pid: int) -> str:
    """The letter of proc(5): "R", "S", "T" (stopped by a signal); empty when there is no process."""
    try:
        return (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def of_job(name: str) -> list[Process]:
    """All processes of this user whose environment says that they work for the job; none for an empty name, which is no job's. Those of
    which it cannot be told at the moment are not `sure`.
    """
    found, unclear = with_variable(VARIABLE)
    mine = [Process(one.pid, one.started, _arguments(one.pid)) for one in found if one.value == name]
    return mine + [Process(one.pid, one.started, (), sure=False) for one in unclear] if name else []


def with_variable(name: str, among: Iterable[int] | None = None) -> tuple[list[Marked], list[Marked]]:
    """All processes of this user whose environment has a variable, and those of which it cannot be told at the moment: they are in the
    middle of an exec, and have to be looked at again. `among`: pids; None: all there are.
    """
    found, unclear = [], []
    for pid in pids() if among is None else among:
        if (value := _variable(pid, name)) == "" or (stat := _stat(pid)) is None:
            continue
        # Read again after the start time: a pid that is reused later has another one, and `kill` sees that.
        if value is not None and _variable(pid, name) == value:
            found.append(Marked(pid, stat.started, value))
        elif not stat.of_kernel:
            unclear.append(Marked(pid, stat.started, ""))
    return found, unclear


def of_session(session: int) -> list[Process]:
    """All living processes of a session (setsid(2)); its leader may have ended."""
    found = []
    for pid in pids():
        stat = _stat(pid)
        if stat is not None and stat.session == session and (process := _describe(pid)) is not None:
            found.append(process)
    return found


async def end(find: Callable[[], Sequence[Process]], must_finish: MustFinish, patience: float) -> bool:
    """Kill what `find` finds, until it finds nothing. Those that must finish are killed after `patience` seconds only.

    Returns whether all of those finished by themselves.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    finished, seen = True, loop.time()
    while found := find():  # looked for again: a process may start another before it dies
        if sure := [process for process in found if process.sure]:
            seen = loop.time()
        if loop.time() >= (deadline + DEATH if sure else seen + EXEC_SECONDS):
            break
        late = loop.time() >= deadline
        for process in sure:
            needed = bool(process.argv) and must_finish(process.argv)  # without arguments it has done nothing yet, or is ending
            if late or not needed:
                finished = finished and not needed
                kill(process)
        await asyncio.sleep(POLL)
    return finished


def open_files(pid: int | str = "[0-9]*") -> Iterator[str]:
    """What the file descriptors of a process (of all) lead to, e.g. "socket:[4711]". Nothing for processes that we may not look into."""
    for descriptor in glob.iglob(f"{PROC}/{pid}/fd/*"):  # noqa: PTH207 - Path.glob fails when a process ends meanwhile
        with contextlib.suppress(OSError):
            yield str(Path(descriptor).readlink())


def environment(pid: int, name: str) -> str:
    """A variable of a process's environment; empty without one, where it may not be read, and in the middle of an exec."""
    return _variable(pid, name) or ""


def _variable(pid: int, name: str) -> str | None:
    """As `environment`; None in the middle of execve(2), when a process has neither arguments nor environment (and in that of exit(2))."""
    environ = _environ(pid)
    if environ is None:
        return None
    start = f"{name}=".encode()
    found = (entry.removeprefix(start) for entry in environ.split(b"\0") if entry.startswith(start))
    return next(found, b"").decode(errors="replace")


def _environ(pid: int) -> bytes | None:
    """Empty without one, or where it may not be read; None in the middle of an exec."""
    for _ in range(EXEC_READS):
        try:
            content = (PROC / str(pid) / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return b""
        if content:
            return content
        if not _read(pid, "cmdline"):
            return None
    return b""


def pids() -> Iterator[int]:
    """Raises OSError when it cannot be told: "none" would be wrong."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(PROC):
            if entry.name.isdigit():
                yield int(entry.name)


def kill(process: Process) -> None:
    """SIGKILL, if it still is the process that was seen."""
    # The pidfd is opened before the start time is compared: whatever gets the pid afterwards is not behind this descriptor.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        handle = os.pidfd_open(process.pid)
        try:
            if start_time(process.pid) == process.started:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def _describe(pid: int) -> Process | None:
    stat = _stat(pid)
    if stat is None:
        return None
    return Process(pid, stat.started, _arguments(pid))


def _arguments(pid: int) -> tuple[str, ...]:
    return tuple(_read(pid, "cmdline").decode(errors="replace").split("\0")[:-1])


def _stat(pid: int) -> _Stat | None:
    """None for a zombie. The command's name in parentheses may hold anything, so what follows the last one counts."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    if len(fields) <= START_TIME or fields[0] in (b"Z", b"X"):
        return None
    return _Stat(int(fields[SESSION]), int(fields[START_TIME]), bool(int(fields[FLAGS]) & KERNEL_THREAD))


def _read(pid: int, name: str) -> bytes:
    """Empty for a process that has ended or may not be looked into. Raises OSError when that cannot be told (no descriptor, no memory)."""
    try:
        return (PROC / str(pid) / name).read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
