"""provider.reconcile.node_images: which image a spec's nodes are made from, whether it can be had, and what the status says about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provider.api.conditions import Reason
from provider.errors import Terminal, Transient
from provider.ports.runtime import ClusterRequest, NodeImages
from provider.reconcile.desired import cluster_request
from provider.reconcile.node_images import Choice, choose
from provider.reconcile.options import ReconcileOptions
from tests.fakes.world import World, kindcluster
from tests.unit.reconcile.test_kind_config import spec

DIGEST = "sha256:" + "a" * 64
PINNED = f"kindest/node:v1.34.0@{DIGEST}"
FOUND = NodeImages("kind v0.30.0", known=(PINNED,))


def having(*names: str, archived: tuple[str, ...] = ()) -> NodeImages:
    return replace(FOUND, present=frozenset(names), archived=frozenset(archived))


def asked(default: str | None = None, **fields: Any) -> tuple[ClusterRequest, str | None]:
    wanted = spec(**fields)
    return cluster_request(wanted, cluster_name="demo", options=ReconcileOptions(default_image=default)), wanted.image_repository


HUB = "docker.io/kindest/node"


@pytest.mark.parametrize(
    ("fields", "found", "image", "to_pull"),
    [
        ({"image": "x/y:1"}, FOUND, "x/y:1", ("x/y:1",)),
        ({"image": "x/y:1"}, having("docker.io/x/y:1"), "x/y:1", ()),
        # a full version: pinned where the release knows it, a tag where only that is here
        ({"version": "v1.34.0"}, FOUND, PINNED, (PINNED,)),
        ({"version": "v1.34.0"}, having(f"{HUB}@{DIGEST}"), PINNED, ()),
        ({"version": "v1.34.0"}, having(f"{HUB}:v1.34.0", f"{HUB}@{DIGEST}"), PINNED, ()),
        ({"version": "v1.34.0"}, having(f"{HUB}:v1.34.0"), "kindest/node:v1.34.0", ()),
        ({"version": "v1.33.1"}, FOUND, "kindest/node:v1.33.1", ("kindest/node:v1.33.1",)),
        ({"version": "v1.34.0-rc.1"}, FOUND, "kindest/node:v1.34.0-rc.1", ("kindest/node:v1.34.0-rc.1",)),
        # a minor: the newest that is known or here, by number
        ({"version": "v1.34"}, FOUND, PINNED, (PINNED,)),
        ({"version": "v1.34"}, having(f"{HUB}:v1.34.4", f"{HUB}:v1.34.10"), "kindest/node:v1.34.10", ()),
        ({"version": "v1.34"}, having(f"{HUB}:v1.34.11-rc.1", "other.io/kindest/node:v1.34.12"), PINNED, (PINNED,)),
        ({"version": "v1.33"}, having(archived=(f"{HUB}:v1.33.5",)), "kindest/node:v1.33.5", ()),
        ({"version": "v1.3"}, having(f"{HUB}:v1.3.1", f"{HUB}:v1.34.9"), "kindest/node:v1.3.1", ()),
        # a mirror has the same digests
        (
            {"version": "v1.34", "imageRepository": "m.io/a"},
            having(f"{HUB}:v1.34.9"),
            f"m.io/a/{PINNED}",
            (f"m.io/a/{PINNED}",),
        ),
        ({"version": "v1.34", "imageRepository": "m.io"}, having("m.io/kindest/node:v1.34.9"), "m.io/kindest/node:v1.34.9", ()),
        ({"imageRepository": "m.io"}, FOUND, f"m.io/{PINNED}", (f"m.io/{PINNED}",)),
        # nobody names anything: what kind would take, if that is known
        ({}, FOUND, PINNED, (PINNED,)),
        ({}, having(f"{HUB}:v1.34.0"), "kindest/node:v1.34.0", ()),
        ({}, NodeImages("kind v0.99.0", present=frozenset({f"{HUB}:v1.34.0"})), None, ()),
        # nodes that name one as well
        ({"nodes": [{"image": "x:1"}, {"role": "worker", "image": "y:1"}]}, having("docker.io/library/x:1"), PINNED, ("y:1",)),
    ],
)
def test_the_image_follows_from_the_spec_and_from_what_is_there(
    fields: dict[str, Any], found: NodeImages, image: str | None, to_pull: tuple[str, ...]
) -> None:
    """Deterministic: the same spec on the same host is made from the same image."""
    to_load = (str(image),) if found.archived else ()
    assert Choice(image, to_pull, to_load) == choose(*asked(**fields), found)


def test_a_manager_s_default_is_for_specs_that_say_nothing() -> None:
    """A version or a mirror in the spec says more."""
    assert "d:1" == choose(*asked("d:1"), FOUND).image
    assert PINNED == choose(*asked("d:1", version="v1.34"), FOUND).image


@pytest.mark.parametrize(
    ("fields", "found", "says"),
    [
        ({"version": "v1.33"}, FOUND, ("v1.33", "kind v0.30.0", "there are: v1.34.0", "full version", "kindest/node:v1.33.N")),
        ({"version": "v1.33"}, replace(FOUND, known=(), unreadable=("x.tar (cut off)",)), ("there are: none", "x.tar (cut off)")),
        ({"imageRepository": "m.io"}, replace(FOUND, known=()), ("spec.imageRepository", "Set spec.version")),
    ],
)
def test_what_cannot_be_chosen_is_said_with_its_cure(fields: dict[str, Any], found: NodeImages, says: tuple[str, ...]) -> None:
    """Before anything is made."""
    blocked = choose(*asked(**fields), found).blocked

    assert blocked is not None
    assert (Reason.IMAGE_UNKNOWN, []) == (blocked.reason, [word for word in says if word not in blocked.message])


# --- in a pass -------------------------------------------------------------------------------------------------------------------


async def test_a_minor_version_becomes_an_image_that_the_status_names() -> None:
    """Also once the cluster stands, and a newer image replaces nothing."""
    world = World()
    world.runtime.images = having(f"{HUB}:v1.34.4")
    world.apply(kindcluster(version="1.34"))

    await world.settle()
    world.runtime.images = having(f"{HUB}:v1.34.5")
    await world.pass_time(600)

    assert ["kindest/node:v1.34.4"] == [request.image for request in world.runtime.requests]
    assert "kindest/node:v1.34.4" == world.status()["resolvedImage"]
    assert ("True", "ImagesPresent", "") == told(world)


async def test_what_is_to_be_pulled_is_said_before_anything_is_made() -> None:
    """Unknown, because only the registry can tell; True once it is made."""
    world = World(run_tasks=False)
    world.runtime.images = FOUND
    world.apply(kindcluster(version="1.34"))

    await world.settle()
    status, reason, message = told(world)
    image = world.status()["resolvedImage"]
    world.run_tasks = True
    await world.pass_time(60)

    assert ("Unknown", "ImagesToPull", True) == (status, reason, PINNED in message)
    assert PINNED == image
    assert ("True", "ImagesPresent", "") == told(world)


@pytest.mark.fault(25, "no node image of a minor version", invariants="I1")
async def test_a_version_without_an_image_makes_nothing_until_there_is_one() -> None:
    """Looked at again by itself: nothing tells when somebody loads an image."""
    world = World()
    world.runtime.images = FOUND
    world.apply(kindcluster(version="1.33"))

    await world.settle()
    before, ready = told(world), world.condition("Ready")
    made = list(world.runtime.requests)
    world.runtime.images = having(f"{HUB}:v1.33.7")
    await world.pass_time(20)

    assert (("False", "ImageUnknown"), "ImageUnknown", []) == (before[:2], ready["reason"], made)
    assert "kindest/node:v1.33.7" == world.status()["resolvedImage"]
    assert "True" == world.condition("Ready")["status"]


@pytest.mark.fault(25, "the image cannot be pulled", invariants="I1")
@pytest.mark.parametrize(
    "error", [Terminal(Reason.IMAGE_NOT_FOUND, "No such tag."), Transient(Reason.IMAGE_PULL_FAILED, "No net.")]
)
async def test_an_image_that_could_not_be_had_is_a_condition(error: Terminal | Transient) -> None:
    """With the registry's words, as long as it is neither here nor edited."""
    world = World()
    world.runtime.images = FOUND
    world.runtime.fail("prepare", error, call=None)
    world.apply(kindcluster(version="v1.33.1"))

    await world.settle()

    assert ("False", str(error.reason), error.message) == told(world)


