"""What people do to stored objects with kubectl, against a real API server and a fake runtime: replace, copy, restore, orphan."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from provider.adapters.kube.client import KubeClient
from provider.adapters.kube.login import Login, login
from provider.api import names
from provider.api.conditions import ConditionType
from provider.api.meta import JsonObject, ObjectKey, conditions_of
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import Conflict
from provider.reconcile.kindcluster import KINDClusterReconciler
from provider.reconcile.options import ReconcileOptions
from tests.envtest.crd import KindClusters, kindcluster
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import FakeRuntime
from tests.fakes.tasks import FakeTasks
from tests.fakes.workload import FakeRecorder, FakeWorkload

KEY, COPY = ObjectKey("default", "original"), ObjectKey("default", "duplicate")
PASSES = 40


class Bench:
    """Passes over objects of a real API server, played by hand; what runs is a fake."""

    def __init__(self, server: KindClusters, kube: KubeClient) -> None:
        self.server, self.kube, self.runtime, self.clock = server, kube, FakeRuntime(), FakeClock()
        self.tasks = FakeTasks(self.clock)
        runtimes = {"kind": self.runtime}
        workload, recorder, options = FakeWorkload(self.runtime), FakeRecorder(), ReconcileOptions(default_runtime="kind")
        self.reconciler = KINDClusterReconciler(
            kube, workload, runtimes, self.tasks, self.clock, recorder, options, lambda key: None
        )

    async def settle(self, key: ObjectKey) -> None:
        """Until a pass asks for no other and no task is left."""
        for _ in range(PASSES):
            try:
                result = await self.reconciler.reconcile(key)
            except Conflict:
                continue
            if key in self.tasks.work:
                await self.tasks.run(key)
            elif result.requeue_after is None or result.requeue_after > 1:
                return
        raise AssertionError(f"{key} does not come to rest")

    async def ready(self) -> JsonObject:
        self.server.api.kubectl("apply", "-f", "-", stdin=json.dumps(kindcluster(KEY.name)))
        await self.settle(KEY)
        assert await self.reason(KEY) == "Ready"
        return self.stored(KEY)

    def stored(self, key: ObjectKey) -> JsonObject:
        answer: JsonObject = json.loads(self.server.api.kubectl("get", "kindcluster", key.name, "-o", "json").stdout)
        return answer

    async def reason(self, key: ObjectKey) -> str:
        obj = await self.kube.get(KINDCLUSTERS, key)
        assert obj is not None
        return conditions_of(obj["status"])[ConditionType.READY].reason

    def kubectl(self, *args: str, stdin: str) -> subprocess.CompletedProcess[str]:
        return self.server.api.kubectl(*args, stdin=stdin, check=False)


@pytest.fixture
async def bench(kindclusters: KindClusters, tmp_path: Path) -> AsyncIterator[Bench]:
    async def enter() -> Login:
        return await login(str(kindclusters.api.kubeconfig), "", tmp_path)

    kube = KubeClient(enter)
    yield Bench(kindclusters, kube)
    for key in (KEY, COPY):
        await kube.patch(KINDCLUSTERS, key, {"metadata": {"finalizers": None}})
        await kube.delete(KINDCLUSTERS, key)
        await kube.delete(names.SECRETS, ObjectKey(key.namespace, f"{key.name}-config"))
    await kube.close()


async def test_replace_with_the_users_own_file_is_refused_with_the_cure(bench: Bench) -> None:
    """Argo CD with Replace=true sends the same. The object and its cluster stay as they are."""
    before = await bench.ready()
    done = bench.kubectl("replace", "-f", "-", stdin=json.dumps(kindcluster(KEY.name)))

    assert done.returncode != 0
    for field in ("identity", "controlPlaneEndpoint"):
        assert f"spec.{field}: Forbidden: {field} is written by the provider, once, and cannot be removed" in done.stderr
    assert "use kubectl apply instead of replace" in done.stderr
    assert before == bench.stored(KEY)


async def test_replace_with_what_was_read_works(bench: Bench) -> None:
    """`kubectl get -o yaml`, an edit, `kubectl replace`; without metadata but the name it loses the finalizer, which comes back."""
    obj = await bench.ready()
    obj["spec"]["healPolicy"] = "Report"
    obj["metadata"] = {"name": KEY.name}
    done = bench.kubectl("replace", "-f", "-", stdin=json.dumps(obj))
    assert done.returncode == 0, done.stderr
    await bench.settle(KEY)

    assert bench.stored(KEY)["metadata"]["finalizers"] == [names.FINALIZER]
    assert await bench.reason(KEY) == "Ready"
    assert bench.runtime.calls["create"] == 1


async def test_a_copy_under_another_name_makes_nothing_and_its_cure_works(bench: Bench) -> None:
    """`kubectl get -o yaml | sed | kubectl apply`, as it is typed."""
    before = await bench.ready()
    text = bench.server.api.kubectl("get", "kindcluster", KEY.name, "-o", "yaml").stdout.replace(KEY.name, COPY.name)
    done = bench.kubectl("apply", "-f", "-", stdin=text)
    assert done.returncode == 0, done.stderr
    await bench.settle(COPY)
    assert await bench.reason(COPY) == "CopiedIdentity"
    assert bench.runtime.marked() == [f"{KEY.name}-control-plane"]

    bench.server.api.kubectl("delete", "kindcluster", COPY.name, "--wait=false")
    await bench.settle(COPY)
    bench.server.api.kubectl("apply", "-f", "-", stdin=json.dumps(kindcluster(COPY.name)))
    await bench.settle(COPY)
    assert await bench.reason(COPY) == "Ready"
    assert before == bench.stored(KEY)


async def test_a_restored_object_takes_its_cluster_over(bench: Bench) -> None:
    """The whole object as it was read: the API server drops status, UID and the like."""
    saved = await bench.ready()
    await bench.kube.patch(KINDCLUSTERS, KEY, {"metadata": {"finalizers": None}})
    await bench.kube.delete(KINDCLUSTERS, KEY)
    await bench.settle(KEY)
    for name in ("uid", "resourceVersion"):
        del saved["metadata"][name]
    bench.server.api.kubectl("create", "-f", "-", stdin=json.dumps(saved))
    await bench.settle(KEY)

    assert await bench.reason(KEY) == "Ready"
    assert bench.runtime.calls["create"] == 1


async def test_a_deletion_that_orphans_keeps_the_cluster_and_its_secret(bench: Bench) -> None:
    """The API server marks it with a finalizer; garbage collection, which does not run here, takes that away."""
    await bench.ready()
    bench.server.api.kubectl("delete", "kindcluster", KEY.name, "--cascade=orphan", "--wait=false")
    assert "orphan" in bench.stored(KEY)["metadata"]["finalizers"]
    await bench.settle(KEY)

    assert bench.stored(KEY)["metadata"]["finalizers"] == ["orphan"]
    assert bench.runtime.marked() == [f"{KEY.name}-control-plane"]
    secret = await bench.kube.get(names.SECRETS, ObjectKey(KEY.namespace, f"{KEY.name}-config"))
    assert secret is not None
    assert "ownerReferences" not in secret["metadata"]
