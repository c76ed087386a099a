"""Volumes that podman keeps when their containers go: none of ours is left, and none of anybody else's is touched."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from provider.adapters.kind.runtime import KindRuntime
from provider.errors import NotOurs, ProviderError, Transient
from provider.ports.runtime import ClusterRequest, Identity, Ownership, Presence, Step
from tests.fakes.engine_cli import ENGINE_INFO, FakeBinaries

RequestFor = Callable[..., ClusterRequest]
MakeRuntime = Callable[..., KindRuntime]
DOWN = "Cannot connect to Podman. Is the podman socket there?\n"


def silent(_: Step) -> None: ...


@pytest.fixture
def fake(tmp_path: Path) -> FakeBinaries:
    return FakeBinaries(tmp_path / "fake", engine="podman")


@pytest.fixture
def manager(make_runtime: MakeRuntime) -> Callable[[], KindRuntime]:
    """The next manager on the same host."""
    return lambda: make_runtime(engine="podman")


@pytest.fixture
def runtime(manager: Callable[[], KindRuntime]) -> KindRuntime:
    return manager()


@pytest.fixture
async def interrupted(runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor) -> Identity:
    """The containers of its cluster are gone, their volumes are not: the removal came to an end in between."""
    await runtime.create(identity, request_for(workers=1), silent)
    fake.fault("podman volume", code=125, stderr=DOWN)
    with pytest.raises(Transient):
        await runtime.delete(identity, silent)
    assert ([], 2) == (fake.names(), len(fake.volumes))
    return identity


@pytest.mark.fault(2, "a removal ends between the containers and their volumes (stub)", invariants="I2 I6")
async def test_a_removal_that_ended_before_the_volumes_is_finished(
    interrupted: Identity, manager: Callable[[], KindRuntime], fake: FakeBinaries
) -> None:
    """The next manager sees that something is left although no container is, and removes it."""
    seen = await manager().observe(interrupted)
    await manager().delete(interrupted, silent)
    after = await manager().observe(interrupted)

    assert (Presence.ABSENT, True) == (seen.presence, seen.remains)
    assert (Presence.ABSENT, False) == (after.presence, after.remains)
    assert [] == fake.volumes


async def test_a_new_create_removes_what_the_former_left(
    interrupted: Identity, runtime: KindRuntime, fake: FakeBinaries, request_for: RequestFor
) -> None:
    """One volume for each node there is."""
    await runtime.create(interrupted, request_for(), silent)

    assert 1 == len(fake.volumes)


async def test_volumes_of_containers_that_somebody_removed_go_with_the_cluster(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """`podman rm` by hand leaves them, and nothing on them says whose they are."""
    await runtime.create(identity, request_for(), silent)
    fake.edit(containers=[])
    assert (await runtime.observe(identity)).remains
    await runtime.delete(identity, silent)

    assert [] == fake.volumes


async def test_a_finished_cluster_is_no_failure_because_of_its_record(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """The engine does not say which volumes there are afterwards; what was written before is enough to find them."""
    fake.fault("podman volume", stdout="[]")
    fake.fault("podman volume", code=125, stderr=DOWN)
    await runtime.create(identity, request_for(), silent)
    fake.edit(containers=[])
    await runtime.delete(identity, silent)

    assert [] == fake.volumes


async def test_volumes_of_others_stay(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """Also one that carries the name of our node and is used by nobody."""
    fake.add_volume("data")
    fake.add_volume("earlier", label="demo-control-plane")
    await runtime.create(identity, request_for(), silent)
    fake.add_volume("later", label="demo-control-plane")
    await runtime.delete(identity, silent)

    assert ["data", "earlier", "later"] == fake.volumes


async def test_a_volume_that_another_container_uses_is_left_to_it(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """Say, a copy is being made of it. The cluster's removal does not wait for that."""
    await runtime.create(identity, request_for(workers=1), silent)
    used = fake.volumes[0]
    fake.add("other", volume=used)
    await runtime.delete(identity, silent)

    assert [used] == fake.volumes
    assert not (await runtime.observe(identity)).remains


