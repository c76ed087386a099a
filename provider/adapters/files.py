"""Private files of the manager that must be whole: written anew in one step, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

NEW = ".new"
"""Ending of what is being written."""


def replace_file(path: Path, content: bytes) -> Path:
    """Write a private file (0600) atomically, also when the process or the machine ends in between."""
    fresh = path.with_name(path.name + NEW)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return fresh.replace(path)
