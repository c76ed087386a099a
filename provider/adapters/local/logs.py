"""What the components of a local cluster have said: FOLDER/COMPONENT.log, appended to by the component, bounded by us."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from provider.adapters.local.state import MODE_DIRECTORY, STATE, replace_file

LIMIT = 16 << 20
"""Bytes after which a log is cut. The component writes at the end of the file, wherever that is (O_APPEND)."""
KEPT = 1 << 20
"""Bytes of its end that are kept then, in COMPONENT.log.1, and that are collected after a failure."""
LINES, LETTERS = 3, 600


def bound(folder: Path) -> None:
    """Cut what has grown too long."""
    for path in folder.glob("*.log"):
        if path.stat().st_size > LIMIT:
            replace_file(path.with_name(f"{path.name}.1"), _tail(path, KEPT))
            os.truncate(path, 0)


def collect(folder: Path, directory: Path) -> None:
    """The end of every log, and what is remembered of the cluster (no secrets), into `directory`."""
    directory.mkdir(mode=MODE_DIRECTORY, parents=True, exist_ok=True)
    for path in folder.glob("*.log*"):
        (directory / path.name).write_bytes(_tail(path, KEPT))
    if (folder / STATE).exists():
        shutil.copyfile(folder / STATE, directory / STATE)


def last_words(folder: Path, component: str) -> str:
    """ " It said: ..." to end an error message with; empty when it said nothing."""
    try:
        text = _tail(folder / f"{component}.log", KEPT).decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f" It said: {' '.join(lines[-LINES:])[-LETTERS:]}" if lines else ""


def _tail(path: Path, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - length))
        return file.read(length)
