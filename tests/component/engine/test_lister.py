"""Listing all containers: what one odd container costs, how many commands it takes, and which daemon it was."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.daemon import daemon_name, same_daemon
from provider.adapters.engine.dialects import DIALECTS
from provider.adapters.engine.lister import MOST_SPLITS
from provider.adapters.engine.listing import Listing
from tests.fakes.engine_cli import ENGINE_INFO, FakeBinaries

PODMAN = {"host": {"hostname": "laptop"}, "store": {"graphRoot": "/data/containers/storage"}}


@pytest.fixture
def fake(tmp_path: Path) -> FakeBinaries:
    return FakeBinaries(tmp_path / "fake")


@pytest.fixture
def engine(fake: FakeBinaries) -> Engine:
    return Engine(DIALECTS["docker"], fake.env, 10.0)


async def test_a_container_that_upsets_inspect_costs_only_its_own_cluster(fake: FakeBinaries, engine: Engine) -> None:
    """As podman fails for a container whose layer is damaged: one answer for all is none, so it is looked for."""
    for number in range(8):
        fake.add(f"c{number}", upsets="Error: layer not known" if number == 5 else "")
    listing = await engine.containers()

    assert [f"c{number}" for number in range(8) if number != 5] == sorted(listing.clusters)
    assert (["c5"], "", None) == (list(listing.unreadable), listing.unplaced, listing.reason)


async def test_an_engine_that_fails_for_all_is_asked_a_bounded_number_of_times(fake: FakeBinaries, engine: Engine) -> None:
    """Then nothing is known, and it is said in the engine's words."""
    for number in range(4):
        fake.add(f"c{number}", upsets="Error: everything is broken")
    for number in range(60):
        fake.add(f"d{number}", upsets="Error: everything is broken")
    listing = await engine.containers()

    assert listing.reason is not None
    assert "everything is broken" in listing.detail
    assert len(fake.calls("docker inspect")) <= MOST_SPLITS + 3


async def test_a_container_that_vanished_between_ps_and_inspect_is_nothing(fake: FakeBinaries, engine: Engine) -> None:
    """`docker rm` by somebody at that moment: `inspect` fails for it and tells of the others."""
    fake.add("demo")
    gone = "f" * 64
    fake.fault("docker ps", stdout=f"{fake.containers[0]['Id']}\n{gone}\n")
    listing = await engine.containers()

    assert (["demo"], {}, "", None) == (list(listing.clusters), dict(listing.unreadable), listing.unplaced, listing.reason)


async def test_an_odd_line_of_ps_leaves_the_others_readable(fake: FakeBinaries, engine: Engine) -> None:
    """Which cluster the container is of is not known then: whoever sees its own loses nothing, nobody's absence is believed."""
    fake.add("demo")
    odd = fake.add("odd", unready=True)
    fake.fault("docker ps", stdout="\n".join(one["Id"] for one in fake.containers))
    fake.fault("docker ps", stdout=f'{{"ID": "{odd["Id"]}", "Labels": null}}\n')
    listing = await engine.containers()

    assert (["demo"], True) == (list(listing.clusters), bool(listing.unplaced))


# --- sharing -----------------------------------------------------------------------------------------------------------------------


async def test_a_known_listing_is_as_old_as_asked_for_and_older_than_no_change(fake: FakeBinaries, engine: Engine) -> None:
    """By a clock that never jumps; a change, or an event, outdates it at once."""
    fake.add("demo")
    assert engine.known_containers(60.0) is None
    listing = await engine.containers()

    assert engine.known_containers(60.0) is listing
    assert engine.known_containers(0.0) is None
    engine.forget_listing()
    assert engine.known_containers(60.0) is None


async def slow_listing(fake: FakeBinaries, engine: Engine) -> asyncio.Task[Listing]:
    """One that is in the middle of its work."""
    fake.fault("docker ps", delay=0.3)
    listing = asyncio.create_task(engine.containers())
    while not fake.calls("docker ps"):  # noqa: ASYNC110 - what is waited for happens in another process
        await asyncio.sleep(0.01)
    return listing


async def test_a_listing_that_was_begun_before_a_change_is_not_kept(fake: FakeBinaries, engine: Engine) -> None:
    """Whoever asked before the change may have it, nobody else."""
    listing = await slow_listing(fake, engine)
    engine.forget_listing()
    await listing

    assert engine.known_containers(60.0) is None


async def test_an_event_outdates_the_listing(fake: FakeBinaries, engine: Engine) -> None:
    """A pass that an event caused must see what happened."""
    await engine.containers()
    (fake.folder / "events.log").write_text("{}\n")
    events = engine.events()
    await anext(events)
    await events.aclose()

    assert engine.known_containers(60.0) is None


# --- which daemon ------------------------------------------------------------------------------------------------------------------


async def test_a_listing_over_a_switch_of_daemons_is_no_listing(fake: FakeBinaries, engine: Engine) -> None:
    """`docker context use` between two commands: the containers of one must not be taken for those of the other."""
    listing = await slow_listing(fake, engine)
    fake.edit(info=ENGINE_INFO | {"ID": "FAKE:0002"})

    assert "being switched" in (await listing).detail
    assert "FAKE" not in (await engine.containers()).daemon


@pytest.mark.parametrize(
    ("engine", "answer", "other"),
    [
        ("docker", ENGINE_INFO, {"ID": "FAKE:0002"}),
        ("docker", ENGINE_INFO, {"DockerRootDir": "/other"}),
        ("nerdctl", ENGINE_INFO, {"ID": "FAKE:0002"}),
        ("podman", PODMAN, {"host": {"hostname": "desktop"}}),
        ("podman", PODMAN, {"store": {"graphRoot": "/var/lib/containers/storage"}}),
    ],
)
def test_every_engine_has_something_that_tells_its_daemons_apart(
    engine: str, answer: dict[str, Any], other: dict[str, Any]
) -> None:
    """Also docker before 24, whose id several daemons of one host share."""
    assert not same_daemon(daemon_name(engine, answer), daemon_name(engine, answer | other))
    assert not same_daemon(daemon_name(engine, answer), daemon_name(f"x{engine}", answer))
    assert not same_daemon(daemon_name(engine, answer), daemon_name(engine, answer, "k8s.io"))


def test_a_renamed_host_keeps_its_daemon() -> None:
    """The host's name is for people; a hostile one cannot pretend to be a digest."""
    renamed = daemon_name("docker", ENGINE_INFO | {"Name": "a/b/c"})

    assert same_daemon(renamed, daemon_name("docker", ENGINE_INFO))
    assert "docker/a_b_c/" == renamed[:13]
