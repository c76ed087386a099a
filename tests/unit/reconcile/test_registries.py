"""spec.registry and spec.registryMirrors in a whole world of fakes: told once, again where that is lost, removed with the last cluster."""

from __future__ import annotations

from typing import Any

import pytest

from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.errors import Transient
from provider.policy.file import parse
from provider.ports.registries import NO_REGISTRIES, Mirror, Registries
from provider.ports.runtime import NodeRunState, Step, StepState, Verb
from provider.reconcile.options import ReconcileOptions
from tests.fakes.runtime import REGISTRY_HOST, FakeNode
from tests.fakes.world import KEY, World, kindcluster

MIRROR = {"host": "docker.io", "endpoints": ["https://mirror.example.org"]}
MIRRORS = Registries(mirrors=(Mirror("docker.io", ("https://mirror.example.org",)),))
SHARED = Registries(shared=True)
OTHER = ObjectKey("default", "other")


async def world_with(*, run: bool = True, options: ReconcileOptions | None = None, **spec: Any) -> World:
    """A Ready cluster of two nodes that wants the shared registry."""
    world = World(options=options or ReconcileOptions())
    world.apply(kindcluster(workerReplicas=1, **({"registry": "Shared"} | spec)))
    if run:
        await world.pass_time(10)
    return world


def nodes(world: World, cluster: str = "demo") -> list[FakeNode]:
    return world.runtime.clusters[cluster].nodes


def told(world: World) -> tuple[str, str]:
    condition = world.condition("RegistryReady")
    return condition["status"], condition["reason"]


def connects(world: World) -> int:
    return [verb for _, verb in world.tasks.started].count(Verb.CONNECT)


async def test_every_node_is_told_once() -> None:
    """One task for all nodes; hours, edits and another manager cost no second one."""
    world = await world_with()
    assert {SHARED} == {node.registries for node in nodes(world)}

    await world.pass_time(3600)
    world.edit({"spec": {"createTimeout": "9m"}})
    await world.pass_time(60)
    assert 1 == connects(world)
    world.restart()
    await world.pass_time(60)

    assert (0, REGISTRY_HOST) == (connects(world), world.runtime.registry)
    assert ("True", "RegistryReady") == told(world)
    assert {"host": REGISTRY_HOST, "nodes": "2/2"} == world.status()["registry"]
    assert "True" == world.condition("Ready")["status"]


async def test_clusters_share_it_and_the_last_one_takes_it_along() -> None:
    """Deleted, or no longer wanted: whoever is the last user."""
    world = await world_with()
    world.apply(kindcluster(OTHER, registry="Shared"))
    await world.pass_time(10)
    world.delete(OTHER)
    await world.pass_time(10)
    kept = world.runtime.registry
    world.edit({"spec": {"registry": "None"}})
    await world.pass_time(10)

    assert (REGISTRY_HOST, None) == (kept, world.runtime.registry)
    assert {NO_REGISTRIES} == {node.registries for node in nodes(world)}
    assert ("registry" in world.status(), told(world)) == (False, ("True", "RegistryReady"))


async def test_a_cluster_is_gone_only_with_the_registry_that_nobody_uses() -> None:
    """Its nodes may have been removed by hand: then the registry alone is what remains."""
    world = await world_with()
    for name in ("demo-worker", "demo-control-plane"):
        world.set_node(name, None)
    world.delete()
    await world.pass_time(10)

    assert (None, [], None) == (world.get(), world.runtime.marked(), world.runtime.registry)


@pytest.mark.fault(15, "a foreign cluster comes before the registry is gone (fakes)", invariants="I2 I3")
async def test_a_foreign_cluster_with_the_name_keeps_no_object_that_waits_for_the_registry() -> None:
    """The last user's deletion removes the registry, and not the others' nodes."""
    world = await world_with()
    for name in ("demo-worker", "demo-control-plane"):
        world.set_node(name, None)
    world.runtime.remains.clear()
    world.runtime.add_foreign("demo")
    world.delete()
    await world.pass_time(10)

    assert (None, None, 1) == (world.get(), world.runtime.registry, len(nodes(world)))


async def test_mirrors_can_change_at_any_time() -> None:
    """They are no reason for new nodes."""
    world = await world_with(registry=None, registryMirrors=[MIRROR])
    assert {MIRRORS} == {node.registries for node in nodes(world)}
    ids = [node.id for node in nodes(world)]
    world.edit({"spec": {"registryMirrors": [MIRROR | {"host": "quay.io"}], "registry": "Shared"}})
    await world.pass_time(10)

    assert {("quay.io",)} == {tuple(one.host for one in node.registries.mirrors) for node in nodes(world)}
    assert (ids, ("True", "RegistryReady")) == ([node.id for node in nodes(world)], told(world))


async def test_new_nodes_are_told_and_restarted_ones_are_asked() -> None:
    """A replaced cluster has other containers. The registry outlives the replacement."""
    world = await world_with(healPolicy="Recreate")
    world.set_node("demo-worker", NodeRunState.STOPPED)
    await world.pass_time(60)
    assert 1 == connects(world)
    world.set_node("demo-worker", None)
    await world.pass_time(60)

    assert ({SHARED}, 2) == ({node.registries for node in nodes(world)}, connects(world))
    assert ("True", "RegistryReady") == told(world)


async def test_a_registry_that_is_gone_comes_back_by_itself() -> None:
    """Nothing tells of it: seen within the time that a look is believed, with the next pass."""
    world = await world_with()
    world.runtime.lose_registry()
    await world.pass_time(700)
    world.edit({"spec": {"createTimeout": "9m"}})
    await world.pass_time(10)

    assert (REGISTRY_HOST, ("True", "RegistryReady")) == (world.runtime.registry, told(world))


