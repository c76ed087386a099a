"""Where tools are kept: `store/NAME/VERSION/NAME` holds what was fetched or built, `bin/NAME` links to what is in use.

Every checkout of a user shares the folder, so files appear in it by rename only, and changes are made under a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from hack.tools.pins import Tool

ENVIRONMENT = "CAPKIND_TOOLS_DIR"
WORK = ".work-"


def root() -> Path:
    """The cache folder: $CAPKIND_TOOLS_DIR, else below the user's cache folder."""
    if chosen := os.environ.get(ENVIRONMENT):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cluster-api-provider-kind" / "tools"


def bin_folder() -> Path:
    return root() / "bin"


def stored(folder: Path, tool: Tool) -> Path:
    """Where the pinned version of a tool is kept, whether it is there or not."""
    return folder / "store" / tool.name / tool.version / tool.name


def link(folder: Path, tool: Tool, target: Path) -> None:
    """Make bin/NAME point at target."""
    place = folder / "bin" / tool.name
    if place.is_symlink() and place.readlink() == target:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f".{tool.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(place)


def sweep(folder: Path) -> None:
    """Remove what a run that was killed left behind. Only under the lock: then no other run works here."""
    for left in folder.glob(f"{WORK}*"):
        shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """A temporary folder on the cache's own file system, gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=WORK, dir=folder) as work:
        yield Path(work)


def keep(folder: Path, tool: Tool, fresh: Path) -> Path:
    """Move a finished executable into the store. Returns its place."""
    fresh.chmod(0o755)
    place = stored(folder, tool)
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh.replace(place)
    return place


@contextlib.contextmanager
def locked(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the cache's lock; calls `waiting` once if another run holds it. Released by the kernel when this process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
