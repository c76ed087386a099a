"""LocalRuntime on fake components: whole lives of clusters, with everything that may go wrong on the way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from provider.adapters.local import components, daemons, state
from provider.adapters.local.runtime import LocalRuntime
from provider.adapters.locks import Held, NameLocks
from provider.errors import NotOurs, ProviderError, Terminal, Transient
from provider.ports.runtime import ClusterRequest, Identity, NodeRunState, Ownership, Presence, Step, StepState
from tests.component.local.conftest import until
from tests.fakes.local_components import VERSION, FakeComponents


def request(
    workers: int = 0, *, timeout: float = 20.0, retain: bool = False, version: str | None = None, **config: object
) -> ClusterRequest:
    nodes = [{"role": "control-plane"}, *[{"role": "worker"}] * workers]
    return ClusterRequest({"name": "one", "nodes": nodes, **config}, None, version, timeout, retain)


def quiet(step: Step) -> None:
    """Nobody listens."""


def running(identity: Identity) -> dict[str, list[int]]:
    return {component: [daemon.pid for daemon in found] for component, found in daemons.find(identity.marker).items()}


def another_manager(root: Path) -> contextlib.AbstractAsyncContextManager[Held]:
    """At work on the name."""
    return NameLocks(root, keep=lambda _: False).hold("one")


def shown(pid: int) -> str:
    """What every process of the host may see of a process, and what its user may."""
    return Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/environ").read_text()


def nothing_left(identity: Identity, root: Path) -> bool:
    return running(identity) == {} and list(root.iterdir()) == []


# --- the straight way -----------------------------------------------------------------------------------------------------------


async def test_a_cluster_is_made_seen_and_removed(runtime: LocalRuntime, identity: Identity, root: Path) -> None:
    """One process per component, nodes registered with kind's names, one endpoint; afterwards no process and no file, no lock either."""
    steps: list[Step] = []
    assert (await runtime.observe(identity)).presence is Presence.ABSENT

    await runtime.create(identity, request(1), steps.append)

    seen = await runtime.observe(identity)
    assert (seen.presence, seen.ownership) == (Presence.PRESENT, Ownership.OURS)
    assert [(node.name, node.state) for node in seen.nodes] == [
        ("one-control-plane", NodeRunState.RUNNING),
        ("one-worker", NodeRunState.RUNNING),
    ]
    assert seen.endpoint is not None
    assert seen.endpoint == seen.internal_endpoint
    assert {component: len(pids) for component, pids in running(identity).items()} == dict.fromkeys(components.ALL, 1)
    assert sorted(path.stem for path in (root / "one").glob("*.node")) == ["one-control-plane", "one-worker"]
    assert [(step.name, step.state) for step in steps if step.state is not StepState.STARTED] == [
        (name, StepState.SUCCEEDED)
        for name in ("Writing certificates", "Starting etcd", "Starting control-plane", "Registering nodes")
    ]
    assert f"https://{seen.endpoint}" in await runtime.kubeconfig(identity)

    await runtime.delete(identity, quiet)

    assert (await runtime.observe(identity)).presence is Presence.ABSENT
    assert nothing_left(identity, root)


async def test_a_cluster_without_nodes_has_no_kubelets_and_no_scheduler(runtime: LocalRuntime, identity: Identity) -> None:
    """A management API needs neither."""
    await runtime.create(identity, ClusterRequest({"name": "one", "nodes": []}, None, None, 20.0), quiet)

    assert running(identity).keys() == set(components.WITHOUT_NODES)
    assert (await runtime.observe(identity)).endpoint is not None
    await runtime.delete(identity, quiet)


async def test_removing_what_is_not_there_succeeds(runtime: LocalRuntime, identity: Identity, root: Path) -> None:
    """Absent is success, twice."""
    await runtime.delete(identity, quiet)
    await runtime.delete(identity, quiet)
    assert nothing_left(identity, root)


async def test_making_it_again_replaces_it(runtime: LocalRuntime, identity: Identity) -> None:
    """Own remains go first: never two sets of processes."""
    await runtime.create(identity, request(), quiet)
    first = running(identity)

    await runtime.create(identity, request(), quiet)

    second = running(identity)
    assert {component: len(pids) for component, pids in second.items()} == dict.fromkeys(components.ALL, 1)
    assert all(first[component] != second[component] for component in components.ALL)
    await runtime.delete(identity, quiet)


# --- drift ----------------------------------------------------------------------------------------------------------------------


