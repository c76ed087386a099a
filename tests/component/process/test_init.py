"""Process 1 of the image: orphans are reaped, signals arrive, the exit code is the manager's."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ORPHAN = """
import ctypes, os, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell starts what runs in the background with it ignored
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans come to us, as they come to process 1
from provider.adapters.process.init import become_init
init = os.getpid()
become_init()
if os.fork() == 0:
    parent = os.getpid()
    orphan = os.fork()
    if orphan == 0:
        while os.getppid() == parent: time.sleep(0.01)  # whoever its next parent is: process 1 may have ended meanwhile
        os._exit(0)
    print(orphan, flush=True)
    os._exit(0)
os.wait()
print(os.getpid(), os.getppid() == init, flush=True)
for line in sys.stdin: pass
sys.exit(7)
"""


@pytest.fixture
def started() -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", ORPHAN]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        yield process
        process.kill()


def lines(process: subprocess.Popen[str]) -> tuple[int, int, str]:
    """(pid of the orphan, pid of the manager, whether its parent is process 1)"""
    assert process.stdout is not None
    orphan = int(process.stdout.readline())
    pid, child = process.stdout.readline().split()
    return orphan, int(pid), child


def test_an_orphan_is_no_zombie_for_long(started: subprocess.Popen[str]) -> None:
    """Its pid is gone while the manager works on."""
    orphan, manager, child = lines(started)
    assert "True" == child
    deadline = subprocess.run(  # waits outside of this process: until the pid is gone, or ten seconds
        ["timeout", "10", "sh", "-c", f"while [ -e /proc/{orphan} ]; do sleep 0.05; done"], check=False, timeout=15
    )
    assert 0 == deadline.returncode
    assert Path(f"/proc/{manager}").exists()


def test_the_exit_code_is_the_managers(started: subprocess.Popen[str]) -> None:
    """What the kubelet shows."""
    lines(started)
    started.communicate(timeout=10)
    assert 7 == started.returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_manager(started: subprocess.Popen[str], number: signal.Signals) -> None:
    """Its default action ends it here; the code says by which."""
    lines(started)
    started.send_signal(number)
    assert 128 + number == started.wait(10)