@pytest.mark.parametrize("made", [0, 1])
async def test_a_failed_create_leaves_no_volume(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor, made: int
) -> None:
    """kind makes the volume first: where `run` fails, no container tells of it."""
    fake.fault("kind create", made=made, volume_only=True, code=1, stderr="ERROR: failed to create cluster\n")
    with pytest.raises(ProviderError):
        await runtime.create(identity, request_for(), silent)

    assert ([], []) == (fake.names(), fake.volumes)


async def test_a_killed_creates_volumes_are_found(
    runtime: KindRuntime, manager: Callable[[], KindRuntime], fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """Nothing could be written down after the create; what was written before it is enough."""
    fake.fault("kind create", made=1, volume_only=True, hang_after_nodes=True)
    task = asyncio.create_task(runtime.create(identity, request_for(), silent))
    async with asyncio.timeout(20):
        while len(fake.volumes) < 2:  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    fake.edit(containers=[])
    await manager().delete(identity, silent)

    assert [] == fake.volumes


@pytest.mark.fault(15, "a foreign cluster comes before the volumes of ours are gone (stub)", invariants="I2 I3")
async def test_a_foreign_cluster_that_came_in_between_keeps_its_own(
    interrupted: Identity, runtime: KindRuntime, fake: FakeBinaries
) -> None:
    """Ours go, by name; theirs stay, although they are called like ours."""
    fake.add_volume("theirs", label="demo-control-plane")
    fake.add("demo", volume="theirs")
    fake.add_volume("theirs-too", label="demo-control-plane")
    seen = await runtime.observe(interrupted)
    await runtime.delete(interrupted, silent)

    assert (Ownership.FOREIGN, True) == (seen.ownership, seen.remains)
    assert ["theirs", "theirs-too"] == fake.volumes
    with pytest.raises(NotOurs):
        await runtime.delete(interrupted, silent)


async def test_volumes_on_another_daemon_are_kept_in_mind(
    interrupted: Identity, runtime: KindRuntime, fake: FakeBinaries
) -> None:
    """Nothing is said of them where another daemon answers; they are removed when theirs is back."""
    fake.edit(info=ENGINE_INFO | {"ID": "FAKE:0002"})
    assert not (await runtime.observe(interrupted)).remains
    await runtime.delete(interrupted, silent)
    assert 2 == len(fake.volumes)
    fake.edit(info=ENGINE_INFO)
    await runtime.delete(interrupted, silent)

    assert [] == fake.volumes


async def test_nothing_is_made_that_could_not_be_found_again(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor, tmp_path: Path
) -> None:
    """The record cannot be written: a full disk, say."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state/volumes").write_text("in the way")
    with pytest.raises(Transient):
        await runtime.create(identity, request_for(), silent)

    assert [] == fake.calls("kind create")


async def test_what_is_written_down_is_nobody_elses_to_read(
    runtime: KindRuntime, identity: Identity, request_for: RequestFor, tmp_path: Path
) -> None:
    """The state folder itself may be one that others look into."""
    await runtime.create(identity, request_for(), silent)
    folder = tmp_path / "state/volumes"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "demo", folder / "demo" / identity.marker)}

    assert {0o700, 0o600} == modes


async def test_a_record_that_cannot_be_read_stops_nothing(
    interrupted: Identity, runtime: KindRuntime, fake: FakeBinaries, tmp_path: Path, request_for: RequestFor
) -> None:
    """Nothing in it is believed, so nothing is removed because of it."""
    (tmp_path / "state/volumes/demo" / interrupted.marker).write_text('{"daemon": 1')
    assert not (await runtime.observe(interrupted)).remains
    await runtime.create(interrupted, request_for(), silent)
    await runtime.delete(interrupted, silent)

    assert 2 == len(fake.volumes)


@pytest.mark.parametrize("engine", ["docker", "nerdctl"])
async def test_engines_with_anonymous_volumes_are_not_asked(
    make_runtime: MakeRuntime, tmp_path: Path, identity: Identity, request_for: RequestFor, engine: str
) -> None:
    """`rm -v` takes them along; no record is kept."""
    fake = FakeBinaries(tmp_path / engine, engine=engine)
    runtime = make_runtime(engine=engine, environment=fake.env)
    await runtime.create(identity, request_for(), silent)
    await runtime.delete(identity, silent)

    assert ([], []) == (fake.volumes, fake.calls(f"{engine} volume"))
    assert not (tmp_path / "state/volumes").exists()
