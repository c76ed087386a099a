"""What a pass says about images: whether those of the nodes can be had, and where those of spec.images are. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provider.api.conditions import ConditionType, Reason
from provider.api.meta import Condition, ConditionStatus
from provider.ports.runtime import Ownership, Presence, Verb
from provider.ports.tasks import TaskState
from provider.reconcile.outcome import Outcome
from provider.reconcile.running_step import running_step

NOT_HAD = frozenset({Reason.IMAGE_NOT_FOUND, Reason.IMAGE_PULL_FAILED})


def images_available(outcome: Outcome) -> Iterator[Condition]:
    """None where nothing is to be made, and nothing was."""
    kind, choice, failure = ConditionType.IMAGES_AVAILABLE, outcome.choice, _failure(outcome)
    if choice is not None and choice.blocked is not None:
        yield Condition(kind, ConditionStatus.FALSE, choice.blocked.reason, choice.blocked.message)
    elif failure is not None and (choice is None or choice.to_pull):
        yield Condition(kind, ConditionStatus.FALSE, *failure)
    elif choice is not None and choice.image is None:
        message = "kind pulls its own node image if the engine does not have it: which one it is, is not known here."
        yield Condition(kind, ConditionStatus.UNKNOWN, Reason.IMAGES_TO_PULL, message)
    elif choice is not None and choice.to_pull:
        message = f"Not on the engine, pulled before the nodes are made: {', '.join(choice.to_pull)}."
        yield Condition(kind, ConditionStatus.UNKNOWN, Reason.IMAGES_TO_PULL, message)
    elif choice is not None or _is_made(outcome):
        yield Condition(kind, ConditionStatus.TRUE, Reason.IMAGES_PRESENT)


def _failure(outcome: Outcome) -> tuple[Reason, str] | None:
    """Why an image could not be had, if that is what the newest try ended with."""
    last, task = outcome.record.last_create, outcome.task
    if task is not None and task.state is TaskState.FAILED and task.failure[0] in NOT_HAD:
        return task.failure
    if not last.get("finishedAt") and Reason(last.get("reason", "")) in NOT_HAD:
        return Reason(last["reason"]), last.get("message", "")
    return None


def _is_made(outcome: Outcome) -> bool:
    """A cluster stands, and nobody wants another one in its place."""
    seen, scope, drift = outcome.observed.cluster, outcome.scope, outcome.drift
    if seen is None or scope.runtime is None or scope.runtime.simulated or (drift is not None and drift.update):
        return False
    ours = seen.presence is Presence.PRESENT and seen.ownership is Ownership.OURS
    return ours and outcome.record.is_complete(provisioned=scope.provisioned)


def images_preloaded(outcome: Outcome) -> Iterator[Condition]:
    """None where there were never any to load."""
    kind, found, task = ConditionType.IMAGES_PRELOADED, outcome.preloading, outcome.task
    if not outcome.scope.spec.images:
        if kind in outcome.scope.conditions:
            yield Condition(kind, ConditionStatus.TRUE, Reason.IMAGES_PRELOADED)
    elif task is not None and task.verb is Verb.LOAD and task.unfinished:
        yield Condition(kind, ConditionStatus.FALSE, Reason.LOADING_IMAGES, running_step(task.steps) or "Waits for a free slot.")
    elif found is None:
        return
    elif found.blocked is not None:
        yield Condition(kind, ConditionStatus.FALSE, found.blocked.reason, found.blocked.message)
    elif found.due and task is not None and task.verb is Verb.PREPARE and task.unfinished:
        message = "Images are loaded into the nodes once what a replacement needs has been fetched, or cannot be."
        yield Condition(kind, ConditionStatus.FALSE, Reason.PREPARING, message)
    elif found.due:
        yield Condition(kind, ConditionStatus.FALSE, Reason.LOADING_IMAGES, "Images are being loaded into the nodes.")
    elif lost := found.lost:
        what = "; ".join(f"{name} (not in {', '.join(nodes)})" for name, nodes in lost.items())
        message = (
            f"Neither on the engine nor in the manager's folder of archives: {what}. Build or pull it there, put its archive into the "
            "folder, or take it off spec.images. Looked at every minute."
        )
        yield Condition(kind, ConditionStatus.FALSE, Reason.IMAGE_MISSING, message)
    elif found.seen is not None:
        yield Condition(kind, ConditionStatus.TRUE, Reason.IMAGES_PRELOADED)
