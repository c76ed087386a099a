"""spec.powerState as the status remembers it: what is wanted now, whether a cluster comes back from rest, and how long that takes. Pure.

What runs, and what is to be done about it, is decided in provider.reconcile.plan from what was observed.
"""

from __future__ import annotations

from datetime import datetime

from provider.api.meta import JsonObject, timestamp
from provider.api.phases import Phase
from provider.reconcile.outcome import Outcome
from provider.reconcile.plan import AT_REST, Action, Power
from provider.reconcile.scope import Scope

RESUMES = frozenset({Phase.STOPPING, Phase.STOPPED, Phase.PAUSED, Phase.STARTING})
"""Phases after which a start of the nodes is what somebody asked for, and no repair."""


def wanted_power(scope: Scope) -> Power:
    """A cluster is published before it rests: Cluster API waits for that, and a person for the kubeconfig."""
    return Power(scope.spec.power_state or Power.RUNNING) if scope.provisioned else Power.RUNNING


def resumes(scope: Scope) -> bool:
    return scope.status.get("phase") in RESUMES


def last_resume(outcome: Outcome, *, ready: bool) -> JsonObject | None:
    """status.lastResume after this pass: begun with the decision to start nodes, complete with the first pass that sees it Ready.

    One that was not over when the cluster was brought to rest again has no end, and is dropped.
    """
    scope, decision = outcome.scope, outcome.decision
    last: JsonObject | None = scope.status.get("lastResume")
    unfinished = last is not None and last.get("seconds") is None
    if decision.action is Action.START:
        return last if unfinished else {"startedAt": timestamp(scope.now)}
    if last is None or not unfinished:
        return last
    if decision.action in (Action.STOP, Action.PAUSE) or decision.reason in AT_REST:
        return None
    if not ready or not last.get("startedAt"):
        return last
    took = scope.now - datetime.fromisoformat(last["startedAt"])
    return {**last, "seconds": max(0, round(took.total_seconds()))}
