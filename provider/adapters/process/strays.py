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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "CAPKIND_JOB"
"""Environment variable that names the job a process works for; children inherit it."""
PROC = Path("/proc")
POLL = 0.05
SESSION, START_TIME = 3, 19
"""Positions in /proc/PID/stat, counted from the state (field 3 of proc(5))."""
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


def start_time(pid: int) -> int | None:
    """When the process started; None when there is none, or only its zombie."""
    stat = _stat(pid)
    return stat[1] if stat else None


def state(pid: int) -> str:
    """The letter of proc(5): "R", "S", "T" (stopped by a signal); empty when there is no process."""
    try:
        return (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def of_job(name: str) -> list[Process]:
    """All processes of this user whose environment says that they work for the job; none for an empty name, which is no job's."""
    if not name:  # every process without the variable would match: everything on the host, this process too
        return []
    return [process for pid in pids() if (process := _describe(pid)) is not None and environment(pid, VARIABLE) == name]


def of_session(session: int) -> list[Process]:
    """All living processes of a session (setsid(2)); its leader may have ended."""
    found = []
    for pid in pids():
        stat = _stat(pid)
        if stat is not None and stat[0] == session and (process := _describe(pid)) is not None:
            found.append(process)
    return found


async def end(find: Callable[[], Sequence[Process]], must_finish: MustFinish, patience: float) -> bool:
    """Kill what `find` finds, until it finds nothing. Those that must finish are killed after `patience` seconds only.

    Returns whether all of those finished by themselves.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    finished = True
    while (found := find()) and loop.time() < deadline + DEATH:  # looked for again: a process may start another before it dies
        late = loop.time() >= deadline
        for process in found:
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
    """A variable of a process's environment; empty without one, or where it may not be read."""
    start = f"{name}=".encode()
    found = (entry.removeprefix(start) for entry in _read(pid, "environ").split(b"\0") if entry.startswith(start))
    return next(found, b"").decode(errors="replace")


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
    argv = _read(pid, "cmdline").decode(errors="replace").split("\0")[:-1]
    return Process(pid, stat[1], tuple(argv))


def _stat(pid: int) -> tuple[int, int] | None:
    """(session, start time); the command's name in parentheses may hold anything, so what follows the last one counts."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    if len(fields) <= START_TIME or fields[0] in (b"Z", b"X"):
        return None
    return int(fields[SESSION]), int(fields[START_TIME])


def _read(pid: int, name: str) -> bytes:
    """Empty for a process that has ended or may not be looked into. Raises OSError when that cannot be told (no descriptor, no memory)."""
    try:
        return (PROC / str(pid) / name).read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
