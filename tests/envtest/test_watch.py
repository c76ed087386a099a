"""provider.controller.watch with real kopf and a real API server, seen through a proxy that breaks things."""

from __future__ import annotations

import asyncio
import json
import statistics
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import kopf
import pytest

from devenv.apiproxy import APIProxy
from devenv.controlplane import ManagementAPI
from provider.adapters.kube.login import Login, login
from provider.api import contract, names
from provider.api.meta import JsonObject, ObjectKey, Resource, key_of
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.controller.sources import WatchedResource
from provider.controller.watch import KopfWatcher
from tests.envtest.conftest import real_apiserver

pytestmark = pytest.mark.usefixtures("silent_kopf")
COLLECTION = f"/apis/{names.GROUP}/{names.VERSION}/namespaces/default/kindclusters"
CLUSTERS = f"/apis/{contract.CAPI_GROUP}/v1beta2/namespaces/default/clusters"
SECRETS = "/api/v1/namespaces/default/secrets"


def any_crd(group: str, version: str, plural: str, kind: str) -> dict[str, Any]:
    """A type without rules; for watching, the schema does not matter."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    one = {"name": version, "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [one],
        },
    }


WATCHED = [
    WatchedResource(KINDCLUSTERS, "", reconciled=True),
    WatchedResource(contract.CLUSTERS, "", reconciled=False),
    WatchedResource(names.SECRETS, names.KINDCLUSTER_LABEL, reconciled=False),
]
CLUSTER_CRD = any_crd(contract.CAPI_GROUP, "v1beta2", "clusters", "Cluster")


@pytest.fixture(scope="module")
def management() -> Iterator[ManagementAPI]:
    """An API server of this module's own: it removes CRDs."""
    with real_apiserver() as api:
        install(api, any_crd(names.GROUP, names.VERSION, "kindclusters", KINDCLUSTERS.kind))
        yield api


def install(api: ManagementAPI, crd: dict[str, Any]) -> None:
    api.kubectl("create", "-f", "-", stdin=json.dumps(crd))
    api.kubectl("wait", "--for=condition=Established", f"crd/{crd['metadata']['name']}")


@pytest.fixture
def proxy(management: ManagementAPI) -> Iterator[APIProxy]:
    with APIProxy(management) as proxy:
        yield proxy


