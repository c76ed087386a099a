"""A create that waits for its next try, and what stopped the last one is seen to be gone: then nothing has to be waited for."""

from __future__ import annotations

from dataclasses import replace

from provider.api.conditions import Reason
from provider.errors import ProviderError
from provider.ports.runtime import ClusterRequest, Identity, Runtime
from provider.reconcile.plan import Facts, plan


async def without_needless_wait(facts: Facts, runtime: Runtime, identity: Identity, request: ClusterRequest) -> Facts:
    """The facts, without the time of the next try where a preflight stopped the last one and finds nothing now. Reads only."""
    if not facts.attempts.seen_by_preflight or plan(facts).reason is not Reason.CREATE_RETRYING:
        return facts
    try:
        found = await runtime.preflight(identity, request)
    except ProviderError:
        return facts
    return facts if found else replace(facts, attempts=replace(facts.attempts, next_at=None))
