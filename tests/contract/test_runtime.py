"""What every Runtime promises (ports.Runtime), held against each: the fake in memory, kind on a real engine, local processes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
import yaml

from provider.adapters.kube.kubeconfig import parse
from provider.adapters.kube.workload import WorkloadProbe
from provider.api.kind import NodeRole
from provider.errors import NotOurs, Terminal, Transient
from provider.ports.registries import NO_REGISTRIES, Mirror, Registries
from provider.ports.runtime import Identity, NodeRunState, Ownership, Presence, Runtime, Step, StepState, Workers
from tests.contract.runtimes import FakeSubject, KindSubject, LocalSubject, Subject, identity
from tests.fakes.workload import FakeWorkload

MIRROR = Mirror("docker.io", ("https://mirror.example.org",))


def silent(_: Step) -> None: ...


@pytest.fixture(params=["fake", "kind", "local"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    if request.param == "kind" and (reason := KindSubject.missing()):
        pytest.skip(reason)
    if request.param == "local" and (reason := LocalSubject.missing()):
        pytest.skip(reason)
    subject: Subject
    match request.param:
        case "kind":
            subject = KindSubject(tmp_path)
        case "local":
            subject = LocalSubject(tmp_path / "local")
        case _:
            subject = FakeSubject()
    yield subject
    subject.clean()


@pytest.fixture
def name() -> str:
    return f"c-contract-{secrets.token_hex(3)}"


async def refusals(subject: Subject, name: str) -> set[type[object]]:
    """What the changing methods raise for an identity that owns nothing under the name."""
    runtime, stranger = subject.runtime, identity(name)
    found: set[type[object]] = set()
    for verb in (
        lambda: runtime.delete(stranger, silent),
        lambda: runtime.start(stranger, silent),
        lambda: runtime.stop(stranger, silent),
        lambda: runtime.pause(stranger, silent),
        lambda: runtime.scale(stranger, Workers(leave=(f"{name}-worker",)), silent),
        lambda: runtime.kubeconfig(stranger),
        lambda: runtime.create(stranger, subject.request(name), silent),
    ):
        results = await asyncio.gather(verb(), return_exceptions=True)
        found.add(type(results[0]))
    return found


async def test_a_healthy_runtime_says_what_it_is(subject: Subject) -> None:
    """Available, with a description for bug reports and no complaint."""
    health = await subject.runtime.health()

    assert (True, "") == (health.available, health.detail)
    assert health.description


async def test_what_nodes_are_made_from_can_be_told(subject: Subject) -> None:
    """None where there are no images; the known ones are the release's own."""
    found = await subject.runtime.node_images()

    assert (found is None) is subject.runtime.simulated
    if found is not None:
        assert found.release
        assert [] == [name for name in found.known if not subject.knows(name)]


@pytest.mark.fault(30, "deleted when there is nothing, each runtime", invariants="I6")
async def test_nothing_is_absent_and_deleting_it_succeeds(subject: Subject, name: str) -> None:
    """Absent is a fact, not an error; what needs a cluster says Transient."""
    who = identity(name)
    seen = await subject.runtime.observe(who)
    await subject.runtime.delete(who, silent)

    assert (Presence.ABSENT, Ownership.NONE, (), False) == (seen.presence, seen.ownership, seen.nodes, seen.remains)
    for verb in (
        subject.runtime.kubeconfig(who),
        subject.runtime.stop(who, silent),
        subject.runtime.pause(who, silent),
        subject.runtime.scale(who, Workers(), silent),
    ):
        with pytest.raises(Transient):
            await verb


