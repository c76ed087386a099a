"""Prometheus metrics of the manager. One registry per instance, so that tests and several managers do not share numbers."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from provider.api.meta import ObjectKey
from provider.controller.result import Result
from provider.ports.tasks import TaskState, TaskStatus

PREFIX = "capkind"
OUTCOMES = ("success", "conflict", "transient", "terminal", "timeout", "defect")
PASS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TASK_SECONDS = (1, 2.5, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600)


class Metrics(Collector):
    """Counts what happens; what can be asked for at any time is read at scrape time."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._passes = self._counter("reconciles", "Passes over an object, by outcome.", "controller", "result")
        self.watch_restarted = self._counter("watch_restarts", "How often watching had to be started again.").inc
        self._pass_seconds = self._histogram("reconcile", "How long one pass over an object took.", PASS_SECONDS, "controller")
        self._wait_seconds = self._histogram("queue_wait", "How long a key waited for a worker.", PASS_SECONDS, "controller")
        took = "How long creating, deleting or starting a cluster took, waiting in line excluded."
        self._task_seconds = self._histogram("task", took, TASK_SECONDS, "verb", "outcome")
        self.set_leading = Gauge(
            f"{PREFIX}_leader", "1 while this manager holds the Lease (or needs none).", registry=self.registry
        ).set
        self._phases: dict[tuple[str, ObjectKey], str] = {}
        self._queue_depths: dict[str, Callable[[], int]] = {}
        self._tasks: Callable[[], Mapping[tuple[str, str], int]] = dict
        self.registry.register(self)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}_seconds", text, labels, buckets=buckets, registry=self.registry)

    def add_controller(self, controller: str, queue_depth: Callable[[], int]) -> None:
        """Its series exist from now on, at zero, so that a rate over them sees the first pass."""
        self._queue_depths[controller] = queue_depth
        for outcome in OUTCOMES:
            self._passes.labels(controller, outcome)

    def reconciled(self, controller: str, key: ObjectKey, outcome: str, seconds: float, result: Result) -> None:
        """A pass ended with one of OUTCOMES."""
        self._passes.labels(controller, outcome).inc()
        self._pass_seconds.labels(controller).observe(seconds)
        if result.phase:
            self._phases[controller, key] = result.phase
        elif outcome == "success":
            self._phases.pop((controller, key), None)

    def queue_waited(self, controller: str, seconds: float) -> None:
        self._wait_seconds.labels(controller).observe(seconds)

    def watch_tasks(self, counts: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """Where to ask for (verb, state) → how many, at scrape time."""
        self._tasks = counts

    def task_ended(self, status: TaskStatus) -> None:
        if status.started_at is None or status.finished_at is None:
            return
        outcome = "success" if status.state is TaskState.SUCCEEDED else getattr(status.error, "reason", "Defect")
        self._task_seconds.labels(status.verb, outcome).observe((status.finished_at - status.started_at).total_seconds())

    def collect(self) -> Iterator[Metric]:
        """What is asked for at scrape time."""
        depths = {(controller,): depth() for controller, depth in self._queue_depths.items()}
        yield _gauge("queue_depth", "Keys ready to be looked at.", ["controller"], depths)
        yield _gauge("tasks", "Long operations, by verb and state.", ["verb", "state"], self._tasks())
        phases = {(phase,): count for phase, count in Tally(self._phases.values()).items()}
        yield _gauge("clusters", "KINDClusters by phase.", ["phase"], phases)

    def exposition(self) -> tuple[bytes, str, int]:
        """The page /metrics (observability.health.Page)."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST, 200


def _gauge(name: str, text: str, labels: Sequence[str], values: Mapping[Any, int]) -> Metric:
    """`values`: the labels' values → number."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
