"""Run as a script, never imported: start a program that outlives its parent, and print its pid.

    python -I -S daemonize.py FOLDER LOG PROGRAM ARGUMENT…

The program gets a session of its own, and its parent ends at once: neither the end of the manager nor a signal to the manager's process
group reaches it. Its output is appended to FOLDER/LOG; files it makes are private.
"""

from __future__ import annotations

import os
import sys

LAST_INHERITED = 64
"""File descriptors below this are closed; Python marks its own as close-on-exec, so there are hardly any."""
NOT_EXECUTABLE = 126
"""A shell's exit code for a program that cannot be executed."""


def main() -> None:
    folder, log, program = sys.argv[1], sys.argv[2], sys.argv[3:]
    os.umask(0o077)
    os.chdir(folder)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    pid = os.fork()
    if pid:
        sys.stdout.write(f"{pid}\n")
        return
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.closerange(3, LAST_INHERITED)
    try:
        os.execv(program[0], program)  # noqa: S606 - no shell is the point
    except OSError as error:
        os.write(2, f"{program[0]}: {error.strerror}\n".encode())
        os._exit(NOT_EXECUTABLE)


if __name__ == "__main__":
    main()