@pytest.mark.slow
async def test_a_cluster_lives_and_goes_away(subject: Subject, name: str) -> None:
    """Create, observe, kubeconfig, somebody else's identity, a stopped node, start, pause, stop, delete: one life."""
    runtime, who, steps = subject.runtime, identity(name), list[Step]()
    assert not await runtime.preflight(who, subject.request(name))
    await runtime.prepare(subject.request(name, workers=1), silent)
    assert Presence.ABSENT is (await runtime.observe(who)).presence
    await runtime.create(who, subject.request(name, workers=1), steps.append)
    assert {StepState.SUCCEEDED} == set({step.name: step.state for step in steps}.values())
    assert all(step.seconds is not None for step in steps if step.state is StepState.SUCCEEDED)

    seen = await runtime.observe(who)
    assert (Presence.PRESENT, Ownership.OURS) == (seen.presence, seen.ownership)
    assert {NodeRole.CONTROL_PLANE, NodeRole.WORKER} == {node.role for node in seen.nodes}
    assert {NodeRunState.RUNNING} == {node.state for node in seen.nodes}
    assert seen.endpoint is not None
    assert seen.internal_endpoint is not None

    for internal, endpoint in ((False, seen.endpoint), (True, seen.internal_endpoint)):
        text = yaml.safe_load(await runtime.kubeconfig(who, internal=internal))
        assert [endpoint.url] == [cluster["cluster"]["server"] for cluster in text["clusters"]]

    await _is_renewed(runtime, who)
    await _loads_once(subject, who)
    await _tells_once(subject, who)
    before = subject.fingerprint(name)
    assert {NotOurs} == await refusals(subject, name)
    assert Ownership.FOREIGN is (await runtime.observe(identity(name))).ownership
    assert before == subject.fingerprint(name)

    await _scales_and_comes_back(subject, who)
    head = next(node for node in seen.nodes if node.role is NodeRole.CONTROL_PLANE)
    subject.stop(head.name)
    stopped = await runtime.observe(who)
    assert NodeRunState.STOPPED is next(node for node in stopped.nodes if node.name == head.name).state
    assert None is stopped.endpoint
    await runtime.start(who, silent)
    again = await runtime.observe(who)
    assert {NodeRunState.RUNNING} == {node.state for node in again.nodes}
    assert head.started_at != next(node for node in again.nodes if node.name == head.name).started_at
    assert None is not again.endpoint

    await _rests_and_comes_back(runtime, who)
    assert [node.id for node in seen.nodes] == [node.id for node in (await runtime.observe(who)).nodes]

    await runtime.delete(who, silent)
    assert Presence.ABSENT is (await runtime.observe(who)).presence
    assert not subject.fingerprint(name)


async def _is_renewed(runtime: Runtime, who: Identity) -> None:
    old = parse(await runtime.kubeconfig(who)).expires_at
    await runtime.renew_kubeconfig(who)
    assert old <= parse(await runtime.kubeconfig(who)).expires_at


async def _rests_and_comes_back(runtime: Runtime, who: Identity) -> None:
    """Paused and stopped, each asked for twice."""
    for rest, state in ((runtime.pause, NodeRunState.PAUSED), (runtime.stop, NodeRunState.STOPPED)):
        await rest(who, silent)
        await rest(who, silent)
        resting = await runtime.observe(who)
        assert {state} == {node.state for node in resting.nodes}
        assert None is resting.endpoint
        await runtime.start(who, silent)
        back = await runtime.observe(who)
        assert {NodeRunState.RUNNING} == {node.state for node in back.nodes}
        assert None is not back.endpoint


async def _scales_and_comes_back(subject: Subject, who: Identity) -> None:
    """A worker joins, is kept when it is asked for again, and leaves; the others stay the same ones. Asked for twice, it leaves once."""
    runtime = subject.runtime
    before, name = await _ids(runtime, who), f"{who.cluster_name}-worker2"
    await runtime.scale(who, Workers(join=(name,)), silent)
    joined = await _ids(runtime, who)
    registered = await _registered(subject, who)
    await runtime.scale(who, Workers(join=(name,)), silent)
    kept = await _ids(runtime, who)
    for _ in range(2):
        await runtime.scale(who, Workers(leave=(name,)), silent)

    assert {*before, name} == {*joined}
    assert before.items() <= joined.items()
    assert joined == kept
    assert dict.fromkeys(joined, True) == registered
    assert before == await _ids(runtime, who)
    assert {*before} == {*await _registered(subject, who)}


async def _registered(subject: Subject, who: Identity) -> dict[str, bool]:
    """Nodes as the cluster's own API has them, and whether they are Ready."""
    kubeconfig = await subject.runtime.kubeconfig(who)
    if isinstance(subject, FakeSubject):
        return {node.name: node.ready for node in (await FakeWorkload(subject.runtime).observe(kubeconfig)).nodes}
    probe = WorkloadProbe()
    try:
        return {node.name: node.ready for node in (await probe.observe(kubeconfig)).nodes}
    finally:
        await probe.close()


async def _ids(runtime: Runtime, who: Identity) -> dict[str, str]:
    """Of all nodes, which are to run."""
    nodes = (await runtime.observe(who)).nodes
    assert {NodeRunState.RUNNING} == {node.state for node in nodes}
    return {node.name: node.id for node in nodes}


async def _loads_once(subject: Subject, who: Identity) -> None:
    """Every node gets the image in one step of its own; a second load has no step. A runtime without containers says so."""
    runtime, name, steps = subject.runtime, subject.loadable(), list[Step]()
    if not name:
        with pytest.raises(Terminal):
            await runtime.load(who, ["localhost/x:1"], silent)
        return
    (before,) = await runtime.preloaded(who, [name])
    await runtime.load(who, [name], steps.append)
    (after,) = await runtime.preloaded(who, [name])
    first = [step.name for step in steps if step.state is StepState.SUCCEEDED]
    await runtime.load(who, [name], steps.append)

    nodes = {node.name for node in (await runtime.observe(who)).nodes}
    assert (True, frozenset(), before.source) == (bool(before.source), before.nodes, after.source)
    assert (nodes, len(nodes)) == (set(after.nodes), len(first))
    assert first == [step.name for step in steps if step.state is StepState.SUCCEEDED]


