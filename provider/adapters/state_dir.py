"""The manager's private folder (settings.state_dir): made, held by one process at a time, keeper of the manager's identity, and who has
which part of it.

What the runtimes put into their parts is their own business.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from provider.adapters.filelock import FileLock
from provider.api.conditions import Reason
from provider.errors import Terminal, Transient

FOLDER_MODE = 0o700
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

LOCKS, LOGS, LOCAL, VOLUMES = "locks", "logs", "local", "volumes"
CLUSTER_SCRATCH, LOGIN_SCRATCH = "scratch/clusters", "scratch/login"
"""What bears clusters' names has a folder of its own: a cluster may have any name, `login` and `locks` as well."""


def prepare(state_dir: Path) -> None:
    """Make the folder; one that exists is taken as it is. Raises Transient where this user cannot use it, or others could write to it."""
    try:
        state_dir.parent.mkdir(parents=True, exist_ok=True)
        try:
            state_dir.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            _check(state_dir)
    except OSError as error:
        message = f"Cannot use {state_dir}: {error.strerror}. Give --state-dir a folder of this user's own."
        raise Transient(Reason.STATE_DIR_UNUSABLE, message) from error


def _check(state_dir: Path) -> None:
    """Never changed: it may be /tmp or somebody's home. What is in it is private by itself; whoever may write to it could replace that."""
    found = state_dir.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if found.st_uid not in (os.getuid(), 0) or found.st_mode & OTHERS_WRITE:
        message = (
            f"--state-dir {state_dir} belongs to user {found.st_uid} with mode {stat.S_IMODE(found.st_mode):04o}: others can write to it. "
            "Name a folder in it that does not exist yet, or chmod 700 it."
        )
        raise Transient(Reason.STATE_DIR_UNUSABLE, message)


@contextlib.contextmanager
def only_process(state_dir: Path) -> Iterator[None]:
    """Hold the folder for as long as the block lasts. Raises Terminal naming the pid of the process that holds it already."""
    lock = FileLock(state_dir / "manager.lock")
    try:
        if not lock.acquire():
            holder = lock.record.strip() or "unknown"
            message = f"Another manager (pid {holder}) uses {state_dir}. Stop it, or give this one a --state-dir of its own."
            raise Terminal(Reason.ALREADY_RUNNING, message)
        lock.write_record(f"{os.getpid()}\n")
        yield
    finally:
        lock.close()


def stable_identity(state_dir: Path) -> str:
    """Host name and a random part that is made once per folder. Call it while holding the folder.

    It survives a restart, so that a manager that was killed takes its own Lease back at once.
    """
    path = state_dir / "identity"
    with contextlib.suppress(FileNotFoundError):
        if known := path.read_text().strip():
            return known
    identity = f"{socket.gethostname()}_{secrets.token_hex(8)}"
    path.write_text(identity + "\n")
    return identity
