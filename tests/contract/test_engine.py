"""What an engine's command line is used for (adapters.engine.cli), held against docker, podman and nerdctl: stubs, and this host's own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.dialects import DIALECTS
from provider.adapters.engine.listing import Container
from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.errors import Transient
from provider.ports.runtime import NodeRunState
from tests.contract.engines import ENGINES, GREETING, RealSubject, StubSubject, Subject

MARK = "a" * 32


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], RealSubject]]:
    """This host's engine of a name; its image is loaded once."""
    made: dict[str, RealSubject] = {}

    def get(name: str) -> RealSubject:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            if reason := RealSubject.missing(name, folder):
                pytest.skip(reason)
            made[name] = RealSubject(name, folder)
        made[name].engine = made[name].new_engine()  # each test has an event loop of its own
        return made[name]

    yield get
    for subject in made.values():
        subject.clean()


@pytest.fixture(params=[f"{how} {name}" for how in ("stub", "real") for name in ENGINES])
def subject(request: pytest.FixtureRequest, tmp_path: Path, real: Callable[[str], RealSubject]) -> Subject:
    how, name = request.param.split()
    return real(name) if how == "real" else StubSubject(name, tmp_path / name)


@pytest.fixture(params=ENGINES)
def real_subject(request: pytest.FixtureRequest, real: Callable[[str], RealSubject]) -> RealSubject:
    return real(request.param)


@pytest.fixture
def cluster() -> str:
    return f"c-engine-{secrets.token_hex(3)}"


async def node_of(engine: Engine, cluster: str) -> Container | None:
    engine.forget_listing()
    listing = await engine.containers()
    assert listing.reason is None, listing.detail
    found = listing.clusters.get(cluster, ())
    assert len(found) <= 1
    return found[0] if found else None


async def test_an_engine_says_which_daemon_it_is(subject: Subject) -> None:
    """The same in every answer."""
    engine = subject.engine
    info = await engine.info()

    assert info.description.startswith(f"{engine.name} ")
    assert info.daemon.startswith(f"{engine.name}/")
    assert info.daemon == (await engine.info()).daemon == (await engine.containers()).daemon


async def test_a_node_lives_and_nothing_of_it_is_left(subject: Subject, cluster: str) -> None:
    """Seen as kind made it, in every state; removed with its volume. Volumes of others stay, also with a label like ours."""
    engine = subject.engine
    theirs = subject.volume(f"{cluster}-control-plane")
    volume = subject.node(cluster, MARK)
    made = await node_of(engine, cluster)
    assert made is not None
    assert (NodeRole.CONTROL_PLANE, NodeRunState.RUNNING, True) == (made.role, made.state, made.owned_by(MARK))
    assert (f"{cluster}-control-plane", (volume,), 1) == (made.name, made.volumes, len(made.bindings))
    assert made.published is not None
    assert made.published.host == "127.0.0.1"
    assert made.addresses

    subject.pause(made.name)
    paused = await node_of(engine, cluster)
    await engine.unpause([made.id])
    resumed = await node_of(engine, cluster)
    subject.stop(made.name)
    stopped = await node_of(engine, cluster)
    await engine.start([made.id])
    again = await node_of(engine, cluster)
    states = [None if one is None else one.state for one in (paused, resumed, stopped, again)]
    assert [NodeRunState.PAUSED, NodeRunState.RUNNING, NodeRunState.STOPPED, NodeRunState.RUNNING] == states
    assert stopped is not None
    assert (None, 137) == (stopped.published, stopped.exit_code)

    for _ in range(2):
        await engine.remove([made.id])
        await engine.remove_volumes(made.volumes if engine.dialect.named_volumes else [])
    assert None is await node_of(engine, cluster)
    assert {theirs} == {theirs, volume} & subject.volumes()


