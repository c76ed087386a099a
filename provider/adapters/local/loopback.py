"""TCP ports of 127.0.0.1: picked, held until their program has bound them, and asked who has them.

A holder binds its port without SO_REUSEADDR, so it gets none that anybody else has, and sets the option afterwards. From then on the
kernel hands the port to nobody, another holder is refused, and the program it is for (Go's listeners set the option) can bind it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

from provider.api.conditions import Reason
from provider.errors import Transient

HOST = "127.0.0.1"
FIRST, LAST = 20000, 29999
"""Below Linux's usual range for outgoing connections: a port must still be free when its cluster is started again next week."""
PICKS = 50
NET_TCP = Path("/proc/net/tcp")
LOCAL, STATE, INODE = 1, 3, 9
LISTEN = "0A"
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@contextlib.contextmanager
def held() -> Iterator[int]:
    """A port that nobody has. Raises Transient when there is none."""
    holder = _hold()
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        yield int(holder.getsockname()[1])
    finally:
        holder.close()


def taken(port: int) -> bool:
    """Whether a program listens there (or holds it for itself). A port held by `held` counts as free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def listens(pid: int, port: int) -> bool:
    """Whether this very process listens on the port; that somebody answers there proves nothing (proc(5): net/tcp, fd)."""
    sockets = {f"socket:[{inode}]" for inode in _listeners(port)}
    folder = Path(f"/proc/{pid}/fd")
    try:
        return bool(sockets) and any(_target(folder / name) in sockets for name in os.listdir(folder))  # noqa: PTH208 - closed at once
    except OSError:
        return False


def _target(entry: Path) -> str:
    with contextlib.suppress(OSError):
        return str(entry.readlink())
    return ""


def _listeners(port: int) -> Iterator[str]:
    """Inodes of sockets that listen on the port of any IPv4 address."""
    for line in NET_TCP.read_text().splitlines()[1:]:
        fields = line.split()
        if fields[STATE] == LISTEN and int(fields[LOCAL].rpartition(":")[2], 16) == port:
            yield fields[INODE]


def _hold() -> socket.socket:
    for port in [*_picks(), 0]:
        holder = socket.socket()
        try:
            holder.bind((HOST, port))
        except OSError:
            holder.close()
        else:
            return holder
    raise Transient(Reason.PORT_IN_USE, f"There is no free TCP port on {HOST}.")


def _picks() -> list[int]:
    low, high = _ephemeral()
    ports = [port for port in range(FIRST, LAST + 1) if not low <= port <= high]
    return secrets.SystemRandom().sample(ports, min(PICKS, len(ports)))


def _ephemeral() -> tuple[int, int]:
    """The ports that outgoing connections get."""
    with contextlib.suppress(OSError, ValueError):
        low, high = EPHEMERAL_RANGE.read_text().split()
        return int(low), int(high)
    return FIRST, LAST