async def _tells_once(subject: Subject, who: Identity) -> None:
    """Every node is told of a mirror; a second time there is no step, and what nobody wants is forgotten. A runtime without containers says
    that it cannot. Without the shared registry, which other tests may use on the same engine."""
    runtime, wanted, steps = subject.runtime, Registries(mirrors=(MIRROR,)), list[Step]()
    if not subject.loadable():
        with pytest.raises(Terminal):
            await runtime.connect(who, wanted, silent)
        return
    before = await runtime.connected(who, wanted)
    await runtime.connect(who, wanted, steps.append)
    after, told = await runtime.connected(who, wanted), len(steps)
    await runtime.connect(who, wanted, steps.append)
    await runtime.connect(who, NO_REGISTRIES, silent)
    forgotten = await runtime.connected(who, NO_REGISTRIES)

    nodes = {node.name for node in (await runtime.observe(who)).nodes}
    assert (set(), nodes, nodes) == (set(before.nodes), set(after.nodes), set(forgotten.nodes))
    assert (True, "", "", True) == (after.settled, after.host, after.conflict, forgotten.settled)
    assert 0 < told == len(steps)


@pytest.mark.fault(15, "a cluster of somebody else, each runtime", invariants="I3")
async def test_somebody_elses_cluster_is_never_touched(subject: Subject, name: str) -> None:
    """Same name, no marker: seen as foreign without nodes of ours, every change refused, nothing different afterwards."""
    subject.add_foreign(name)
    before = subject.fingerprint(name)
    seen = await subject.runtime.observe(identity(name))

    assert (Presence.PRESENT, Ownership.FOREIGN, ()) == (seen.presence, seen.ownership, seen.nodes)
    assert name in seen.detail
    assert {NotOurs} == await refusals(subject, name)
    assert before == subject.fingerprint(name)


@pytest.mark.fault(29, "cancelled and deleted, each runtime", invariants="I2")
@pytest.mark.slow
async def test_a_cancelled_create_can_be_deleted_at_once(subject: Subject, name: str) -> None:
    """Whatever the engine had made by then is observed as ours, or not there; afterwards nothing is left and nothing appears."""
    runtime, who, begun = subject.runtime, identity(name), asyncio.Event()

    def tell(step: Step) -> None:
        if step.name == subject.first_step:
            begun.set()

    task = asyncio.create_task(runtime.create(who, subject.request(name), tell))
    waiting = asyncio.create_task(begun.wait())
    await asyncio.wait([task, waiting], timeout=60, return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), task.exception()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    seen = await runtime.observe(who)
    await runtime.delete(who, silent)

    assert Presence.UNKNOWN is not seen.presence
    assert Presence.ABSENT is (await runtime.observe(who)).presence
    assert not subject.fingerprint(name)


async def test_a_name_somebody_works_on_is_waited_for(subject: Subject, name: str) -> None:
    """Transient(NameLocked) from everything that changes; free again afterwards."""
    who = identity(name)
    async with subject.lock(name):
        for verb in (subject.runtime.delete(who, silent), subject.runtime.create(who, subject.request(name), silent)):
            with pytest.raises(Transient) as caught:
                await verb
            assert "NameLocked" == caught.value.reason
    await subject.runtime.delete(who, silent)


async def test_changes_are_noticed(subject: Subject, name: str) -> None:
    """By name, or as "look at everything"; the stream goes on."""
    events = subject.runtime.events()
    listening = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    if subject.announces:
        assert None is (await asyncio.wait_for(listening, 20)).cluster_name
        listening = asyncio.ensure_future(anext(events))
    subject.add_foreign(name)

    assert name == (await asyncio.wait_for(listening, 10)).cluster_name
    assert isinstance(events, AsyncGenerator)
    await events.aclose()  # ends the program behind it while there is a loop


async def test_logs_of_nothing_are_no_error(subject: Subject, name: str, tmp_path: Path) -> None:
    """Best effort, whatever there is."""
    await subject.runtime.collect_logs(identity(name), tmp_path / "logs")


async def test_only_known_errors_are_raised(subject: Subject, name: str) -> None:
    """Whatever is wrong with a request becomes one of the errors a reconciler knows, and leaves nothing."""
    with pytest.raises(Terminal) as caught:
        await subject.runtime.create(identity(name), subject.refused_request(name), silent)
    assert subject.refusal == caught.value.reason
    assert not subject.fingerprint(name)
