"""The list of controllers. A new kind of object is one entry here; its reconciler is a file of provider/reconcile.

Builds reconcilers from ports and settings; knows no adapter and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from provider.api.meta import ObjectKey, Resource
from provider.api.rbac import Permission
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.api.v1alpha1.kindcontrolplane import KINDCONTROLPLANES
from provider.controller.controller import Controller
from provider.controller.result import Result
from provider.controller.sources import Stream, Watch
from provider.controller.tasks import TaskManager
from provider.manager import Parts
from provider.observability.metrics import Metrics
from provider.ports.runtime import Verb
from provider.ports.tasks import INSIDE, Tasks
from provider.reconcile import kindcluster, kindcontrolplane
from provider.reconcile.options import ReconcileOptions
from provider.settings import Settings


@dataclass(frozen=True, slots=True)
class Environment:
    """What a reconciler may be built from."""

    parts: Parts
    tasks: Tasks
    options: ReconcileOptions
    requeue: Callable[[Resource, ObjectKey], None]
    """Gives an object of any controller's resource its next pass at once."""


class Reconciler(Protocol):
    watches: Sequence[Watch]
    """What brings it keys besides its own resource."""
    streams: Sequence[Stream]

    async def reconcile(self, key: ObjectKey) -> Result: ...


@dataclass(frozen=True, slots=True)
class Entry:
    resource: Resource
    permissions: Sequence[Permission]
    make: Callable[[Environment], Reconciler]
    concurrency: Callable[[Settings], int] = lambda _: 1
    """Passes at the same time."""


def _kindcluster(env: Environment) -> Reconciler:
    parts = env.parts
    return kindcluster.KINDClusterReconciler(
        parts.kube,
        parts.workload,
        parts.runtimes,
        env.tasks,
        parts.clock,
        parts.recorder,
        env.options,
        lambda key: env.requeue(KINDCLUSTERS, key),
    )


def _kindcontrolplane(env: Environment) -> Reconciler:
    return kindcontrolplane.KINDControlPlaneReconciler(
        env.parts.kube, env.parts.clock, env.options, lambda key: env.requeue(KINDCLUSTERS, key)
    )


CONTROLLERS = (
    Entry(KINDCLUSTERS, kindcluster.PERMISSIONS, _kindcluster, lambda settings: settings.concurrency),
    Entry(KINDCONTROLPLANES, kindcontrolplane.PERMISSIONS, _kindcontrolplane),
)


def build(
    settings: Settings, parts: Parts, metrics: Metrics, entries: Sequence[Entry] = CONTROLLERS
) -> tuple[list[Controller], TaskManager]:
    """The controllers of these entries, and the long operations of KINDClusters (the only kind that has any)."""
    controllers: dict[Resource, Controller] = {}

    def requeue(resource: Resource, key: ObjectKey) -> None:
        controllers[resource].queue.add(key)

    slots = {
        Verb.CREATE: settings.create_slots,
        **dict.fromkeys((Verb.PREPARE, *INSIDE), settings.pull_slots),
        **dict.fromkeys((Verb.START, Verb.STOP, Verb.PAUSE, Verb.SCALE), settings.start_slots),
        Verb.DELETE: settings.delete_slots,
    }
    tasks = TaskManager(
        slots, lambda key: requeue(KINDCLUSTERS, key), parts.clock, finished=metrics.task_ended, kind=KINDCLUSTERS.kind
    )
    options = ReconcileOptions(
        default_runtime=settings.runtime,
        default_image=settings.default_image,
        default_create_timeout=settings.create_timeout,
        namespace=settings.namespace,
        watch_filter=settings.watch_filter,
        inside_network=settings.inside_network,
        policy=parts.policy,
    )
    for entry in entries:
        reconciler = entry.make(Environment(parts, tasks, options, requeue))
        controller = controllers[entry.resource] = Controller(
            entry.resource,
            reconciler.reconcile,
            watches=reconciler.watches,
            streams=reconciler.streams,
            concurrency=entry.concurrency(settings),
            sync_period=settings.sync_period.total_seconds(),
            timeout=settings.reconcile_timeout.total_seconds(),
            reconciled=metrics.reconciled,
            queue_waited=metrics.queue_waited,
            namespace=settings.namespace,
        )
        metrics.add_controller(controller.name, controller.queue.__len__)
    return list(controllers.values()), tasks
