"""The kind runtime on a real podman: what its volumes, which nobody labels for us, come to. No node image is needed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hack.tools import find
from provider.adapters.kind.options import KindOptions
from provider.adapters.kind.runtime import KindRuntime
from provider.api.conditions import Reason
from provider.errors import Transient
from provider.ports.runtime import ClusterRequest, Ownership, Presence, Step
from tests.contract.engines import RealSubject
from tests.contract.runtimes import config, identity


def silent(_: Step) -> None: ...


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[RealSubject]:
    if reason := RealSubject.missing("podman", tmp_path) or find.missing("kind"):
        pytest.skip(reason)
    subject = RealSubject("podman", tmp_path)
    yield subject
    subject.clean()


@pytest.fixture
def runtime(podman: RealSubject, tmp_path: Path) -> KindRuntime:
    options = KindOptions(state_dir=tmp_path / "state", environment=podman.environment, engine="podman", listing_age=0.0)
    return KindRuntime(replace(options, kind_binary=str(find.path("kind"))))


@pytest.fixture
def name() -> str:
    return f"c-podman-{secrets.token_hex(3)}"


async def test_a_create_that_podman_refuses_leaves_no_volume(podman: RealSubject, runtime: KindRuntime, name: str) -> None:
    """Real kind makes the volume, `podman run` fails for a path that is not there, and no container tells of it."""
    who, theirs = identity(name), podman.volume(f"{name}-control-plane")
    mount = {"hostPath": "/nowhere/data", "containerPath": "/data"}
    nodes = [{"role": "control-plane", "image": podman.image, "extraMounts": [mount]}]
    with pytest.raises(Transient) as caught:
        await runtime.create(who, ClusterRequest({**config(name, 0), "nodes": nodes}, None, None, 60.0), silent)
    seen = await runtime.observe(who)

    assert Reason.MOUNT_FAILED is caught.value.reason
    assert (Presence.ABSENT, False) == (seen.presence, seen.remains)
    assert {theirs} == podman.labelled(f"{name}-control-plane")


async def test_a_clusters_volumes_go_with_it(podman: RealSubject, runtime: KindRuntime, name: str) -> None:
    """Also of one that another manager made; others' stay, be they labelled like ours."""
    who, theirs = identity(name), podman.volume(f"{name}-control-plane")
    volume = podman.node(name, who.marker)
    seen = await runtime.observe(who)
    await runtime.delete(who, silent)

    assert Ownership.OURS is seen.ownership
    assert {theirs} == {theirs, volume} & podman.volumes()
    assert Presence.ABSENT is (await runtime.observe(who)).presence