async def test_only_what_has_ended_is_started_again(runtime: LocalRuntime, identity: Identity) -> None:
    """At the same port, with the same folder; what lives is left alone."""
    await runtime.create(identity, request(1), quiet)
    before, endpoint = running(identity), (await runtime.observe(identity)).endpoint
    for component in (components.API_SERVER, components.KWOK):
        os.kill(before[component][0], signal.SIGKILL)
    await until(lambda: len(running(identity)) == 3)
    drifted = await runtime.observe(identity)
    assert {node.state for node in drifted.nodes} == {NodeRunState.STOPPED}
    assert "Ended: kube-apiserver, kwok." in drifted.detail

    await runtime.start(identity, quiet)

    seen, after = await runtime.observe(identity), running(identity)
    assert {node.state for node in seen.nodes} == {NodeRunState.RUNNING}
    assert seen.endpoint == endpoint
    assert {component for component in components.ALL if before[component] != after[component]} == {
        components.API_SERVER,
        components.KWOK,
    }
    await runtime.delete(identity, quiet)


async def test_what_ends_while_the_rest_is_started_is_started_too(
    runtime: LocalRuntime, fake: FakeComponents, identity: Identity
) -> None:
    """What dies together does not die at once. What dies every time is told, with its words."""
    await runtime.create(identity, request(), quiet)
    for component in (components.ETCD, components.API_SERVER):
        fake.fault(component, "die")
        os.kill(running(identity)[component][0], signal.SIGKILL)

    await runtime.start(identity, quiet)
    assert (await runtime.observe(identity)).nodes[0].state is NodeRunState.RUNNING

    fake.fault(components.API_SERVER, "die", 3)
    os.kill(running(identity)[components.API_SERVER][0], signal.SIGKILL)
    await until(lambda: components.API_SERVER not in running(identity))
    with pytest.raises(Transient, match="told to end"):
        await runtime.start(identity, quiet)
    await runtime.delete(identity, quiet)


async def test_the_end_of_a_process_is_heard_at_once_and_once(runtime: LocalRuntime, identity: Identity) -> None:
    """A dead component that nobody starts again must not keep the manager busy."""
    await runtime.create(identity, request(), quiet)
    events = runtime.events()
    assert (await anext(events)).cluster_name is None
    os.kill(running(identity)[components.SCHEDULER][0], signal.SIGKILL)

    assert (await asyncio.wait_for(anext(events), 5)).cluster_name == "one"

    again = asyncio.ensure_future(anext(events))
    done, _ = await asyncio.wait({again}, timeout=0.3)
    assert done == set()
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
    await runtime.delete(identity, quiet)


async def test_what_is_made_mended_and_removed_is_heard(runtime: LocalRuntime, identity: Identity) -> None:
    """So that whoever waits for the name hears that it is free."""
    events = runtime.events()
    assert (await anext(events)).cluster_name is None
    for change in (runtime.create(identity, request(), quiet), runtime.delete(identity, quiet)):
        heard = asyncio.ensure_future(anext(events))
        await change
        assert (await asyncio.wait_for(heard, 5)).cluster_name == "one"
    await events.aclose()  # type: ignore[attr-defined]


async def test_a_missing_certificate_is_drift_and_is_issued_anew(runtime: LocalRuntime, identity: Identity, root: Path) -> None:
    """Only the component that uses it is started again; the authority stays, so every kubeconfig handed out stays good."""
    await runtime.create(identity, request(), quiet)
    before, authority = running(identity), (root / "one" / "ca.crt").read_bytes()
    (root / "one" / f"{components.SCHEDULER}.crt").unlink()
    assert (await runtime.observe(identity)).nodes[0].state is NodeRunState.STOPPED

    await runtime.start(identity, quiet)

    after = running(identity)
    assert {component for component in components.ALL if before[component] != after[component]} == {components.SCHEDULER}
    assert (root / "one" / "ca.crt").read_bytes() == authority
    assert (await runtime.observe(identity)).nodes[0].state is NodeRunState.RUNNING
    await runtime.delete(identity, quiet)


async def test_a_cluster_whose_folder_was_removed_by_hand_is_still_ours_to_end(
    runtime: LocalRuntime, identity: Identity, root: Path
) -> None:
    """Its processes carry the mark: present, not absent, until they have ended."""
    await runtime.create(identity, request(), quiet)
    (root / "one").rename(root.parent / "elsewhere")

    seen = await runtime.observe(identity)
    assert (seen.presence, seen.ownership, seen.nodes) == (Presence.PRESENT, Ownership.OURS, ())
    assert "etcd" in seen.detail

    await runtime.delete(identity, quiet)
    assert nothing_left(identity, root)


