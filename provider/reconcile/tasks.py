"""What each action does as a long operation: one call of the runtime, with what must come right before it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from provider.errors import Terminal, Transient
from provider.ports.runtime import ClusterRequest, Identity, Problem, Progress, Runtime, Verb
from provider.reconcile.plan import Action

Work = Callable[[Progress], Coroutine[Any, Any, None]]


def task_of(action: Action, runtime: Runtime, identity: Identity, request: ClusterRequest) -> tuple[Verb, Work] | None:
    """What an action asks the task manager for; None: nothing that takes long."""

    async def create(progress: Progress) -> None:
        """Raises Terminal or Transient for what a preflight finds, before minutes are lost."""
        _refuse(await runtime.preflight(identity, request))
        await runtime.create(identity, request, progress)

    async def prepare(progress: Progress) -> None:
        """Everything that can stand in the way of a replacement, while the old cluster still runs. Raises as create does."""
        _refuse(await runtime.preflight(identity, request))
        await runtime.prepare(request, progress)

    tasks: dict[Action, tuple[Verb, Work]] = {
        Action.CREATE: (Verb.CREATE, create),
        Action.PREPARE: (Verb.PREPARE, prepare),
        Action.START: (Verb.START, partial(runtime.start, identity)),
        Action.CLEAN: (Verb.DELETE, partial(runtime.delete, identity)),
    }
    return tasks.get(action)


def _refuse(problems: Sequence[Problem]) -> None:
    if not problems:
        return
    terminal = [problem for problem in problems if problem.terminal]
    first = (terminal or list(problems))[0]
    message = " ".join(problem.message for problem in problems)
    raise (Terminal if terminal else Transient)(first.reason, message)
