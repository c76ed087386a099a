"""A real API server that is killed and its etcd that halts or is killed, under a whole manager: it lives, touches nothing, resumes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from devenv.controlplane import ManagementAPI
from tests.envtest.conftest import real_apiserver
from tests.envtest.crd import KindClusters, kindcluster
from tests.envtest.in_process import User, healthy, manager_of, until
from tests.fakes.runtime import FakeRuntime

pytestmark = pytest.mark.usefixtures("silent_kopf")
PULSES, HALT, AWAY = 3, 1.5, 2.0
"""How often etcd halts, and for how many seconds; how long what was killed is away."""


@pytest.fixture(scope="module")
def management() -> Iterator[ManagementAPI]:
    """An API server of this module's own: it is killed."""
    with real_apiserver() as api:
        KindClusters(api).install()
        yield api


@contextlib.asynccontextmanager
async def survived(management: ManagementAPI, scratch: Path) -> AsyncIterator[None]:
    """A cluster is Ready; what happens inside of this changes nothing about it, and a new one gets Ready afterwards."""
    runtime, user = FakeRuntime("kind"), User(management)
    async with manager_of(management.kubeconfig, {"kind": runtime}, scratch) as (manager, running):
        await asyncio.to_thread(user.create, kindcluster("before", runtime="kind"))
        await until(lambda: user.phase("before") == "Ready", lambda: user.get("before"))
        status, nodes = await asyncio.to_thread(lambda: user.get("before")["status"]), repr(runtime.clusters)

        yield
        await asyncio.to_thread(management.wait_ready)
        assert not running.done()
        assert healthy(manager)
        assert (repr(runtime.clusters), runtime.calls["create"]) == (nodes, 1)
        await asyncio.to_thread(user.create, kindcluster("after", runtime="kind"))
        await until(lambda: user.phase("after") == "Ready", lambda: user.get("after"))
        assert (await asyncio.to_thread(user.get, "before"))["status"] == status
        assert (runtime.calls["create"], runtime.calls["delete"], runtime.calls["start"]) == (2, 0, 0)

        for name in ("before", "after"):
            await asyncio.to_thread(user.delete, name)
        await until(lambda: user.gone("before") and user.gone("after"), lambda: user.get("after"))
        assert runtime.marked() == []
    user.close()


@pytest.mark.fault(12, "SIGSTOP of etcd, in pulses", invariants="I1 I4 I7 I14")
async def test_an_etcd_that_halts_again_and_again_is_survived(management: ManagementAPI, tmp_path: Path) -> None:
    """Every request hangs for a while, also those of a create under way."""
    async with survived(management, tmp_path):
        for _ in range(PULSES):
            with management.frozen("etcd"):
                await asyncio.sleep(HALT)
            await asyncio.sleep(HALT / 3)


@pytest.mark.fault(11, "SIGKILL of kube-apiserver, started again", invariants="I1 I4 I7 I14")
@pytest.mark.fault(12, "SIGKILL of etcd, started again", invariants="I1 I4 I7 I14")
@pytest.mark.parametrize("victim", ["etcd", "kube-apiserver"])
async def test_what_is_killed_and_comes_back_is_survived(management: ManagementAPI, tmp_path: Path, victim: str) -> None:
    """Refused connections, or an API server that answers with errors; all watches are lost."""
    async with survived(management, tmp_path):
        management.kill(victim)
        await asyncio.sleep(AWAY)
        management.revive(victim)  # in this thread: it dies with the thread that starts it
