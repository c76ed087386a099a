"""The first process of a pid namespace, as the manager is in its image: it starts the manager as a child and reaps what nobody waits for.

Orphans become children of process 1: what an engine's command or a killed kind leaves. The manager itself must not reap them, because
waiting for "any child" takes away the exit codes of its own commands; so the two are two processes. Only for process 1, before any thread.
"""

from __future__ import annotations

import os
import signal

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def become_init() -> None:
    """Return in a child, which is to be the manager; the caller's process reaps, passes signals on, and ends with the child's exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # none is lost between the fork and the handlers
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        return
    for number in FORWARDED:
        signal.signal(number, lambda got, _: os.kill(child, got))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    os._exit(_reap_until_end_of(child))


def _reap_until_end_of(child: int) -> int:
    """The child's exit code, as shells have it. It is not reaped before, so its pid is nobody else's."""
    while True:
        pid, status = os.waitpid(-1, 0)  # PEP 475: goes on after a signal was passed on
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
