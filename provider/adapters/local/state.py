"""The folder of one local cluster and what is remembered in it. Files are private; state.json is replaced atomically.

state.json is the ownership mark: written first, before any process starts, and removed last, after every process has ended. So a
creator or a remover that is killed at any moment leaves either nothing or a folder that names its owner.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from provider.adapters.local.daemons import Daemon

STATE = "state.json"
MODE_DIRECTORY = 0o700
MAX_SOCKET_PATH = 100
"""A unix socket's path has at most 107 characters (sun_path)."""


class Unreadable(Exception):
    """state.json exists and does not say whose the cluster is."""


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
    """The API server's, on 127.0.0.1; 0 until it is known."""
    kwok_port: int = 0
    sockets: str = ""
    """Folder of etcd's unix socket: the cluster's own, or a short one where that path is too long."""
    daemons: dict[str, Daemon] = field(default_factory=dict)

    def with_daemon(self, component: str, daemon: Daemon) -> State:
        return replace(self, daemons={**self.daemons, component: daemon})


def make(folder: Path, state: State) -> None:
    folder.mkdir(mode=MODE_DIRECTORY, parents=True, exist_ok=True)
    write(folder, state)


def write(folder: Path, state: State) -> None:
    fresh = folder / f"{STATE}.new"
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(state), file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / STATE)


def read(folder: Path) -> State | None:
    """None when there is no cluster here (a folder without state.json has never had a process). Raises Unreadable."""
    try:
        raw = json.loads((folder / STATE).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise Unreadable(f"{folder / STATE} cannot be read: {error}") from error
    try:
        nodes = tuple(NodeSpec(**node) for node in raw.pop("nodes"))
        daemons = {name: Daemon(**daemon) for name, daemon in raw.pop("daemons").items()}
        return State(nodes=nodes, daemons=daemons, **raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"{folder / STATE} is not what this version writes: {error}") from error


def remove(folder: Path, state: State | None) -> None:
    """Everything but the mark, then the mark, then the folder."""
    if state is not None and state.sockets and Path(state.sockets) != folder:
        shutil.rmtree(state.sockets, ignore_errors=True)
    for entry in folder.iterdir() if folder.exists() else ():
        if entry.name == STATE:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    (folder / STATE).unlink(missing_ok=True)
    if folder.exists():
        folder.rmdir()


def socket_folder(folder: Path, marker: str, temporary: Path) -> Path:
    """Where etcd's socket goes: beside its data, or in a private short folder made for it."""
    if len(str(folder / "etcd.sock")) <= MAX_SOCKET_PATH:
        return folder
    short = temporary / f"capkind-{marker[:16]}"
    short.mkdir(mode=MODE_DIRECTORY, exist_ok=True)
    if short.stat().st_uid != os.getuid() or short.is_symlink():
        raise Unreadable(f"{short} belongs to somebody else; remove it")
    return short