async def test_a_path_too_long_for_a_socket_gets_a_short_one(
    fake: FakeComponents, identity: Identity, root: Path, tmp_path: Path
) -> None:
    """Made again when a reboot has emptied the place, and gone with the cluster."""
    short = tmp_path / "s"
    short.mkdir()
    deep = root / ("d" * 60) / ("e" * 60)
    runtime = LocalRuntime(deep, fake.find, fsync=False, short_root=short)
    await runtime.create(identity, request(), quiet)
    (made,) = short.iterdir()
    assert made.stat().st_mode & 0o777 == 0o700
    made.rmdir()

    os.kill(running(identity)[components.ETCD][0], signal.SIGKILL)
    await until(lambda: components.ETCD not in running(identity))
    await runtime.start(identity, quiet)

    assert made.is_dir()
    await runtime.delete(identity, quiet)
    assert list(short.iterdir()) == []


# --- whose it is ----------------------------------------------------------------------------------------------------------------


@pytest.mark.fault(15, "a cluster of another owner (local)", invariants="I3")
async def test_another_owners_cluster_is_not_touched(
    runtime: LocalRuntime, identity: Identity, stranger: Identity, root: Path
) -> None:
    """The marker decides in every verb, and the message names the owner."""
    await runtime.create(identity, request(), quiet)
    before = running(identity)

    seen = await runtime.observe(stranger)
    assert seen.ownership is Ownership.FOREIGN
    assert "default/one" in seen.detail
    changes = [runtime.create(stranger, request(), quiet), runtime.start(stranger, quiet), runtime.delete(stranger, quiet)]
    for change in [*changes, runtime.kubeconfig(stranger)]:
        with pytest.raises(NotOurs):
            await change
    assert running(identity) == before
    await runtime.delete(identity, quiet)


@pytest.mark.parametrize("content", [None, "", "[]", '{"marker": "x"}', "\0"], ids=["none", "empty", "list", "part", "binary"])
async def test_a_folder_that_does_not_name_its_owner_is_foreign(
    runtime: LocalRuntime, identity: Identity, root: Path, content: str | None
) -> None:
    """Whoever made it: it is not removed."""
    (root / "one").mkdir(parents=True)
    (root / "one" / "precious").touch()
    if content is not None:
        (root / "one" / state.STATE).write_text(content)

    assert (await runtime.observe(identity)).ownership is Ownership.FOREIGN
    for change in (runtime.create(identity, request(), quiet), runtime.delete(identity, quiet)):
        with pytest.raises(NotOurs):
            await change
    assert (root / "one" / "precious").exists()


@pytest.mark.fault(18, "a folder that cannot be read (local)", invariants="I7")
async def test_a_folder_nobody_can_read_is_unknown(runtime: LocalRuntime, identity: Identity, root: Path) -> None:
    """An error is not absence: nothing is made, nothing is removed."""
    (root / "one" / state.STATE).mkdir(parents=True)

    assert (await runtime.observe(identity)).presence is Presence.UNKNOWN
    with pytest.raises(Transient):
        await runtime.delete(identity, quiet)
    assert (root / "one").exists()


async def test_one_works_on_a_name_at_a_time(runtime: LocalRuntime, identity: Identity) -> None:
    """The second is told so and makes nothing."""
    results = await asyncio.gather(*(runtime.create(identity, request(), quiet) for _ in range(2)), return_exceptions=True)

    refused = [result for result in results if isinstance(result, ProviderError)]
    assert [error.reason for error in refused] == ["NameLocked"]
    assert {component: len(pids) for component, pids in running(identity).items()} == dict.fromkeys(components.ALL, 1)
    await runtime.delete(identity, quiet)


async def test_what_another_manager_is_about_to_make_is_not_absent(
    runtime: LocalRuntime, fake: FakeComponents, identity: Identity, root: Path
) -> None:
    """An object must not be let go of between two looks at its folder."""
    async with another_manager(root):
        seen = await runtime.observe(identity)
        assert (seen.presence, seen.reason) == (Presence.UNKNOWN, "NameLocked")
    assert (await runtime.observe(identity)).presence is Presence.ABSENT


