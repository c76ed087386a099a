"""provider.adapters.watchdog: the process ends without the help of an event loop that hangs."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time

from provider.adapters.process import strays
from provider.adapters.watchdog import Watchdog


def test_a_deadline_that_passes_ends_once() -> None:
    """In a thread of its own."""
    ended = threading.Event()
    Watchdog(ended.set).move(time.monotonic() + 0.05)

    assert ended.wait(10)


def test_a_deadline_that_is_moved_or_taken_away_does_not_end() -> None:
    """The last word counts: the thread waits for what is left, however often it is told."""
    ended, other = threading.Event(), threading.Event()
    watched = Watchdog(ended.set)
    watched.move(time.monotonic() + 0.05)
    watched.move(time.monotonic() + 3600)
    watched.move(None)
    Watchdog(other.set).move(time.monotonic() + 0.3)

    assert other.wait(10)
    assert not ended.is_set()


def test_a_loop_that_hangs_ends_with_its_programs() -> None:
    """The loop is blocked for an hour; the process ends at its deadline, and the program that it ran ends as well."""
    script = """
        import asyncio, time
        from provider.adapters.process import command
        from provider.adapters.process.command import Command, run_command
        from provider.main import end_now
        from provider.adapters.watchdog import Watchdog

        async def main():
            program = Command(argv=["sleep", "3600"], env={"PATH": "/usr/bin:/bin"}, timeout=3600)
            task = asyncio.create_task(run_command(program))
            await asyncio.sleep(0.5)
            print(*command._sessions, flush=True)
            Watchdog(end_now).move(time.monotonic() + 0.2)
            time.sleep(3600)

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 1, done.stderr
    assert "in main" in done.stderr, "it says where the loop hangs"
    deadline = time.monotonic() + 10
    while strays.start_time(int(done.stdout)) is not None:
        assert time.monotonic() < deadline, "the program outlived the process"
        threading.Event().wait(0.02)
