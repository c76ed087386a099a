"""Prometheus metrics of the manager. One registry per instance, so that tests and several managers do not share numbers."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping

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
        self._passes = Counter(
            f"{PREFIX}_reconciles", "Passes over an object, by outcome.", ["controller", "result"], registry=self.registry
        )
        self._pass_seconds = Histogram(
            f"{PREFIX}_reconcile_seconds",
            "How long one pass over an object took.",
            ["controller"],
            buckets=PASS_SECONDS,
            registry=self.registry,
        )
        self._wait_seconds = Histogram(
            f"{PREFIX}_queue_wait_seconds",
            "How long a key waited for a worker.",
            ["controller"],
            buckets=PASS_SECONDS,
            registry=self.registry,
        )
        self._task_seconds = Histogram(
            f"{PREFIX}_task_seconds",
            "How long creating, deleting or starting a cluster took, waiting in line excluded.",
            ["verb", "outcome"],
            buckets=TASK_SECONDS,
            registry=self.registry,
        )
        self._restarts = Counter(
            f"{PREFIX}_watch_restarts", "How often watching had to be started again.", registry=self.registry
        )
        self._leading = Gauge(f"{PREFIX}_leader", "1 while this manager holds the Lease (or needs none).", registry=self.registry)
        self._phases: dict[tuple[str, ObjectKey], str] = {}
        self._queue_depths: dict[str, Callable[[], int]] = {}
        self._tasks: Callable[[], Mapping[tuple[str, str], int]] = dict
        self.registry.register(self)

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

    def watch_restarted(self) -> None:
        self._restarts.inc()

    def set_leading(self, leading: bool) -> None:
        self._leading.set(leading)

    def collect(self) -> Iterator[Metric]:
        """What is asked for at scrape time."""
        depths = GaugeMetricFamily(f"{PREFIX}_queue_depth", "Keys ready to be looked at.", labels=["controller"])
        for controller, depth in self._queue_depths.items():
            depths.add_metric([controller], depth())
        yield depths
        tasks = GaugeMetricFamily(f"{PREFIX}_tasks", "Long operations, by verb and state.", labels=["verb", "state"])
        for labels, count in self._tasks().items():
            tasks.add_metric(labels, count)
        yield tasks
        phases = GaugeMetricFamily(f"{PREFIX}_clusters", "KINDClusters by phase.", labels=["phase"])
        for phase, count in Tally(self._phases.values()).items():
            phases.add_metric([phase], count)
        yield phases

    def exposition(self) -> tuple[bytes, str, int]:
        """The page /metrics (observability.health.Page)."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST, 200
