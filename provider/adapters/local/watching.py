"""Hearing of what happens to clusters: the end of a daemon through its pidfd, at once; other changes when somebody has looked."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable, Mapping

from provider.adapters.local.daemons import Daemon, alive, reap


class Watcher:
    """Tells the names of clusters that came, went or changed, and of those whose daemons ended, once each. Use from one event loop."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[str | None] = asyncio.Queue()
        self._known: dict[str, frozenset[Daemon]] | None = None
        self._watched: dict[Daemon, int] = {}
        self._told: set[Daemon] = set()

    def watch(self, clusters: Mapping[str, Iterable[Daemon]]) -> None:
        """All clusters there are now. The first call tells nothing but deaths."""
        now = {name: frozenset(daemons) for name, daemons in clusters.items()}
        before, self._known = now if self._known is None else self._known, now
        for name in sorted(now.keys() | before.keys()):
            if now.get(name) != before.get(name):
                self._heard.put_nowait(name)
        names = {daemon: name for name, daemons in now.items() for daemon in daemons}
        self._told &= names.keys()
        for daemon in self._watched.keys() - names.keys():
            self._release(daemon)
        for daemon in names.keys() - self._watched.keys() - self._told:
            self._add(names[daemon], daemon)

    async def next(self, seconds: float) -> str | None:
        """The next name; None after this long without one, or when woken."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self._heard.get(), seconds)
        return None

    def wake(self) -> None:
        """There are new daemons to watch."""
        self._heard.put_nowait(None)

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
        self._heard.put_nowait(name)

    def _release(self, daemon: Daemon) -> None:
        fd = self._watched.pop(daemon)
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
