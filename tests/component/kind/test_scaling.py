"""Workers that join and leave, on an engine that is a script: what is made, in which order, and what a former try has left."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.adapters.kind.joinconfig import Ticket, UnusableConfig, ticket, worker_config
from provider.adapters.kind.members import holding
from provider.adapters.kind.replica import OddPattern, replica
from provider.adapters.kind.runtime import KindRuntime
from provider.errors import NotOurs, Transient
from provider.ports.runtime import ClusterRequest, Identity, Ownership, Step, StepState, Workers
from tests.fakes.engine_cli import FakeBinaries

RequestFor = Callable[..., ClusterRequest]
MakeRuntime = Callable[..., KindRuntime]
KUBEADM_CONF = (Path(__file__).parent / "kubeadm.conf").read_text()
TOKEN = "abcdef.fedcba9876543210"
ALLOWED = Ticket(TOKEN, "sha256:" + "a" * 64)
TWO = Workers(join=("demo-worker", "demo-worker2"))


def silent(_: Step) -> None: ...


@pytest.fixture
async def made(runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor) -> KindRuntime:
    """A cluster of one node, whose files are as kind writes them."""
    await runtime.create(identity, request_for(), silent)
    fake.edit(files={"/kind/kubeadm.conf": KUBEADM_CONF, "/etc/containerd/config.toml": "as the image has it"})
    return runtime


def node(fake: FakeBinaries, name: str) -> dict[str, Any]:
    return next(one for one in fake.containers if one["Name"] == f"/{name}")


def joined(fake: FakeBinaries) -> set[str]:
    """Nodes of the cluster's own API."""
    return {one["Name"].lstrip("/") for one in fake.containers if one["member"]}