async def test_the_processes_of_a_cluster_do_not_keep_its_lock(runtime: LocalRuntime, identity: Identity, root: Path) -> None:
    """They outlive the manager; the name must be free for the next one."""
    await runtime.create(identity, request(), quiet)

    assert running(identity)
    assert (root / "one.lock").exists()
    assert not NameLocks(root).in_use("one")
    await runtime.delete(identity, quiet)


async def test_leftovers_of_killed_workers_are_swept(runtime: LocalRuntime, root: Path) -> None:
    """When the manager begins to listen; a whole cluster is not a leftover."""
    for name in ("a.new", "b.del", "whole"):
        (root / name).mkdir(parents=True)
    events = runtime.events()
    waiting = asyncio.ensure_future(anext(events))

    await until(lambda: [path.name for path in root.iterdir()] == ["whole"])

    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


# --- what goes wrong ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("component", [components.ETCD, components.API_SERVER, components.SCHEDULER, components.KWOK])
async def test_a_component_that_ends_at_once_fails_the_create_with_its_words(
    runtime: LocalRuntime, fake: FakeComponents, identity: Identity, root: Path, component: str
) -> None:
    """And leaves nothing."""
    fake.fault(component, "die")

    with pytest.raises(Transient, match=rf"{component} ended while starting.*told to end"):
        await runtime.create(identity, request(), quiet)

    assert nothing_left(identity, root)


async def test_a_failed_create_is_kept_where_the_spec_says_so(
    runtime: LocalRuntime, fake: FakeComponents, identity: Identity, tmp_path: Path
) -> None:
    """With logs to be collected; a half-made cluster is never taken for a running one."""
    fake.fault(components.API_SERVER, "die")
    with pytest.raises(Transient):
        await runtime.create(identity, request(retain=True), quiet)

    seen = await runtime.observe(identity)
    assert (seen.presence, [node.state for node in seen.nodes]) == (Presence.PRESENT, [NodeRunState.CREATED])
    await runtime.collect_logs(identity, tmp_path / "logs")
    assert "told to end" in (tmp_path / "logs" / "kube-apiserver.log").read_text()
    assert not list((tmp_path / "logs").glob("*.key"))
    await runtime.delete(identity, quiet)


@pytest.mark.fault(22, "the port is taken by somebody else meanwhile (local)", invariants="I10")
async def test_a_stolen_port_is_replaced_by_another(runtime: LocalRuntime, fake: FakeComponents, identity: Identity) -> None:
    """For the API server and for kwok; nobody has to try the whole create again."""
    fake.fault(components.API_SERVER, "robbed")
    fake.fault(components.KWOK, "robbed")

    await runtime.create(identity, request(), quiet)

    assert (await runtime.observe(identity)).nodes[0].state is NodeRunState.RUNNING
    await runtime.delete(identity, quiet)


async def test_a_port_the_spec_asks_for_is_used_or_said_to_be_taken(
    runtime: LocalRuntime, identity: Identity, root: Path
) -> None:
    """Before anything is made, and again if it is taken in between. A cluster's own port is not in its way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        wanted = request(networking={"apiServerPort": port})
        assert [problem.reason for problem in await runtime.preflight(identity, wanted)] == ["PortInUse"]
        with pytest.raises(Transient) as error:
            await runtime.create(identity, wanted, quiet)
        assert error.value.reason == "PortInUse"
        assert nothing_left(identity, root)

    await runtime.create(identity, wanted, quiet)

    seen = await runtime.observe(identity)
    assert seen.endpoint is not None
    assert seen.endpoint.port == port
    assert await runtime.preflight(identity, wanted) == []
    await runtime.delete(identity, quiet)


async def test_a_create_that_takes_too_long_is_given_up(
    runtime: LocalRuntime, fake: FakeComponents, identity: Identity, root: Path
) -> None:
    """At the deadline of the request, with nothing left."""
    fake.fault(components.API_SERVER, "hang")

    with pytest.raises(Transient) as error:
        await runtime.create(identity, request(timeout=0.8), quiet)

    assert error.value.reason == "CreateTimeout"
    assert nothing_left(identity, root)


async def test_nodes_that_are_refused_fail_the_create(runtime: LocalRuntime, fake: FakeComponents, identity: Identity) -> None:
    """With the API server's words."""
    fake.fault(components.API_SERVER, "refuse")
    with pytest.raises(Transient, match="told to refuse"):
        await runtime.create(identity, request(), quiet)


