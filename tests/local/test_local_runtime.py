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

from provider.adapters.local import components, daemons, state
from provider.adapters.local.runtime import LocalRuntime
from provider.errors import NotOurs, Transient
from provider.ports import NodeRunState, Ownership, Presence
from tests.harness import tools
from tests.local.conftest import find_tool, identity, quiet, request

ROOT = Path(__file__).resolve().parent.parent.parent
NAME = "one"


def pids(root: Path, name: str = NAME) -> dict[str, int]:
    current = state.read(root / name)
    assert current is not None
    return {component: daemon.pid for component, daemon in current.daemons.items() if daemons.alive(daemon)}


async def kubectl(runtime: LocalRuntime, root: Path, *args: str, name: str = NAME) -> str:
    kubeconfig = root / f"{name}.kubeconfig"
    kubeconfig.write_text(await runtime.kubeconfig(identity(name)))
    argv = [tools.find("kubectl"), f"--kubeconfig={kubeconfig}", *args]
    return (await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, timeout=30, check=True)).stdout


async def until(done: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not await done():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.05)


async def test_a_cluster_is_real_is_mended_and_goes_away(runtime: LocalRuntime, root: Path) -> None:
    """Nodes Ready, pods scheduled; a killed component is noticed, seen and started again with its data; nothing is left."""
    await runtime.create(identity(NAME), request(NAME, 1, networking={"podSubnet": "10.77.0.0/16"}), quiet)

    async def nodes_ready() -> bool:
        return (await kubectl(runtime, root, "get", "nodes", "--no-headers")).count(" Ready ") == 2

    await until(nodes_ready, 20, "both nodes Ready")

    async def addressed() -> bool:
        return (await kubectl(runtime, root, "get", "nodes", "-o", "jsonpath={.items[*].spec.podCIDR}")).count("10.77.") == 2

    await until(addressed, 20, "nodes have a part of the pod subnet")
    await kubectl(runtime, root, "create", "configmap", "kept")

    events = runtime.events()
    heard = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    killed = pids(root)
    for component in (components.ETCD, components.API_SERVER):
        os.kill(killed[component], signal.SIGKILL)
    assert (await asyncio.wait_for(heard, 35)).cluster_name == NAME
    assert (await runtime.observe(identity(NAME))).nodes[0].state is NodeRunState.STOPPED

    await runtime.start(identity(NAME), quiet)

    assert "kept" in await kubectl(runtime, root, "get", "configmap", "kept", "-o", "name")
    survivors = {component for component, pid in pids(root).items() if pid == killed[component]}
    assert survivors == set(components.ALL) - {components.ETCD, components.API_SERVER}
    await events.aclose()  # type: ignore[attr-defined]

    await runtime.delete(identity(NAME), quiet)
    assert daemons.find(identity(NAME).marker) == {}
    assert not (root / NAME).exists()


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
from tests.local.conftest import find_tool, identity, quiet, request
asyncio.run(LocalRuntime(Path(sys.argv[1]), find_tool, fsync=False).create(identity("one"), request("one"), quiet))
"""


@pytest.mark.parametrize("part", range(8))
async def test_a_creator_killed_at_any_moment_leaves_what_can_be_removed_and_remade(
    runtime: LocalRuntime, root: Path, part: int
) -> None:
    """SIGKILL spread over the creation; afterwards one create gives five processes and one delete none."""
    creator = subprocess.Popen(  # noqa: ASYNC220 - it is to be killed
        [sys.executable, "-c", CREATOR, str(root)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    await asyncio.sleep(0.4 + 0.35 * part)  # the moment is the input of this test
    creator.kill()
    creator.wait()

    if part % 2:
        await runtime.create(identity(NAME), request(NAME), quiet)
        assert sorted(daemons.find(identity(NAME).marker)) == sorted(components.ALL)
    await runtime.delete(identity(NAME), quiet)

    assert daemons.find(identity(NAME).marker) == {}
    assert not (root / NAME).exists()


async def test_what_needs_containers_is_refused_by_name(runtime: LocalRuntime) -> None:
    """Field, reason and cure, before anything is made."""
    wanted = request(NAME, kubeadmConfigPatches=["kind: ClusterConfiguration"])

    problems = await runtime.preflight(identity(NAME), wanted)

    assert [problem.terminal for problem in problems] == [True]
    assert "spec.kubeadmConfigPatches" in problems[0].message
    assert "spec.runtime: kind" in problems[0].message


async def test_missing_binaries_are_named(root: Path) -> None:
    """With the command that gets them."""
    health = await LocalRuntime(root, lambda name: None).health()

    assert health.available is False
    assert "kwok" in health.detail
    assert "make tools" in health.detail


async def test_keys_are_private(runtime: LocalRuntime, root: Path) -> None:
    """No file of a cluster can be read by another user."""
    await runtime.create(identity(NAME), request(NAME), quiet)

    assert [path for path in (root / NAME).glob("*.key") if path.stat().st_mode & 0o077] == []
    assert (root / NAME).stat().st_mode & 0o077 == 0
