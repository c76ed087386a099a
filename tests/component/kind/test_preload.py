"""Images of spec.images in the nodes: loaded by content, once, whatever happens in between. Against a fake engine with real pipes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from provider.adapters.kind import preload
from provider.adapters.kind.runtime import KindRuntime
from provider.errors import NotOurs, Transient
from provider.ports.runtime import ClusterRequest, Identity, Step, StepState
from tests.component.kind.test_images import save
from tests.fakes.engine_cli import FakeBinaries

RequestFor = Callable[..., ClusterRequest]
MakeRuntime = Callable[..., KindRuntime]
NAMES = ("localhost/shop:dev", "busybox:1")
NODES = {"demo-control-plane", "demo-worker"}


def silent(_: Step) -> None: ...


@pytest.fixture
async def made(runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor) -> KindRuntime:
    """A cluster of two nodes, on an engine that has both images."""
    await runtime.create(identity, request_for(workers=1), silent)
    fake.edit(images=["kindest/node:v1.34.4", *NAMES])
    return runtime


def saved(fake: FakeBinaries) -> list[str]:
    """One name for each load."""
    return [call[-1] for call in fake.calls("docker save")]


async def test_every_node_gets_every_image_once(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, steps: list[Step]
) -> None:
    """With progress. Preloading twice costs no second load: nothing is saved again."""
    before = await made.preloaded(identity, NAMES)
    await made.load(identity, NAMES, steps.append)
    after = await made.preloaded(identity, NAMES)
    once = saved(fake)
    await made.load(identity, NAMES, silent)

    assert [set(), set()] == [set(one.nodes) for one in before]
    assert [NODES, NODES] == [set(one.nodes) for one in after]
    assert [NAMES[0], NAMES[0], NAMES[1], NAMES[1]] == once == saved(fake)
    done = [step.name for step in steps if step.state is StepState.SUCCEEDED]
    assert "Loading localhost/shop:dev into demo-control-plane (1 of 4)" == done[0]
    assert 4 == len(done)


async def test_an_image_that_was_built_anew_is_loaded_again(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """The name is the same, the content is not; the other image stays."""
    await made.load(identity, NAMES, silent)
    fake.edit(builds={NAMES[0]: "second"})

    assert [set(), NODES] == [set(one.nodes) for one in await made.preloaded(identity, NAMES)]
    await made.load(identity, NAMES, silent)
    assert [NAMES[0]] * 2 == saved(fake)[4:]


async def test_a_node_that_lost_or_replaced_an_image_gets_it_again(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """Its label alone is no proof: it has to fit what the name stands for now."""
    await made.load(identity, NAMES, silent)
    containers = fake.containers
    stores = {one["Name"].lstrip("/"): one["store"] for one in containers}
    del stores["demo-control-plane"]["localhost/shop:dev"]
    stores["demo-worker"]["localhost/shop:dev"][0] = "sha256:" + "9" * 64
    fake.edit(containers=containers)

    await made.load(identity, NAMES, silent)

    assert [NAMES[0]] * 2 == saved(fake)[4:]
    assert [NODES, NODES] == [set(one.nodes) for one in await made.preloaded(identity, NAMES)]


async def test_a_load_that_was_cut_off_goes_on_where_it_was(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """What is loaded and labelled stays; killed between the two, the image is loaded once more."""
    fake.fault("ctr label")
    fake.fault("ctr label", code=1, stderr="killed\n")
    with pytest.raises(Transient):
        await made.load(identity, NAMES, silent)
    assert [{"demo-control-plane"}, set()] == [set(one.nodes) for one in await made.preloaded(identity, NAMES)]

    await made.load(identity, NAMES, silent)

    assert [NAMES[0], NAMES[0], NAMES[0], NAMES[1], NAMES[1]] == saved(fake)


async def test_an_image_that_is_built_during_the_look_is_loaded_by_the_next(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """The engine said that it is not there; what it says a moment later is for the next time."""
    fake.fault("docker image", code=1, stderr="Error: No such image: localhost/shop:dev\n")
    await made.load(identity, NAMES[:1], silent)
    assert [] == saved(fake)

    await made.load(identity, NAMES[:1], silent)

    assert [NAMES[0]] * 2 == saved(fake)


@pytest.mark.fault(25, "an image cannot be loaded into a node (stub)", invariants="I1")
@pytest.mark.parametrize(
    ("program", "stderr", "says"),
    [
        ("ctr import", "ctr: content digest sha256:1: not found\n", "content digest"),
        ("docker save", "Error response from daemon: reference does not exist\n", "reference does not exist"),
    ],
)
async def test_a_load_that_fails_says_which_image_and_which_node(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, program: str, stderr: str, says: str
) -> None:
    """In the words of the program that failed."""
    fake.fault(program, code=1, stderr=stderr)

    with pytest.raises(Transient) as raised:
        await made.load(identity, NAMES, silent)

    assert "ImageLoadFailed" == raised.value.reason
    assert [] == [word for word in (NAMES[0], "demo-control-plane", says) if word not in raised.value.message]


async def test_an_archive_serves_where_the_engine_lacks_the_image(
    fake: FakeBinaries, make_runtime: MakeRuntime, identity: Identity, request_for: RequestFor, tmp_path: Path
) -> None:
    """It goes into the node as it is, and not onto the engine. Without one, there is nothing to load."""
    runtime = make_runtime(archives=tmp_path / "archives")
    await runtime.create(identity, request_for(), silent)
    (nothing,) = await runtime.preloaded(identity, ["busybox:1"])
    await runtime.load(identity, ["busybox:1"], silent)

    save(tmp_path / "archives" / "busybox.tar", "busybox:1")
    (before,) = await runtime.preloaded(identity, ["busybox:1"])

    assert ("", frozenset(), [], []) == (nothing.source, nothing.nodes, saved(fake), fake.calls("docker load"))
    await runtime.load(identity, ["busybox:1"], silent)
    (after,) = await runtime.preloaded(identity, ["busybox:1"])
    assert (before.source, {"demo-control-plane"}) == (after.source, set(after.nodes))
    assert ([], []) == (saved(fake), fake.calls("docker load"))


async def test_what_a_node_has_stays_good_when_its_source_is_gone(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """Nobody has to keep an image on the engine for ever."""
    await made.load(identity, NAMES, silent)
    fake.edit(images=["kindest/node:v1.34.4"])

    assert [("", NODES)] * 2 == [(one.source, set(one.nodes)) for one in await made.preloaded(identity, NAMES)]


@pytest.mark.fault(15, "images for a cluster of somebody else (stub)", invariants="I3")
async def test_somebody_elses_nodes_get_nothing(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """The marker is looked at before anything is written into a node."""
    stranger = Identity("demo", "b" * 32, "default/other")

    with pytest.raises(NotOurs):
        await made.load(stranger, NAMES, silent)
    assert [] == saved(fake)


@pytest.mark.fault(29, "stopped in the middle of a load (stub)", invariants="I2")
async def test_a_load_that_is_stopped_leaves_no_process(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """And does not stand in the way of a deletion."""
    fake.fault("docker save", hang=True)
    task = asyncio.create_task(made.load(identity, NAMES, silent))
    async with asyncio.timeout(10):
        while not saved(fake):  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await made.delete(identity, silent)

    assert [] == fake.names()


REAL = """\
REF                          TYPE                                                 DIGEST                  SIZE      PLATFORMS   LABELS
docker.io/library/busybox:1  application/vnd.docker.distribution.manifest.v2+json sha256:{a}              2.1 MiB   linux/amd64 {label},x=y
import-2026@sha256:{a}       application/vnd.oci.image.manifest.v1+json           sha256:{a}              710.0 B   linux/amd64 -
localhost/shop:dev           application/vnd.oci.image.index.v1+json              sha256:{b}              1.0 KiB   linux/amd64 {label}
"""


def test_the_store_of_a_node_is_read_by_name() -> None:
    """Only a label that names the digest beside it counts; a size is two words, and no label is a dash."""
    label = f"{preload.LABEL}=sha256:source/sha256:{'a' * 64}"
    found = preload.parse(REAL.format(a="a" * 64, b="b" * 64, label=label))

    assert "sha256:source" == found["docker.io/library/busybox:1"].source
    assert "" == found["localhost/shop:dev"].source == found[f"import-2026@sha256:{'a' * 64}"].source
