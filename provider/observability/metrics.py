"""Prometheus metrics of the manager. One registry per instance, so that tests and several managers do not share numbers."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from provider.api.meta import ObjectKey
from provider.ports.tasks import TaskState, TaskStatus

PREFIX = "capkind"
PASS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TASK_SECONDS = (1, 2.5, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600)


class Metrics:
    """Counters and histograms are fed as things happen; gauges are read at scrape time (`watch_values`)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._passes = Counter(f"{PREFIX}_reconciles", "Passes over an object, by outcome.", ["result"], registry=self.registry)
        self._pass_seconds = Histogram(
            f"{PREFIX}_reconcile_seconds", "How long one pass over an object took.", buckets=PASS_SECONDS, registry=self.registry
        )
        self._wait_seconds = Histogram(
            f"{PREFIX}_queue_wait_seconds", "How long a key waited for a worker.", buckets=PASS_SECONDS, registry=self.registry
        )
        self._task_seconds = Histogram(
            f"{PREFIX}_task_seconds",
            "How long creating, deleting or starting a cluster took, without the time in the queue.",
            ["verb", "outcome"],
            buckets=TASK_SECONDS,
            registry=self.registry,
        )
        self._restarts = Counter(f"{PREFIX}_watch_restarts", "How often the watch was restarted.", registry=self.registry)
        self._leading = Gauge(f"{PREFIX}_leader", "1 while this manager holds the Lease (or needs none).", registry=self.registry)
        self._phases: dict[ObjectKey, str] = {}
        for result in ("success", "conflict", "transient", "terminal", "timeout", "defect"):
            self._passes.labels(result)

    def passed(self, result: str, seconds: float) -> None:
        """A pass ended: success, conflict, transient, terminal, timeout or defect."""
        self._passes.labels(result).inc()
        self._pass_seconds.observe(seconds)

    def waited(self, seconds: float) -> None:
        self._wait_seconds.observe(seconds)

    def task_ended(self, status: TaskStatus) -> None:
        if status.started_at is None or status.finished_at is None:
            return
        outcome = "success" if status.state is TaskState.SUCCEEDED else getattr(status.error, "reason", "Defect")
        self._task_seconds.labels(status.verb, outcome).observe((status.finished_at - status.started_at).total_seconds())

    def watch_restarted(self) -> None:
        self._restarts.inc()

    def set_leading(self, leading: bool) -> None:
        self._leading.set(leading)

    def set_phase(self, key: ObjectKey, phase: str) -> None:
        """The object's phase after a pass; empty when it is gone."""
        if phase:
            self._phases[key] = phase
        else:
            self._phases.pop(key, None)

    def phases(self) -> Mapping[str, int]:
        return Tally(self._phases.values())

    def watch_values(self, queue_depth: Callable[[], int], tasks: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """Register what is called at scrape time."""
        self.registry.register(_AtScrape(queue_depth, tasks, self.phases))

    def exposition(self) -> tuple[bytes, str]:
        """The page and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _AtScrape(Collector):
    def __init__(
        self,
        queue_depth: Callable[[], int],
        tasks: Callable[[], Mapping[tuple[str, str], int]],
        phases: Callable[[], Mapping[str, int]],
    ) -> None:
        self._queue_depth, self._tasks, self._phases = queue_depth, tasks, phases

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(f"{PREFIX}_queue_depth", "Keys ready to be reconciled.", value=self._queue_depth())
        tasks = GaugeMetricFamily(f"{PREFIX}_tasks", "Long operations, by verb and state.", labels=["verb", "state"])
        for labels, count in self._tasks().items():
            tasks.add_metric(labels, count)
        yield tasks
        phases = GaugeMetricFamily(f"{PREFIX}_clusters", "KINDClusters by phase.", labels=["phase"])
        for phase, count in self._phases().items():
            phases.add_metric([phase], count)
        yield phases