class Keys:
    """Which objects the watch passed on, with times."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, ObjectKey]] = []
        self.gave_up = False
        self.restarts = 0

    def handle(self, resource: Resource, obj: JsonObject) -> None:
        self.seen.append((time.monotonic(), key_of(obj)))

    def give_up(self) -> None:
        self.gave_up = True

    def restarted(self) -> None:
        self.restarts += 1

    def clear(self) -> None:
        self.seen.clear()

    async def has(self, key: ObjectKey, seconds: float = 20.0) -> None:
        """Wait for the key."""
        await until(lambda: key in self, seconds, str(key))

    def __contains__(self, key: ObjectKey) -> bool:
        return any(seen == key for _, seen in self.seen)


async def until(done: Callable[[], object], seconds: float = 20.0, what: str = "") -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def watching(kubeconfig: Path, scratch: Path) -> AsyncIterator[tuple[KopfWatcher, Keys]]:
    keys = Keys()

    async def enter() -> Login:
        return await login(str(kubeconfig), "", scratch)

    watch = KopfWatcher(enter, WATCHED, keys.handle, keys.give_up, keys.restarted)
    watch.start()
    try:
        await until(lambda: watch.ready, what="kopf is ready")
        yield watch, keys
    finally:
        await watch.stop()
        assert not watch.alive


def fresh() -> ObjectKey:
    return ObjectKey("default", f"k-{uuid4().hex[:10]}")


async def create(api: ManagementAPI, path: str, obj: dict[str, Any]) -> dict[str, Any]:
    status, answer = await asyncio.to_thread(api.request, "POST", path, obj)
    assert status == 201, answer
    return answer


async def make_kindcluster(api: ManagementAPI, key: ObjectKey) -> None:
    meta = {"name": key.name, "namespace": key.namespace}
    await create(api, COLLECTION, {"apiVersion": KINDCLUSTERS.api_version, "kind": KINDCLUSTERS.kind, "metadata": meta})


async def test_changes_of_kindclusters_name_their_key_within_milliseconds(management: ManagementAPI, tmp_path: Path) -> None:
    """Created, changed, status changed, deleted: each is news."""
    async with watching(management.kubeconfig, tmp_path) as (_, keys):
        key = fresh()
        await make_kindcluster(management, key)
        await keys.has(key)

        for path, patch in (
            (f"{COLLECTION}/{key.name}", {"spec": {"a": 1}}),
            (f"{COLLECTION}/{key.name}/status", {"status": {"b": 1}}),
        ):
            keys.clear()
            await asyncio.to_thread(management.request, "PATCH", path, patch, content_type="application/merge-patch+json")
            await keys.has(key)

        keys.clear()
        await asyncio.to_thread(management.request, "DELETE", f"{COLLECTION}/{key.name}")
        await keys.has(key)

        waits = []
        for _ in range(30):
            one = fresh()
            began = time.monotonic()
            await make_kindcluster(management, one)
            await keys.has(one)
            waits.append(next(when for when, seen in keys.seen if seen == one) - began)
        assert statistics.median(waits) < 0.5


async def test_objects_that_exist_already_are_named_at_the_start(management: ManagementAPI, tmp_path: Path) -> None:
    """A restart looks at everything."""
    key = fresh()
    await make_kindcluster(management, key)

    async with watching(management.kubeconfig, tmp_path) as (_, keys):
        await keys.has(key)


async def test_only_our_secrets_are_asked_for_and_heard_of(management: ManagementAPI, proxy: APIProxy, tmp_path: Path) -> None:
    """The selector is the server's work: no other Secret of the cluster ever reaches this process."""
    async with watching(proxy.kubeconfig, tmp_path) as (_, keys):
        ours, other = fresh(), fresh()
        meta = {"name": ours.name, "labels": {names.KINDCLUSTER_LABEL: "demo"}}
        await create(management, SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": other.name}})
        await create(management, SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": meta})
        await keys.has(ours)

        keys.clear()
        await asyncio.to_thread(management.request, "DELETE", f"{SECRETS}/{ours.name}")
        await keys.has(ours)
        assert other not in keys

    asked = proxy.paths("GET", "/api/v1/secrets")
    selector = names.KINDCLUSTER_LABEL.replace("/", "%2F")
    assert asked
    assert all(f"labelSelector={names.KINDCLUSTER_LABEL}" in path or f"labelSelector={selector}" in path for path in asked)


@pytest.mark.fault(36, "the CRDs of Cluster API come later", invariants="I1")
async def test_cluster_api_may_be_installed_later(management: ManagementAPI, tmp_path: Path) -> None:
    """Its CRD appears, its Clusters are watched; it goes, the rest goes on; it comes back."""
    async with watching(management.kubeconfig, tmp_path) as (_, keys):
        for _ in range(2):
            await asyncio.to_thread(install, management, CLUSTER_CRD)
            key = fresh()
            reference = {"apiGroup": names.GROUP, "kind": KINDCLUSTERS.kind, "name": key.name}
            meta = {"name": key.name, "namespace": key.namespace}
            await create(
                management,
                CLUSTERS,
                {
                    "apiVersion": f"{contract.CAPI_GROUP}/v1beta2",
                    "kind": "Cluster",
                    "metadata": meta,
                    "spec": {"infrastructureRef": reference},
                },
            )
            await keys.has(key, 30.0)
            await asyncio.to_thread(management.kubectl, "delete", f"crd/{CLUSTER_CRD['metadata']['name']}")

            other = fresh()
            await make_kindcluster(management, other)
            await keys.has(other, 60.0)


async def test_watching_writes_nothing(management: ManagementAPI, proxy: APIProxy, tmp_path: Path) -> None:
    """No annotation, no finalizer, no event: reads only."""
    async with watching(proxy.kubeconfig, tmp_path) as (_, keys):
        key = fresh()
        await make_kindcluster(management, key)
        await keys.has(key)

    assert {seen.method for seen in proxy.seen} == {"GET"}


@pytest.mark.fault(7, "all connections of the watches are cut", invariants="I1")
async def test_cut_connections_are_survived(management: ManagementAPI, proxy: APIProxy, tmp_path: Path) -> None:
    """A load balancer that drops everything costs seconds, not the watch."""
    async with watching(proxy.kubeconfig, tmp_path) as (watch, keys):
        await asyncio.to_thread(proxy.cut)
        key = fresh()
        await make_kindcluster(management, key)
        await keys.has(key, 15.0)

        assert watch.alive
        assert not keys.gave_up


@pytest.mark.fault(11, "503 to every request of the watches", invariants="I1")
async def test_an_outage_of_the_api_server_is_survived(management: ManagementAPI, proxy: APIProxy, tmp_path: Path) -> None:
    """503 for a while; what happened meanwhile is seen afterwards."""
    async with watching(proxy.kubeconfig, tmp_path) as (_, keys):
        proxy.answer(503)
        await asyncio.to_thread(proxy.cut)
        key = fresh()
        await make_kindcluster(management, key)
        await until(lambda: len(proxy.paths("GET", "kindclusters")) > 3)
        assert key not in keys

        proxy.answer(None)
        await keys.has(key)


async def test_missing_permissions_are_said_once(
    management: ManagementAPI, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """kopf would go on trying in silence; a person must learn what to grant."""
    keys = Keys()
    kubeconfig = management.kubeconfig_for("nobody")

    async def enter() -> Login:
        return await login(str(kubeconfig), "", tmp_path)

    watch = KopfWatcher(enter, WATCHED, keys.handle, keys.give_up, keys.restarted)
    watch.start()
    try:
        await until(lambda: [record for record in caplog.records if "forbidden" in record.getMessage()])
        assert not watch.ready
    finally:
        await watch.stop()

    paths = [record.path for record in caplog.records if "forbidden" in record.getMessage()]  # type: ignore[attr-defined]
    assert len(paths) == len(set(paths))


@pytest.mark.fault(7, "404 to the watches", invariants="I1")
async def test_a_watch_that_dies_is_started_again_and_lists_anew(
    management: ManagementAPI, proxy: APIProxy, tmp_path: Path
) -> None:
    """A 404 on a watch ends kopf; it is restarted, nothing is missed, and no second thread watches."""
    async with watching(proxy.kubeconfig, tmp_path) as (_, keys):
        proxy.answer(404, "watch=true")
        await asyncio.to_thread(proxy.cut)
        await until(lambda: keys.restarts >= 1, 20.0, "kopf ended")
        key = fresh()
        await make_kindcluster(management, key)
        proxy.answer(None)

        await keys.has(key)
        assert [thread.name for thread in threading.enumerate()].count("watch") == 1
        assert not keys.gave_up


@pytest.mark.fault(8, "a part of the watcher does not end", invariants="I14")
@pytest.mark.parametrize(("stubborn", "given_up"), [(3, False), (1000, True)])
async def test_a_part_of_kopf_that_does_not_end_leaves_nobody_blind(
    proxy: APIProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stubborn: int, given_up: bool
) -> None:
    """kopf's parts swallow a cancellation now and then, and kopf would wait for ever: they are cancelled again, then given up."""
    monkeypatch.setattr("provider.controller.watch.END_ROUNDS", 6)
    spawn_tasks, over = kopf.spawn_tasks, threading.Event()
    parts: list[asyncio.Task[None]] = []

    async def swallow() -> None:
        left = stubborn
        while left and not over.is_set():
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                left -= 1

    async def spawn(**options: Any) -> Collection[asyncio.Task[Any]]:
        tasks = await spawn_tasks(**options)
        parts.append(asyncio.create_task(swallow()))
        return tasks

    monkeypatch.setattr("kopf.spawn_tasks", spawn)
    async with watching(proxy.kubeconfig, tmp_path) as (_, keys):
        proxy.answer(404, "watch=true")
        await asyncio.to_thread(proxy.cut)

        await until(lambda: keys.restarts or keys.gave_up, 30.0, "noticed")
        assert given_up == keys.gave_up
        over.set()


@pytest.mark.fault(8, "watches that never work", invariants="I14")
async def test_endless_restarts_end_in_giving_up(proxy: APIProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manager that cannot watch must not look alive."""
    monkeypatch.setattr("provider.controller.watch.MAX_RESTARTS", 1)
    proxy.answer(404, "watch=true")
    keys = Keys()

    async def enter() -> Login:
        return await login(str(proxy.kubeconfig), "", tmp_path)

    watch = KopfWatcher(enter, WATCHED, keys.handle, keys.give_up, keys.restarted)
    watch.start()

    await until(lambda: keys.gave_up, 90.0)
    await until(lambda: not watch.alive)
    await watch.stop()


async def test_stopping_takes_less_than_a_second(management: ManagementAPI, tmp_path: Path) -> None:
    """SIGTERM has ten seconds for everything."""
    async with watching(management.kubeconfig, tmp_path) as (watch, _):
        began = time.monotonic()
        await watch.stop()

        assert time.monotonic() - began < 2.0
        assert not watch.alive
