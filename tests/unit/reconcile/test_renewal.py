"""Client certificates: their end is shown, and they are renewed long before it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from provider.api.conditions import Reason
from provider.api.meta import timestamp
from provider.errors import Transient
from tests.fakes.world import World, kindcluster

SOON, LATE = timedelta(days=30), timedelta(days=365)


async def made(expires_in: timedelta) -> World:
    world = World()
    world.runtime.credentials_expire_at = world.clock.now() + expires_in
    world.runtime.renewed_until = world.clock.now() + LATE
    world.apply(kindcluster())
    await world.settle()
    return world


async def test_the_end_of_the_certificate_is_shown_and_one_with_time_left_is_kept() -> None:
    """A renewal that is not due is an effect without a cause."""
    world = await made(LATE)
    await world.pass_time(3600)

    assert timestamp(world.clock.now() + LATE - timedelta(hours=1)) == world.status()["kubeconfigExpiresAt"]
    assert 0 == world.runtime.calls["renew_kubeconfig"]


@pytest.mark.parametrize("expires_in", [SOON, -SOON], ids=["soon", "already over"])
async def test_a_certificate_that_ends_soon_is_renewed_once_and_published(expires_in: timedelta) -> None:
    """Without a pause of the cluster; a manager that was away for too long renews as well."""
    world = await made(expires_in)
    await world.pass_time(3600)

    assert 1 == world.runtime.calls["renew_kubeconfig"]
    assert 2 <= world.runtime.calls["kubeconfig"], "the new one was not read"
    assert ("Ready", timestamp(world.runtime.renewed_until or world.clock.now())) == (
        world.status()["phase"],
        world.status()["kubeconfigExpiresAt"],
    )
    assert 1 == world.recorder.reasons().count(Reason.KUBECONFIG_RENEWED)


async def test_a_renewal_that_fails_is_told_and_tried_again_an_hour_later() -> None:
    """The cluster stays what it is: Ready."""
    world = World()
    world.runtime.credentials_expire_at = world.clock.now() + SOON
    world.runtime.fail("renew_kubeconfig", Transient(Reason.ENGINE_FAILED, "no kubeadm"), call=None)
    world.apply(kindcluster())
    await world.settle()
    for _ in range(5):
        await world.look()
    assert (1, "Ready") == (world.runtime.calls["renew_kubeconfig"], world.status()["phase"])
    note = next(note for note in world.recorder.notes if note.reason is Reason.KUBECONFIG_NOT_RENEWED)
    assert "no kubeadm" in note.message and world.status()["kubeconfigExpiresAt"] in note.message

    world.clock.advance(3601)
    await world.look()
    assert 2 == world.runtime.calls["renew_kubeconfig"]


async def test_a_node_that_claims_a_renewal_and_does_none_is_no_hot_loop() -> None:
    """It is asked once an hour."""
    world = World()
    world.runtime.credentials_expire_at = world.clock.now() + SOON
    world.runtime.lie("renew_kubeconfig", call=None)
    world.apply(kindcluster())
    await world.pass_time(600)

    assert (1, "Ready") == (world.runtime.calls["renew_kubeconfig"], world.status()["phase"])


async def test_nothing_is_renewed_while_paused() -> None:
    """A renewal writes into a node."""
    world = await made(LATE)
    world.edit({"metadata": {"annotations": {"cluster.x-k8s.io/paused": ""}}})
    world.runtime.credentials_expire_at = world.clock.now() + SOON
    await world.pass_time(3600)

    assert 0 == world.runtime.calls["renew_kubeconfig"]