async def test_an_engine_that_does_not_say_what_it_has_makes_nothing() -> None:
    """Unknown never creates."""
    world = World()
    world.runtime.fail("node_images", Transient(Reason.ENGINE_UNREACHABLE, "Silent."), call=None)
    world.apply(kindcluster())

    await world.settle()

    assert ([], "EngineUnreachable") == (world.runtime.requests, world.condition("Ready")["reason"])


async def test_a_replacement_without_an_image_leaves_the_cluster_alone() -> None:
    """It stays Ready; UpToDate says why nothing happens."""
    world = World()
    world.runtime.images = FOUND
    world.apply(kindcluster(version="1.34", updatePolicy="Recreate"))
    await world.settle()

    world.edit({"spec": {"version": "1.33"}})
    await world.pass_time(60)

    assert "True" == world.condition("Ready")["status"]
    assert ("False", "ImageUnknown") == (world.condition("UpToDate")["status"], world.condition("UpToDate")["reason"])
    assert 1 == len(world.runtime.requests)


async def test_an_engine_that_does_not_say_what_it_has_when_a_replacement_is_to_begin_flips_nothing() -> None:
    """What replaces the cluster was fetched; the old one is Ready until the new one can really be made."""
    world = World()
    world.apply(kindcluster(updatePolicy="Recreate"))
    await world.settle()
    world.runtime.fail("node_images", Transient(Reason.ENGINE_UNREACHABLE, "Silent."), call=2)  # the first is for what is fetched
    world.edit({"spec": {"featureGates": {"A": True}}})

    await world.settle()
    ready, up_to_date = world.condition("Ready")["status"], world.condition("UpToDate")
    made = len(world.runtime.requests)
    await world.pass_time(20)

    assert 1 == world.runtime.calls["prepare"]
    assert ("True", "EngineUnreachable", 1) == (ready, up_to_date["reason"], made)
    assert ("True", 2) == (world.condition("UpToDate")["status"], len(world.runtime.requests))


