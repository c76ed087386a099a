"""Thawing what keeps a container from being killed on a host with cgroup v1.

Under cgroup v1 a frozen process does not even die of SIGKILL. A node's own runc freezes a pod's cgroup for a moment whenever it makes or
changes it (libcontainer, fs/freezer.go); if the node is removed in that moment, the runc dies, the pod stays frozen, the node's init waits
for it, and the engine says "tried to kill container, but did not receive an exit event" for ever. Which containers may be removed is
decided elsewhere; here are only cgroups below theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ROOT = Path("/sys/fs/cgroup/freezer")
"""cgroup v1's freezer hierarchy. cgroup v2 has none: there a frozen process can be killed."""
STUCK = "did not receive an exit event"
"""Said by moby (daemon/kill.go) of a container whose processes do not end although they were killed."""


def thaw(ids: Iterable[str], root: Path = ROOT) -> list[Path]:
    """Thaw every cgroup of these containers that was frozen by itself; the cgroups thawed. Never raises: a remote engine has none here."""
    return [cgroup for one in ids for cgroup in _cgroups(root, one) if _thawed(cgroup)]


def _cgroups(root: Path, container: str) -> list[Path]:
    """A container's cgroups, outermost first. A full id names it with both of the engine's cgroup drivers (ID and docker-ID.scope)."""
    try:
        return sorted(state.parent for own in root.rglob(f"*{container}*") for state in own.rglob("freezer.state"))
    except OSError:
        return []


def _thawed(cgroup: Path) -> bool:
    try:
        if (cgroup / "freezer.self_freezing").read_text().strip() != "1":
            return False
        (cgroup / "freezer.state").write_text("THAWED")
    except OSError:
        return False
    return True
