"""LocalRuntime beyond the contract every runtime holds: real processes, killed at any moment, found again, never mistaken."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hack.tools import find
from provider.adapters.local import components, daemons, state
from provider.adapters.local.runtime import LocalRuntime
from provider.errors import NotOurs, Transient
from provider.ports.runtime import NodeRunState, Ownership, Presence
from tests.local.conftest import find_tool, identity, quiet, request

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = "one"
PATIENCE = 60.0
"""Seconds; other tiers run beside this one."""


def pids(root: Path, name: str = NAME) -> dict[str, int]:
    current = state.read(root / name)
    assert current is not None
    return {component: daemon.pid for component, daemon in current.daemons.items() if daemons.alive(daemon)}


def left(root: Path) -> list[str]:
    """What is there besides the kubeconfigs of these tests."""
    return [path.name for path in root.iterdir() if path.suffix != ".kubeconfig"]


async def kubectl(runtime: LocalRuntime, root: Path, *args: str, name: str = NAME) -> str:
    kubeconfig = root / f"{name}.kubeconfig"
    kubeconfig.write_text(await runtime.kubeconfig(identity(name)))
    argv = [find.path("kubectl"), f"--kubeconfig={kubeconfig}", *args]
    return (
        await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, timeout=PATIENCE + 10, check=True)
    ).stdout


async def until(done: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not await done():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.05)


async def nodes_ready(runtime: LocalRuntime, root: Path, count: int) -> bool:
    return (await kubectl(runtime, root, "get", "nodes", "--no-headers")).count(" Ready ") == count


async def pods_can_be_made(runtime: LocalRuntime, root: Path) -> bool:
    return "default" in await kubectl(runtime, root, "get", "serviceaccounts", "-o", "name")


async def test_a_cluster_is_real_is_mended_and_goes_away(runtime: LocalRuntime, root: Path) -> None:
    """What the spec says is in force; pods can be made and run; what dies is heard of, seen, started with its data; nothing is left."""
    networking = {"podSubnet": "10.77.0.0/16", "serviceSubnet": "10.78.0.0/16"}
    wanted = request(
        NAME,
        1,
        networking=networking,
        featureGates={"StorageVersionAPI": True},
        runtimeConfig={"internal.apiserver.k8s.io/v1alpha1": "true"},
    )
    await runtime.create(identity(NAME), wanted, quiet)

    await until(lambda: nodes_ready(runtime, root, 2), PATIENCE, "both nodes Ready")
    await until(lambda: pods_can_be_made(runtime, root), PATIENCE, "the default ServiceAccount")
    assert "internal.apiserver.k8s.io/v1alpha1" in await kubectl(runtime, root, "api-versions")
    assert (await kubectl(runtime, root, "get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}")) == "10.78.0.1"
    await kubectl(runtime, root, "create", "deployment", "kept", "--image=example.invalid/none", "--replicas=2")
    await kubectl(runtime, root, "wait", "deployment/kept", "--for=condition=Available", f"--timeout={PATIENCE:.0f}s")
    assert (await kubectl(runtime, root, "get", "nodes", "-o", "jsonpath={.items[*].spec.podCIDR}")).count("10.77.") == 2

    events = runtime.events()
    assert (await anext(events)).cluster_name is None
    killed, died = pids(root), time.monotonic()
    os.kill(killed[components.CONTROLLER_MANAGER], signal.SIGKILL)
    assert (await asyncio.wait_for(anext(events), 5)).cluster_name == NAME
    assert time.monotonic() - died < 1
    assert (await runtime.observe(identity(NAME))).nodes[0].state is NodeRunState.STOPPED
    await events.aclose()  # type: ignore[attr-defined]

    await runtime.start(identity(NAME), quiet)
    survivors = {component for component, pid in pids(root).items() if pid == killed[component]}
    assert survivors == set(components.ALL) - {components.CONTROLLER_MANAGER}

    endpoint = (await runtime.observe(identity(NAME))).endpoint
    assert endpoint is not None
    for pid in pids(root).values():
        os.kill(pid, signal.SIGKILL)
    await runtime.start(identity(NAME), quiet)
    assert (await runtime.observe(identity(NAME))).endpoint == endpoint
    assert "kept" in await kubectl(runtime, root, "get", "deployments", "-o", "name")
    await until(lambda: nodes_ready(runtime, root, 2), PATIENCE, "both nodes Ready again")

    await runtime.delete(identity(NAME), quiet)
    assert daemons.find(identity(NAME).marker) == {}
    assert left(root) == []


async def test_a_cluster_without_nodes_is_a_management_api(runtime: LocalRuntime, root: Path) -> None:
    """API server, etcd and controllers; no kubelets to play, nothing to schedule. A renewed certificate does not end it."""
    await runtime.create(identity(NAME), request(NAME, nodes=[]), quiet)
    assert pids(root).keys() == set(components.WITHOUT_NODES)

    await until(lambda: pods_can_be_made(runtime, root), PATIENCE, "the default ServiceAccount")

    before = pids(root)
    (root / NAME / f"{components.API_SERVER}.crt").unlink()
    await runtime.start(identity(NAME), quiet)
    after = pids(root)
    assert {component for component in before if before[component] != after[component]} == {components.API_SERVER}
    assert "default" in await kubectl(runtime, root, "get", "namespaces", "-o", "name")
    await runtime.delete(identity(NAME), quiet)


@pytest.mark.fault(35, "another manager finds a living cluster (local)", invariants="I3 I4")
async def test_another_manager_adopts_without_restarting(runtime: LocalRuntime, root: Path) -> None:
    """What a manager made outlives it; the next one sees it as its own."""
    await runtime.create(identity(NAME), request(NAME), quiet)
    before = pids(root)

    seen = await LocalRuntime(root, find_tool).observe(identity(NAME))

    assert (seen.presence, seen.ownership) == (Presence.PRESENT, Ownership.OURS)
    assert [node.state for node in seen.nodes] == [NodeRunState.RUNNING]
    assert pids(root) == before


async def test_two_at_once_get_different_ports(runtime: LocalRuntime, root: Path) -> None:
    """And neither listens anywhere but on loopback."""
    await asyncio.gather(
        runtime.create(identity("one"), request("one"), quiet), runtime.create(identity("two", "b"), request("two"), quiet)
    )

    first, second = await runtime.observe(identity("one")), await runtime.observe(identity("two", "b"))
    assert first.endpoint is not None
    assert second.endpoint is not None
    assert first.endpoint.port != second.endpoint.port
    assert {first.endpoint.host, second.endpoint.host} == {"127.0.0.1"}


@pytest.mark.fault(16, "the same name at once (local)", invariants="I4")
async def test_the_same_name_twice_makes_one(runtime: LocalRuntime, root: Path) -> None:
    """The lock of the name lets one creator through."""
    results = await asyncio.gather(
        *(runtime.create(identity(NAME), request(NAME), quiet) for _ in range(2)), return_exceptions=True
    )

    refused = [result for result in results if result is not None]
    assert len(refused) == 1
    assert isinstance(refused[0], Transient)
    assert refused[0].reason == "NameLocked"
    assert {component: len(found) for component, found in daemons.find(identity(NAME).marker).items()} == dict.fromkeys(
        components.ALL, 1
    )


@pytest.mark.fault(15, "a real cluster of another owner (local)", invariants="I3")
async def test_another_owners_cluster_is_not_touched(runtime: LocalRuntime, root: Path) -> None:
    """The marker decides, in every changing verb."""
    await runtime.create(identity(NAME), request(NAME), quiet)
    before, stranger = pids(root), identity(NAME, "b")

    assert (await runtime.observe(stranger)).ownership is Ownership.FOREIGN
    for change in (
        runtime.create(stranger, request(NAME), quiet),
        runtime.start(stranger, quiet),
        runtime.delete(stranger, quiet),
    ):
        with pytest.raises(NotOurs):
            await change
    assert pids(root) == before


CREATOR = """
import asyncio, sys
from pathlib import Path
from provider.adapters.local.runtime import LocalRuntime
from tests.local.conftest import find_tool, identity, request
def tell(step): print(step.name, step.state, flush=True)
asyncio.run(LocalRuntime(Path(sys.argv[1]), find_tool, fsync=False).create(identity("one"), request("one"), tell))
"""
MOMENTS = {
    (1, 0.0): True,
    (2, 0.0): False,
    (3, 0.0): False,
    (4, 0.0): False,
    (5, 0.0): False,
    (5, 0.5): True,
    (5, 1.5): False,
    (7, 0.0): True,
}
"""Lines the creator has told (each step begins and ends with one), and seconds after the last: the API server takes its time. Whether
it is made again before it is removed: that takes a whole create each."""


@pytest.mark.fault(1, "SIGKILL at eight moments of a real create (local)", invariants="I2 I4")
@pytest.mark.parametrize(("moment", "again"), MOMENTS.items(), ids=str)
async def test_a_creator_killed_at_any_moment_leaves_what_can_be_removed_and_remade(
    runtime: LocalRuntime, root: Path, moment: tuple[int, float], again: bool
) -> None:
    """SIGKILL at eight moments of a create; afterwards one create gives five processes, or one delete at once none."""
    creator = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CREATOR,
        str(root),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert creator.stdout is not None
    lines, later = moment
    for _ in range(lines):
        assert await creator.stdout.readline()
    await asyncio.sleep(later)  # the moment is the input of this test
    creator.kill()
    await creator.wait()

    if again:
        await runtime.create(identity(NAME), request(NAME), quiet)
        assert {component: len(found) for component, found in daemons.find(identity(NAME).marker).items()} == dict.fromkeys(
            components.ALL, 1
        )
    await runtime.delete(identity(NAME), quiet)

    assert daemons.find(identity(NAME).marker) == {}
    assert left(root) == []
