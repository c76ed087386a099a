"""Processes that outlive the manager: started as children of nobody, found again by a mark in their environment, ended by pidfd.

A process is identified by pid *and* start time, so a recycled pid is never taken for it; a zombie counts as dead. Linux only (/proc,
pidfd). Children that must die with the manager are provider.adapters.process's business.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "CAPKIND_OWNER"
"""Environment variable: <marker>/<component>."""
END_SECONDS = 10.0
LAUNCH_SECONDS = 30.0

# Forks, becomes a session leader, and is replaced by the program: the program's parent has ended, so nobody has to wait for it.
_LAUNCH = """
import os, sys
pid = os.fork()
if pid:
    print(pid, flush=True)
    os._exit(0)
os.setsid()
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.dup2(log, 1)
os.dup2(log, 2)
os.closerange(3, 64)
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class Daemon:
    pid: int
    started: str
    """Clock ticks since boot, as /proc/<pid>/stat has it."""


def start(component: str, argv: Sequence[str], *, marker: str, folder: Path) -> Daemon:
    """Output is appended to folder/<component>.log; the environment holds nothing of the manager's own."""
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8", MARK: f"{marker}/{component}"}
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(folder / f"{component}.log"), *argv]
    done = subprocess.run(launcher, env=environ, cwd=folder, capture_output=True, timeout=LAUNCH_SECONDS, check=True)  # noqa: S603 - an argument list
    pid = int(done.stdout)
    return Daemon(pid, start_time(pid) or "")


def start_time(pid: int) -> str | None:
    """None for a process that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if not fields or fields[0] == "Z" else fields[19]


def alive(daemon: Daemon | None) -> bool:
    return daemon is not None and daemon.started != "" and start_time(daemon.pid) == daemon.started


def find(marker: str) -> dict[str, list[Daemon]]:
    """Living processes of a marker by component, recorded or not: what a killed creator did not get to write down."""
    prefix, found = f"{MARK}={marker}/".encode(), dict[str, list[Daemon]]()
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for variable in Path(f"/proc/{entry.name}/environ").read_bytes().split(b"\0"):
                started = start_time(int(entry.name)) if variable.startswith(prefix) else None
                if started is not None:
                    component = variable[len(prefix) :].decode(errors="replace")
                    found.setdefault(component, []).append(Daemon(int(entry.name), started))
    return found


def end(daemon: Daemon) -> None:
    """SIGKILL and wait. The process that is checked is the process that is killed. Raises TimeoutError."""
    try:
        fd = os.pidfd_open(daemon.pid)
    except ProcessLookupError:
        return
    try:
        if start_time(daemon.pid) != daemon.started:
            return
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        readable, _, _ = select.select([fd], [], [], END_SECONDS)
        if not readable:
            raise TimeoutError(f"process {daemon.pid} does not end")
    except ProcessLookupError:
        return
    finally:
        os.close(fd)


def end_all(marker: str, recorded: Mapping[str, Daemon]) -> None:
    """Until a search finds nothing: a process may be on its way from the creator's last breath. Raises TimeoutError."""
    for daemon in recorded.values():
        end(daemon)
    deadline = time.monotonic() + END_SECONDS
    while found := find(marker):
        for daemons in found.values():
            for daemon in daemons:
                end(daemon)
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes of {marker} do not end: {sorted(found)}")


def output(argv: Sequence[str], seconds: float = 10.0) -> str:
    """What a short-lived command prints; empty when it fails."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=True).stdout.strip()  # noqa: S603 - an argument list
    except (OSError, subprocess.SubprocessError):
        return ""
