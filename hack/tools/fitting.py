"""Whether an executable that is already there can be used: it is asked for its version, its name alone proves nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from hack.tools.pins import Tool

PROBE_SECONDS = 15.0
"""A wrapper that wants to install something first, or a network file system, must not stop everything."""


def version_of(tool: Tool, executable: Path) -> tuple[int, int] | None:
    """(major, minor) that the executable claims; None when it does not run or says something else."""
    try:
        done = subprocess.run(
            [executable, *tool.probe],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(tool.pattern, done.stdout)
    return (int(found[1]), int(found[2])) if found else None


def fits(tool: Tool, executable: Path) -> bool:
    """The same major version, and a minor version within the tool's tolerance."""
    claimed = version_of(tool, executable) if tool.probe else None
    major, minor = (int(part) for part in tool.version.lstrip("v").split(".")[:2])
    return claimed is not None and claimed[0] == major and minor - tool.older <= claimed[1] <= minor + tool.newer


def on_path(tool: Tool, path: str, cache: Path) -> Path | None:
    """The first fitting executable on PATH outside the cache."""
    return next((found for found in _executables(tool.name, path) if cache not in found.parents and fits(tool, found)), None)


def _executables(name: str, path: str) -> Iterator[Path]:
    for folder in path.split(os.pathsep):
        candidate = Path(folder).absolute() / name
        if folder and candidate.is_file() and os.access(candidate, os.X_OK):
            yield candidate
