"""The shared registry and mirrors on a fake engine with real processes: what nodes know, what is made, and when it goes."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from provider.adapters.kind import containerd, shared_registry
from provider.adapters.kind.runtime import KindRuntime
from provider.adapters.kind.shared_registry import RegistryOptions
from provider.api import names
from provider.errors import NotOurs, ProviderError, Transient
from provider.ports.registries import NO_REGISTRIES, Mirror, Registries
from provider.ports.runtime import ClusterRequest, Identity, Ownership, Presence, Step, StepState
from tests.fakes.engine_cli import FakeBinaries

RequestFor = Callable[..., ClusterRequest]
MakeRuntime = Callable[..., KindRuntime]
REGISTRY = shared_registry.NAME
SHARED = Registries(shared=True)
HUB = Mirror("docker.io", ("https://mirror.example.org/hub", "http://other.example.org:5000"))
MIRRORS = Registries(mirrors=(HUB,))
NODES = {"demo-control-plane", "demo-worker"}
IMAGE = "docker.io/library/registry:2.8.3"


def silent(_: Step) -> None: ...


@pytest.fixture
async def made(runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor) -> KindRuntime:
    """A cluster of two nodes on an engine that has the registry's image."""
    await runtime.create(identity, request_for(workers=1), silent)
    fake.edit(images=["kindest/node:v1.34.4", IMAGE])
    return runtime


def files(fake: FakeBinaries, node: str = "demo-worker") -> dict[str, str]:
    """Of a node, below /etc/containerd."""
    found: dict[str, str] = next(one.get("files", {}) for one in fake.containers if one["Name"] == f"/{node}")
    return found


def registry(fake: FakeBinaries) -> dict[str, Any]:
    return next((one for one in fake.containers if one["Name"] == f"/{REGISTRY}"), {})


def wire(fake: FakeBinaries) -> dict[str, Any]:
    """A node of somebody else that leads to the registry."""
    node = fake.add("by-hand")
    containers = fake.containers
    containers[-1]["files"] = {"certs.d/localhost:5001/hosts.toml": f'[host."http://{REGISTRY}:5000"]\n'}
    fake.edit(containers=containers)
    return node


def said(fake: FakeBinaries) -> dict[str, Any]:
    """ConfigMaps of the clusters, by their names."""
    found: dict[str, Any] = fake.state.get("config_maps", {})
    return found


async def test_the_first_cluster_makes_the_registry_and_knows_it(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, steps: list[Step]
) -> None:
    """On loopback, on the nodes' network, with our label; every node leads to it, and the cluster says where it is."""
    before = await made.connected(identity, SHARED)
    await made.connect(identity, SHARED, steps.append)
    after = await made.connected(identity, SHARED)

    assert (frozenset(), False, "localhost:5001") == (before.nodes, before.settled, before.host)
    assert (NODES, True, "localhost:5001", "") == (set(after.nodes), after.settled, after.host, after.conflict)
    (run,) = fake.calls("docker run -d")
    options = ["--publish", "127.0.0.1:5001:5000", "--network", "kind", "--restart", "always", "--pull=never", IMAGE]
    assert [] == [word for word in options if word not in run]
    assert {names.REGISTRY_LABEL: "5001"} == registry(fake)["Config"]["Labels"]
    hosts = tomllib.loads(files(fake)["certs.d/localhost:5001/hosts.toml"])
    assert {f"http://{REGISTRY}:5000"} == hosts["host"].keys()
    assert "localhost:5001" in said(fake)["demo"]["data"]["localRegistryHosting.v1"]
    done = [step.name for step in steps if step.state is StepState.SUCCEEDED]
    assert [
        "Telling demo-control-plane of registries",
        "Telling demo-worker of registries",
        f"Starting the registry {REGISTRY}",
    ] == done


