"""The folder of one local cluster and its state.json. Folders are private (0700); state.json is replaced atomically.

state.json is the ownership mark. A folder is made as NAME.new, complete with its mark, and renamed before any process starts; it is
renamed to NAME.del after the last process has ended, and then removed. So a manager that is killed at any moment leaves a folder that
names its owner, or a leftover without processes, which the next holder of the name's lock may remove (`leftovers`).
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from provider.adapters.files import NEW, replace_file
from provider.adapters.local.daemons import Daemon

STATE = "state.json"
MODE_DIRECTORY = 0o700
DELETED = ".del"
"""Ending of folders, like NEW; a cluster name has no dot."""
SOCKET = "etcd.sock"
MAX_SOCKET_PATH = 107
"""Bytes of a unix socket's path (unix(7): sun_path has 108 with its end mark)."""
SHORT_PREFIX, SHORT_MARKER = "capkind-", 16


class Unreadable(Exception):
    """Something exists under the name, and its owner cannot be read."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    name: str
    role: str
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """What must survive a restart of the manager."""

    marker: str
    holder: str
    nodes: tuple[NodeSpec, ...]
    networking: dict[str, Any] = field(default_factory=dict)
    feature_gates: dict[str, bool] = field(default_factory=dict)
    runtime_config: dict[str, str] = field(default_factory=dict)
    port: int = 0
    """The API server's, on 127.0.0.1; 0 until it is known; never changed after that, because kubeconfigs name it."""
    kwok_port: int = 0
    sockets: str = ""
    """Folder of etcd's unix socket: the cluster's own, or a short one where that path is too long."""
    daemons: dict[str, Daemon] = field(default_factory=dict)


def make(folder: Path, state: State, fill: Callable[[Path], None]) -> None:
    """Create the folder with state.json and what `fill` puts into it, atomically. It must not exist."""
    fresh = folder.with_name(folder.name + NEW)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=MODE_DIRECTORY, parents=True)
    write(fresh, state)
    fill(fresh)
    fresh.rename(folder)


def write(folder: Path, state: State) -> None:
    replace_file(folder / STATE, json.dumps(asdict(state)).encode())


def read(folder: Path) -> State | None:
    """None when there is no cluster here. Raises Unreadable for something that is no cluster, OSError when it cannot be read."""
    content = _content(folder)
    if content is None and os.path.lexists(folder):
        content = _content(folder)  # it may have been renamed into place between the two checks
        if content is None and os.path.lexists(folder):
            raise Unreadable(f"{folder} exists and is no local cluster of this provider")
    return None if content is None else _decode(folder, content)


def _content(folder: Path) -> bytes | None:
    try:
        return (folder / STATE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _decode(folder: Path, content: bytes) -> State:
    try:
        raw = json.loads(content)
        nodes = tuple(NodeSpec(**node) for node in raw.pop("nodes"))
        daemons = {name: Daemon(**daemon) for name, daemon in raw.pop("daemons").items()}
        return State(nodes=nodes, daemons=daemons, **raw)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"{folder / STATE} is not what this version writes") from error


def remove(folder: Path, state: State) -> None:
    """The caller has ended the processes. After the rename the cluster is gone; a failure from then on leaves files only."""
    if (sockets := _short(state)) is not None:
        shutil.rmtree(sockets, ignore_errors=True)
    remains = folder.with_name(folder.name + DELETED)
    shutil.rmtree(remains, ignore_errors=True)
    folder.rename(remains)
    shutil.rmtree(remains)


def clean(folder: Path) -> None:
    """Remove what a killed manager left. The caller holds the name's lock."""
    for remains in leftovers(folder):
        shutil.rmtree(remains)


def leftovers(folder: Path) -> list[Path]:
    found = (folder.with_name(folder.name + ending) for ending in (NEW, DELETED))
    return [remains for remains in found if remains.is_dir()]


def clusters(root: Path) -> Iterator[Path]:
    """The folders below `root` that hold, or may hold, a cluster."""
    for folder in sorted(root.iterdir()) if root.exists() else ():
        if folder.is_dir() and "." not in folder.name:
            yield folder


def names_of_leftovers(root: Path) -> set[str]:
    endings = (NEW, DELETED)
    return {folder.stem for folder in root.iterdir() if folder.suffix in endings} if root.exists() else set()


def socket_folder(folder: Path, marker: str, short_root: Path) -> Path:
    """Where etcd's socket goes: beside its data, or, where that path would be too long, in a short folder (`ensure_sockets`)."""
    if len(os.fsencode(folder / SOCKET)) <= MAX_SOCKET_PATH:
        return folder
    return short_root / f"{SHORT_PREFIX}{marker[:SHORT_MARKER]}"


def ensure_sockets(state: State) -> None:
    """Make the short folder, also after a reboot has emptied /tmp. Raises OSError when another user has made it."""
    if (sockets := _short(state)) is None:
        return
    sockets.mkdir(mode=MODE_DIRECTORY, exist_ok=True)
    found = sockets.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{sockets} was made by somebody else; remove it")


def _short(state: State) -> Path | None:
    """The cluster's short folder, if it has one. The name is checked, because the folder is removed recursively."""
    path = Path(state.sockets)
    return path if path.is_absolute() and path.name == f"{SHORT_PREFIX}{state.marker[:SHORT_MARKER]}" else None
