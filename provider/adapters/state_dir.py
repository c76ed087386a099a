"""The manager's private folder (settings.state_dir): made, held by one process at a time, and keeper of the manager's identity.

What the runtimes put into it is their own business.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

from provider.adapters.filelock import FileLock
from provider.api.conditions import Reason
from provider.errors import Terminal, Transient

FOLDER_MODE = 0o700


def prepare(state_dir: Path) -> None:
    """Make the folder, or make it private. Raises Transient when this user cannot use it."""
    try:
        state_dir.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        state_dir.chmod(FOLDER_MODE)
    except OSError as error:
        message = f"Cannot use {state_dir}: {error.strerror}. Give --state-dir a folder of this user's own."
        raise Transient(Reason.STATE_DIR_UNUSABLE, message) from error


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
