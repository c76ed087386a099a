"""The logs of a local cluster's components: FOLDER/COMPONENT.log, appended to by the component, bounded here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from provider.adapters.files import replace_file
from provider.adapters.local.state import MODE_DIRECTORY, STATE

LIMIT = 16 << 20
"""Bytes after which a log is cut. The component writes at the end of the file, wherever that is (O_APPEND)."""
KEPT = 1 << 20
"""Bytes of its end that are kept then, in COMPONENT.log.1, and that are collected after a failure."""
LINES, LETTERS = 3, 600
"""Of a log's end that error messages quote."""


def bound(folder: Path) -> None:
    """Truncate logs that have grown too long."""
    for path in folder.glob("*.log"):
        if path.stat().st_size > LIMIT:
            replace_file(path.with_name(f"{path.name}.1"), _tail(path, KEPT))
            os.truncate(path, 0)


def collect(folder: Path, directory: Path) -> None:
    """The end of every log, and the cluster's state.json (it holds no secrets), into `directory`."""
    directory.mkdir(mode=MODE_DIRECTORY, parents=True, exist_ok=True)
    for path in folder.glob("*.log*"):
        (directory / path.name).write_bytes(_tail(path, KEPT))
    if (folder / STATE).exists():
        shutil.copyfile(folder / STATE, directory / STATE)


def last_lines(folder: Path, component: str) -> str:
    """ " It said: ..." for the end of an error message; empty when the log is."""
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
