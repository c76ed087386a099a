"""provider.ports.kube.Recorder: core/v1 Events on our objects. Repeats are counted on one Event, floods are dropped, nothing is raised.

Counting needs no permission to read Events: what this process wrote is remembered, up to a bound.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC

from provider.api.meta import JsonObject, ObjectKey, key_of
from provider.api.names import EVENTS
from provider.api.rbac import Permission
from provider.errors import ProviderError
from provider.ports.clock import Clock
from provider.ports.kube import EventNote, Kube

log = logging.getLogger(__name__)

PERMISSIONS = (Permission(EVENTS, ("create", "patch"), "Events on the objects: written, and counted up when they repeat."),)
COMPONENT = "cluster-api-provider-kind"
DEADLINE = 5.0
"""Seconds: a pass must not wait longer for an Event."""
MAX_MESSAGE = 1024
"""Characters, the API server's limit for Event messages."""
MAX_NAME = 200
"""Characters kept of the object's name; with the hash an Event's name stays below 253."""
BURST, REFILL_SECONDS = 25, 60.0
"""Events of one object that may come at once, and the seconds after which one more may (client-go's spam filter: 25 and 300)."""
REMEMBERED = 2000
"""Objects whose allowance, and Events whose count, are remembered."""


@dataclass(slots=True)
class _Bucket:
    """A token bucket."""

    tokens: float
    at: float

    def take(self, now: float) -> bool:
        self.tokens = min(float(BURST), self.tokens + (now - self.at) / REFILL_SECONDS)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class EventRecorder:
    def __init__(self, kube: Kube, clock: Clock, instance: str) -> None:
        """`instance` tells managers apart (reportingInstance)."""
        self._kube, self._clock, self._instance = kube, clock, instance
        self._run = secrets.token_hex(4)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._counts: OrderedDict[ObjectKey, int] = OrderedDict()

    async def record(self, obj: JsonObject, note: EventNote) -> None:
        uid = str(obj["metadata"].get("uid", ""))
        if not self._allowed(uid):
            log.debug("Dropping event", extra={obj.get("kind", "object"): key_of(obj), "reason": note.reason})
            return
        try:
            async with asyncio.timeout(DEADLINE):
                await self._write(obj, note, uid)
        except (ProviderError, TimeoutError) as error:
            log.debug("Cannot record event", extra={obj.get("kind", "object"): key_of(obj), "error": str(error)})

    def _allowed(self, uid: str) -> bool:
        now = asyncio.get_running_loop().time()
        bucket = self._buckets.setdefault(uid, _Bucket(float(BURST), now))
        self._buckets.move_to_end(uid)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return bucket.take(now)

    async def _write(self, obj: JsonObject, note: EventNote, uid: str) -> None:
        event = self._event(obj, note, uid)
        key = key_of(event)
        count = self._counts.get(key, 0) + 1
        patch = {"count": count, "lastTimestamp": self._time()}
        if count == 1 or await self._kube.patch(EVENTS, key, patch) is None:  # the server forgets Events after an hour
            await self._kube.create(EVENTS, event)
            count = 1
        self._counts[key] = count
        self._counts.move_to_end(key)
        if len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)

    def _event(self, obj: JsonObject, note: EventNote, uid: str) -> JsonObject:
        meta, now = obj["metadata"], self._time()
        digest = hashlib.sha256(repr((self._run, uid, str(note.reason), note.message)).encode()).hexdigest()[:16]
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": f"{meta['name'][:MAX_NAME]}.{digest}", "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": obj["apiVersion"],
                "kind": obj["kind"],
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": uid,
                "resourceVersion": meta.get("resourceVersion", ""),
            },
            "type": str(note.reason.severity),
            "reason": str(note.reason),
            "message": note.message[:MAX_MESSAGE],
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": self._instance[:128],
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }

    def _time(self) -> str:
        return self._clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
