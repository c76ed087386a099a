"""Asking an engine for all of kind's containers: `ps`, then `inspect`. One container that cannot be read costs only its own cluster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from provider.adapters.engine.daemon import same_daemon
from provider.adapters.engine.errors import engine_failure
from provider.adapters.engine.listing import Listing, UnknownShape, entries_of, read_entries, unread_clusters
from provider.adapters.process.command import MAX_OUTPUT, Completed
from provider.api import kind
from provider.api.conditions import Reason
from provider.errors import ProviderError, Transient

MAX_INSPECT = 64 << 20
MOST_SPLITS = 40
"""Further `inspect` commands in one listing by which containers that upset it are found: enough for two of a thousand."""
NO_CONTAINER = ("no such container", "no such object", "no container with name or id")
"""Said by `inspect` where there is no container of a name (docker, nerdctl, podman)."""
GONE = (*NO_CONTAINER, "removal of container", "already in progress")
"""Said by `inspect` and `rm` about containers that another program removes at the same time (moby errors, podman, nerdctl)."""


class Run(Protocol):
    """Engine._run. Raises Transient."""

    def __call__(
        self, *args: str, timeout: float = 0.0, max_output: int = MAX_OUTPUT, check: bool = True
    ) -> Awaitable[Completed]: ...


class Lister:
    """`daemon`: the name of the daemon that answers at the moment."""

    def __init__(self, engine: str, run: Run, daemon: Callable[[], Awaitable[str]]) -> None:
        self._engine, self._run, self._daemon = engine, run, daemon

    async def list(self) -> Listing:
        """Never raises for an engine that does not answer."""
        try:
            # Before and after: every command finds its daemon anew, and an answer of another one must not be taken for this one's.
            before = await self._daemon()
            listing = await self._read()
            after = await self._daemon()
        except ProviderError as error:
            return Listing(reason=error.reason, detail=error.message)
        if not same_daemon(before, after):
            return Listing(reason=Reason.ENGINE_UNREACHABLE, detail=f"{self._engine} is being switched from {before} to {after}.")
        return replace(listing, daemon=after)

    async def ps(self, *options: str) -> str:
        done = await self._run("ps", "-a", "--no-trunc", *options, "--filter", f"label={kind.KIND_CLUSTER_LABEL}")
        return done.stdout

    async def _read(self) -> Listing:
        """Containers that are listed and cannot be inspected are being made or removed: docker lists one for seconds (while it fills the
        volumes) before it can be inspected. Only their clusters are unreadable; "absent" would be wrong for them.
        """
        listed = (await self.ps("-q")).split()
        listing, read = read_entries(await _Inspection(self._engine, self._run).entries(listed))
        if not (unread := set(listed) - read):
            return listing
        clusters, unplaced = unread_clusters(await self.ps("--format", "{{json .}}"), unread)
        return replace(listing, unreadable={**clusters, **listing.unreadable}, unplaced=unplaced)


class _Inspection:
    """One `inspect` of many containers; where that fails, of halves, until what upsets it is alone."""

    def __init__(self, engine: str, run: Run) -> None:
        self._engine, self._run = engine, run
        self._splits = 0

    async def entries(self, ids: Sequence[str]) -> list[Any]:
        """What can be read of those that can be inspected. Raises Transient when the engine does not answer."""
        if not ids:
            return []
        try:
            return await self._inspect(ids)
        except Transient as error:
            if error.reason is not Reason.ENGINE_FAILED or self._splits >= MOST_SPLITS:
                raise
        if len(ids) == 1:
            return []
        self._splits += 2
        middle = len(ids) // 2
        return [*await self.entries(ids[:middle]), *await self.entries(ids[middle:])]

    async def _inspect(self, ids: Sequence[str]) -> list[Any]:
        done = await self._run("inspect", "--type", "container", *ids, max_output=MAX_INSPECT, check=False)
        failed = done.returncode != 0 and not any(word in done.stderr.lower() for word in GONE)
        failure = engine_failure(done.failure(), self._engine)
        if failed and failure.reason is not Reason.ENGINE_FAILED:
            raise failure
        try:
            found = entries_of(done.stdout)
        except UnknownShape as error:
            message = f"{self._engine} inspect gave an answer that cannot be read: {error}."
            raise failure if failed else Transient(Reason.ENGINE_FAILED, message) from error
        if failed and not found:
            raise failure
        return found
