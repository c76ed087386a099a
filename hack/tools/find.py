"""Where a tool of this project is, for what runs here: tests, demo, benchmarks. Gets nothing: that is `make tools` (acquire.py).

Looked up in the cache folder (cache.py: $CAPKIND_TOOLS_DIR, else below the user's cache folder), then on PATH.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hack.tools import cache


class ToolMissing(Exception):
    """A tool is nowhere to be found; the message says which, where it was looked for, and what to do."""


def path(name: str) -> str:
    """Absolute path of a tool. Raises ToolMissing."""
    folders = [str(cache.bin_folder()), str(cache.root())]
    found = shutil.which(name, path=os.pathsep.join(folders)) or shutil.which(name)
    if found is None:
        raise ToolMissing(f"{name} not found in {', '.join(folders)} or PATH; run `make tools` or set {cache.ENVIRONMENT}")
    return str(Path(found).resolve())


def missing(*names: str) -> str:
    """Why a tier that needs these tools cannot run; empty when all are there."""
    reasons = []
    for name in names:
        try:
            path(name)
        except ToolMissing as error:
            reasons.append(str(error))
    return "; ".join(reasons)


def search_path() -> str:
    """PATH for child processes: the cache's tools come first."""
    return os.pathsep.join([str(cache.bin_folder()), os.environ.get("PATH", os.defpath)])
