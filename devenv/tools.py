"""Where test tools (etcd, kube-apiserver, kubectl, ...) are found. Never downloads or builds: that is `make tools`.

Looked up in this order: $CAPKIND_TOOLS_DIR, the tool cache ($XDG_CACHE_HOME or ~/.cache, + /cluster-api-provider-kind/tools, with or
without a bin folder), PATH.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

ENVIRONMENT = "CAPKIND_TOOLS_DIR"


class ToolMissing(Exception):
    """A tool is nowhere to be found; the message says which, where it was looked for, and the cure."""


def cache_dir() -> Path:
    """Folder of the tool cache, shared by all clones of one user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "cluster-api-provider-kind" / "tools"


def _folders() -> Iterator[Path]:
    if chosen := os.environ.get(ENVIRONMENT):
        yield Path(chosen)
        yield Path(chosen) / "bin"
    yield cache_dir() / "bin"
    yield cache_dir()


def find(name: str) -> str:
    """Absolute path of a tool. Raises ToolMissing."""
    folders = [str(folder) for folder in _folders()]
    found = shutil.which(name, path=os.pathsep.join(folders)) or shutil.which(name)
    if found is None:
        raise ToolMissing(f"{name} not found in {', '.join(folders)} or PATH; run `make tools` or set {ENVIRONMENT}")
    return str(Path(found).resolve())


def missing(*names: str) -> str:
    """Why a tier that needs these tools cannot run; empty when all are there."""
    reasons = []
    for name in names:
        try:
            find(name)
        except ToolMissing as error:
            reasons.append(str(error))
    return "; ".join(reasons)
