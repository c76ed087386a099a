"""The policy in a pass: asked before anything is made, told in a condition, and never a reason to touch what runs."""

from __future__ import annotations

from typing import Any

import pytest

from provider.api import names
from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.errors import Transient
from provider.policy.file import parse
from provider.ports.runtime import ClusterRequest, NodeImages, Progress
from provider.reconcile.options import ReconcileOptions
from tests.envtest.kind_configs import HEAD
from tests.fakes.world import World, kindcluster

CONDITION = "PolicyAllowed"


def mounting(path: str, **mount: Any) -> dict[str, Any]:
    return {"nodes": [{"extraMounts": [{"hostPath": path, "containerPath": "/data", **mount}]}]}


def policy(text: str) -> ReconcileOptions:
    return ReconcileOptions(policy=parse(text))


NOTHING_MOUNTED = policy("rules: [{namespaces: ['*'], hostPaths: []}]")


@pytest.mark.parametrize("path", ["/", "/etc", "/var/run/docker.sock"])
async def test_a_mount_of_the_system_is_refused_before_anything_is_made(path: str) -> None:
    """With the field and the cure, in the condition and in Ready; no verb of the runtime is called."""
    world = World()
    world.apply(kindcluster(**mounting(path)))
    await world.settle()

    said = world.condition(CONDITION)
    assert ("False", "PolicyRefused") == (said["status"], said["reason"])
    assert f"spec.nodes[0].extraMounts[0].hostPath: {path} " in said["message"]
    assert ("False", "PolicyRefused") == (world.condition("Ready")["status"], world.condition("Ready")["reason"])
    assert [] == [verb for verb, _ in world.runtime.log if verb in ("create", "prepare")]
    assert "startedAt" not in world.status().get("lastCreate", {})
    assert "failureReason" not in world.status()


async def test_a_corrected_spec_is_made() -> None:
    """Nothing about a refusal is final."""
    world = World()
    world.apply(kindcluster(**mounting("/etc")))
    await world.settle()
    world.edit({"spec": mounting("/srv/data")})
    await world.settle()

    assert "True" == world.condition("Ready")["status"]
    assert {"status": "True", "reason": "Allowed", "message": ""} == {
        key: world.condition(CONDITION).get(key, "") for key in ("status", "reason", "message")
    }


async def test_a_link_to_the_system_is_refused_and_told() -> None:
    """Also in a folder that may be mounted."""
    world = World()
    world.runtime.links["/srv/data"] = "/etc"
    world.apply(kindcluster(**mounting("/srv/data")))
    await world.settle()

    assert "/srv/data (it leads to /etc)" in world.condition(CONDITION)["message"]
    assert {} == world.runtime.clusters


async def test_where_links_cannot_be_followed_the_path_decides() -> None:
    """A manager in a pod, or beside a remote engine, could never mount anything otherwise."""
    world = World()
    world.runtime.shares_host = False
    world.apply(kindcluster(**mounting("/srv/data")))
    await world.settle()

    assert "True" == world.condition("Ready")["status"]


async def test_an_image_of_a_version_is_asked_for_too() -> None:
    """What the manager or kind takes by itself is not."""
    world = World(options=policy("rules: [{namespaces: ['*'], images: []}]"))
    world.apply(kindcluster())
    await world.settle()
    assert "True" == world.condition("Ready")["status"]

    other = World(options=world.options)
    other.apply(kindcluster(version="v1.34.4"))
    await other.settle()
    assert "may not use image kindest/node:v1.34.4" in other.condition(CONDITION)["message"]


async def test_a_stricter_policy_leaves_a_running_cluster_alone() -> None:
    """It is told, and repaired as before; it neither loses Ready nor counts as outdated."""
    world = World()
    world.apply(kindcluster(**mounting("/srv/data")))
    await world.settle()
    world.options = NOTHING_MOUNTED
    world.restart()
    await world.settle()

    assert "False" == world.condition(CONDITION)["status"]
    assert ("True", "True") == (world.condition("Ready")["status"], world.condition("UpToDate")["status"])
    assert ["demo"] == list(world.runtime.clusters)


async def test_a_replacement_that_is_refused_is_not_begun() -> None:
    """The old cluster runs on, and UpToDate says why it stays."""
    world = World()
    world.apply(kindcluster(updatePolicy="Recreate", **mounting("/srv/data")))
    await world.settle()
    made = len(world.runtime.requests)
    world.edit({"spec": mounting("/etc")})
    await world.settle()

    assert ("True", "False") == (world.condition("Ready")["status"], world.condition("UpToDate")["status"])
    assert "PolicyRefused" == world.condition("UpToDate")["reason"]
    assert made == len(world.runtime.requests)
    assert "prepare" not in [verb for verb, _ in world.runtime.log]
    world.edit({"spec": mounting("/srv/other")})
    await world.settle()
    assert "True" == world.condition("UpToDate")["status"]
    assert made < len(world.runtime.requests)


