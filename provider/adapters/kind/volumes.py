"""Volumes that outlive a cluster's containers: written down before they can be left behind, removed under the name's lock (docs/adr/0100).

Only where the engine has such volumes (Dialect.named_volumes). Nothing on a volume says whose it is, so the record is what ownership is
judged by; a volume that is not in it is never touched, and the engine refuses to remove one that a container uses.
Never here: whose a container is (ownership.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.daemon import same_daemon
from provider.adapters.engine.listing import Container
from provider.adapters.files import replace_file
from provider.errors import Transient
from provider.ports.runtime import Identity

FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of the volumes of one identity's cluster."""

    daemon: str
    """Where they are; said nothing about elsewhere."""
    names: Sequence[str] = ()
    """Volumes that were seen on containers with our marker, or made for one in vain."""
    nodes: Sequence[str] = ()
    """Nodes that a create is making; empty when it has ended. A volume with such a label that `before` does not name is ours."""
    before: Sequence[str] = ()
    """Volumes with such a label from before that create."""
    until: float = 0.0
    """When that create has ended at the latest, whatever became of it (seconds since the epoch)."""


class NodeVolumes:
    """The records below one folder, NAME/MARKER. All that writes is for the holder of the name's lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def known(self, identity: Identity, daemon: str) -> bool:
        """Whether volumes may be left on that daemon."""
        record = self._read(identity)
        return record is not None and same_daemon(record.daemon, daemon)

    async def begin(self, engine: Engine, identity: Identity, nodes: Iterable[str], timeout: float) -> None:
        """Before a create of these nodes, which ends within so many seconds. Raises OSError, Transient: then nothing may be made."""
        if engine.dialect.named_volumes:
            wanted = frozenset(nodes)
            before = [one.name for one in await engine.volumes() if one.labels & wanted]
            daemon = (await engine.info()).daemon
            self._write(identity, Record(daemon, nodes=sorted(wanted), before=before, until=time.time() + timeout))

    async def finish(self, engine: Engine, identity: Identity, own: Sequence[Container]) -> None:
        """After a create that succeeded: from here on only these containers' volumes are ours."""
        with suppress(OSError, Transient):  # no reason to call it failed: the record as it is covers them, too
            if (record := self._read(identity)) is not None:
                made = {*await self._made(engine, record), *(name for one in own for name in one.volumes)}
                self._write(identity, Record(record.daemon, names=sorted(made)))

    def note(self, engine: Engine, identity: Identity, daemon: str, own: Sequence[Container]) -> None:
        """Before these containers are removed. Raises OSError, but not where a record covers them already: the disk may be full."""
        names = {name for one in own for name in one.volumes}
        if not engine.dialect.named_volumes or not names:
            return
        record = self._read(identity)
        if record is None or not same_daemon(record.daemon, daemon):
            record = Record(daemon)
        if not names <= {*record.names}:
            with suppress(*((OSError,) if record.nodes else ())):
                self._write(identity, replace(record, names=sorted({*record.names, *names})))

    async def sweep(self, engine: Engine, identity: Identity, *, alone: bool) -> bool:
        """Remove what is recorded of containers that are gone; whether anything was recorded. Raises Transient.

        `alone`: nobody else's containers are under the name, so that a new volume of such a node cannot be theirs.
        """
        record = self._read(identity)
        if record is None or not await self._is_here(engine, record):
            return False
        made = await self._made(engine, record) if alone else []
        await engine.remove_volumes([*record.names, *made])
        if await self._is_here(engine, record):  # else the answers may be another daemon's
            self._path(identity).unlink(missing_ok=True)
            with suppress(OSError):
                self._path(identity).parent.rmdir()
        return True

    async def _made(self, engine: Engine, record: Record) -> list[str]:
        """Volumes that the create has made, on containers or not: kind makes a volume first, and `run` may fail."""
        wanted = frozenset(record.nodes)
        found = await engine.volumes() if wanted else []
        return [
            one.name for one in found if one.labels & wanted and one.name not in record.before and one.created <= record.until
        ]

    async def _is_here(self, engine: Engine, record: Record) -> bool:
        return same_daemon((await engine.info()).daemon, record.daemon)

    def _read(self, identity: Identity) -> Record | None:
        """None also for a file that holds no record: nothing in it can be believed. Raises OSError."""
        try:
            return Record(**json.loads(self._path(identity).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _write(self, identity: Identity, record: Record) -> None:
        path = self._path(identity)
        for folder in (self._folder, path.parent):
            folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        replace_file(path, json.dumps(asdict(record)).encode())

    def _path(self, identity: Identity) -> Path:
        return self._folder / identity.cluster_name / identity.marker
