"""What each action does as a long operation: one call of the runtime, with what must come right before it."""

from __future__ import annotations

from functools import partial

from provider.errors import Terminal, Transient
from provider.ports.runtime import ClusterRequest, Identity, Progress, Runtime, Verb
from provider.ports.tasks import Work
from provider.reconcile.plan import Action


def task_of(action: Action, runtime: Runtime, identity: Identity, request: ClusterRequest) -> tuple[Verb, Work] | None:
    """What an action asks the task manager for; None: nothing that takes long."""

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
        """Everything that can stand in the way of a replacement, while the old cluster still runs."""
        await preflight()
        await runtime.prepare(request, progress)

    tasks: dict[Action, tuple[Verb, Work]] = {
        Action.CREATE: (Verb.CREATE, create),
        Action.PREPARE: (Verb.PREPARE, prepare),
        Action.START: (Verb.START, partial(runtime.start, identity)),
        Action.STOP: (Verb.STOP, partial(runtime.stop, identity)),
        Action.PAUSE: (Verb.PAUSE, partial(runtime.pause, identity)),
        Action.CLEAN: (Verb.DELETE, partial(runtime.delete, identity)),
    }
    return tasks.get(action)