async def test_progress_is_told_while_the_cluster_stays_ready() -> None:
    """Ready does not wait for registries."""
    world = await world_with(run=False)
    world.run_tasks = False
    await world.settle()
    await world.tasks.run(KEY)
    await world.pass_time(5)
    assert (KEY, Verb.CONNECT) == world.tasks.started[-1]
    world.tasks.step(KEY, Step("Telling demo-worker of registries", StepState.STARTED))
    await world.settle()

    assert ("False", "ConnectingRegistries") == told(world)
    assert "demo-worker" in world.condition("RegistryReady")["message"]
    assert "True" == world.condition("Ready")["status"]


async def test_images_and_registries_wait_for_each_other() -> None:
    """One task at a time, and neither is stopped for the other."""
    world = await world_with(run=False, images=["localhost/shop:dev"])
    world.runtime.loadable = {"localhost/shop:dev": "one"}
    await world.pass_time(20)

    assert ([Verb.CREATE, Verb.CONNECT, Verb.LOAD], []) == ([verb for _, verb in world.tasks.started], world.tasks.cancelled)
    assert ("True", "True") == (told(world)[0], world.condition("ImagesPreloaded")["status"])


@pytest.mark.fault(25, "the shared registry's image cannot be had", invariants="I1")
async def test_a_failure_is_said_and_tried_again_later() -> None:
    """Once a minute, not in a loop; the cluster is Ready meanwhile."""
    world = await world_with(run=False)
    world.runtime.fail("connect", Transient(Reason.IMAGE_PULL_FAILED, "No network."), call=None)
    await world.pass_time(30)
    first = connects(world)
    await world.pass_time(150)
    again, reasons = connects(world), told(world)
    world.runtime.heal()
    await world.pass_time(70)

    assert (1, ("False", "ImagePullFailed"), "True") == (first, reasons, world.condition("Ready")["status"])
    assert 2 <= again <= 4
    assert ("True", "RegistryReady") == told(world)


@pytest.mark.fault(19, "nodes cannot be asked for their registries", invariants="I1")
async def test_unknown_changes_nothing() -> None:
    """Neither nodes nor the registry, nor Ready."""
    world = await world_with(run=False)
    world.runtime.fail("connected", Transient(Reason.ENGINE_UNREACHABLE, "Silent."), call=None)
    await world.pass_time(30)

    assert (0, ("False", "EngineUnreachable"), "True") == (connects(world), told(world), world.condition("Ready")["status"])


async def test_what_is_not_ours_stands_in_the_way_until_it_is_gone() -> None:
    """Named with its cure; looked at every minute."""
    world = await world_with(run=False)
    world.runtime.foreign_registry = True
    await world.pass_time(30)
    before, tried = told(world), connects(world)
    world.runtime.foreign_registry = False
    await world.pass_time(70)

    assert (("False", "RegistryConflict"), 0) == (before, tried)
    assert ("True", "RegistryReady") == told(world)


@pytest.mark.parametrize(
    ("rule", "says"),
    [({"registry": "false"}, "spec.registry"), ({"mirrors": "['https://ours/*']"}, "registryMirrors[0].endpoints[0]")],
)
async def test_the_policy_is_asked_before_anything_is_made(rule: dict[str, str], says: str) -> None:
    """With the field and the cure, as for everything that a namespace may ask of the host."""
    more = "".join(f"\n    {key}: {value}" for key, value in rule.items())
    policy = parse(f'rules:\n  - namespaces: ["*"]{more}\n')
    world = await world_with(options=ReconcileOptions(policy=policy), registryMirrors=[MIRROR])

    assert {} == world.runtime.clusters
    assert ("False", "PolicyRefused") == (world.condition("PolicyAllowed")["status"], world.condition("PolicyAllowed")["reason"])
    assert says in world.condition("PolicyAllowed")["message"]


async def test_a_cluster_that_runs_is_not_told_what_the_policy_refuses() -> None:
    """The edit is accepted by the API server; the nodes stay as they are, and it is said."""
    policy = parse('rules:\n  - namespaces: ["*"]\n    registry: false\n')
    world = await world_with(options=ReconcileOptions(policy=policy), registry=None)
    world.edit({"spec": {"registry": "Shared"}})
    await world.pass_time(30)

    assert ({NO_REGISTRIES}, 0) == ({node.registries for node in nodes(world)}, connects(world))
    assert (("False", "PolicyRefused"), "True") == (told(world), world.condition("Ready")["status"])


@pytest.mark.fault(29, "deleted while nodes are told of registries", invariants="I2")
async def test_a_deletion_does_not_wait() -> None:
    """It is stopped, and nothing is left."""
    world = await world_with(run=False)
    world.run_tasks = False
    await world.settle()
    await world.tasks.run(KEY)
    await world.pass_time(5)
    world.delete()
    await world.look()
    world.run_tasks = True
    await world.pass_time(5)

    assert (None, [], [KEY]) == (world.get(), world.runtime.marked(), world.tasks.cancelled)


async def test_a_runtime_without_containers_says_that_it_cannot() -> None:
    """`runtime: local` with these fields is refused by the API server; `auto` may end there all the same."""
    world = await world_with(run=False)
    world.runtime.fail("connected", Transient(Reason.NOT_SUPPORTED, "Runtime local runs no containers."), call=None)
    await world.pass_time(5)

    assert ("False", "NotSupported") == told(world)
