"""The kind runtime on a real engine, below the manager: what is hard to see from above. One cluster at a time."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv import engine
from provider.adapters.kind.options import KindOptions
from provider.adapters.kind.runtime import KindRuntime
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.errors import ProviderError, Terminal, Transient
from provider.ports.runtime import ClusterRequest, Identity, Ownership, Presence, Step
from provider.reconcile.desired import cluster_request
from provider.reconcile.options import ReconcileOptions

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
PREFIX = "c-e2e-"

MANAGER = """
import asyncio, json, os, sys
from pathlib import Path
from provider.adapters.kind.options import KindOptions
from provider.adapters.kind.runtime import KindRuntime
from provider.ports.runtime import ClusterRequest, Identity

async def main():
    state, name, marker, config, image = sys.argv[1:]
    runtime = KindRuntime(KindOptions(state_dir=Path(state), environment=dict(os.environ), engine="docker", listing_age=0.0))
    request = ClusterRequest(json.loads(config), image, None, 300.0)
    tell = lambda step: print(step.name, step.state, flush=True)
    await runtime.create(Identity(name, marker, "default/" + name), request, tell)

asyncio.run(main())
"""


def silent(_: Step) -> None: ...


@pytest.fixture
def identity() -> Iterator[Identity]:
    name = f"{PREFIX}{secrets.token_hex(3)}"
    yield Identity(name, secrets.token_hex(16), f"default/{name}")
    engine.remove_cluster(name)


@pytest.fixture
def runtime(tmp_path: Path) -> KindRuntime:
    return make_runtime(tmp_path)


def make_runtime(state: Path, **environment: str) -> KindRuntime:
    return KindRuntime(KindOptions(state_dir=state, environment=dict(os.environ) | environment, engine="docker", listing_age=0.0))


def request(identity: Identity, **spec: object) -> ClusterRequest:
    fields = {"image": engine.node_image(), "createTimeout": "5m"} | spec
    return cluster_request(KINDClusterSpec.model_validate(fields), cluster_name=identity.cluster_name, options=ReconcileOptions())


def kubectl(kubeconfig: str, *args: str) -> str:
    done = subprocess.run(
        ["kubectl", "--kubeconfig", "/dev/stdin", *args], input=kubeconfig, capture_output=True, text=True, check=True, timeout=90
    )
    return done.stdout


@pytest.mark.fault(29, "a real create is cancelled at several moments", invariants="I2")
@pytest.mark.parametrize("delay", [0.0, 0.5, 1.5, 3.0, 6.0])
async def test_cancelling_at_any_moment_leaves_nothing_after_a_delete(
    runtime: KindRuntime, identity: Identity, delay: float
) -> None:
    """The engine's own work in flight when kind is killed must not show up after the deletion."""
    begun, leaked = asyncio.Event(), engine.leaked_volumes()
    task = asyncio.create_task(runtime.create(identity, request(identity), lambda step: begun.set()))
    waiting = asyncio.ensure_future(begun.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), task.exception()
    await asyncio.wait([task], timeout=delay)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await until_absent(runtime, identity)
    await asyncio.sleep(4)  # longer than the engine takes to make a container: nothing may appear
    assert [] == engine.containers(identity.cluster_name)
    assert set() == engine.leaked_since(leaked)


async def until_absent(runtime: KindRuntime, identity: Identity) -> None:
    """As the manager does it: unknown is waited for, because an engine command that was killed may still make something; what shows up is
    removed; the finalizer goes with the first look that finds nothing.
    """
    async with asyncio.timeout(60):
        await runtime.delete(identity, silent)
        while (seen := await runtime.observe(identity)).presence is not Presence.ABSENT:
            if seen.presence is Presence.PRESENT:
                await runtime.delete(identity, silent)
            await asyncio.sleep(0.5)


@pytest.mark.fault(3, "the creator is killed, kind runs on", invariants="I4")
@pytest.mark.parametrize("moment", ["Preparing nodes Started", "Starting control-plane Started"])
async def test_a_killed_managers_create_is_taken_over(tmp_path: Path, identity: Identity, moment: str) -> None:
    """SIGKILL in the middle: kind dies with it, the lock passes on, the next manager makes the cluster from scratch. A HOME and a
    KUBECONFIG full of sentinels are unchanged after all of it.
    """
    home, state = _home(tmp_path), tmp_path / "state"
    config = json.dumps(dict(request(identity).config))
    argv = [sys.executable, "-c", MANAGER, str(state), identity.cluster_name, identity.marker, config, engine.node_image()]
    killed = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, env=dict(os.environ) | home, stdout=asyncio.subprocess.PIPE)
    assert killed.stdout is not None
    async with asyncio.timeout(120):
        while moment not in (await killed.stdout.readline()).decode():
            assert killed.returncode is None
    killed.send_signal(signal.SIGKILL)
    await killed.wait()
    runtime = make_runtime(state, **home)
    absent = (await runtime.observe(identity)).presence is Presence.ABSENT
    await runtime.create(identity, request(identity), silent)

    assert not (absent and moment.startswith("Starting"))
    assert Ownership.OURS is (await runtime.observe(identity)).ownership
    assert "ok" == kubectl(await runtime.kubeconfig(identity), "get", "--raw", "/readyz")
    await runtime.collect_logs(identity, tmp_path / "logs")
    await runtime.delete(identity, silent)
    assert (tmp_path / "logs" / f"{identity.cluster_name}-control-plane.log").read_text()
    assert [("config", "sentinel"), ("other", "sentinel")] == sorted(
        (path.name, path.read_text()) for path in _files(tmp_path / "home")
    )
    assert not list((state / "scratch" / "clusters").iterdir())


def _home(folder: Path) -> dict[str, str]:
    """An environment whose kubeconfigs nobody may touch."""
    home = folder / "home"
    (home / ".kube").mkdir(parents=True)
    for path in (home / ".kube/config", home / "other"):
        path.write_text("sentinel")
    return {"HOME": str(home), "KUBECONFIG": str(home / "other")}


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.fault(14, "a real create fails in kubeadm", invariants="I2")
@pytest.mark.parametrize(
    ("spec", "kind", "reason"),
    [
        ({"image": "localhost/no-such-image:v0"}, ProviderError, "Image"),
        ({"kubeadmConfigPatches": ["kind: ClusterConfiguration\nfeatureGates: {Nonsense: true}\n"]}, Terminal, "ConfigRejected"),
        ({"image": "kindest/haproxy:v20230606-42a2262b"}, Transient, "NodeBootFailed"),
    ],
)
async def test_a_create_that_cannot_succeed_says_why_and_leaves_nothing(
    runtime: KindRuntime, identity: Identity, spec: dict[str, object], kind: type[ProviderError], reason: str
) -> None:
    """A reason, a cure, and no container."""
    with pytest.raises(kind) as caught:
        await runtime.create(identity, request(identity, **spec), silent)

    assert caught.value.reason.startswith(reason)
    assert [] == engine.containers(identity.cluster_name)
