"""FakeTasks: provider.ports.tasks.Tasks where nothing runs until the test says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.errors import Transient
from provider.ports.clock import Clock
from provider.ports.runtime import Step, Verb
from provider.ports.tasks import Target, TaskState, TaskStatus, Work
from tests.fakes.clock import FakeClock


def _nobody(key: ObjectKey) -> None:
    """Nobody listens."""


@dataclass
class FakeTasks:
    """Started tasks wait in `work` until `run` awaits them for real, or `finish` ends them without running."""

    clock: Clock = field(default_factory=FakeClock)
    requeue: Callable[[ObjectKey], None] = _nobody
    queued: bool = False
    """Whether new tasks stay QUEUED (no free slot) instead of RUNNING."""
    work: dict[ObjectKey, Work] = field(default_factory=dict)
    before: dict[ObjectKey, Work] = field(default_factory=dict)
    """What comes first of those in `work` that have it and have not done it."""
    records: dict[ObjectKey, TaskStatus] = field(default_factory=dict)
    started: list[tuple[ObjectKey, Verb]] = field(default_factory=list)
    cancelled: list[ObjectKey] = field(default_factory=list)

    def status(self, key: ObjectKey) -> TaskStatus | None:
        return self.records.get(key)

    def start(
        self, key: ObjectKey, verb: Verb, work: Work, *, before: Work | None = None, tag: str = "", target: Target | None = None
    ) -> None:
        if key in self.work:
            return
        state, preparing = TaskState.QUEUED if self.queued else TaskState.RUNNING, before is not None
        started = None if self.queued or preparing else self.clock.now()
        self.records[key] = TaskStatus(verb, state, int(self.queued), preparing, started, tag=tag, target=target)
        self.work[key] = work
        if before is not None:
            self.before[key] = before
        self.started.append((key, verb))

    async def cancel(self, key: ObjectKey) -> None:
        if key in self.work:
            self.cancelled.append(key)
            self.finish(key, Transient(Reason.CANCELLED, "The task was stopped before its end."))

    async def discard(self, key: ObjectKey) -> None:
        await self.cancel(key)
        self.forget(key)

    def forget(self, key: ObjectKey) -> None:
        if key not in self.work:
            self.records.pop(key, None)

    # --- steering --------------------------------------------------------------------------------------------------------------

    def step(self, key: ObjectKey, step: Step) -> None:
        record = self.records[key]
        steps = {known.name: known for known in record.steps} | {step.name: step}
        self.records[key] = replace(record, steps=tuple(steps.values()))
        self.requeue(key)

    def finish(self, key: ObjectKey, error: Exception | None = None) -> None:
        """End the task without running its work."""
        del self.work[key]
        self.before.pop(key, None)
        state = TaskState.SUCCEEDED if error is None else TaskState.FAILED
        now = self.clock.now()
        record = self.records[key]
        started = record.started_at if error is not None and record.preparing else record.started_at or now
        self.records[key] = replace(record, state=state, queue_position=0, started_at=started, finished_at=now, error=error)
        self.requeue(key)

    def begin(self, key: ObjectKey) -> None:
        """The task gets its slot: the verb itself begins."""
        record = self.records[key]
        self.records[key] = replace(
            record,
            state=TaskState.RUNNING,
            queue_position=0,
            preparing=False,
            fetched=len(record.steps) if record.preparing else record.fetched,
            started_at=record.started_at or self.clock.now(),
        )

    async def run(self, key: ObjectKey) -> TaskStatus:
        """Await the task's work to its end, as a slot would."""
        error: Exception | None = None
        try:
            if key in self.before:
                self.records[key] = replace(self.records[key], state=TaskState.RUNNING, queue_position=0)
                await self.before[key](lambda step: self.step(key, step))
                del self.before[key]
            self.begin(key)
            await self.work[key](lambda step: self.step(key, step))
        except Exception as failure:  # noqa: BLE001 - whatever the work raises is the task's outcome
            error = failure
        self.finish(key, error)
        return self.records[key]
