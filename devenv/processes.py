"""Child processes that cannot outlive what started them, and detached ones that can be found and ended again later.

A child's record (pid and start time) is kept in a file of its folder, so that a later run can end exactly these processes and never
one that merely got the same pid.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

RECORDS = "processes.json"

# Becomes the child by exec. PR_SET_PDEATHSIG (1) makes the kernel kill it when its parent dies, however the parent dies; a parent that
# died before the call is noticed by its pid. In a helper interpreter instead of preexec_fn, which is unsafe with threads.
_LAUNCH = """
import ctypes, os, signal, sys
parent, argv = int(sys.argv[1]), sys.argv[2:]
if parent:
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    except AttributeError:
        pass
    if os.getppid() != parent:
        os._exit(1)
os.execv(argv[0], argv)
"""


def start(
    name: str, argv: Sequence[str], folder: Path, *, detached: bool = False, environ: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start argv in its own session, output to folder/<name>.log, working directory folder; `environ` replaces the bare default.

    Unless detached it dies with the calling *thread* (that is what the kernel watches): call from a thread that lives long enough.
    """
    parent = "0" if detached else str(os.getpid())
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCH, parent, *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environ or {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
    record(folder, name, process.pid)
    return process


def naming(*words: str) -> list[str]:
    """Command lines of living processes that contain one of these."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if any(word in line for word in words) and start_time(int(path.parent.name)) is not None:
            found.append(line)
    return found


def start_time(pid: int) -> str | None:
    """Start time of a living process in clock ticks since boot (/proc/<pid>/stat field 22); None when dead, a zombie or unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def records(folder: Path) -> dict[str, tuple[int, str]]:
    """Recorded processes of a folder that still live: name → (pid, start time)."""
    try:
        stored = json.loads((folder / RECORDS).read_text())
    except FileNotFoundError:
        return {}
    return {name: (pid, started) for name, (pid, started) in stored.items() if start_time(pid) == started}


def record(folder: Path, name: str, pid: int) -> None:
    """Remember a started process of this folder (pid and start time)."""
    known = {**records(folder), name: (pid, start_time(pid))}
    fresh = folder / f"{RECORDS}.new"
    fresh.write_text(json.dumps(known))
    fresh.rename(folder / RECORDS)


def kill_recorded(folder: Path, deadline: float = 10.0) -> None:
    """SIGKILL every recorded process of a folder and wait until none lives. Raises TimeoutError."""
    until = time.monotonic() + deadline
    while living := records(folder):
        for pid, started in living.values():
            _kill(pid, started)
        if time.monotonic() > until:
            raise TimeoutError(f"processes do not end: {living}")
        time.sleep(0.01)


def _kill(pid: int, started: str) -> None:
    """Through a pidfd, so that the process that is checked is the process that is killed. Reaps it when it is our own child."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if start_time(pid) == started:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)
