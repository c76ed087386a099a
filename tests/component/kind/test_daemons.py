"""A cluster that was made on another daemon than the one that answers, and one listing for many objects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from provider.adapters.kind.runtime import KindRuntime
from provider.api.conditions import Reason
from provider.errors import Transient
from provider.ports.runtime import ClusterRequest, Identity, Ownership, Presence, Step
from tests.fakes.engine_cli import ENGINE_INFO, FakeBinaries

RequestFor = Callable[..., ClusterRequest]
MakeRuntime = Callable[..., KindRuntime]
OTHER = ENGINE_INFO | {"ID": "FAKE:0002", "Name": "elsewhere"}


def silent(_: Step) -> None: ...


@pytest.fixture
async def made(runtime: KindRuntime, identity: Identity, request_for: RequestFor) -> Identity:
    """An identity with a cluster, and the daemon it was made on."""
    await runtime.create(identity, request_for(), silent)
    daemon = (await runtime.observe(identity)).daemon
    return Identity(identity.cluster_name, identity.marker, identity.holder, daemon)


async def test_a_cluster_on_another_daemon_is_unknown_and_left_alone(
    runtime: KindRuntime, fake: FakeBinaries, made: Identity, request_for: RequestFor
) -> None:
    """Neither absent nor foreign; every verb refuses; both daemons and the cure are named; all is well when the first is back."""
    before = fake.containers
    fake.edit(info=OTHER, containers=[])
    seen = await runtime.observe(made)
    verbs: list[Callable[[], Awaitable[object]]] = [
        lambda: runtime.create(made, request_for(), silent),
        lambda: runtime.delete(made, silent),
        lambda: runtime.start(made, silent),
        lambda: runtime.kubeconfig(made),
    ]
    for verb in verbs:
        with pytest.raises(Transient) as caught:
            await verb()
        assert Reason.OTHER_DAEMON is caught.value.reason
    fake.edit(info=ENGINE_INFO, containers=before)

    assert (Presence.UNKNOWN, Reason.OTHER_DAEMON) == (seen.presence, seen.reason)
    assert all(word in seen.detail for word in (made.daemon, "docker/elsewhere/", "DOCKER_HOST", "engine-daemon="))
    assert 1 == len(fake.calls("kind create"))
    assert [] == fake.calls("docker rm")
    assert Ownership.OURS is (await runtime.observe(made)).ownership


async def test_a_switch_in_the_middle_of_a_removal_is_no_success(
    runtime: KindRuntime, fake: FakeBinaries, made: Identity
) -> None:
    """The containers are not listed any more because another daemon is asked: they are not gone."""
    fake.fault("docker rm", code=1, stderr="Error: No such container: x")
    fake.edit(info=OTHER)
    with pytest.raises(Transient) as caught:
        await runtime.delete(made, silent)

    assert Reason.OTHER_DAEMON is caught.value.reason
    assert ["demo-control-plane"] == fake.names()


async def test_hostile_text_in_place_of_a_daemon_is_another_daemon(runtime: KindRuntime, identity: Identity) -> None:
    """Anybody who may edit the object may write it: it is cut in messages, and nothing is done."""
    odd = Identity(identity.cluster_name, identity.marker, identity.holder, "x" * 100_000)
    seen = await runtime.observe(odd)

    assert (Presence.UNKNOWN, True) == (seen.presence, len(seen.detail) < 500)


# --- one listing for many objects --------------------------------------------------------------------------------------------------


async def test_a_round_over_many_objects_costs_one_listing(make_runtime: MakeRuntime, fake: FakeBinaries) -> None:
    """One after the other, as workers come by: engine commands do not grow with the number of objects."""
    marks = [f"{number:032x}" for number in range(40)]
    for mark in marks:
        fake.add(f"c{mark}", mounts=[f"/kind/owner/{mark}"])
    runtime = make_runtime(listing_age=60.0)
    seen = [await runtime.observe(Identity(f"c{mark}", mark, "x/y")) for mark in marks]

    assert {Ownership.OURS} == {one.ownership for one in seen}
    assert 4 == len(fake.calls("docker"))


async def test_absence_is_believed_of_a_new_listing_only(
    make_runtime: MakeRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """What appeared since the last look is seen before anything is made or released."""
    runtime = make_runtime(listing_age=60.0)
    await runtime.observe(identity)
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])

    assert Ownership.OURS is (await runtime.observe(identity)).ownership


async def test_own_changes_are_seen_at_once(
    make_runtime: MakeRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """However long a listing may be shared, none is older than what was done to a cluster."""
    runtime = make_runtime(listing_age=60.0)
    await runtime.create(identity, request_for(), silent)
    fake.change("demo-control-plane", "exited")
    stopped = (await runtime.observe(identity)).stopped
    await runtime.start(identity, silent)
    started = (await runtime.observe(identity)).stopped
    await runtime.delete(identity, silent)

    assert (["demo-control-plane"], []) == (stopped, started)
    assert Presence.ABSENT is (await runtime.observe(identity)).presence
