"""Noticing changes of clusters: the end of a daemon at once, through its pidfd; other changes with the next call of `watch`."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable, Mapping

from provider.adapters.local.daemons import Daemon, alive, reap


class Watcher:
    """Gives the names of clusters that came, went or changed, and of those whose daemons ended, once each. For one event loop."""

    def __init__(self) -> None:
        self._names: asyncio.Queue[str | None] = asyncio.Queue()
        self._known: dict[str, frozenset[Daemon]] | None = None
        self._watched: dict[Daemon, int] = {}
        self._reported: set[Daemon] = set()

    def watch(self, clusters: Mapping[str, Iterable[Daemon]]) -> None:
        """All clusters that exist now. The first call reports only daemons that have ended already."""
        now = {name: frozenset(daemons) for name, daemons in clusters.items()}
        before, self._known = now if self._known is None else self._known, now
        for name in sorted(now.keys() | before.keys()):
            if now.get(name) != before.get(name):
                self._names.put_nowait(name)
        names = {daemon: name for name, daemons in now.items() for daemon in daemons}
        self._reported &= names.keys()
        for daemon in self._watched.keys() - names.keys():
            self._release(daemon)
        for daemon in names.keys() - self._watched.keys() - self._reported:
            self._add(names[daemon], daemon)

    async def next(self, seconds: float) -> str | None:
        """The next name; None after `wake`, or after so many seconds without one."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self._names.get(), seconds)
        return None

    def wake(self) -> None:
        """Make `next` return: there are new daemons to watch."""
        self._names.put_nowait(None)

    def close(self) -> None:
        for daemon in list(self._watched):
            self._release(daemon)

    def _add(self, name: str, daemon: Daemon) -> None:
        """One that has ended already is reported at once. If there are no file descriptors left, the next call of `watch` tries again."""
        try:
            fd = os.pidfd_open(daemon.pid)
        except ProcessLookupError:
            self._report(name, daemon)
            return
        except OSError:
            return
        if not alive(daemon):
            os.close(fd)
            self._report(name, daemon)
            return
        self._watched[daemon] = fd
        asyncio.get_running_loop().add_reader(fd, self._on_end, name, daemon)

    def _on_end(self, name: str, daemon: Daemon) -> None:
        with contextlib.suppress(OSError):
            reap(self._watched[daemon])
        self._release(daemon)
        self._report(name, daemon)

    def _report(self, name: str, daemon: Daemon) -> None:
        self._reported.add(daemon)
        self._names.put_nowait(name)

    def _release(self, daemon: Daemon) -> None:
        fd = self._watched.pop(daemon)
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