@pytest.mark.fault(29, "cancelled at each step (local)", invariants="I2")
@pytest.mark.parametrize("after", [0, 2, 4, 6], ids=["certificates", "etcd", "control-plane", "nodes"])
async def test_a_create_cancelled_at_any_step_can_be_seen_and_removed(
    runtime: LocalRuntime, identity: Identity, root: Path, after: int
) -> None:
    """Nothing comes to life after the cancelled task has ended."""
    told: list[Step] = []
    creating = asyncio.ensure_future(runtime.create(identity, request(1), told.append))
    await until(lambda: len(told) > after or creating.done())
    creating.cancel()
    await asyncio.gather(creating, return_exceptions=True)
    ended = running(identity)

    seen = await runtime.observe(identity)
    assert seen.presence is Presence.PRESENT or ended == {}
    assert running(identity) == ended

    await runtime.delete(identity, quiet)
    assert nothing_left(identity, root)


async def test_starting_what_does_not_exist_is_told(runtime: LocalRuntime, identity: Identity) -> None:
    """With a reason, not with a broken cluster."""
    with pytest.raises(Transient) as error:
        await runtime.start(identity, quiet)
    assert error.value.reason == "NotCreated"
    with pytest.raises(Transient) as error:
        await runtime.kubeconfig(identity)
    assert error.value.reason == "KubeconfigPending"


@pytest.mark.fault(14, "a create is interrupted (local)", invariants="I1")
async def test_an_interrupted_create_can_be_finished_by_start(
    runtime: LocalRuntime, fake: FakeComponents, identity: Identity
) -> None:
    """Every step may be repeated: a retained half is mended to a whole."""
    fake.fault(components.API_SERVER, "die")
    with pytest.raises(Transient):
        await runtime.create(identity, request(1, retain=True), quiet)

    await runtime.start(identity, quiet)

    assert {node.state for node in (await runtime.observe(identity)).nodes} == {NodeRunState.RUNNING}
    await runtime.delete(identity, quiet)


# --- health and preflight -------------------------------------------------------------------------------------------------------


async def test_health_names_what_is_missing_and_the_cure(runtime: LocalRuntime, fake: FakeComponents) -> None:
    """Binaries, one by one; a binary that does not run counts as missing."""
    assert (await runtime.health()).description == f"local processes, Kubernetes {VERSION}, nodes simulated by kwok"

    fake.missing = {"kwok", "etcd"}
    health = await runtime.health()
    assert (health.available, health.reason) == (False, "ToolsMissing")
    assert "etcd, kwok" in health.detail
    assert "make tools" in health.detail

    fake.missing = set()
    (fake.folder / components.API_SERVER).write_text("#!/bin/false\n")
    os.utime(fake.folder / components.API_SERVER, (1, 1))
    assert (await runtime.health()).available is False


async def test_another_version_is_refused_with_the_one_there_is(runtime: LocalRuntime, identity: Identity, root: Path) -> None:
    """In the preflight and, should nobody have asked, in the create."""
    wanted = request(version="v1.30.0")

    (problem,) = await runtime.preflight(identity, wanted)
    assert problem.terminal
    assert VERSION in problem.message
    with pytest.raises(Terminal, match=VERSION):
        await runtime.create(identity, wanted, quiet)
    assert await runtime.preflight(identity, replace(wanted, version=VERSION)) == []
    assert running(identity) == {}


async def test_a_preflight_without_binaries_can_be_tried_again(
    runtime: LocalRuntime, fake: FakeComponents, identity: Identity
) -> None:
    """Not the spec's fault."""
    fake.missing = {"etcd"}
    assert [(problem.reason, problem.terminal) for problem in await runtime.preflight(identity, request())] == [
        ("ToolsMissing", False)
    ]


async def test_what_is_private_stays_private(runtime: LocalRuntime, identity: Identity, root: Path) -> None:
    """Folders 0700, files 0600; no key in the state, in arguments or in the environment of a process."""
    await runtime.create(identity, request(), quiet)
    folder = root / "one"

    assert [path for path in [root, *folder.rglob("*")] if path.stat().st_mode & 0o077] == []
    keys = [path.read_text().splitlines()[1] for path in folder.glob("*.key")]
    public = (folder / state.STATE).read_text()
    for pids in running(identity).values():
        public += shown(pids[0])
    assert [key for key in keys if key in public] == []
    assert json.loads((folder / state.STATE).read_text())["marker"] == identity.marker
    await runtime.delete(identity, quiet)
