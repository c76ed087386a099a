"""What was done to one kind cluster, from `docker events`: a count of changes that does not depend on the code under test.

Commands run in a container, health checks and reads are no changes. What happens to other clusters of the engine is not looked at.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from devenv import engine
from devenv.capi import until

READS = ("exec_", "health_status", "top", "archive-path", "attach", "resize", "export", "mount", "unmount")
"""Beginnings of actions that change nothing by themselves: `docker cp` out of a container mounts its volumes for a moment."""
FENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Change:
    """One event; `at` is the engine's clock, which is this host's, in seconds since the epoch."""

    at: float
    kind: str
    action: str
    subject: str
    """Name of the container, network or volume."""

    def __str__(self) -> str:
        return f"{self.kind} {self.action} {self.subject}"


class EngineEvents:
    """Reads along from its beginning until its end. The events come in the engine's order."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._seen: list[dict[str, Any]] = []
        self._process: subprocess.Popen[str] | None = None
        self._first: set[str] = set()
        """Ids of containers that were there before us; later ones come as events."""

    @classmethod
    @contextlib.contextmanager
    def of(cls, cluster: str) -> Iterator[Self]:
        events = cls(cluster)
        argv = ["docker", "events", "--format", "{{json .}}"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            events._process = process
            reader = threading.Thread(target=events._read, args=(process,), daemon=True)
            reader.start()
            try:
                events._fence()
                events._first = set(engine.containers(cluster))
                yield events
            finally:
                process.kill()
                reader.join()

    def changes(self, since: float = 0.0) -> list[Change]:
        """Everything done to the cluster after that moment and before this call."""
        self._fence()
        return self.so_far(since)

    def so_far(self, since: float = 0.0) -> list[Change]:
        """As changes, but what was done a moment ago may be missing; costs nothing, for who waits for something to be done."""
        with self._lock:
            mine = {event["Actor"]["ID"] for event in self._seen if event["Type"] == "container" and self._labelled(event)}
            found = [_change(event) for event in self._seen if self._concerns(event, mine | self._first)]
        return [change for change in found if change.at > since and not change.action.startswith(READS)]

    # --- parts --------------------------------------------------------------------------------------------------------------

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            with self._lock:
                self._seen.append(event)

    def _fence(self) -> None:
        """Everything that happened before this call has been read: a volume made later has been seen. Until the engine listens to us
        it may have to be made more than once."""
        made: list[str] = []

        def seen() -> bool:
            made.append(engine.docker("volume", "create", f"fence-{uuid.uuid4().hex}"))
            with contextlib.suppress(AssertionError):
                until(lambda: self._saw(made), 1.0, "the fence")
                return True
            assert self._process is not None and self._process.poll() is None, "docker events ended"
            return False

        try:
            until(seen, FENCE_SECONDS, "docker events tells of a volume that was made")
        finally:
            engine.docker("volume", "rm", *made)

    def _saw(self, volumes: list[str]) -> bool:
        with self._lock:
            return any(event["Type"] == "volume" and event["Actor"]["ID"] in volumes for event in reversed(self._seen[-200:]))

    def _labelled(self, event: dict[str, Any]) -> bool:
        return bool(event["Actor"]["Attributes"].get(engine.CLUSTER_LABEL) == self._cluster)

    def _concerns(self, event: dict[str, Any], mine: set[str]) -> bool:
        """Networks and volumes tell which container they are joined to or left by."""
        return self._labelled(event) or event["Actor"]["Attributes"].get("container") in mine


def _change(event: dict[str, Any]) -> Change:
    actor = event["Actor"]
    return Change(event["timeNano"] / 1e9, event["Type"], event["Action"], actor["Attributes"].get("name", actor["ID"]))
