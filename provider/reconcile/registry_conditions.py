"""The condition RegistryReady: whether nodes know the registries that the spec asks for, and what stands in the way. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provider.api.conditions import ConditionType, Reason
from provider.api.meta import Condition, ConditionStatus
from provider.ports.runtime import Verb
from provider.reconcile.outcome import Outcome
from provider.reconcile.registries import wanted
from provider.reconcile.running_step import running_step


def registry_ready(outcome: Outcome) -> Iterator[Condition]:
    """None where there were never any to know, and where nothing was seen of them."""
    kind, found, task = ConditionType.REGISTRY_READY, outcome.connecting, outcome.task
    if task is not None and task.verb is Verb.CONNECT and task.unfinished:
        message = running_step(task.steps) or "Waits for a free slot."
        yield Condition(kind, ConditionStatus.FALSE, Reason.CONNECTING_REGISTRIES, message)
    elif found is None:
        if kind in outcome.scope.conditions and not wanted(outcome.scope) and "registry" not in outcome.scope.status:
            yield Condition(kind, ConditionStatus.TRUE, Reason.REGISTRY_READY)
    elif found.blocked is not None:
        yield Condition(kind, ConditionStatus.FALSE, found.blocked.reason, found.blocked.message)
    elif found.due:
        yield Condition(kind, ConditionStatus.FALSE, Reason.CONNECTING_REGISTRIES, "Nodes are being told of their registries.")
    elif found.seen is not None:
        yield Condition(kind, ConditionStatus.TRUE, Reason.REGISTRY_READY)
