"""Which runtime makes a new cluster. Decided once, when the identity is persisted; never again for the same object."""

from __future__ import annotations

from collections.abc import Mapping

from provider.api.conditions import Reason
from provider.backoff import UNKNOWN_RETRY
from provider.ports.runtime import Runtime
from provider.reconcile.plan import Blocked

AUTO_ORDER = ("kind", "local")
"""`auto` takes kind where a container engine answers, else the embedded runtime."""


async def choose_runtime(wanted: str | None, default: str, runtimes: Mapping[str, Runtime]) -> str | Blocked:
    """The runtime's name, or why none can be chosen yet. A runtime asked for by name need not answer now."""
    name = wanted or default
    if name != "auto":
        return name if name in runtimes else unavailable(f"This manager has no runtime {name!r}.")
    reasons = []
    for candidate in AUTO_ORDER:
        runtime = runtimes.get(candidate)
        if runtime is None:
            continue
        health = await runtime.health()
        if health.available:
            return candidate
        reasons.append(f"{candidate}: {health.detail}")
    return unavailable(f"No runtime can be used. {' '.join(reasons)}")


def unavailable(message: str) -> Blocked:
    return Blocked(Reason.ENGINE_UNREACHABLE, message, UNKNOWN_RETRY)
