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
from provider.adapters.kind.runtime import KindOptions, KindRuntime
from provider.api.kind import NodeRole
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
from provider.adapters.kind.runtime import KindOptions, KindRuntime
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


async def test_several_control_planes_are_ours_with_their_load_balancer(runtime: KindRuntime, identity: Identity) -> None:
    """The load balancer has no mount; the proxy entry marks it, the API answers behind it, and it goes with the others."""
    await runtime.create(identity, request(identity, controlPlaneReplicas=3), silent)
    volumes = engine.volumes(identity.cluster_name)
    seen = await runtime.observe(identity)

    assert Ownership.OURS is seen.ownership
    assert 3 == [node.role for node in seen.nodes].count(NodeRole.CONTROL_PLANE)
    assert f"{identity.cluster_name}-external-load-balancer" == str(seen.internal_endpoint).removesuffix(":6443")
    assert "ok" == kubectl(await runtime.kubeconfig(identity), "get", "--raw", "/readyz")

    await runtime.delete(identity, silent)
    assert Presence.ABSENT is (await runtime.observe(identity)).presence
    assert 3 == len(volumes)
    assert not volumes & engine.leaked_volumes()


def kubectl(kubeconfig: str, *args: str) -> str:
    done = subprocess.run(
        ["kubectl", "--kubeconfig", "/dev/stdin", *args], input=kubeconfig, capture_output=True, text=True, check=True, timeout=90
    )
    return done.stdout


async def test_proxies_and_the_users_kubeconfig_are_left_alone(tmp_path: Path, identity: Identity) -> None:
    """A HOME and a KUBECONFIG full of sentinels: unchanged after a life, and no lock file beside them."""
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    for path in (home / ".kube/config", home / "other"):
        path.write_text("sentinel")
    runtime = make_runtime(tmp_path / "state", HOME=str(home), KUBECONFIG=str(home / "other"))
    await runtime.create(identity, request(identity), silent)
    await runtime.collect_logs(identity, tmp_path / "logs")
    await runtime.delete(identity, silent)

    assert ["sentinel", "sentinel"] == [path.read_text() for path in (home / ".kube/config", home / "other")]
    assert ["config"] == [path.name for path in (home / ".kube").iterdir()]
    assert (tmp_path / "logs" / f"{identity.cluster_name}-control-plane.log").read_text()
    assert not list((tmp_path / "state" / "scratch" / "clusters").iterdir())


@pytest.mark.fault(22, "real nodes are killed, paused and started", invariants="I10")
async def test_a_stopped_cluster_answers_again_after_a_start(runtime: KindRuntime, identity: Identity) -> None:
    """docker stop, pause and kill; the port stays, the API comes back."""
    await runtime.create(identity, request(identity, workerReplicas=1), silent)
    endpoint = (await runtime.observe(identity)).endpoint
    kubeconfig = await runtime.kubeconfig(identity)
    engine.docker("kill", f"{identity.cluster_name}-control-plane")
    engine.docker("pause", f"{identity.cluster_name}-worker")
    down = await runtime.observe(identity)
    await runtime.start(identity, silent)

    assert None is down.endpoint
    assert endpoint == (await runtime.observe(identity)).endpoint
    async with asyncio.timeout(60):
        while not ready(kubeconfig):  # noqa: ASYNC110 - the API server comes up in its own time
            await asyncio.sleep(0.5)
    await runtime.delete(identity, silent)


def ready(kubeconfig: str) -> bool:
    try:
        return "ok" == kubectl(kubeconfig, "get", "--raw", "/readyz")
    except subprocess.CalledProcessError:
        return False


