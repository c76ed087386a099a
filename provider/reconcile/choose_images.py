"""Choosing the nodes' images in the pass that decides to make a cluster, before anything is made. Effects: reads only."""

from __future__ import annotations

from dataclasses import replace

from provider.backoff import UNKNOWN_RETRY
from provider.errors import ProviderError
from provider.ports.runtime import Runtime
from provider.reconcile.desired import Desired
from provider.reconcile.node_images import Choice, choose
from provider.reconcile.plan import Action, Blocked, Decision, Facts, Plan, without_replacement


async def with_images(decision: Decision, facts: Facts, runtime: Runtime, desired: Desired) -> tuple[Decision, Choice | None]:
    """The decision, unless its images cannot be had; None with one that needs no images. A create fetches first what is missing."""
    if decision.action not in (Action.CREATE, Action.PREPARE):
        return decision, None
    choice = await _choose(runtime, desired)
    if choice is None or choice.blocked is None:
        if isinstance(decision, Plan) and decision.action is Action.CREATE and choice is not None and choice.to_fetch:
            return replace(decision, fetch=True), choice
        return decision, choice
    return without_replacement(facts, choice.blocked), choice


async def _choose(runtime: Runtime, desired: Desired) -> Choice | None:
    try:
        found = await runtime.node_images()
    except ProviderError as error:
        return Choice(None, blocked=Blocked(error.reason, error.message, UNKNOWN_RETRY))
    return None if found is None else choose(desired.request, desired.repository, found)