async def test_what_kind_takes_by_itself_needs_no_permission_where_it_is_known() -> None:
    """A namespace without a rule gets plain clusters; a mirror is somebody's choice."""
    known = NodeImages("kind v0.30.0", known=(f"kindest/node:v1.34.0@sha256:{'0' * 64}",))
    world = World(options=policy("rules: []"))
    world.runtime.images = known
    world.apply(kindcluster())
    await world.settle()
    assert ("True", "True") == (world.condition("Ready")["status"], world.condition(CONDITION)["status"])

    other = World(options=world.options)
    other.runtime.images = known
    other.apply(kindcluster(imageRepository="registry.example/mirror"))
    await other.settle()
    assert "may not use image registry.example/mirror/kindest/node:v1.34.0@" in other.condition(CONDITION)["message"]


async def test_a_link_that_is_turned_while_a_replacement_is_prepared_flips_nothing() -> None:
    """The old cluster runs on, as when it is refused before."""
    world = World()
    world.apply(kindcluster(updatePolicy="Recreate", **mounting("/srv/data")))
    await world.settle()
    made, prepare = len(world.runtime.requests), world.runtime.prepare

    async def turned(request: ClusterRequest, progress: Progress) -> None:
        await prepare(request, progress)
        world.runtime.links["/srv/other"] = "/etc"

    world.runtime.prepare = turned  # type: ignore[method-assign]
    world.edit({"spec": mounting("/srv/other")})
    await world.settle()

    assert "prepare" in [verb for verb, _ in world.runtime.log]
    assert ("True", "PolicyRefused") == (world.condition("Ready")["status"], world.condition("UpToDate")["reason"])
    assert made == len(world.runtime.requests)


async def test_a_mount_of_what_an_allowed_link_leads_to_stays_allowed() -> None:
    """Also once the cluster runs, when nothing is made any more."""
    world = World(options=policy("rules: [{namespaces: ['*'], hostPaths: [/srv/shared]}]"))
    world.runtime.links["/srv/shared"] = "/disk/shared"
    world.apply(kindcluster(**mounting("/disk/shared/x")))
    await world.settle()

    assert ("True", "True") == (world.condition("Ready")["status"], world.condition(CONDITION)["status"])


async def test_a_broken_cluster_is_not_replaced_by_what_is_refused() -> None:
    """Outdated and damaged at once: the policy holds for whatever is made in its place."""
    world = World(options=NOTHING_MOUNTED)
    spec: dict[str, Any] = {"nodes": [{"role": "control-plane"}, {"role": "worker"}]}
    world.apply(kindcluster(**spec, updatePolicy="Recreate", healPolicy="Recreate"))
    await world.pass_time(10)

    world.edit(
        {
            "spec": {
                "nodes": [
                    {"role": "control-plane", "extraMounts": [{"hostPath": "/srv/data", "containerPath": "/data"}]},
                    spec["nodes"][1],
                ]
            }
        }
    )
    world.set_node("demo-worker", None)
    await world.pass_time(60)

    assert 1 == world.runtime.calls["create"]
    assert ("False", "PolicyRefused") == (world.condition("Ready")["status"], world.condition("Ready")["reason"])


async def test_a_refusal_of_a_config_map_goes_with_its_text() -> None:
    """Nothing tells of a ConfigMap: it is looked at again by itself, long before the resync."""
    world = World()
    key = {"configMapKeyRef": {"name": "configs", "key": "kind.yaml"}}
    text = f"{HEAD}nodes:\n- extraMounts: [{{hostPath: /etc, containerPath: /data}}]\n"
    world.kube.put(names.CONFIG_MAPS, {"metadata": {"name": "configs", "namespace": "default"}, "data": {"kind.yaml": text}})
    world.apply(kindcluster(configFrom=key))
    await world.pass_time(60)
    assert "PolicyRefused" == world.condition("Ready")["reason"]
    patch = {"data": {"kind.yaml": text.replace("/etc", "/srv/data")}}
    world.kube.edit(names.CONFIG_MAPS, ObjectKey("default", "configs"), patch)
    await world.pass_time(30)

    assert "True" == world.condition("Ready")["status"]


async def test_a_path_of_which_nobody_can_tell_where_it_leads_is_not_mounted_and_looked_at_again() -> None:
    """A file system that hangs: what hides behind it may be the system's."""
    world = World()
    world.runtime.fail("real_paths", Transient(Reason.HOST_ERROR, "/srv/data does not answer."), call=None)
    world.apply(kindcluster(**mounting("/srv/data")))
    await world.pass_time(60)
    ready = world.condition("Ready")
    assert ("False", "HostError", True) == (ready["status"], ready["reason"], "/srv/data" in ready["message"])
    assert 0 == world.runtime.calls["create"]

    world.runtime.heal()
    await world.pass_time(30)
    assert "True" == world.condition("Ready")["status"]