async def test_a_volume_that_a_container_has_is_not_removed(subject: Subject, cluster: str) -> None:
    """Nor is that an error: the others go, in any order, and absent ones do not matter."""
    if not subject.engine.dialect.named_volumes:
        pytest.skip("its volumes go with their containers")
    used, free = subject.volume(cluster), subject.volume(cluster)
    subject.user_of(used)
    labels = {one.name: one.labels for one in await subject.engine.volumes()}
    await subject.engine.remove_volumes(["absent", used, free])

    assert cluster in labels[used]
    assert {used} == {used, free} & subject.volumes()


async def test_an_image_is_there_or_not(subject: Subject) -> None:
    """Not there is an answer, not a failure."""
    assert await subject.engine.has_image(subject.image)
    assert not await subject.engine.has_image("localhost/capk-contract:no-such-tag")


async def test_what_happens_to_a_node_is_heard_of(real_subject: RealSubject, cluster: str) -> None:
    """By the cluster's name, or as "look at everything"."""
    node, engine = f"{cluster}-control-plane", real_subject.engine
    real_subject.node(cluster, MARK)
    async with asyncio.timeout(60), aclosing(engine.events()) as events:
        heard = asyncio.ensure_future(anext(events))
        try:
            while not heard.done():  # the command says nothing when it begins to listen
                await asyncio.to_thread(real_subject.pause, node)
                await engine.unpause([node])
                await asyncio.wait([heard], timeout=2)
        finally:
            heard.cancel()
            await asyncio.wait([heard])

    assert heard.result() in (cluster, None)


async def test_a_node_says_what_is_asked_of_it(real_subject: RealSubject, cluster: str) -> None:
    """A file, the output of a command, its log; what is not there is Transient."""
    engine = real_subject.engine
    real_subject.node(cluster, MARK)
    node = f"{cluster}-control-plane"

    assert "hello\n" == await engine.read_file(node, GREETING)
    assert "hello\n" == await engine.tail(node, ["/bin/cat", GREETING], limit=100, timeout=20.0)
    assert "" == await engine.logs(node, 10)
    assert [node] == [one["Name"].lstrip("/") for one in await engine.inspect([node])]
    with pytest.raises(Transient):
        await engine.read_file(node, "/etc/nothing")


async def test_the_files_of_a_folder_go_in_and_come_out(real_subject: RealSubject, cluster: str) -> None:
    """With the folders in between, also of a node that does not run where the engine copies out; no folder is no failure."""
    engine, node, wanted = real_subject.engine, f"{cluster}-control-plane", {"localhost:5001/hosts.toml": "a = 1\n", "b.toml": ""}
    real_subject.node(cluster, MARK)
    await engine.put(node, "/etc", {f"certs.d/{name}": text for name, text in wanted.items()})

    assert (wanted, {}) == (await engine.files(node, "/etc/certs.d"), await engine.files(node, "/etc/none"))
    real_subject.stop(node)
    if engine.dialect.copies_out:
        assert wanted == await engine.files(node, "/etc/certs.d")
    else:
        with pytest.raises(Transient):
            await engine.files(node, "/etc/certs.d")


async def test_a_container_is_found_by_its_name(subject: Subject, cluster: str) -> None:
    """Whoever made it; none is an answer, not a failure."""
    subject.node(cluster, MARK)
    found = await subject.engine.find(f"{cluster}-control-plane")

    assert found is not None
    assert found["Id"] in str(await node_of(subject.engine, cluster))
    assert None is await subject.engine.find(f"{cluster}-worker")


async def test_an_address_where_nobody_listens_is_said(real_subject: RealSubject, tmp_path: Path) -> None:
    """The engine's own variable leads elsewhere (DOCKER_HOST and the like): unreachable, which is not absence."""
    dialect = real_subject.engine.dialect
    address = f"{'' if dialect.name == 'nerdctl' else 'unix://'}{tmp_path}/nothing.sock"
    elsewhere = Engine(DIALECTS[dialect.name], {**real_subject.environment, dialect.host_variable: address}, 20.0)

    assert Reason.ENGINE_UNREACHABLE is (await elsewhere.containers()).reason
