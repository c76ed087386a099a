"""One manager works at a time: a process per state folder by file lock, a process per management cluster by Lease.

The Lease follows client-go's tools/leaderelection, over provider.ports.kube.Kube: who holds it and until when. Others' clocks are not
trusted: a holder counts as gone when its record has not changed for a lease's length by *our* clock. The identity survives a restart
(it is kept in the state folder), so that a manager that was killed takes its own Lease back at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
import socket
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey
from provider.api.names import LEASES
from provider.errors import Conflict, ProviderError, Terminal
from provider.ports.clock import Clock
from provider.ports.kube import Kube

log = logging.getLogger(__name__)

LEASE_NAME = "cluster-api-provider-kind-manager"
LEASE_SECONDS = 15
"""How long a Lease is good for without renewal."""
RENEW_DEADLINE = 10.0
"""Seconds after the last renewal when the holder stops working: well before anybody else may take over."""
RETRY_SECONDS = 2.0
RELEASE_SECONDS = 1.0
"""What an orderly end may spend on saving the successor the wait."""
MICRO_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@contextlib.contextmanager
def only_process(state_dir: Path) -> Iterator[None]:
    """Hold the state folder for as long as the block lasts. Raises Terminal naming the pid of who holds it already."""
    path = state_dir / "manager.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
            message = f"Another manager (pid {holder}) uses {state_dir}. Stop it, or give this one a --state-dir of its own."
            raise Terminal(Reason.ALREADY_RUNNING, message) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def stable_identity(state_dir: Path) -> str:
    """Host name and a random part that is made once per state folder. Call it while holding the folder."""
    path = state_dir / "identity"
    with contextlib.suppress(FileNotFoundError):
        if known := path.read_text().strip():
            return known
    identity = f"{socket.gethostname()}_{secrets.token_hex(8)}"
    path.write_text(identity + "\n")
    return identity


class Elector:
    """Acquires the Lease, keeps it, and says when it is lost. All times are seconds of the running loop's clock."""

    def __init__(self, kube: Kube, clock: Clock, namespace: str, identity: str) -> None:
        self._kube, self._clock, self._identity = kube, clock, identity
        self._key = ObjectKey(namespace, LEASE_NAME)
        self._own: JsonObject | None = None
        self._seen: object = None
        self._seen_at = 0.0
        self._renewed_at = 0.0
        self.leading = False

    async def acquire(self) -> None:
        """Return when the Lease is ours. Waits as long as it takes; an API server that does not answer is waited for too."""
        told = ""
        while not await self._try("acquire"):
            if (holder := self._holder()) != told:
                log.info("Waiting for the Lease", extra={"holder": holder or "unknown", "lease": str(self._key)})
                told = holder
            await asyncio.sleep(RETRY_SECONDS)
        self.leading = True
        log.info("Holding the Lease", extra={"lease": str(self._key), "identity": self._identity})

    async def keep(self) -> None:
        """Renew until it cannot be done in time, then return: whoever called must stop working at once."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            if await self._try("renew"):
                continue
            if self._taken() or _now() + RETRY_SECONDS > self._renewed_at + RENEW_DEADLINE:
                self.leading = False
                log.error("Lost the Lease", extra={"lease": str(self._key), "holder": self._holder() or "unknown"})
                return

    async def release(self) -> None:
        """Give the Lease up, so that the next manager need not wait. Best effort; `keep` must have ended before."""
        if not self.leading:
            return
        self.leading = False
        with contextlib.suppress(ProviderError, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                lease = await self._kube.get(LEASES, self._key)
                if lease is not None and lease["spec"].get("holderIdentity") == self._identity:
                    patch = {"spec": {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._time()}}
                    await self._kube.patch(LEASES, self._key, patch, version=lease["metadata"]["resourceVersion"])

    # --- one try ---------------------------------------------------------------------------------------------------------------

    async def _try(self, what: str) -> bool:
        began = _now()
        try:
            async with asyncio.timeout_at(self._renewed_at + RENEW_DEADLINE if self.leading else began + RENEW_DEADLINE):
                held = await self._acquire_or_renew()
        except Conflict:
            return False
        except (ProviderError, TimeoutError) as error:
            log.warning("Cannot %s the Lease", what, extra={"lease": str(self._key), "error": str(error)})
            return False
        if held:
            self._renewed_at = began
        return held

    async def _acquire_or_renew(self) -> bool:
        lease = self._own if self.leading and self._own is not None else await self._kube.get(LEASES, self._key)
        if lease is None:
            self._own = await self._kube.create(LEASES, self._new())
            self._look(self._own)
            return True
        self._look(lease)
        if self._taken() and not self._expired(lease):
            return False
        self._own = None  # until the write is known to have succeeded
        patch = {"spec": self._spec(lease)}
        written = await self._kube.patch(LEASES, self._key, patch, version=lease["metadata"]["resourceVersion"])
        if written is None:
            return False
        self._own = written
        self._look(written)
        return True

    def _look(self, lease: JsonObject) -> None:
        if lease["spec"] != self._seen:
            self._seen, self._seen_at = lease["spec"], _now()

    def _holder(self) -> str:
        return str((self._seen if isinstance(self._seen, dict) else {}).get("holderIdentity") or "")

    def _taken(self) -> bool:
        return self._holder() not in ("", self._identity)

    def _expired(self, lease: JsonObject) -> bool:
        duration = float(lease["spec"].get("leaseDurationSeconds") or LEASE_SECONDS)
        return _now() - self._seen_at > duration

    # --- records ---------------------------------------------------------------------------------------------------------------

    def _time(self) -> str:
        return self._clock.now().astimezone(UTC).strftime(MICRO_TIME)

    def _new(self) -> JsonObject:
        meta = {"name": self._key.name, "namespace": self._key.namespace}
        return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": meta, "spec": self._spec(None)}

    def _spec(self, old: JsonObject | None) -> JsonObject:
        before = old["spec"] if old is not None else {}
        spec: JsonObject = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": self._time(),
        }
        if before.get("holderIdentity") != self._identity:
            spec["acquireTime"] = self._time()
            spec["leaseTransitions"] = int(before.get("leaseTransitions") or 0) + (old is not None)
        return spec


def _now() -> float:
    return asyncio.get_running_loop().time()
