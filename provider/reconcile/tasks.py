"""What each action does as a long operation: one call of the runtime, or the work on add-ons, with what must come before it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from provider.errors import Terminal, Transient
from provider.ports.registries import NO_REGISTRIES, Registries
from provider.ports.runtime import ClusterRequest, Identity, Progress, Runtime, Verb, Workers
from provider.ports.tasks import Work
from provider.reconcile.plan import Action, Decision, Plan


class LongWork(NamedTuple):
    """What the task manager is asked for."""

    verb: Verb
    work: Work
    before: Work | None = None
    """What comes first, without a slot of the verb."""


def task_of(
    decision: Decision,
    runtime: Runtime,
    identity: Identity,
    request: ClusterRequest,
    images: Sequence[str] = (),
    registries: Registries = NO_REGISTRIES,
    apply: Work | None = None,
) -> LongWork | None:
    """None: nothing that takes long. `images`, `registries`: what nodes are to have and to know; `apply`: the work on add-ons."""

    async def preflight() -> None:
        """Raises Terminal or Transient for what stands in the way, before minutes are lost."""
        problems = await runtime.preflight(identity, request)
        worst = [problem for problem in problems if problem.terminal] or problems
        if worst:
            message = " ".join(problem.message for problem in problems)
            raise (Terminal if worst[0].terminal else Transient)(worst[0].reason, message)

    async def create(progress: Progress) -> None:
        await preflight()
        await runtime.create(identity, request, progress)

    async def prepare(progress: Progress) -> None:
        """Everything that can stand in the way of a create, while nothing is touched."""
        await preflight()
        await runtime.prepare(request, progress)

    fetch = isinstance(decision, Plan) and decision.fetch
    workers = (decision.workers if isinstance(decision, Plan) else None) or Workers()
    tasks = {
        Action.CREATE: LongWork(Verb.CREATE, create, prepare if fetch else None),
        Action.PREPARE: LongWork(Verb.PREPARE, prepare),
        Action.START: LongWork(Verb.START, partial(runtime.start, identity)),
        Action.STOP: LongWork(Verb.STOP, partial(runtime.stop, identity)),
        Action.PAUSE: LongWork(Verb.PAUSE, partial(runtime.pause, identity)),
        Action.LOAD: LongWork(Verb.LOAD, partial(runtime.load, identity, images)),
        Action.CONNECT: LongWork(Verb.CONNECT, partial(runtime.connect, identity, registries)),
        Action.SCALE: LongWork(Verb.SCALE, partial(runtime.scale, identity, workers)),
        Action.CLEAN: LongWork(Verb.DELETE, partial(runtime.delete, identity)),
    }
    if apply is not None:
        tasks[Action.APPLY] = LongWork(Verb.APPLY, apply)
    return tasks.get(decision.action)