@pytest.mark.fault(29, "a real create is cancelled at several moments", invariants="I2")
@pytest.mark.parametrize("delay", [0.0, 0.5, 1.5, 3.0, 6.0])
async def test_cancelling_at_any_moment_leaves_nothing_after_a_delete(
    runtime: KindRuntime, identity: Identity, delay: float
) -> None:
    """The engine's own work in flight when kind is killed must not show up after the deletion."""
    begun = asyncio.Event()
    task = asyncio.create_task(runtime.create(identity, request(identity), lambda step: begun.set()))
    waiting = asyncio.ensure_future(begun.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), task.exception()
    await asyncio.wait([task], timeout=delay)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    seen, volumes = await runtime.observe(identity), engine.volumes(identity.cluster_name)
    await runtime.delete(identity, silent)
    after = await runtime.observe(identity)

    assert Presence.UNKNOWN is not seen.presence
    assert Presence.ABSENT is after.presence
    await asyncio.sleep(4)  # longer than the engine takes to make a container: nothing may appear
    assert [] == engine.containers(identity.cluster_name)
    assert not volumes & engine.leaked_volumes()


@pytest.mark.fault(3, "the creator is killed, kind runs on", invariants="I4")
@pytest.mark.parametrize("moment", ["Preparing nodes Started", "Preparing nodes Succeeded", "Starting control-plane Started"])
async def test_a_killed_managers_create_is_taken_over(tmp_path: Path, identity: Identity, moment: str) -> None:
    """SIGKILL in the middle: kind dies with it, the lock passes on, the next manager makes the cluster from scratch."""
    config = json.dumps(dict(request(identity).config))
    argv = [sys.executable, "-c", MANAGER, str(tmp_path), identity.cluster_name, identity.marker, config, engine.node_image()]
    killed = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert killed.stdout is not None
    async with asyncio.timeout(120):
        while moment not in (await killed.stdout.readline()).decode():
            assert killed.returncode is None
    killed.send_signal(signal.SIGKILL)
    await killed.wait()
    runtime = make_runtime(tmp_path)
    absent = (await runtime.observe(identity)).presence is Presence.ABSENT
    await runtime.create(identity, request(identity), silent)

    assert not (absent and moment.startswith("Preparing nodes S"))
    assert Ownership.OURS is (await runtime.observe(identity)).ownership
    assert "ok" == kubectl(await runtime.kubeconfig(identity), "get", "--raw", "/readyz")
    await runtime.delete(identity, silent)


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


async def test_patches_ports_mounts_and_subnets_reach_the_node(runtime: KindRuntime, identity: Identity, tmp_path: Path) -> None:
    """The rendered document means to real kind what the spec says."""
    (tmp_path / "hello").write_text("from the host")
    node = {
        "labels": {"tier": "edge"},
        "extraMounts": [{"hostPath": str(tmp_path), "containerPath": "/from-host", "readOnly": True}],
        "extraPortMappings": [{"containerPort": 30080, "hostPort": 0, "listenAddress": "127.0.0.1"}],
        "kubeadmConfigPatches": ["kind: InitConfiguration\nnodeRegistration:\n  kubeletExtraArgs:\n    max-pods: '42'\n"],
    }
    networking = {"podSubnet": "10.42.0.0/16", "serviceSubnet": "10.43.0.0/16"}
    await runtime.create(identity, request(identity, nodes=[node], networking=networking), silent)
    name, kubeconfig = f"{identity.cluster_name}-control-plane", await runtime.kubeconfig(identity)
    kubectl(
        kubeconfig, "wait", "node", name, "--for=jsonpath={.spec.podCIDR}", "--timeout=60s"
    )  # the controller manager gives it
    found = json.loads(kubectl(kubeconfig, "get", "node", name, "-o", "json"))

    assert "from the host" == engine.run_in(name, "cat", "/from-host/hello")
    assert ("edge", "42") == (found["metadata"]["labels"]["tier"], found["status"]["capacity"]["pods"])
    assert found["spec"]["podCIDR"].startswith("10.42.")
    assert "10.43.0.1" == kubectl(kubeconfig, "get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}")
    assert "30080" in engine.docker("port", name)
    await runtime.delete(identity, silent)