async def test_a_folder_that_leads_elsewhere_when_a_replacement_is_to_begin_flips_nothing() -> None:
    """The policy refuses the replacement alone."""
    world = World()
    mount = {"hostPath": "/srv/data", "containerPath": "/data"}
    world.apply(kindcluster(updatePolicy="Recreate"))
    await world.settle()
    world.run_tasks = False
    world.edit({"spec": {"nodes": [{"extraMounts": [mount]}]}})
    await world.settle()
    world.runtime.links["/srv/data"] = "/etc"
    world.run_tasks = True
    await world.settle()

    assert 1 == world.runtime.calls["prepare"]
    assert ("True", "PolicyRefused") == (world.condition("Ready")["status"], world.condition("UpToDate")["reason"])
    assert 1 == len(world.runtime.requests)


def told(world: World) -> tuple[str, str, str]:
    condition = world.condition("ImagesAvailable")
    return condition["status"], condition["reason"], condition["message"]


async def test_a_broken_cluster_is_not_replaced_by_one_of_another_image() -> None:
    """Outdated and damaged at once: what cannot be made as it is wanted is not made in another way."""
    world = World()
    world.runtime.images = FOUND
    world.apply(kindcluster(version="1.34", workerReplicas=1, updatePolicy="Recreate", healPolicy="Recreate"))
    await world.settle()

    world.edit({"spec": {"version": "1.33"}})
    world.set_node("demo-worker", None)
    await world.pass_time(60)

    assert 1 == world.runtime.calls["create"]
    assert "ImageUnknown" == world.condition("Ready")["reason"]
