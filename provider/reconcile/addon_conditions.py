"""What a pass says about add-ons: the condition AddonsReady, and the entry of each in the status. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from provider.api.conditions import ConditionType, Reason
from provider.api.meta import Condition, ConditionStatus, JsonObject, timestamp
from provider.ports.runtime import Verb
from provider.reconcile.addon_since import since
from provider.reconcile.addon_states import AddonPhase, AddonState
from provider.reconcile.outcome import Outcome
from provider.reconcile.plan import AT_REST
from provider.reconcile.running_step import running_step
from provider.reconcile.scope import Scope

PATIENCE = timedelta(minutes=10)
"""After which an add-on that is applied and not ready counts as one that somebody has to look at."""


def addons_ready(outcome: Outcome) -> Iterator[Condition]:
    """None where there were never any."""
    kind, task, decision = ConditionType.ADDONS_READY, outcome.task, outcome.decision
    before = outcome.scope.conditions.get(kind)
    if decision.reason in AT_REST:
        if before is not None and not before.true:
            yield Condition(kind, ConditionStatus.FALSE, decision.reason, decision.message)
    elif task is not None and task.verb is Verb.APPLY and task.unfinished:
        step = running_step(task.steps) or "Waits for a free slot."
        yield Condition(kind, ConditionStatus.FALSE, Reason.APPLYING_ADDONS, step)
    elif outcome.addons is None or outcome.addons.states is None:
        return
    elif problem := _problem(outcome.scope, outcome.addons.states):
        yield Condition(kind, ConditionStatus.FALSE, *problem)
    elif outcome.addons.states or before is not None:
        yield Condition(kind, ConditionStatus.TRUE, Reason.ADDONS_READY)


def _problem(scope: Scope, states: tuple[AddonState, ...]) -> tuple[Reason, str] | None:
    """What a person should know first: what failed, else what is under way, in the order of the list."""
    failed = next((state for state in states if state.phase is AddonPhase.FAILED), None)
    state = failed or next((state for state in states if state.phase is not AddonPhase.READY), None)
    if state is None:
        return None
    match state.phase:
        case AddonPhase.FAILED:
            return state.reason or Reason.ADDON_FAILED, state.message
        case AddonPhase.WAITING if scope.now - since(scope, state) >= PATIENCE:
            return Reason.ADDON_NOT_READY, f"Add-on {state.name} was applied and is not ready: {state.message}"
        case AddonPhase.WAITING:
            return Reason.WAITING_FOR_ADDONS, f"Add-on {state.name}: {state.message}"
        case AddonPhase.REMOVING:
            return Reason.REMOVING_ADDONS, f"Add-on {state.name} is being removed. {state.message}".strip()
        case _:
            return Reason.APPLYING_ADDONS, state.message or f"Add-on {state.name} is being applied."


def entries(outcome: Outcome) -> JsonObject:
    """status.addons as a part of the status; empty: as it was."""
    if outcome.addons is None or outcome.addons.states is None:
        return {}
    return {"addons": [_entry(outcome.scope, state) for state in outcome.addons.states]}


def _entry(scope: Scope, state: AddonState) -> JsonObject:
    entry: JsonObject = {"name": state.name, "phase": str(state.phase), "since": timestamp(since(scope, state))}
    if state.phase is not AddonPhase.REMOVING and (state.total or state.phase is not AddonPhase.FAILED):
        entry["objects"] = f"{state.ready}/{state.total}"
    if state.applied:
        entry["applied"] = state.applied
    if state.message:
        entry["message"] = state.message
    return entry
