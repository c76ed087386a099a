"""Which runtime makes a new cluster. Decided once, when the identity is persisted; never again for the same object."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from provider.api.conditions import Reason
from provider.ports.runtime import Runtime
from provider.reconcile.plan import Action, Plan

RETRY = timedelta(seconds=15)
AUTO_ORDER = ("kind", "local")
"""`auto` takes kind where a container engine answers, else the embedded runtime."""


async def choose_runtime(wanted: str | None, default: str, runtimes: Mapping[str, Runtime]) -> tuple[str, Plan | None]:
    """(name, None), or ("", why nothing can be chosen yet). A runtime asked for by name need not answer now."""
    name = wanted or default
    if name != "auto":
        return (name, None) if name in runtimes else ("", _unavailable(f"This manager has no runtime {name!r}."))
    reasons = []
    for candidate in AUTO_ORDER:
        runtime = runtimes.get(candidate)
        if runtime is None:
            continue
        health = await runtime.health()
        if health.available:
            return candidate, None
        reasons.append(f"{candidate}: {health.detail}")
    return "", _unavailable(f"No runtime can be used. {' '.join(reasons)}")


def _unavailable(message: str) -> Plan:
    return Plan(Action.WAIT, Reason.ENGINE_UNREACHABLE, message, RETRY)