async def test_a_worker_is_made_as_kind_makes_it(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """The same arguments, with our marker as one more mount."""
    await made.scale(identity, Workers(join=("demo-worker",)), silent)
    (call,) = fake.calls("docker run")

    assert call == [
        *("docker", "run", "--name", "demo-worker", "--hostname", "demo-worker"),
        *("--label", "io.x-k8s.kind.role=worker", "--privileged"),
        *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
        *("--tmpfs", "/tmp", "--tmpfs", "/run", "--volume", "/var", "--volume", "/lib/modules:/lib/modules:ro"),
        *("--detach", "--tty", "--label", "io.x-k8s.kind.cluster=demo"),
        *("--volume", f"/dev/null:/kind/owner/{identity.marker}:ro", "--net", "kind"),
        *("--restart=on-failure:1", "--init=false", "--cgroupns=private", "sha256:" + "1" * 64),
    ]
    seen = await made.observe(identity)
    assert (Ownership.OURS, ["demo-control-plane", "demo-worker"]) == (seen.ownership, [one.name for one in seen.nodes])


async def test_it_joins_with_the_config_of_its_cluster_and_a_token_of_its_own(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """kind's own token ends with the first day. No token is ever an argument, which everybody on the host could read."""
    await made.scale(identity, Workers(join=("demo-worker",)), silent)
    config = yaml.safe_load(node(fake, "demo-worker")["files"]["/kind/kubeadm.conf"])

    assert "JoinConfiguration" == config["kind"]
    assert TOKEN == config["discovery"]["bootstrapToken"]["token"]
    assert {"demo-control-plane", "demo-worker"} == joined(fake)
    assert not [word for call in fake.calls() for word in call if TOKEN in word]


async def test_workers_join_in_order_and_once(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, steps: list[Step]
) -> None:
    """Asked for again, those that are there are kept as they are."""
    await made.scale(identity, TWO, steps.append)
    ids = {one["Name"]: one["Id"] for one in fake.containers}
    await made.scale(identity, TWO, silent)

    done = [step.name for step in steps if step.state is StepState.SUCCEEDED]
    singles = [f"{what} {name}" for name in TWO.join for what in ("Making", "Joining")]
    assert [*singles, "Waiting for demo-worker, demo-worker2"] == done
    assert ids == {one["Name"]: one["Id"] for one in fake.containers}
    assert 2 == len(fake.calls("docker run"))


class Dies(Exception):
    """In place of the manager."""


@pytest.mark.parametrize("step", ["Making demo-worker", "Joining demo-worker", "Making demo-worker2", "Joining demo-worker2"])
async def test_a_manager_that_dies_between_two_steps_is_followed_by_one_that_finishes(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, make_runtime: MakeRuntime, step: str
) -> None:
    """It knows nothing of it. What had joined before stays the same; no volume is left of what was made anew."""

    def die(news: Step) -> None:
        if (news.name, news.state) == (step, StepState.SUCCEEDED):
            raise Dies

    with pytest.raises(Dies):
        await made.scale(identity, TWO, die)
    before = {one["Id"] for one in fake.containers if one["member"]}
    await make_runtime().scale(identity, TWO, silent)

    assert {"demo-control-plane", "demo-worker", "demo-worker2"} == joined(fake)
    assert before <= {one["Id"] for one in fake.containers}
    assert 3 == len(fake.containers) == len(fake.volumes)


@pytest.mark.parametrize("command", ["docker run", "docker cp", "kubeadm token", "kubeadm join", "kubectl wait"])
async def test_a_command_that_fails_is_tried_again_from_the_start(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, command: str
) -> None:
    """The half-made worker is made anew. That a node is not Ready in time is no failure: its cluster says so."""
    fake.fault(command, code=1, stderr="no")
    results = await asyncio.gather(made.scale(identity, TWO, silent), return_exceptions=True)
    assert isinstance(results[0], Transient) is (command != "kubectl wait")
    await made.scale(identity, TWO, silent)

    assert {"demo-control-plane", "demo-worker", "demo-worker2"} == joined(fake)
    assert 3 == len(fake.containers) == len(fake.volumes)


async def test_a_half_joined_worker_that_nobody_wants_any_more_goes(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """There is no Node to drain."""
    fake.fault("kubeadm join", code=1, stderr="boom")
    with pytest.raises(Transient):
        await made.scale(identity, Workers(join=("demo-worker",)), silent)
    await made.scale(identity, Workers(leave=("demo-worker",)), silent)

    assert ["demo-control-plane"] == fake.names()
    assert not any("drain" in call for call in fake.calls())


async def test_a_manager_that_ends_lets_the_engine_finish_what_it_was_asked_for(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, make_runtime: MakeRuntime
) -> None:
    """A container that appeared after everybody has looked would be nobody's."""
    fake.fault("docker run", delay=1.0)
    making = asyncio.create_task(made.scale(identity, Workers(join=("demo-worker",)), silent))
    async with asyncio.timeout(20):
        while not fake.calls("docker run"):  # noqa: ASYNC110 - told by a file
            await asyncio.sleep(0.01)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert ["demo-control-plane", "demo-worker"] == fake.names()
    await make_runtime().delete(identity, silent)

    assert [] == fake.names()


async def test_workers_leave_drained_and_with_their_volumes(
    made: KindRuntime, fake: FakeBinaries, identity: Identity, steps: list[Step]
) -> None:
    """Drained, then no Node, then no container; twice is once."""
    await made.scale(identity, TWO, silent)
    volumes = len(fake.volumes)
    leave = Workers(leave=("demo-worker2", "demo-worker"))
    await made.scale(identity, leave, steps.append)
    await made.scale(identity, leave, silent)

    done = [step.name for step in steps if step.state is StepState.SUCCEEDED]
    assert [f"{what} {name}" for name in leave.leave for what in ("Draining", "Removing")] == done
    assert (["demo-control-plane"], 2) == (fake.names(), volumes - len(fake.volumes))
    words = ("patch", "drain", "delete", "rm")
    changes = [word for call in fake.calls("docker") for word in call if word in words]
    assert list(words) * 2 == changes[-10:-2]


async def test_a_worker_that_cannot_be_drained_stays_and_may_be_kept(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """The pods that hold it are named; when it is wanted again, it takes workloads again."""
    await made.scale(identity, TWO, silent)
    said = 'error when evicting pods/"web-1" -n "shop" (will retry after 5s): Cannot evict pod as it would violate the budget.'
    fake.fault("kubectl drain", code=1, stderr=said)
    with pytest.raises(Transient) as caught:
        await made.scale(identity, Workers(leave=("demo-worker2",)), silent)

    assert "DrainFailed" == caught.value.reason
    assert "shop/web-1" in caught.value.message
    assert ("true", True) == (node(fake, "demo-worker2")["leaving"], node(fake, "demo-worker2")["member"])
    await made.scale(identity, TWO, silent)
    assert "" == node(fake, "demo-worker2")["leaving"]


async def test_a_worker_that_does_not_run_is_removed_without_a_drain(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """Its kubelet could not let any pod go."""
    await made.scale(identity, TWO, silent)
    fake.change("demo-worker2", "exited")
    await made.scale(identity, Workers(leave=("demo-worker2",)), silent)

    assert ["demo-control-plane", "demo-worker"] == fake.names()
    assert not any("drain" in call for call in fake.calls())


async def test_a_worker_that_is_wanted_and_does_not_run_is_started(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """It has joined; what is on it stays."""
    await made.scale(identity, TWO, silent)
    fake.change("demo-worker", "exited")
    before = node(fake, "demo-worker")["Id"]
    await made.scale(identity, TWO, silent)

    assert (before, "running") == (node(fake, "demo-worker")["Id"], node(fake, "demo-worker")["State"]["Status"])


async def test_a_control_plane_that_is_left_alone_takes_workloads(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """As one does that kind makes alone: before the last worker is drained, or its pods would have nowhere to go."""
    await made.scale(identity, Workers(join=("demo-worker",)), silent)
    containers = fake.containers
    containers[0]["tainted"] = True
    fake.edit(containers=containers)
    await made.scale(identity, Workers(leave=("demo-worker",), last=True), silent)

    assert not node(fake, "demo-control-plane")["tainted"]
    words = [" ".join(call) for call in fake.calls("docker exec")]
    taint = next(at for at, call in enumerate(words) if " taint " in call)
    assert taint < next(at for at, call in enumerate(words) if " drain " in call)


async def test_the_image_is_the_content_that_the_cluster_was_made_from(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """By name where the name still stands for it, else by id: a tag may have been moved."""
    fake.edit(images=["kindest/node:fake"])
    await made.scale(identity, Workers(join=("demo-worker",)), silent)
    containers = fake.containers
    assert "sha256:" + "1" * 64 == fake.calls("docker run")[0][-1]

    containers[0]["Image"] = "sha256:" + hashlib.sha256(b"kindest/node:fake first").hexdigest()
    fake.edit(containers=containers)
    await made.scale(identity, TWO, silent)
    assert "kindest/node:fake" == fake.calls("docker run")[1][-1]


async def test_containerd_is_configured_as_in_the_rest_of_the_cluster(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """spec.containerdConfigPatches, which kind applies to every node. Where nothing differs, nothing restarts."""
    await made.scale(identity, Workers(join=("demo-worker",)), silent)
    assert not [call for call in fake.calls("docker exec") if "restart containerd" in call[-1]]
    fake.edit(files={"/kind/kubeadm.conf": KUBEADM_CONF, "/etc/containerd/config.toml": "patched"})
    await made.scale(identity, TWO, silent)

    assert "patched" == node(fake, "demo-worker2")["files"]["/etc/containerd/config.toml"]
    assert 1 == len([call for call in fake.calls("docker exec") if "restart containerd" in call[-1]])


async def test_a_worker_that_kubeadm_refuses_is_told_with_its_last_words(
    made: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """Without the token."""
    fake.fault("kubeadm join", code=1, stderr=f"much\nmore\nand more\nerror: could not use token: {TOKEN} in time\n")
    with pytest.raises(Transient) as caught:
        await made.scale(identity, Workers(join=("demo-worker",)), silent)

    assert "JoinFailed" == caught.value.reason
    assert "demo-worker could not join" in caught.value.message
    assert TOKEN not in caught.value.message
    assert "much" not in caught.value.message


async def test_a_name_that_somebody_else_has_taken_is_told(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """And nothing of theirs is touched."""
    said = 'docker: Error response from daemon: Conflict. The container name "/demo-worker" is already in use by container "abc".'
    fake.fault("docker run", code=125, stderr=said)
    with pytest.raises(Transient) as caught:
        await made.scale(identity, Workers(join=("demo-worker",)), silent)

    assert "ContainerNameInUse" == caught.value.reason


async def test_nothing_of_others_is_scaled(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """One foreign node under the name stops everything."""
    fake.add("demo", "worker")
    before = fake.containers
    with pytest.raises(NotOurs):
        await made.scale(identity, Workers(leave=("demo-worker",)), silent)

    assert before == fake.containers


async def test_without_a_control_plane_nothing_joins_or_leaves(made: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """Also not a removal: nobody could drain it."""
    await made.scale(identity, TWO, silent)
    fake.change("demo-control-plane", "exited")
    with pytest.raises(Transient) as caught:
        await made.scale(identity, Workers(leave=("demo-worker2",)), silent)

    assert ("APIUnreachable", 3) == (caught.value.reason, len(fake.containers))


@pytest.fixture
def podman(tmp_path: Path) -> FakeBinaries:
    fake = FakeBinaries(tmp_path / "podman", engine="podman")
    info = {"host": {"cgroupVersion": "v2", "security": {"rootless": False}, "hostname": "fake"}}
    fake.edit(info=info | {"version": {"Version": "99.1"}, "store": {"graphRoot": "/srv"}})
    return fake


async def test_podman_keeps_no_volume_of_a_worker_that_left(
    podman: FakeBinaries, make_runtime: MakeRuntime, identity: Identity, request_for: RequestFor
) -> None:
    """They outlive their container there, and the next look for them may be years away: at the cluster's end."""
    runtime = make_runtime(engine="podman", environment=podman.env)
    await runtime.create(identity, request_for(workers=1), silent)
    before = len(podman.volumes)
    await runtime.scale(identity, Workers(leave=("demo-worker",)), silent)

    assert (2, 1) == (before, len(podman.volumes))


async def test_podman_says_that_it_cannot(
    podman: FakeBinaries, make_runtime: MakeRuntime, identity: Identity, request_for: RequestFor
) -> None:
    """Its nodes have volumes by name, which kind makes."""
    fake, runtime = podman, make_runtime(engine="podman", environment=podman.env)
    await runtime.create(identity, request_for(), silent)
    with pytest.raises(Transient) as caught:
        await runtime.scale(identity, Workers(join=("demo-worker",)), silent)

    assert "NotSupported" == caught.value.reason
    assert ["demo-control-plane"] == fake.names()


# --- what is read off a node -----------------------------------------------------------------------------------------------------


def pattern(**host: Any) -> dict[str, Any]:
    labels = {"io.x-k8s.kind.cluster": "demo", "io.x-k8s.kind.role": "control-plane"}
    return {
        "Config": {"Labels": labels, "Env": host.pop("env", [])},
        "HostConfig": {"NetworkMode": "kind", **host},
        "NetworkSettings": {"Networks": {"kind": {}}},
    }


def made_like(entry: dict[str, Any]) -> tuple[str, str]:
    found = replica(entry, "demo", "demo-worker", "f" * 32, "image")
    return " ".join(found.arguments), found.environment


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"Sysctls": {"net.ipv6.conf.all.disable_ipv6": "0"}}, "--sysctl=net.ipv6.conf.all.disable_ipv6=0"),
        ({"UsernsMode": "host"}, "--userns=host"),
        ({"Binds": ["/dev/mapper:/dev/mapper"]}, "--volume /dev/mapper:/dev/mapper"),
        ({"Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse"}]}, "--device /dev/fuse"),
        ({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}, "--restart=on-failure:3"),
    ],
)
def test_what_kind_found_out_about_the_host_is_taken_over(found: dict[str, Any], expected: str) -> None:
    """IPv6, user namespaces, the engine's storage: kind looked once, when it made the cluster."""
    assert expected in made_like(pattern(**found))[0]
    assert expected not in made_like(pattern())[0]


def test_proxies_are_handed_on_and_never_as_arguments() -> None:
    """A proxy's address may hold a password. The worker is no proxy's business, and the rest of the environment is not the worker's."""
    env = ["KUBECONFIG=/etc/kubernetes/admin.conf", "PATH=/bin", "HTTP_PROXY=http://u:secret@p:1", "no_proxy=a,b"]
    arguments, environment = made_like(pattern(env=env))

    assert "HTTP_PROXY=http://u:secret@p:1\nno_proxy=a,b,demo-worker\n" == environment
    assert "secret" not in arguments
    assert arguments.endswith("--env-file /dev/stdin image")


@pytest.mark.parametrize(
    "broken", [{}, {"Config": None}, {"Config": {"Labels": {}}}, pattern(NetworkMode="x") | {"NetworkSettings": {}}]
)
def test_an_odd_pattern_makes_nothing(broken: dict[str, Any]) -> None:
    """Half of what kind gives a node would be a node that breaks later."""
    with pytest.raises(OddPattern):
        made_like(broken)


def test_a_worker_has_what_kind_would_have_written(tmp_path: Path) -> None:
    """Its own name, address and provider id; no control plane's section; patches stay."""
    text = KUBEADM_CONF.replace("kubeletExtraArgs:", "kubeletExtraArgs:\n    max-pods: '30'")
    config = yaml.safe_load(worker_config(text, "demo-control-plane", "demo-worker3", ["172.18.0.9"], ALLOWED))

    assert "controlPlane" not in config
    arguments = config["nodeRegistration"]["kubeletExtraArgs"]
    assert ("172.18.0.9", "kind://docker/demo/demo-worker3", "30") == tuple(
        arguments[name] for name in ("node-ip", "provider-id", "max-pods")
    )
    assert ["preflight"] == config["skipPhases"]
    assert {
        "apiServerEndpoint": "demo-control-plane:6443",
        "token": TOKEN,
        "caCertHashes": [ALLOWED.authority],
    } == config["discovery"]["bootstrapToken"]


def test_arguments_may_be_a_list_and_addresses_two() -> None:
    """kubeadm v1beta4, dual stack; the order of the families is the cluster's."""
    arguments = [
        {"name": "node-ip", "value": "fc00::2,172.18.0.2"},
        {"name": "provider-id", "value": "kind://docker/demo/demo-control-plane"},
    ]
    document = {
        "kind": "JoinConfiguration",
        "nodeRegistration": {"kubeletExtraArgs": arguments},
        "discovery": {"bootstrapToken": {"apiServerEndpoint": "x:6443", "token": "old", "unsafeSkipCAVerification": True}},
    }
    text = worker_config(yaml.safe_dump(document), "demo-control-plane", "demo-worker", ["172.18.0.9", "fc00::9"], ALLOWED)

    assert ["fc00::9,172.18.0.9", "kind://docker/demo/demo-worker"] == [
        one["value"] for one in yaml.safe_load(text)["nodeRegistration"]["kubeletExtraArgs"]
    ]


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("", ["172.18.0.9"]),
        ("{", ["172.18.0.9"]),
        ("kind: JoinConfiguration", ["172.18.0.9"]),
        ("- 1", ["172.18.0.9"]),
        (KUBEADM_CONF, []),
        (KUBEADM_CONF, ["fc00::9"]),
    ],
)
def test_a_config_that_is_not_kinds_makes_no_other(text: str, addresses: list[str]) -> None:
    """The node is not ours to trust."""
    with pytest.raises(UnusableConfig):
        worker_config(text, "demo-control-plane", "demo-worker", addresses, ALLOWED)


def test_a_ticket_is_read_off_kubeadms_own_command() -> None:
    """Both parts, or none."""
    printed = f"kubeadm join demo:6443 --token {TOKEN} --discovery-token-ca-cert-hash {ALLOWED.authority} "
    assert ticket(printed) == ALLOWED
    for broken in ("", printed.replace("--token", ""), printed.replace("sha256", "md5")):
        with pytest.raises(UnusableConfig):
            ticket(broken)


def test_pods_that_hold_a_node_are_named_once_and_not_all() -> None:
    """A message is for people. What names no pod is quoted."""
    said = "\n".join(
        f'error when evicting pods/"web-{number % 7}" -n "shop" (will retry after 5s): Cannot evict' for number in range(30)
    )

    assert "pods shop/web-0, shop/web-1, shop/web-2, shop/web-3, shop/web-4 and 2 more are" in holding("demo-worker", said)
    assert "(connection refused)" in holding("demo-worker", "connection refused")
    assert re.search(r"raise workerReplicas", holding("demo-worker", ""))
