"""Workers that are to join or to leave a cluster that stands, and what the status says of it. Pure.

Which of a cluster's workers are settled is told by the record of what it was made from (provider.reconcile.drift), which is lowered before
workers leave and raised after others have joined. So a worker beyond the record is never taken for one that was lost, and one that stands
beyond it has to finish joining, or to go, whoever began it (docs/adr/0109-workers-join-and-leave-in-place.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from provider.api.conditions import Reason
from provider.api.kind import NodeNames, NodeRole
from provider.api.meta import JsonObject, timestamp
from provider.ports.runtime import Ownership, RuntimeObservation, Verb, Workers
from provider.ports.tasks import TaskState
from provider.ports.workload import WorkloadObservation
from provider.reconcile.drift import Drift
from provider.reconcile.outcome import Outcome
from provider.reconcile.plan import Action, Power
from provider.reconcile.power import wanted_power
from provider.reconcile.running_step import running_step
from provider.reconcile.scope import Scope


class Said(NamedTuple):
    """For a condition."""

    reason: Reason
    message: str


def workers_of(nodes: NodeNames) -> list[str]:
    return [name for name, role in nodes if role is NodeRole.WORKER]


def scaling(scope: Scope, drift: Drift, seen: RuntimeObservation | None, workload: WorkloadObservation | None) -> Workers | None:
    """Who is to join and who is to leave; None where all is as it is to be, or that cannot be told."""
    networking, name = scope.spec.networking, scope.identity.cluster_name if scope.identity is not None else ""
    return change_of(drift, name, seen, workload, network=networking is None or not networking.disable_default_cni)


def change_of(
    drift: Drift, cluster_name: str, seen: RuntimeObservation | None, workload: WorkloadObservation | None, *, network: bool
) -> Workers | None:
    """The same from what it depends on. `network`: as in Workers."""
    if drift.aim is None or seen is None or seen.ownership is not Ownership.OURS:
        return None
    settled, aim = workers_of(drift.nodes), workers_of(drift.aim)
    there = {node.name for node in seen.nodes if node.role is NodeRole.WORKER}
    if workload is not None:
        there |= _registered(cluster_name, workload)
    join = tuple(name for name in aim if name not in settled)
    leave = _highest_first(there.difference(aim))
    if not join and not leave:
        return None
    alone = sum(role is NodeRole.CONTROL_PLANE for _, role in drift.aim) == 1
    return Workers(join, leave, last=alone and not aim, network=network)


def joining(outcome: Outcome) -> Said | None:
    """What is said of workers that are to join; None: there are none."""
    if outcome.scaling is None or not outcome.scaling.join:
        return None
    if outcome.refused is not None:
        return Said(outcome.refused.reason, f"{_change(outcome)} {outcome.refused.message}")
    return _said(outcome, Reason.SCALING_UP)


def leaving(outcome: Outcome) -> Said | None:
    """The same of workers that are to leave."""
    return _said(outcome, Reason.SCALING_DOWN) if outcome.scaling is not None and outcome.scaling.leave else None


def _said(outcome: Outcome, reason: Reason) -> Said:
    change, task = _change(outcome), outcome.last(Verb.SCALE)
    if (power := wanted_power(outcome.scope)) is not Power.RUNNING:
        return Said(reason, f"{change} It waits until the cluster is to run, as spec.powerState: {power} asks.")
    if task is None or outcome.desired is None or task.tag != outcome.desired.config_hash:
        return Said(reason, change)
    if task.state is TaskState.FAILED:
        failed, message = task.failure
        # An error that nobody expected is, by its default, one of a create.
        return Said(Reason.JOIN_FAILED if failed is Reason.CREATE_FAILED else failed, f"{change} {message} It is tried again.")
    waits = f"Waits for a free slot: number {task.queue_position} in the queue." if task.state is TaskState.QUEUED else ""
    return Said(reason, " ".join(filter(None, (change, waits or running_step(task.steps)))))


def _change(outcome: Outcome) -> str:
    seen, aim = outcome.observed.cluster, outcome.drift.aim if outcome.drift is not None else None
    there = sum(node.role is NodeRole.WORKER for node in seen.nodes) if seen is not None else 0
    settled = len(workers_of(outcome.nodes))
    wanted = len(workers_of(aim or ()))
    return f"From {settled if wanted > settled else max(there, settled)} to {wanted} workers."


def last_scale(outcome: Outcome, *, ready: bool) -> JsonObject | None:
    """status.lastScale after this pass: begun with the decision to scale, complete with the first pass that sees those workers Ready."""
    last: JsonObject | None = outcome.scope.status.get("lastScale")
    drift, seen = outcome.drift, outcome.observed.cluster
    if drift is None or drift.aim is None or seen is None or seen.ownership is not Ownership.OURS:
        return last
    unfinished, wanted = last is not None and last.get("seconds") is None, len(workers_of(drift.aim))
    if outcome.decision.action is Action.SCALE:
        if last is not None and unfinished and last.get("to") == wanted:
            return last
        there = sum(node.role is NodeRole.WORKER for node in seen.nodes)
        return {"startedAt": timestamp(outcome.scope.now), "from": there, "to": wanted}
    if last is None or not unfinished or outcome.scaling is not None or not ready or not last.get("startedAt"):
        return last
    took = outcome.scope.now - datetime.fromisoformat(last["startedAt"])
    return {**last, "seconds": max(0, round(took.total_seconds()))}


def _registered(cluster_name: str, workload: WorkloadObservation) -> set[str]:
    """Nodes with a worker's name: what is left in the cluster's API of one whose container is gone."""
    worker = re.compile(rf"{re.escape(cluster_name)}-{NodeRole.WORKER}([2-9]|[1-9][0-9]+)?")
    return {node.name for node in workload.nodes if worker.fullmatch(node.name)}


def _highest_first(names: Iterable[str]) -> tuple[str, ...]:
    """By number: the first worker has none, and a tenth comes after a ninth."""
    return tuple(sorted(names, key=lambda name: (len(name), name), reverse=True))
