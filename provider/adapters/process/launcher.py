"""Run as a script, never imported: become the given program, and die with the parent.

    python -I -S launcher.py PARENT_PID PROGRAM ARGUMENT…

PR_SET_PDEATHSIG must be set in the child between fork and exec. subprocess's preexec_fn would run Python code in a forked copy of a
process with threads, which may deadlock; this tiny interpreter has one thread and execs at once (about 10 ms). The signal comes when
the *thread* that started us ends (prctl(2)), so long children have to be started from a thread that lives as long as the manager.
"""

from __future__ import annotations

import os
import signal
import sys

PR_SET_PDEATHSIG = 1
NOT_FOUND, NOT_EXECUTABLE = 127, 126


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(128 + signal.SIGKILL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and an ignored signal is inherited
    try:
        os.execv(program[0], program)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.stderr.write(f"{program[0]}: {error.strerror}\n")
        os._exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)


if __name__ == "__main__":
    main()
