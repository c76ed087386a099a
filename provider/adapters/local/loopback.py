"""TCP ports of 127.0.0.1: picking a free one, reserving it until its program has bound it, and finding out who has it.

A reservation is a socket bound without SO_REUSEADDR, so it fails for a port that is in use; the option is set afterwards. From then on
the kernel gives the port to no outgoing connection, another reservation fails, and the program it is for (Go's listeners set the option)
can bind it.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

from provider.adapters.oserrors import raise_lack
from provider.adapters.process import strays
from provider.api.conditions import Reason
from provider.errors import Transient

HOST = "127.0.0.1"
FIRST, LAST = 20000, 29999
"""Below Linux's usual range for outgoing connections: a port must still be free when its cluster is started again next week."""
PICKS = 50
"""Random ports that are tried before the kernel is asked for any (port 0)."""
NET_TCP = Path("/proc/net/tcp")
LOCAL, STATE, INODE = 1, 3, 9
"""Columns of /proc/net/tcp."""
LISTEN = "0A"
"""TCP_LISTEN, in hexadecimal (linux/include/net/tcp_states.h)."""
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@contextlib.contextmanager
def held() -> Iterator[int]:
    """A free port, reserved while the context is open. Raises Transient when there is none."""
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
        except OSError as error:
            raise_lack(error)
            return True
    return False


def listens(pid: int, port: int) -> bool:
    """Whether this process listens on the port: an answer there could come from another program (proc(5): net/tcp, fd)."""
    sockets = {f"socket:[{inode}]" for inode in _listeners(port)}
    return bool(sockets) and any(target in sockets for target in strays.open_files(pid))


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
    """The range from which the kernel picks ports for outgoing connections."""
    with contextlib.suppress(OSError, ValueError):
        low, high = EPHEMERAL_RANGE.read_text().split()
        return int(low), int(high)
    return FIRST, LAST
