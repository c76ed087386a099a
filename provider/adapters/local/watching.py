"""Hearing of the end of daemons: one pidfd each, read by the event loop. No polling, no cost while nothing ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable, Mapping

from provider.adapters.local.daemons import Daemon, alive, reap


class Watcher:
    """Tells the names of clusters whose daemons ended, once for each daemon. Use from one event loop."""

    def __init__(self) -> None:
        self._ended: asyncio.Queue[str | None] = asyncio.Queue()
        self._watched: dict[Daemon, int] = {}
        self._told: set[Daemon] = set()

    def watch(self, clusters: Mapping[str, Iterable[Daemon]]) -> None:
        """All daemons that matter now; those of an earlier call that are not among them are forgotten."""
        names = {daemon: name for name, daemons in clusters.items() for daemon in daemons}
        self._told &= names.keys()
        for daemon in self._watched.keys() - names.keys():
            self._release(daemon)
        for daemon in names.keys() - self._watched.keys() - self._told:
            self._add(names[daemon], daemon)

    async def next(self, seconds: float) -> str | None:
        """The next name; None after this long without one, or when woken."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self._ended.get(), seconds)
        return None

    def wake(self) -> None:
        """There are new daemons to watch."""
        self._ended.put_nowait(None)

    def close(self) -> None:
        for daemon in list(self._watched):
            self._release(daemon)

    def _add(self, name: str, daemon: Daemon) -> None:
        """One that is dead already is told at once. What the system has no descriptor for is tried again at the next call."""
        try:
            fd = os.pidfd_open(daemon.pid)
        except ProcessLookupError:
            self._tell(name, daemon)
            return
        except OSError:
            return
        if not alive(daemon):
            os.close(fd)
            self._tell(name, daemon)
            return
        self._watched[daemon] = fd
        asyncio.get_running_loop().add_reader(fd, self._over, name, daemon)

    def _over(self, name: str, daemon: Daemon) -> None:
        with contextlib.suppress(OSError):
            reap(self._watched[daemon])
        self._release(daemon)
        self._tell(name, daemon)

    def _tell(self, name: str, daemon: Daemon) -> None:
        self._told.add(daemon)
        self._ended.put_nowait(name)

    def _release(self, daemon: Daemon) -> None:
        fd = self._watched.pop(daemon)
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
