"""Processes that outlive the manager: started detached, found again by a mark in their environment, killed through a pidfd.

A process is identified by pid, start time *and* mark, so a reused pid is never mistaken for it, not even after a reboot; a zombie counts
as ended. Linux only (/proc, pidfd). Children that must end with the manager belong to provider.adapters.process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from provider.adapters.process import strays
from provider.adapters.process.command import Command, run_command
from provider.api.conditions import Reason
from provider.errors import Transient

MARK = "CAPKIND_OWNER"
"""Environment variable: <marker>/<component>."""
END_SECONDS = 10.0
"""For a process to end after SIGKILL; only the kernel can take long (etcd in an fsync on a slow disk)."""
FROZEN = "T"
"""State of a process that a signal has stopped (proc(5))."""
POLL = 0.005
LAUNCH_SECONDS = 30.0
"""For the launcher, which ends at once unless the host is overloaded."""
LAUNCHER = Path(__file__).with_name("daemonize.py")


@dataclass(frozen=True, slots=True)
class Daemon:
    """A process as it was started or found."""

    pid: int
    started: int
    """Clock ticks since boot (proc(5), field 22 of stat); 0 = it had ended before it could be read."""
    mark: str
    """Value of CAPKIND_OWNER in its environment."""
    at: str = ""
    """RFC 3339; empty for one that was found."""


async def start(component: str, argv: Sequence[str], *, marker: str, folder: Path) -> Daemon:
    """Output is appended to folder/<component>.log; the environment holds nothing of the manager's own. Raises RunError.

    Cancelling kills the launcher; the program may have been started by then, so look with `find`.
    """
    mark = f"{marker}/{component}"
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(folder), MARK: mark}
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(folder), f"{component}.log", *argv]
    done = await run_command(Command(argv=launcher, env=environ, timeout=LAUNCH_SECONDS))
    pid = int(done.stdout)
    return Daemon(pid, strays.start_time(pid) or 0, mark, datetime.now(UTC).isoformat(timespec="milliseconds"))


def alive(daemon: Daemon | None) -> bool:
    """Whether this process runs, and not another one with its pid."""
    if daemon is None or not daemon.started:
        return False
    until = time.monotonic() + strays.EXEC_SECONDS
    while strays.start_time(daemon.pid) == daemon.started:
        if (mark := strays.environment(daemon.pid, MARK)) or time.monotonic() > until:
            return mark == daemon.mark
        time.sleep(POLL)
    return False


def find(marker: str) -> dict[str, list[Daemon]]:
    """Running processes of a marker by component, also those that a killed manager started and did not record. Blocks for EXEC_SECONDS at
    most, and only while a process of this host is in the middle of an exec.
    """
    found: dict[str, list[Daemon]] = {}
    marked, unclear = strays.with_variable(MARK)
    until = time.monotonic() + strays.EXEC_SECONDS
    while unclear and time.monotonic() < until:
        time.sleep(POLL)
        more, unclear = strays.with_variable(MARK, [one.pid for one in unclear])
        marked += more
    for one in marked:
        if one.value.startswith(f"{marker}/"):
            found.setdefault(one.value.partition("/")[2], []).append(Daemon(one.pid, one.started, one.value))
    return found


def end(daemon: Daemon) -> None:
    """SIGKILL and wait. Raises Transient when it does not end."""
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(daemon.pid)
        try:
            # Checked after the open: the pidfd stays bound to this process, so a reused pid cannot be killed in its place.
            if not alive(daemon):
                return
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            readable, _, _ = select.select([fd], [], [], END_SECONDS)
            if not readable:
                raise Transient(Reason.LOCAL_REMOVAL_FAILED, f"Process {daemon.pid} ({daemon.mark}) does not end.")
            reap(fd)
        finally:
            os.close(fd)


def frozen(daemon: Daemon) -> bool:
    """Stopped by a signal, and there."""
    return alive(daemon) and strays.state(daemon.pid) == FROZEN


def freeze(daemon: Daemon) -> None:
    """SIGSTOP and wait. Raises Transient when it runs on. One that has ended is left alone."""
    _send(daemon, signal.SIGSTOP)
    deadline = time.monotonic() + END_SECONDS
    while alive(daemon) and strays.state(daemon.pid) != FROZEN:
        if time.monotonic() > deadline:
            raise Transient(Reason.STOP_FAILED, f"Process {daemon.pid} ({daemon.mark}) does not stop.")
        time.sleep(POLL)


def thaw(daemon: Daemon) -> None:
    """SIGCONT, which does nothing to one that runs."""
    _send(daemon, signal.SIGCONT)


def end_all(marker: str, recorded: Mapping[str, Daemon]) -> None:
    """Until a search finds nothing: a launcher of a killed manager may still start one. Raises Transient."""
    for daemon in recorded.values():
        end(daemon)
    deadline = time.monotonic() + END_SECONDS
    while found := find(marker):
        for daemons in found.values():
            for daemon in daemons:
                end(daemon)
        if time.monotonic() > deadline:
            raise Transient(Reason.LOCAL_REMOVAL_FAILED, f"Processes of {marker} come back: {', '.join(sorted(found))}.")


def _send(daemon: Daemon, what: signal.Signals) -> None:
    """To this process only: a reused pid is not hit (see `end`)."""
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(daemon.pid)
        try:
            if alive(daemon):
                signal.pidfd_send_signal(fd, what)
        finally:
            os.close(fd)


def reap(fd: int) -> None:
    """Reap an ended process that is our child: a manager that runs as pid 1 of a container inherits all orphans."""
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOHANG)
