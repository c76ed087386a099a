"""provider.observability.metrics and .health: what Prometheus and the kubelet get to see."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.controller.result import Result
from provider.errors import Terminal, Transient
from provider.observability.health import Server, checks
from provider.observability.metrics import Metrics
from provider.ports.runtime import Endpoint, Verb
from provider.ports.tasks import TaskState, TaskStatus
from tests.fakes.clock import EPOCH

LOOPBACK = Endpoint("127.0.0.1", 0)


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """(sample name, label values in the order of the labels' names) → value."""
    text = metrics.exposition()[0].decode()
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_looks_tasks_and_phases_are_counted() -> None:
    """What happened, how long it took, and how things stand."""
    metrics = Metrics()
    metrics.add_controller("kindcluster", lambda: 3)
    metrics.add_controller("other", lambda: 0)
    metrics.watch_tasks(lambda: {("create", "running"): 2})
    for name in ("b", "c"):
        metrics.reconciled("kindcluster", ObjectKey("a", name), "success", 0.02, Result(phase="Ready"))
        metrics.reconciled("other", ObjectKey("a", name), "success", 0.02, Result())
    metrics.reconciled("kindcluster", ObjectKey("a", "b"), "conflict", 0.01, Result())
    metrics.reconciled("kindcluster", ObjectKey("a", "c"), "success", 0.01, Result())
    metrics.queue_waited("kindcluster", 0.5)
    metrics.watch_restarted()
    metrics.set_leading(True)
    ended = TaskStatus(Verb.CREATE, TaskState.SUCCEEDED, started_at=EPOCH, finished_at=EPOCH + timedelta(seconds=25))
    failed = TaskStatus(
        Verb.CREATE, TaskState.FAILED, started_at=EPOCH, finished_at=EPOCH, error=Transient(Reason.CREATE_TIMEOUT, "x")
    )
    metrics.task_ended(ended)
    metrics.task_ended(failed)
    metrics.task_ended(TaskStatus(Verb.CREATE, TaskState.FAILED, error=Transient(Reason.CANCELLED, "never began")))

    found = samples(metrics)
    assert found["capkind_reconciles_total", ("kindcluster", "success")] == 3
    assert found["capkind_reconciles_total", ("kindcluster", "conflict")] == 1
    assert found["capkind_reconciles_total", ("kindcluster", "defect")] == 0
    assert found["capkind_reconciles_total", ("other", "success")] == 2
    assert found["capkind_reconcile_seconds_count", ("kindcluster",)] == 4
    assert found["capkind_queue_wait_seconds_sum", ("kindcluster",)] == 0.5
    assert found["capkind_task_seconds_sum", ("success", "create")] == 25
    assert found["capkind_task_seconds_count", ("CreateTimeout", "create")] == 1
    assert ("capkind_task_seconds_count", ("Cancelled", "create")) not in found
    assert found["capkind_queue_depth", ("kindcluster",)] == 3
    assert found["capkind_tasks", ("running", "create")] == 2
    assert found["capkind_clusters", ("Ready",)] == 1
    assert found["capkind_watch_restarts_total", ()] == 1
    assert found["capkind_leader", ()] == 1


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_health_is_503_with_the_reason_until_all_is_well(session: aiohttp.ClientSession) -> None:
    """Each check is named, as in Kubernetes' own endpoints."""
    problem = "the watch thread has ended"
    server = Server({"/healthz": checks({"watch": lambda: problem, "reconcile": lambda: ""})})
    address = await server.start(LOOPBACK, "--health-addr")
    try:
        async with session.get(f"http://{address}/healthz") as answer:
            assert answer.status == 503
            assert await answer.text() == "[-] watch: the watch thread has ended\n[+] reconcile\n"
        problem = ""
        async with session.get(f"http://{address}/healthz") as answer:
            assert answer.status == 200
        async with session.get(f"http://{address}/elsewhere") as answer:
            assert answer.status == 404
    finally:
        await server.stop()


async def test_metrics_have_prometheus_own_content_type(session: aiohttp.ClientSession) -> None:
    """Scrapers negotiate by it."""
    server = Server({"/metrics": Metrics().exposition})
    address = await server.start(LOOPBACK, "--diagnostics-address")
    try:
        async with session.get(f"http://{address}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            assert "capkind_reconciles_total" in await answer.text()
    finally:
        await server.stop()


async def test_an_address_in_use_is_a_clear_error() -> None:
    """Named with its flag and the way out; nothing is left open."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(Terminal) as caught:
            await Server({}).start(Endpoint("127.0.0.1", port), "--health-addr")

    assert f"127.0.0.1:{port}" in caught.value.message
    assert "another program listens there" in caught.value.message
    assert "--health-addr" in caught.value.message


async def test_an_address_of_another_machine_is_a_clear_error() -> None:
    """Not a traceback."""
    with pytest.raises(Terminal, match="--health-addr"):
        await Server({}).start(Endpoint("192.0.2.1", 0), "--health-addr")
