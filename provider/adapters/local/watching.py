"""Hearing of the end of daemons: one pidfd each, read by the event loop. No polling, no cost while nothing ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable

from provider.adapters.local.daemons import Daemon, alive


class Watcher:
    """Names of clusters whose daemons ended come out of `ended`. Use from one event loop."""

    def __init__(self) -> None:
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self._watched: dict[Daemon, int] = {}

    def watch(self, cluster_name: str, daemons: Iterable[Daemon]) -> None:
        """Safe to call again with the same daemons. One that is dead already is told at once."""
        for daemon in daemons:
            if daemon in self._watched:
                continue
            try:
                fd = os.pidfd_open(daemon.pid)
            except OSError:
                self.ended.put_nowait(cluster_name)
                continue
            if not alive(daemon):
                os.close(fd)
                self.ended.put_nowait(cluster_name)
                continue
            self._watched[daemon] = fd
            asyncio.get_running_loop().add_reader(fd, self._over, cluster_name, daemon)

    def close(self) -> None:
        for daemon in list(self._watched):
            self._release(daemon)

    def _over(self, cluster_name: str, daemon: Daemon) -> None:
        self._release(daemon)
        self.ended.put_nowait(cluster_name)

    def _release(self, daemon: Daemon) -> None:
        fd = self._watched.pop(daemon)
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