async def test_what_is_as_it_should_be_costs_no_change(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """A second time writes nothing, starts nothing and has no step."""
    await made.connect(identity, SHARED, silent)
    before, steps = fake.containers, list[Step]()

    await made.connect(identity, SHARED, steps.append)

    assert ([], before) == (steps, fake.containers)


async def test_a_node_image_without_a_folder_for_registries_gets_it_first(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """containerd is restarted with settings that are whole, once; what was in them stays."""
    await made.connect(identity, SHARED, silent)

    settings = tomllib.loads(files(fake)["config.toml"])
    assert 2 == settings["version"]
    assert "/etc/containerd/certs.d" == settings["plugins"]["io.containerd.grpc.v1.cri"]["registry"]["config_path"]
    assert [[files(fake)["config.toml"]]] * 2 == [one["restarts"] for one in fake.containers if "restarts" in one]
    assert containerd.NEW_SETTINGS not in files(fake)


async def test_mirrors_need_no_registry_of_ours(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """In the order of the spec; nothing is made, and the cluster says nothing."""
    await made.connect(identity, MIRRORS, silent)

    assert list(HUB.endpoints) == list(tomllib.loads(files(fake)["certs.d/docker.io/hosts.toml"])["host"])
    assert ({}, {}) == (registry(fake), said(fake))
    found = await made.connected(identity, MIRRORS)
    assert (NODES, True, "") == (set(found.nodes), found.settled, found.host)


async def test_what_is_not_wanted_any_more_goes(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, steps: list[Step]
) -> None:
    """Files, what the cluster says, and the registry after its last cluster: said in a step, because what was pushed goes as well."""
    await made.connect(identity, Registries(shared=True, mirrors=(HUB,)), silent)
    await made.connect(identity, MIRRORS, steps.append)
    assert ["certs.d/docker.io/hosts.toml"] == [name for name in files(fake) if name.startswith("certs.d")]
    assert ({}, {}) == (registry(fake), said(fake))
    assert shared_registry.REMOVING in [step.name for step in steps]

    await made.connect(identity, NO_REGISTRIES, silent)

    assert [] == [name for name in files(fake) if name.startswith("certs.d")]
    assert (NODES, True) == (set((found := await made.connected(identity, NO_REGISTRIES)).nodes), found.settled)


async def test_what_others_have_beside_a_file_of_ours_stays(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """A mirror's certificate, in a folder that may be mounted from the host, is a person's."""
    await made.connect(identity, MIRRORS, silent)
    theirs = {"certs.d/docker.io/ca.crt": "-----BEGIN CERTIFICATE-----\n"}
    fake.edit(containers=[{**one, "files": {**one.get("files", {}), **theirs}} for one in fake.containers])

    await made.connect(identity, NO_REGISTRIES, silent)

    assert list(theirs) == [name for name in files(fake) if name.startswith("certs.d")]


async def test_the_registry_stays_for_other_clusters(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """Also for one that somebody else wired to it; it goes with the last."""
    await made.connect(identity, SHARED, silent)
    other = wire(fake)

    await made.delete(identity, silent)
    kept = registry(fake)
    gone = Identity("another", "c" * 32, "default/another")
    seen = await made.observe(gone)
    fake.edit(containers=[one for one in fake.containers if one["Id"] != other["Id"]])
    left = await made.observe(gone)
    await made.delete(gone, silent)

    assert (True, False, True) == (bool(kept), seen.idle_registry, left.idle_registry)
    assert ({}, False) == (registry(fake), (await made.observe(gone)).idle_registry)


@pytest.mark.fault(2, "killed between the last node and the registry (stub)", invariants="I2 I6")
async def test_a_removal_that_was_cut_off_after_the_nodes_goes_on(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, make_runtime: MakeRuntime
) -> None:
    """The nodes are gone, the registry is not: that is no absence, and the next manager's removal takes it."""
    await made.connect(identity, SHARED, silent)
    fake.edit(containers=[one for one in fake.containers if one["Name"] == f"/{REGISTRY}"])

    another = make_runtime()
    seen = await another.observe(identity)
    await another.delete(identity, silent)

    assert (Presence.ABSENT, False, True) == (seen.presence, seen.remains, seen.idle_registry)
    assert [] == fake.containers


@pytest.mark.fault(15, "a foreign cluster comes before the registry is gone (stub)", invariants="I2 I3")
async def test_a_foreign_cluster_with_the_name_keeps_no_registry_here(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """The registry goes, theirs stays; and it is no sign that anything of ours is here."""
    await made.connect(identity, SHARED, silent)
    fake.edit(containers=[one for one in fake.containers if one["Name"] == f"/{REGISTRY}"])
    fake.add("demo")

    seen = await made.observe(identity)
    await made.delete(identity, silent)

    assert (Ownership.FOREIGN, False, True) == (seen.ownership, seen.remains, seen.idle_registry)
    assert (["/demo-control-plane"], False) == (
        [one["Name"] for one in fake.containers],
        (await made.observe(identity)).idle_registry,
    )
    with pytest.raises(NotOurs):
        await made.delete(identity, silent)


@pytest.mark.fault(29, "the only other user goes while a cluster is replaced (stub)", invariants="I2")
async def test_a_cluster_that_is_replaced_finds_its_registry_again(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """What was pushed stays, although nobody leads to it until the new nodes are told; after that it goes with them."""
    await made.connect(identity, SHARED, silent)
    first, other = registry(fake)["Id"], Identity("another", "c" * 32, "default/another")
    await made.create(identity, request_for(), silent)
    idle = (await made.observe(other)).idle_registry
    await made.delete(other, silent)
    kept = registry(fake).get("Id")
    left = (await made.connected(identity, NO_REGISTRIES)).settled
    await made.connect(identity, SHARED, silent)
    await made.delete(identity, silent)

    assert (False, first, False) == (idle, kept, left)
    assert {} == registry(fake)


async def test_a_cluster_that_goes_while_it_is_replaced_keeps_no_registry(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """Nothing is kept for it after its removal, which is waited for although another cluster uses the registry."""
    await made.connect(identity, SHARED, silent)
    wire(fake)
    fake.fault("kind create", code=1, stderr="ERROR: failed to create cluster: boom\n")
    with pytest.raises(ProviderError):
        await made.create(identity, request_for(), silent)
    before = await made.observe(identity)

    await made.delete(identity, silent)
    kept, after = registry(fake), await made.observe(identity)
    fake.edit(containers=[one for one in fake.containers if one["Name"] == f"/{REGISTRY}"])
    await made.delete(Identity("by-hand", "c" * 32, "default/by-hand"), silent)

    assert (Presence.ABSENT, True) == (before.presence, before.idle_registry)
    assert (True, False, {}) == (bool(kept), after.idle_registry, registry(fake))


@pytest.mark.fault(2, "killed before the registry is removed, which nobody wants any more (stub)", invariants="I2")
async def test_a_cluster_that_left_the_registry_sees_it_go(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """Its nodes know nothing of it, and all the same this is not the end."""
    await made.connect(identity, SHARED, silent)
    fake.fault("docker rm", code=1, stderr="cut off\n")
    with pytest.raises(Transient):
        await made.connect(identity, NO_REGISTRIES, silent)
    before = (await made.connected(identity, NO_REGISTRIES)).settled

    await made.connect(identity, NO_REGISTRIES, silent)

    assert (False, True) == (before, (await made.connected(identity, NO_REGISTRIES)).settled)
    assert {} == registry(fake)


@pytest.mark.fault(19, "a node cannot be read while users are counted (stub)", invariants="I2 I3")
async def test_a_node_that_cannot_be_read_counts_as_a_user(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """Unknown removes nothing, and keeps nobody's deletion waiting."""
    await made.connect(identity, SHARED, silent)
    fake.add("other")
    fake.fault("docker cp", code=1, stderr="Error response from daemon: context deadline exceeded\n")
    fake.fault("docker cp", code=1, stderr="Error response from daemon: context deadline exceeded\n")

    await made.delete(identity, silent)

    assert (True, False) == (bool(registry(fake)), (await made.observe(identity)).idle_registry)


@pytest.mark.fault(15, "a container of somebody else has the registry's name (stub)", invariants="I3")
async def test_a_container_of_somebody_else_is_left_alone(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """Named in the conflict; neither started nor removed, whoever uses it."""
    container = fake.add("x")
    stranger = {**container, "Name": f"/{REGISTRY}", "Config": {**container["Config"], "Labels": {}}}
    fake.edit(containers=[*fake.containers[:-1], stranger])

    assert names.REGISTRY_LABEL in (await made.connected(identity, SHARED)).conflict
    with pytest.raises(Transient) as raised:
        await made.connect(identity, SHARED, silent)
    await made.connect(identity, NO_REGISTRIES, silent)
    await made.delete(identity, silent)

    assert "RegistryConflict" == raised.value.reason
    assert [stranger] == fake.containers


@pytest.mark.fault(15, "files of somebody else in a node (stub)", invariants="I3")
async def test_files_of_others_in_a_node_are_left_alone(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """A mirror that was mounted, or baked into the image: said, not overwritten and not removed."""
    theirs = {"certs.d/docker.io/hosts.toml": 'server = "https://theirs.example.org"\n'}
    fake.edit(containers=[{**one, "files": theirs} for one in fake.containers])

    found = await made.connected(identity, MIRRORS)
    with pytest.raises(Transient) as raised:
        await made.connect(identity, MIRRORS, silent)
    await made.connect(identity, SHARED, silent)

    assert ("RegistryConflict", True) == (raised.value.reason, "docker.io" in found.conflict)
    assert theirs.items() <= files(fake).items()


async def test_a_registry_with_another_port_is_used_as_it_is(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, make_runtime: MakeRuntime
) -> None:
    """Another manager, or this one with other settings, has made it: nodes are told where it is."""
    await make_runtime(registry=RegistryOptions(port=5055)).connect(identity, SHARED, silent)
    found = await made.connected(identity, SHARED)

    assert ("localhost:5055", NODES, True) == (found.host, set(found.nodes), found.settled)
    assert 1 == len(fake.calls("docker run -d"))


async def test_one_that_stopped_or_lost_its_network_is_brought_back(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """The same container: what was pushed to it stays."""
    await made.connect(identity, SHARED, silent)
    first = registry(fake)["Id"]
    fake.change(REGISTRY, "exited")
    fake.edit(
        containers=[
            {**one, "NetworkSettings": {"Networks": {}, "Ports": {}}} if one["Id"] == first else one for one in fake.containers
        ]
    )

    assert not (await made.connected(identity, SHARED)).settled
    await made.connect(identity, SHARED, silent)

    assert (await made.connected(identity, SHARED)).settled
    assert (first, "running") == (registry(fake)["Id"], registry(fake)["State"]["Status"])


@pytest.mark.fault(18, "the registry's port is taken (stub)", invariants="I1")
async def test_a_port_that_is_taken_is_said_with_its_cure(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, make_runtime: MakeRuntime
) -> None:
    """What the engine left of that start holds nothing: it is made anew, with the port of the manager of then."""
    taken = "Error response from daemon: Bind for 127.0.0.1:5001 failed: port is already allocated\n"
    fake.fault("start container", stderr=taken)
    with pytest.raises(Transient) as raised:
        await made.connect(identity, SHARED, silent)
    assert ("PortInUse", True) == (raised.value.reason, "--registry-port" in raised.value.message)

    other = make_runtime(registry=RegistryOptions(port=5055))
    await other.connect(identity, SHARED, silent)

    assert "localhost:5055" == (await other.connected(identity, SHARED)).host
    assert {names.REGISTRY_LABEL: "5055"} == registry(fake)["Config"]["Labels"]
    assert ["certs.d/localhost:5055/hosts.toml"] == [name for name in files(fake) if name.startswith("certs.d")]


@pytest.mark.parametrize("program", ["tar", "mv", "systemctl", "kubectl"])
@pytest.mark.fault(2, "killed at any effect in a node (stub)", invariants="I1")
async def test_whoever_is_cut_off_in_a_node_goes_on_there(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, program: str
) -> None:
    """Nothing counts as told before containerd has read its settings."""
    fake.fault(f"node {program}", code=1, stderr="cut off\n")
    with pytest.raises(Transient):
        await made.connect(identity, SHARED, silent)
    assert not (found := await made.connected(identity, SHARED)).settled, found

    await made.connect(identity, SHARED, silent)

    found = await made.connected(identity, SHARED)
    assert (NODES, True) == (set(found.nodes), found.settled)
    assert {files(fake)["config.toml"]} == {one["restarts"][-1] for one in fake.containers if "restarts" in one}


@pytest.mark.fault(15, "registries for a cluster of somebody else (stub)", invariants="I3")
async def test_somebody_elses_nodes_are_told_nothing(made: KindRuntime, fake: FakeBinaries) -> None:
    """The marker is looked at before anything is written into a node, or made for it."""
    before = fake.containers
    with pytest.raises(NotOurs):
        await made.connect(Identity("demo", "b" * 32, "default/other"), SHARED, silent)

    assert before == fake.containers
