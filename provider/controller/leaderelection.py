"""One manager works at a time on a management cluster: the one that holds the Lease.

The Lease follows client-go's tools/leaderelection (without its library): its record says who holds it and since when. Clocks of other
hosts are not trusted: a holder counts as gone when its record has not changed for a lease's length by *our* clock. The identity survives
a restart (it is kept in the state folder), so that a manager that was killed takes its own Lease back at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import UTC

from provider.api.meta import JsonObject, ObjectKey
from provider.api.names import LEASES
from provider.api.rbac import Permission
from provider.errors import Conflict, ProviderError
from provider.ports.clock import Clock
from provider.ports.kube import Kube

log = logging.getLogger(__name__)

PERMISSIONS = (Permission(LEASES, ("get", "create", "patch"), "In the manager's own namespace."),)
LEASE_NAME = "cluster-api-provider-kind-manager"
LEASE_SECONDS = 15
"""How long a Lease is valid without renewal. This, RENEW_DEADLINE and RETRY_SECONDS are controller-runtime's defaults (15, 10 and 2)."""
RENEW_DEADLINE = 10.0
"""Seconds after the last renewal when the holder stops working: five before any other manager may take over."""
RETRY_SECONDS = 2.0
RELEASE_SECONDS = 1.0
"""Seconds that an orderly end may spend on giving the Lease up."""
LAST_MOMENT = LEASE_SECONDS - 1.0
"""Seconds after the last renewal when the process ends, whatever hangs in it: one before any other manager may take over."""
LONGEST_LEASE = 300.0
"""Seconds of another holder's Lease that are honoured: a record may say anything, and its holder may be dead."""


class Elector:
    """Acquires the Lease and renews it until it is lost. All times are seconds of the running loop's clock."""

    def __init__(
        self, kube: Kube, clock: Clock, namespace: str, identity: str, watchdog: Callable[[float | None], None] = lambda _: None
    ) -> None:
        """`watchdog` gets the loop time when the process must be over, unless it is called again; None: no more."""
        self._kube, self._clock, self._identity, self._watchdog = kube, clock, identity, watchdog
        self._key = ObjectKey(namespace, LEASE_NAME)
        self._own: JsonObject | None = None
        """The Lease as we last wrote it: renewed without reading it first. None: it has to be read."""
        self._seen_spec: JsonObject = {}
        self._seen_at = 0.0
        """When the record last changed, by our clock."""
        self._renewed_at = 0.0
        self.leading = False

    async def acquire(self) -> None:
        """Return when the Lease is ours. Waits as long as it takes; an API server that does not answer is waited for too."""
        logged = ""
        while not await self._try("acquire"):
            if (holder := self._holder()) != logged:
                log.info("Waiting for the Lease", extra={"holder": holder or "unknown", "lease": str(self._key)})
                logged = holder
            await asyncio.sleep(RETRY_SECONDS)
        self.leading = True
        log.info("Holding the Lease", extra={"lease": str(self._key), "identity": self._identity})

    async def keep(self) -> None:
        """Renew the Lease; returns when it is lost. The caller must stop working at once."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            if await self._try("renew"):
                continue
            # The next try would come too late: stop before the Lease can be another manager's.
            if self._taken() or _now() + RETRY_SECONDS > self._renewed_at + RENEW_DEADLINE:
                self.leading = False
                log.error("Lost the Lease", extra={"lease": str(self._key), "holder": self._holder() or "unknown"})
                return

    async def release(self) -> None:
        """Give the Lease up, so that the next manager need not wait. Best effort; `keep` must have ended before."""
        self._watchdog(None)
        if not self.leading:
            return
        self.leading = False
        with contextlib.suppress(ProviderError, TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                lease = await self._kube.get(LEASES, self._key)
                if lease is not None and _spec_of(lease).get("holderIdentity") == self._identity:
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
            self._watchdog(began + LAST_MOMENT)
            self._renewed_at = began  # not the end of the request: the API server may have stored it at any moment since
        return held

    async def _acquire_or_renew(self) -> bool:
        lease = self._own if self.leading and self._own is not None else await self._kube.get(LEASES, self._key)
        if lease is None:
            meta = {"name": self._key.name, "namespace": self._key.namespace}
            new = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": meta, "spec": self._spec({})}
            written: JsonObject | None = await self._kube.create(LEASES, new)
        else:
            self._record(lease)
            if self._taken() and not self._expired(lease):
                return False
            self._own = None  # a write that times out may have succeeded: then our copy is stale, and is read again
            patch = {"spec": self._spec(_spec_of(lease))}
            written = await self._kube.patch(LEASES, self._key, patch, version=lease["metadata"]["resourceVersion"])
        if written is None:
            return False
        self._own = written
        self._record(written)
        return True

    def _record(self, lease: JsonObject) -> None:
        if (spec := _spec_of(lease)) != self._seen_spec:
            self._seen_spec, self._seen_at = spec, _now()

    def _holder(self) -> str:
        return str(self._seen_spec.get("holderIdentity") or "")

    def _taken(self) -> bool:
        return self._holder() not in ("", self._identity)

    def _expired(self, lease: JsonObject) -> bool:
        duration = _number(_spec_of(lease).get("leaseDurationSeconds")) or LEASE_SECONDS
        return _now() - self._seen_at > min(duration, LONGEST_LEASE)

    def _spec(self, before: JsonObject) -> JsonObject:
        """The record that replaces this one; {}: there is none."""
        spec = {"holderIdentity": self._identity, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": self._time()}
        if before.get("holderIdentity") != self._identity:
            spec["acquireTime"] = spec["renewTime"]
            spec["leaseTransitions"] = _number(before.get("leaseTransitions")) + bool(before)
        return spec

    def _time(self) -> str:
        return self._clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # metav1.MicroTime


def _spec_of(lease: JsonObject) -> JsonObject:
    """A Lease may lack its spec, as it does when somebody else made it: then nobody holds it."""
    spec = lease.get("spec")
    return spec if isinstance(spec, dict) else {}


def _number(value: object) -> int:
    """0 for anything but a positive whole number."""
    return value if isinstance(value, int) and value > 0 else 0


def _now() -> float:
    return asyncio.get_running_loop().time()
