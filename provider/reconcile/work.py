"""The bodies of long operations, as tasks run them. Each is one call of the runtime, with what must come right before it."""

from __future__ import annotations

from collections.abc import Sequence

from provider.errors import Terminal, Transient
from provider.ports.runtime import ClusterRequest, Identity, Problem, Runtime
from provider.ports.tasks import Progress


async def prepare(runtime: Runtime, identity: Identity, request: ClusterRequest, tell: Progress) -> None:
    """Everything that can stand in the way of a replacement, while the old cluster still runs. Raises as create does."""
    _refuse(await runtime.preflight(identity, request))
    await runtime.prepare(request, tell)


async def create(runtime: Runtime, identity: Identity, request: ClusterRequest, tell: Progress) -> None:
    """Raises Terminal or Transient for what a preflight finds, before minutes are lost."""
    _refuse(await runtime.preflight(identity, request))
    await runtime.create(identity, request, tell)


def _refuse(problems: Sequence[Problem]) -> None:
    if not problems:
        return
    terminal = [problem for problem in problems if problem.terminal]
    first = (terminal or list(problems))[0]
    message = " ".join(problem.message for problem in problems)
    raise (Terminal if terminal else Transient)(first.reason, message)
