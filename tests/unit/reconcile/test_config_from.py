"""spec.configFrom: kind's own config stands in for fields of the spec, and every rule holds for what comes of it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from provider.api import names
from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.reconcile.config_from import resolve
from provider.reconcile.plan import Blocked
from tests.envtest.kind_configs import HEAD, configs
from tests.fakes.world import World, kindcluster

CONDITION = "ConfigResolved"
TWO_NODES = f"{HEAD}nodes:\n- role: control-plane\n- role: worker\n"
KEY_OF_MAP = ObjectKey("default", "configs")
FROM_MAP = {"configMapKeyRef": {"name": "configs", "key": "kind.yaml"}}


def config_map(text: str, key: str = "kind.yaml") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "configs", "namespace": "default"},
        "data": {key: text},
    }


def said(world: World, kind: str = CONDITION) -> tuple[str, str, str]:
    found = world.condition(kind)
    return found.get("status", ""), found.get("reason", ""), found.get("message", "")


async def settled(text: str | None, **spec: Any) -> World:
    """A world with a ConfigMap of this text and an object that names it."""
    world = World()
    if text is not None:
        world.kube.put(names.CONFIG_MAPS, config_map(text))
    world.apply(kindcluster(configFrom=FROM_MAP, **spec))
    await world.settle()
    return world


# --- the rule ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", configs("accepted"), ids=lambda config: config.name)
def test_what_kind_takes_is_taken_as_the_fields(config: Any) -> None:
    """As if they stood in the spec."""
    found = resolve({}, config.document, config.spec.get("clusterName", "demo"))

    assert isinstance(found, dict), found
    assert {key: value for key, value in config.spec.items() if key != "clusterName" and value is not None} == found


@pytest.mark.parametrize("config", configs("refused"), ids=lambda config: config.name)
def test_what_kind_refuses_is_told_with_line_and_field(config: Any) -> None:
    """In the words of the conversion."""
    found = resolve({}, config.document, "demo")

    assert isinstance(found, Blocked)
    assert found.message.startswith(("spec.configFrom: line ", "name of spec.configFrom"))


def test_fields_of_objects_and_entries_of_maps_are_merged() -> None:
    """What only one of the two gives is taken; what both give in the same way is no conflict."""
    text = f"{HEAD}networking: {{ipFamily: ipv4, podSubnet: 10.1.0.0/16}}\nfeatureGates: {{A: true, B: false}}\n"
    spec = {
        "networking": {"serviceSubnet": "10.2.0.0/16", "ipFamily": "ipv4"},
        "featureGates": {"C": True, "A": True},
        "nodes": [],
    }

    assert {
        "networking": {"ipFamily": "ipv4", "podSubnet": "10.1.0.0/16", "serviceSubnet": "10.2.0.0/16"},
        "featureGates": {"A": True, "B": False, "C": True},
    } == resolve(spec, text, "demo")


@pytest.mark.parametrize(
    ("spec", "text", "path"),
    [
        ({"networking": {"ipFamily": "dual"}}, "networking: {ipFamily: ipv6}\n", "networking.ipFamily"),
        ({"featureGates": {"A": True}}, "featureGates: {A: false}\n", "featureGates.A"),
        ({"nodes": [{}]}, "nodes: [{}, {role: worker}]\n", "nodes"),
        ({"kubeadmConfigPatches": ["a"]}, "kubeadmConfigPatches: [b]\n", "kubeadmConfigPatches"),
    ],
)
def test_a_conflict_is_told_with_both_paths(spec: dict[str, Any], text: str, path: str) -> None:
    """Neither of the two wins in silence."""
    found = resolve(spec, HEAD + text, "demo")

    assert isinstance(found, Blocked)
    assert Reason.CONFIG_CONFLICT is found.reason
    assert f"spec.{path} and {path} of spec.configFrom (line 3) are different: remove one of the two." in found.message


def test_the_name_of_a_config_is_the_clusters_or_absent() -> None:
    """A name cannot follow a file that changes: it is how containers are found."""
    assert {} == resolve({}, f"{HEAD}name: demo\n", "demo")
    other = resolve({}, f"{HEAD}name: other\n", "demo")
    assert isinstance(other, Blocked)
    assert 'name of spec.configFrom is "other", and the cluster is called "demo"' in other.message


@pytest.mark.parametrize(
    ("spec", "text", "words"),
    [
        (
            {"workerReplicas": 1},
            TWO_NODES,
            "line 4: nodes: nodes lists every node: remove controlPlaneReplicas and workerReplicas",
        ),
        ({"networking": {"podSubnet": "10.96.0.0/12"}}, f"{HEAD}networking: {{serviceSubnet: 10.96.0.0/16}}\n", "overlap"),
        ({"runtime": "local"}, f"{HEAD}kubeadmConfigPatches: [a]\n", "runtime local runs no containers and cannot honour"),
        (
            {},
            f"{HEAD}nodes: [{{extraMounts: [{{hostPath: /srv, containerPath: /kind/owner/0123}}]}}]\n",
            "containerPath must not hide the node's own files",
        ),
        ({}, f"{HEAD}---\n{HEAD}", "it has 2 configs of kind: exactly one is taken"),
        ({}, "", "it has 0 configs of kind"),
    ],
)
def test_the_rules_of_a_spec_hold_for_what_comes_of_both(spec: dict[str, Any], text: str, words: str) -> None:
    """Also the mark of ownership is safe: the API server never sees these fields."""
    found = resolve(spec, text, "demo")

    assert isinstance(found, Blocked)
    assert Reason.CONFIG_INVALID is found.reason
    assert words in found.message


# --- in a pass -----------------------------------------------------------------------------------------------------------------------


async def test_a_cluster_is_made_from_a_config_map() -> None:
    """Nodes, names and record are those of the config."""
    world = await settled(TWO_NODES)

    assert ["demo-control-plane", "demo-worker"] == [node.name for node in world.runtime.clusters["demo"].nodes]
    assert ("True", "ConfigResolved", "") == said(world)
    assert "True" == world.condition("Ready")["status"]
    assert [{"role": "control-plane"}, {"role": "worker"}] == world.runtime.requests[-1].config["nodes"]


async def test_a_cluster_is_made_from_an_inline_config() -> None:
    """Without any other object."""
    world = World()
    world.apply(kindcluster(configFrom={"inline": f"{HEAD}networking: {{podSubnet: 10.9.0.0/16}}\n"}))
    await world.settle()

    assert "10.9.0.0/16" == world.runtime.requests[-1].config["networking"]["podSubnet"]
    assert "True" == world.condition("Ready")["status"]


@pytest.mark.parametrize(
    ("text", "reason", "cure"),
    [
        (None, "ConfigNotFound", "ConfigMap default/configs does not exist: create it"),
        ("kind: Cluster", "ConfigInvalid", "kind reads kind.x-k8s.io/v1alpha4: write that"),
        ("#" * 70000, "ConfigInvalid", "70000 characters, and at most 65536 are read"),
    ],
)
async def test_what_is_missing_is_waited_for(text: str | None, reason: str, cure: str) -> None:
    """With the cure, nothing made, nothing final: once it is there, the cluster is made by itself."""
    world = await settled(text)

    assert ("False", reason) == said(world)[:2]
    assert cure in said(world)[2]
    assert reason == world.condition("Ready")["reason"]
    assert "failureReason" not in world.status()
    assert {} == world.runtime.clusters
    if text is None:
        world.kube.put(names.CONFIG_MAPS, config_map(TWO_NODES))
    else:
        world.kube.edit(names.CONFIG_MAPS, KEY_OF_MAP, {"data": {"kind.yaml": TWO_NODES}})
    await world.pass_time(20)
    assert "True" == world.condition("Ready")["status"]


async def test_a_missing_key_is_named() -> None:
    """Another one may be there."""
    world = World()
    world.kube.put(names.CONFIG_MAPS, config_map(TWO_NODES, key="other"))
    world.apply(kindcluster(configFrom=FROM_MAP))
    await world.settle()

    assert "has no key kind.yaml: add it, or correct the key" in said(world)[2]


async def test_an_edit_of_the_config_map_is_an_edit_that_needs_other_nodes() -> None:
    """The running cluster is kept, and told to be outdated; with updatePolicy: Recreate it is replaced."""
    world = await settled(TWO_NODES)
    world.kube.edit(names.CONFIG_MAPS, KEY_OF_MAP, {"data": {"kind.yaml": TWO_NODES + "- {role: worker, labels: {a: b}}\n"}})
    world.edit({"metadata": {"labels": {"look": "again"}}})
    await world.settle()
    assert ("False", "UpdateNeeded") == said(world, "UpToDate")[:2]
    assert "workerReplicas (1 → 2)" in said(world, "UpToDate")[2]
    assert "True" == world.condition("Ready")["status"]
    assert 2 == len(world.runtime.clusters["demo"].nodes)

    world.edit({"spec": {"updatePolicy": "Recreate"}})
    await world.settle()
    assert 3 == len(world.runtime.clusters["demo"].nodes)
    assert "True" == world.condition("UpToDate")["status"]


async def test_a_config_map_that_goes_leaves_the_running_cluster_alone() -> None:
    """It is told; neither Ready nor the record of what the cluster was made from changes."""
    world = await settled(TWO_NODES, updatePolicy="Recreate", healPolicy="Recreate")
    made = len(world.runtime.requests)
    world.kube.remove(names.CONFIG_MAPS, KEY_OF_MAP)
    world.edit({"metadata": {"labels": {"look": "again"}}})
    await world.settle()

    assert ("False", "ConfigNotFound") == said(world)[:2]
    assert ("True", "True") == (world.condition("Ready")["status"], world.condition("UpToDate")["status"])
    assert made == len(world.runtime.requests)
    world.kube.put(names.CONFIG_MAPS, config_map(TWO_NODES))
    await world.pass_time(20)
    assert ("True", "True") == (said(world)[0], world.condition("UpToDate")["status"])
    assert made == len(world.runtime.requests)


async def test_the_policy_is_asked_about_what_a_config_map_mounts() -> None:
    """Whichever way a mount comes: nothing is made."""
    text = HEAD + yaml.safe_dump({"nodes": [{"extraMounts": [{"hostPath": "/etc", "containerPath": "/host"}]}]})
    world = await settled(text)

    assert ("False", "PolicyRefused") == said(world, "PolicyAllowed")[:2]
    assert {} == world.runtime.clusters


@pytest.mark.parametrize("ended", [False, True], ids=["while it is made", "when it is made"])
async def test_a_config_map_that_goes_stops_no_create(ended: bool) -> None:
    """What is not known outdates nothing: the create goes on, and its cluster is taken once the same config is there again."""
    world = World(run_tasks=False)
    world.kube.put(names.CONFIG_MAPS, config_map(TWO_NODES))
    world.apply(kindcluster(configFrom=FROM_MAP))
    await world.settle()
    world.kube.remove(names.CONFIG_MAPS, KEY_OF_MAP)
    await world.look()
    await world.settle()
    if ended:
        world.run_tasks = True
        await world.settle()
        await world.look()
    world.kube.put(names.CONFIG_MAPS, config_map(TWO_NODES))
    world.run_tasks = True
    await world.look()
    await world.pass_time(5)

    assert ([], 1) == (world.tasks.cancelled, world.runtime.calls["create"])
    assert "True" == world.condition("Ready")["status"]


async def test_what_the_policy_refuses_in_a_config_stays_refused_when_the_config_goes() -> None:
    """What is not known is not allowed either."""
    text = HEAD + yaml.safe_dump({"nodes": [{"extraMounts": [{"hostPath": "/etc", "containerPath": "/host"}]}]})
    world = await settled(text)
    world.kube.remove(names.CONFIG_MAPS, KEY_OF_MAP)
    await world.look()

    assert ("False", "ConfigNotFound") == said(world)[:2]
    assert ("False", "PolicyRefused") == said(world, "PolicyAllowed")[:2]
