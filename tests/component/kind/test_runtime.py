"""The kind runtime against an engine and a kind that fail, hang and lie. What exists afterwards is asserted, not what was called."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import io
import tarfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from provider.adapters import state_dir
from provider.adapters.kind.runtime import KindRuntime
from provider.adapters.kube import kubeconfig
from provider.errors import NotOurs, Terminal, Transient
from provider.ports.runtime import ClusterRequest, Endpoint, Identity, NodeRunState, Ownership, Presence, Step, StepState
from tests.fakes.engine_cli import FakeBinaries
from tests.fakes.runtime import kubeconfig_text

RequestFor = Callable[..., ClusterRequest]
MakeRuntime = Callable[..., KindRuntime]
DOWN = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n"


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)


def silent(_: Step) -> None: ...


@contextlib.asynccontextmanager
async def creating(runtime: KindRuntime, identity: Identity, request: ClusterRequest) -> AsyncIterator[None]:
    task = asyncio.create_task(runtime.create(identity, request, silent))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# --- creating ----------------------------------------------------------------------------------------------------------------------


async def test_a_created_cluster_is_ours_and_has_an_endpoint(
    runtime: KindRuntime, identity: Identity, request_for: RequestFor, steps: list[Step]
) -> None:
    """Create, then see: every container carries the marker, the endpoint is where the engine published port 6443."""
    await runtime.create(identity, request_for(workers=1), steps.append)
    seen = await runtime.observe(identity)

    assert (Presence.PRESENT, Ownership.OURS) == (seen.presence, seen.ownership)
    assert ["demo-control-plane", "demo-worker"] == [node.name for node in seen.nodes]
    assert Endpoint("127.0.0.1", 40001) == seen.endpoint
    assert Endpoint("demo-control-plane", 6443) == seen.internal_endpoint
    assert "Starting control-plane" in {step.name for step in steps if step.state is StepState.SUCCEEDED}


@pytest.mark.fault(45, "the arguments of every call are looked at (stub)", invariants="I3")
async def test_kind_is_called_in_exactly_one_way(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor, tmp_path: Path
) -> None:
    """Golden argv: retain always, a private kubeconfig, the config on standard input; the private folder is gone afterwards."""
    await runtime.create(identity, request_for(), silent)

    private = tmp_path / "state" / "scratch" / "clusters" / "demo"
    words = [
        "kind",
        "create",
        "cluster",
        "--name",
        "demo",
        "--config",
        "-",
        "--retain",
        "--kubeconfig",
        str(private / "kubeconfig"),
    ]
    assert [words] == fake.calls("kind create")
    assert not private.exists()


async def test_every_node_gets_the_mark_and_an_image(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """The mount is added to the nodes' own mounts; the request's image goes to nodes that name none."""
    nodes = [
        {"role": "control-plane", "extraMounts": [{"hostPath": "/tmp", "containerPath": "/x"}]},
        {"role": "worker", "image": "kindest/node:own"},
    ]
    config = dict(request_for().config) | {"nodes": nodes}
    await runtime.create(identity, request_for(config=config), silent)
    given = yaml.safe_load((fake.folder / "last-config.yaml").read_text())

    assert ["kindest/node:v1.34.4", "kindest/node:own"] == [node["image"] for node in given["nodes"]]
    mark = {"hostPath": "/dev/null", "containerPath": f"/kind/owner/{identity.marker}", "readOnly": True}
    assert [{"hostPath": "/tmp", "containerPath": "/x"}, mark] == given["nodes"][0]["extraMounts"]
    assert "extraMounts" not in config["nodes"][1]


@pytest.mark.fault(42, "the environment of children is looked at", invariants="I11")
async def test_children_see_only_what_they_need_of_the_environment(
    fake: FakeBinaries, make_runtime: MakeRuntime, identity: Identity, request_for: RequestFor
) -> None:
    """KUBECONFIG, tokens and other secrets of the manager stay with it; the engine's own variables and proxies are passed on."""
    secret = {
        "KUBECONFIG": "/nobodys/.kube/config",
        "TOKEN": "s",
        "KIND_CLUSTER_NAME": "other",
        "KIND_EXPERIMENTAL_PROVIDER": "podman",
    }
    runtime = make_runtime(environment=fake.env | secret | {"DOCKER_CONTEXT": "default", "HTTPS_PROXY": "http://p:1"})
    await runtime.create(identity, request_for(), silent)
    env = ast.literal_eval((fake.folder / "last-env").read_text())

    assert not {"KUBECONFIG", "TOKEN", "KIND_CLUSTER_NAME", "NO_PROXY"} & set(env)
    wanted = {
        "KIND_EXPERIMENTAL_PROVIDER": "docker",
        "DOCKER_CONTEXT": "default",
        "HTTPS_PROXY": "http://p:1",
        "LC_ALL": "C.UTF-8",
    }
    assert wanted.items() <= env.items()


async def test_the_load_balancer_is_ours_by_its_proxy_variable(
    fake: FakeBinaries, make_runtime: MakeRuntime, identity: Identity, request_for: RequestFor
) -> None:
    """kind gives it no mounts; the entry joins what NO_PROXY already holds, and the load balancer is where the API answers."""
    runtime = make_runtime(environment=fake.env | {"no_proxy": "example.org"})
    await runtime.create(identity, request_for(control_planes=3), silent)
    seen = await runtime.observe(identity)
    env = ast.literal_eval((fake.folder / "last-env").read_text())

    assert Ownership.OURS is seen.ownership
    assert Endpoint("demo-external-load-balancer", 6443) == seen.internal_endpoint
    assert f"example.org,{identity.marker}.owner.capk.invalid" == env["NO_PROXY"] == env["no_proxy"]


@pytest.mark.fault(14, "some containers with our mark exist (stub engine)", invariants="I1 I4")
async def test_own_remains_are_removed_before_a_create(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """Half-built is a state: what an interrupted create left is no obstacle."""
    remains = fake.add("demo", "worker", mounts=[f"/kind/owner/{identity.marker}"], status="created")
    await runtime.create(identity, request_for(), silent)

    assert remains["Id"] not in {container["Id"] for container in fake.containers}
    assert ["demo-control-plane"] == fake.names()


@pytest.mark.fault(17, "kind says success and made nothing (stub)", invariants="I7")
async def test_success_without_containers_is_a_failure(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """Exit code 0 proves nothing."""
    fake.fault("kind create", ignore=True)

    with pytest.raises(Transient) as caught:
        await runtime.create(identity, request_for(), silent)
    assert "CreateFailed" == caught.value.reason


@pytest.mark.fault(17, "kind says success and a container is missing (stub)", invariants="I2")
async def test_a_missing_container_after_success_is_a_failure_that_leaves_nothing(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """One of two nodes is not a cluster."""
    fake.fault("kind create", made=1)

    with pytest.raises(Transient):
        await runtime.create(identity, request_for(workers=1), silent)
    assert [] == fake.names()


@pytest.mark.fault(17, "kind fails when all is made (stub)", invariants="I1")
@pytest.mark.parametrize("text", ["kubeconfig-lock", ""])
async def test_failing_after_the_last_step_is_success(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor, text: str
) -> None:
    """When nothing but writing the throw-away kubeconfig failed, the cluster is up."""
    path = Path(__file__).parent / "fixtures" / f"{text}.txt"
    fake.fault("kind create", made=9, late=True, code=1, stderr=path.read_text() if text else "ERROR: unheard of\n")
    await runtime.create(identity, request_for(workers=1), silent)

    assert ["demo-control-plane", "demo-worker"] == fake.names()


@pytest.mark.fault(14, "kind fails half way (stub)", invariants="I2")
async def test_a_failed_create_leaves_nothing_and_says_why(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """Own remains go by id; the message is the decisive line and a cure, never kind's whole output."""
    fixture = Path(__file__).parent / "fixtures/feature-gate.txt"
    fake.fault("kind create", made=1, code=1, stderr="noise\n" * 20000 + fixture.read_text())

    with pytest.raises(Terminal) as caught:
        await runtime.create(identity, request_for(), silent)
    assert "ConfigRejected" == caught.value.reason
    assert "Nonsense is not a valid feature name" in caught.value.message
    assert 1000 > len(caught.value.message)
    assert [] == fake.names()


async def test_retain_keeps_what_a_failed_create_made(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """spec.retainOnFailure is for looking inside."""
    fake.fault("kind create", made=1, code=1, stderr="ERROR: failed to create cluster: x\n")

    with pytest.raises(Transient):
        await runtime.create(identity, request_for(retain_on_failure=True), silent)
    assert ["demo-control-plane"] == fake.names()


async def test_a_node_that_did_not_boot_is_asked_why(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """kind only says that a line did not come; inotify limits show in the node's own output."""
    (fake.folder / "node.log").write_text("Failed to create control group inotify object: Too many open files\n")
    fake.fault("kind create", made=1, code=1, stderr=(Path(__file__).parent / "fixtures/not-a-node.txt").read_text())

    with pytest.raises(Transient) as caught:
        await runtime.create(identity, request_for(), silent)
    assert "HostLimits" == caught.value.reason


@pytest.mark.parametrize("name", ["login", "clusters", "scratch", "locks", "logs", "local", "engine", "identity", "manager"])
async def test_a_cluster_may_have_the_name_of_anything_that_is_the_managers(
    runtime: KindRuntime, request_for: RequestFor, tmp_path: Path, name: str
) -> None:
    """What the manager keeps for itself is never in a folder where clusters' names are."""
    kept = [tmp_path / "state" / one for one in (state_dir.LOGIN_SCRATCH + "/key", "identity", "manager.lock", "engine")]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("docker\n")

    identity = Identity(name, "a" * 32, f"default/{name}")
    await runtime.create(identity, request_for(), silent)
    await runtime.delete(identity, silent)
    assert ["docker\n"] * len(kept) == [path.read_text() for path in kept]


@pytest.mark.fault(19, "kind never ends (stub)", invariants="I2 I14")
async def test_a_deadline_ends_the_create_and_what_it_made(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """The message names the step it was at."""
    fake.fault("kind create", hang_after_nodes=True)

    with pytest.raises(Transient) as caught:
        await runtime.create(identity, request_for(timeout=0.8), silent)
    assert "CreateTimeout" == caught.value.reason
    assert [] == fake.names()


async def test_a_cancelled_create_leaves_what_the_engine_made_to_observation(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """Nothing is cleaned up by a dying job; delete removes it, and the name is free at once."""
    fake.fault("kind create", hang_after_nodes=True)
    async with creating(runtime, identity, request_for()):
        await until(lambda: bool(fake.names()))
    assert ["demo-control-plane"] == fake.names()
    await runtime.delete(identity, silent)

    assert [] == fake.names()


async def test_an_engine_command_in_flight_finishes_before_a_cancelled_create_ends(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """A container that shows up later would be a leak after the object is gone: so the job waits for it."""
    fake.fault("kind create", spawn=1.0, made=0, hang_after_nodes=True)
    async with creating(runtime, identity, request_for()):
        await until(lambda: bool(fake.calls("docker run")))
    assert ["demo-control-plane"] == fake.names()


async def test_an_engine_command_that_had_to_be_killed_puts_absence_in_doubt(
    make_runtime: MakeRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """Its container may still appear: nobody may conclude that nothing is there."""
    runtime = make_runtime(finish_timeout=0.2)
    fake.fault("kind create", spawn=60, made=0, hang_after_nodes=True)
    async with creating(runtime, identity, request_for()):
        await until(lambda: bool(fake.calls("docker run")))
    seen = await runtime.observe(identity)

    assert Presence.UNKNOWN is seen.presence


# --- others' clusters -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault(15, "a cluster without our mark (stub engine)", invariants="I3")
async def test_a_foreign_cluster_is_never_touched(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """Same name, no marker: every verb refuses, and the engine is asked for nothing but looks."""
    fake.add("demo", status="exited")
    before = fake.containers
    seen = await runtime.observe(identity)

    assert (Ownership.FOREIGN, ()) == (seen.ownership, seen.nodes)
    for verb in (
        runtime.delete(identity, silent),
        runtime.start(identity, silent),
        runtime.create(identity, request_for(), silent),
    ):
        with pytest.raises(NotOurs):
            await verb
    with pytest.raises(NotOurs):
        await runtime.kubeconfig(identity)
    assert before == fake.containers
    assert {"info", "ps", "inspect"} == {call[1] for call in fake.calls("docker")}


@pytest.mark.fault(15, "a cluster with the mark of another object (stub engine)", invariants="I3")
async def test_another_objects_cluster_is_foreign(runtime: KindRuntime, identity: Identity, request_for: RequestFor) -> None:
    """A marker is not enough; it must be this object's."""
    await runtime.create(identity, request_for(), silent)

    assert Ownership.FOREIGN is (await runtime.observe(Identity("demo", "b" * 32, "other/demo"))).ownership


@pytest.mark.fault(15, "containers of ours and of others under one name (stub engine)", invariants="I3")
async def test_of_a_mixed_name_only_our_part_is_removed(runtime: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """One foreign container makes the name foreign; deletion takes what carries the marker and leaves the rest."""
    fake.add("demo", "worker", mounts=[f"/kind/owner/{identity.marker}"])
    fake.add("demo", "control-plane")
    seen = await runtime.observe(identity)
    await runtime.delete(identity, silent)

    assert (Ownership.FOREIGN, ["demo-worker"]) == (seen.ownership, [node.name for node in seen.nodes])
    assert ["demo-control-plane"] == fake.names()


async def test_a_cluster_that_came_in_between_is_reported_and_left(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """kind says that nodes exist; looking shows whose they are."""
    text = (Path(__file__).parent / "fixtures/exists.txt").read_text()
    fake.fault("kind create", made=0, intruder="worker", code=1, stderr=text)

    with pytest.raises(NotOurs):
        await runtime.create(identity, request_for(), silent)
    assert ["demo-worker"] == fake.names()


@pytest.mark.fault(5, "another process works on the name", invariants="I4")
async def test_a_name_locked_by_a_living_process_is_waited_for(
    runtime: KindRuntime, make_runtime: MakeRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """Two managers on one host: the second changes nothing while the first works, and does not believe in absence."""
    fake.fault("kind create", made=0, hang_after_nodes=True)
    async with creating(runtime, identity, request_for()):
        await until(lambda: bool(fake.calls("kind create")))
        other = make_runtime()
        with pytest.raises(Transient) as caught:
            await other.delete(identity, silent)
        seen = await other.observe(identity)

    assert "NameLocked" == caught.value.reason
    assert (Presence.UNKNOWN, "NameLocked") == (seen.presence, seen.reason)


# --- unknown is not absent ------------------------------------------------------------------------------------------------------


@pytest.mark.fault(18, "the engine answers with nonsense (stub)", invariants="I7")
@pytest.mark.parametrize(
    ("verb", "fault"),
    [
        ("docker ps", {"code": 1, "stderr": DOWN}),
        ("docker ps", {"code": 1, "stderr": ""}),
        ("docker info", {"code": 1, "stderr": DOWN}),
        ("docker inspect", {"code": 1, "stderr": DOWN}),
    ],
)
async def test_an_answer_that_cannot_be_read_is_unknown(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, verb: str, fault: dict[str, object]
) -> None:
    """Errors and odd shapes never mean that nothing is there; changing verbs refuse with Transient."""
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    fake.fault(verb, **fault)
    fake.fault(verb, **fault)
    seen = await runtime.observe(identity)
    with pytest.raises(Transient):
        await runtime.delete(identity, silent)

    assert Presence.UNKNOWN is seen.presence
    assert seen.reason
    assert seen.detail
    assert ["demo-control-plane"] == fake.names()


@pytest.mark.parametrize("stdout", ["not json", "{}", '[{"Id": "x"}]', "[null]", "[]"])
async def test_an_inspection_that_cannot_be_read_is_unknown(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, stdout: str
) -> None:
    """The engine lists the container, so it is there; a removal waits until its mark can be read."""
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    fake.fault("docker inspect", stdout=stdout)
    fake.fault("docker inspect", stdout=stdout)
    seen = await runtime.observe(identity)
    await runtime.delete(identity, silent)

    assert (Presence.UNKNOWN, True) == (seen.presence, bool(seen.reason and seen.detail))
    assert [] == fake.names()


@pytest.mark.fault(18, "the engine hangs (stub)", invariants="I7")
async def test_a_hanging_engine_is_unknown_when_the_deadline_has_passed(
    make_runtime: MakeRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """Every call has a deadline, and what hangs is killed."""
    fake.fault("docker ps", hang=True)

    assert Presence.UNKNOWN is (await make_runtime(engine_timeout=0.3).observe(identity)).presence


@pytest.mark.fault(18, "one container cannot be read (stub)", invariants="I7 I12")
async def test_one_clusters_odd_container_leaves_the_others_readable(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """A status no engine is known to have concerns its own cluster only."""
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    fake.add("odd", status="levitating")

    assert Presence.PRESENT is (await runtime.observe(identity)).presence
    assert Presence.UNKNOWN is (await runtime.observe(Identity("odd", "c" * 32, "x/odd"))).presence


async def test_a_container_in_the_making_concerns_its_own_cluster_only(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """docker lists a container seconds before it can be inspected: its cluster is unknown, never absent, and others are seen."""
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    fake.add("other", unready=True)

    assert Ownership.OURS is (await runtime.observe(identity)).ownership
    assert Presence.UNKNOWN is (await runtime.observe(Identity("other", "c" * 32, "x/other"))).presence


async def test_deleting_waits_for_a_container_in_the_making(
    make_runtime: MakeRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """It can be removed as soon as its mark can be read."""
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"], unready=True)
    task = asyncio.create_task(make_runtime().delete(identity, silent))
    await until(lambda: len(fake.calls("docker inspect")) > 1)
    fake.make_ready()
    await task

    assert [] == fake.names()


async def test_many_observers_share_few_listings(runtime: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """Fifty at once cost a handful of processes; each still gets a listing that began after it asked."""
    await runtime.observe(identity)
    before = len(fake.calls("docker ps"))
    first = asyncio.create_task(runtime.observe(identity))
    await until(lambda: len(fake.calls("docker ps")) > before)
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    late = await asyncio.gather(*(runtime.observe(identity) for _ in range(50)))
    await first

    assert {Presence.PRESENT} == {seen.presence for seen in late}
    assert before + 2 == len(fake.calls("docker ps"))


# --- deleting, starting, kubeconfig -----------------------------------------------------------------------------------------------


async def test_control_planes_are_removed_last_and_volumes_too(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """The evidence of what stood there goes last; `rm -v` takes the anonymous volumes along; absent is success."""
    await runtime.create(identity, request_for(workers=2), silent)
    ids = {container["Name"].lstrip("/"): container["Id"] for container in fake.containers}
    await runtime.delete(identity, silent)
    await runtime.delete(identity, silent)

    workers = [ids[name] for name in sorted(ids) if "worker" in name]
    assert [["docker", "rm", "-f", "-v", *workers], ["docker", "rm", "-f", "-v", ids["demo-control-plane"]]] == fake.calls(
        "docker rm"
    )


async def test_containers_that_appear_while_deleting_are_removed_too(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """It is listed again until nothing has come for a while."""
    mark = f"/kind/owner/{identity.marker}"
    fake.add("demo", mounts=[mark])
    task = asyncio.create_task(runtime.delete(identity, silent))
    await until(lambda: not fake.names())
    fake.add("demo", "worker", mounts=[mark], status="created")
    await task

    assert [] == fake.names()


@pytest.mark.fault(30, "the containers are gone when they are removed (stub)", invariants="I6")
@pytest.mark.parametrize("text", ["Error: removal of container 1 is already in progress", "Error: No such container: 1"])
async def test_somebody_elses_removal_at_the_same_time_is_no_error(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, text: str
) -> None:
    """Removal is judged by what is left."""
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    fake.fault("docker rm", code=1, stderr=text)
    await runtime.delete(identity, silent)

    assert [] == fake.names()


@pytest.mark.fault(31, "docker rm fails (stub)", invariants="I6")
async def test_a_removal_that_fails_says_so(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, steps: list[Step]
) -> None:
    """Never success while something is left."""
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    fake.fault("docker rm", code=1, stderr="Error response from daemon: device or resource busy")

    with pytest.raises(Transient) as caught:
        await runtime.delete(identity, steps.append)
    assert "device or resource busy" in caught.value.message
    assert StepState.FAILED is steps[-1].state


@pytest.mark.parametrize("verb", ["rm", "start"])
async def test_a_change_in_flight_finishes_before_a_cancelled_job_ends(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, verb: str
) -> None:
    """The engine goes on without its client: so the job waits, and what is seen after its end stays as it is."""
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"], status="exited")
    fake.fault(f"docker {verb}", delay=0.5)
    work = runtime.delete(identity, silent) if verb == "rm" else runtime.start(identity, silent)
    task = asyncio.create_task(work)
    await until(lambda: bool(fake.calls(f"docker {verb}")))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert task.cancelled()
    assert [] == [one["Name"] for one in fake.containers if one["State"]["Status"] == "exited"]


async def test_stopped_and_paused_nodes_run_after_a_start_control_planes_first(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """A worker needs its control plane; a paused container is unpaused, not started."""
    await runtime.create(identity, request_for(workers=2), silent)
    for name, status in (("demo-control-plane", "exited"), ("demo-worker", "exited"), ("demo-worker2", "paused")):
        fake.change(name, status)
    down = await runtime.observe(identity)
    await runtime.start(identity, silent)
    up = await runtime.observe(identity)

    assert [NodeRunState.STOPPED, NodeRunState.STOPPED, NodeRunState.PAUSED] == [node.state for node in down.nodes]
    assert (None, Endpoint("demo-control-plane", 6443)) == (down.endpoint, down.internal_endpoint)
    assert {NodeRunState.RUNNING} == {node.state for node in up.nodes}
    assert ["start", "unpause", "start"] == [call[1] for call in fake.calls("docker") if call[1] in ("start", "unpause")]


async def test_starting_what_does_not_stay_up_fails(runtime: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """The engine's exit code 0 is not believed."""
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"], status="exited")
    fake.fault("docker start", stdout="started\n")

    with pytest.raises(Transient) as caught:
        await runtime.start(identity, silent)
    assert "StartFailed" == caught.value.reason


async def test_starting_nothing_says_what_is_missing(runtime: KindRuntime, identity: Identity) -> None:
    """There is nothing to start: that is for the reconciler to decide about."""
    with pytest.raises(Transient) as caught:
        await runtime.start(identity, silent)
    assert "ContainersMissing" == caught.value.reason


def put_admin_conf(fake: FakeBinaries, text: str, **member: object) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("admin.conf")
        info.size = len(text.encode())
        for name, value in member.items():
            setattr(info, name, value)
        tar.addfile(info, io.BytesIO(text.encode()))
    (fake.folder / "admin.tar").write_bytes(buffer.getvalue())


@pytest.mark.parametrize(("internal", "url"), [(False, "https://127.0.0.1:40001"), (True, "https://demo-control-plane:6443")])
async def test_the_kubeconfig_is_rewritten_for_where_it_is_used(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, internal: bool, url: str
) -> None:
    """Certificates are the node's, server and names are ours."""
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    put_admin_conf(fake, kubeconfig_text("whatever", "https://demo-control-plane:6443"))
    text = await runtime.kubeconfig(identity, internal=internal)

    assert url == kubeconfig.parse(text).server.url
    assert "kind-demo" == yaml.safe_load(text)["current-context"]


async def test_the_kubeconfig_for_emergencies_is_the_one_that_needs_no_rule(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """kubeadm keeps it beside the usual one; where it is not, nothing can be told with it."""
    node = fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    with pytest.raises(Transient) as caught:
        await runtime.kubeconfig(identity, emergency=True)
    put_admin_conf(fake, kubeconfig_text("whatever", "https://demo-control-plane:6443"))
    await runtime.kubeconfig(identity, emergency=True)

    assert ["docker", "cp", f"{node['Id']}:/etc/kubernetes/super-admin.conf", "-"] == fake.calls("docker cp")[-1]
    assert ("KubeconfigPending", True) == (caught.value.reason, "super-admin.conf" in caught.value.message)


async def test_the_kubeconfig_is_renewed_in_the_node_that_it_is_read_from(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """By kubeadm, which has the authority's key there; nothing is done to a cluster of somebody else."""
    node = fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    await runtime.renew_kubeconfig(identity)
    assert [["docker", "exec", node["Id"], "kubeadm", "certs", "renew", "admin.conf"]] == fake.calls("docker exec")

    with pytest.raises(NotOurs):
        await runtime.renew_kubeconfig(replace(identity, marker="f" * 32))
    assert 1 == len(fake.calls("docker exec"))


async def test_a_kubeconfig_that_is_not_there_yet_is_pending(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity
) -> None:
    """No file, no control plane, a link instead of a file: later, perhaps."""
    node = fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    reasons = []
    for link in (False, True):
        if link:
            put_admin_conf(fake, "", type=tarfile.SYMTYPE, linkname="/etc/shadow")
        with pytest.raises(Transient) as caught:
            await runtime.kubeconfig(identity)
        reasons.append(caught.value.reason)
    fake.change(node["Name"].lstrip("/"), "exited")
    with pytest.raises(Transient) as caught:
        await runtime.kubeconfig(identity)

    assert ["KubeconfigPending"] * 3 == [*reasons, caught.value.reason]


@pytest.mark.fault(26, "a node hands out a kubeconfig with a command (stub)", invariants="I11 I3")
async def test_a_hostile_kubeconfig_is_refused(runtime: KindRuntime, fake: FakeBinaries, identity: Identity) -> None:
    """What the node hands out is never passed on unparsed."""
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    put_admin_conf(fake, "users: [{user: {exec: {command: /bin/sh}}}]")

    with pytest.raises(Terminal) as caught:
        await runtime.kubeconfig(identity)
    assert "KubeconfigRefused" == caught.value.reason


@pytest.mark.parametrize(
    ("in_pod", "env", "reasons"),
    [(False, {}, ["HostPathMissing"]), (True, {}, []), (False, {"DOCKER_HOST": "tcp://elsewhere:2376"}, [])],
)
async def test_this_machine_is_looked_at_only_where_the_engine_is_on_it(
    fake: FakeBinaries,
    make_runtime: MakeRuntime,
    identity: Identity,
    request_for: RequestFor,
    in_pod: bool,
    env: dict[str, str],
    reasons: list[str],
) -> None:
    """A path that is missing in a pod, or here while the engine is elsewhere, may be on the engine's host."""
    runtime = make_runtime(environment=fake.env | env, in_pod=in_pod)
    mounts = [{"hostPath": "/nonexistent/x", "containerPath": "/x"}]
    config = dict(request_for().config) | {"nodes": [{"role": "control-plane", "extraMounts": mounts}]}

    assert reasons == [problem.reason for problem in await runtime.preflight(identity, request_for(config=config))]


# --- health -----------------------------------------------------------------------------------------------------------------------


async def test_a_healthy_runtime_says_what_it_is(runtime: KindRuntime) -> None:
    """Versions of both, and the cgroup version, for bug reports."""
    health = await runtime.health()

    assert (True, "kind v0.30.0 on docker 99.1 (cgroup v2)") == (health.available, health.description)


@pytest.mark.parametrize(
    ("version", "available", "words"),
    [
        ("v0.29.9", False, "too old"),
        ("v0.33.0", True, "kind v0.33.0 on"),
        ("v0.34.0-alpha", True, "newer than tested"),
        ("?", False, "not kind's"),
    ],
)
async def test_versions_of_kind_are_judged(
    runtime: KindRuntime, fake: FakeBinaries, version: str, available: bool, words: str
) -> None:
    """Older than 0.30 cannot be used; newer than tested is used and said to be."""
    fake.edit(kind=version)
    health = await runtime.health()

    assert available is health.available
    assert words in health.description + health.detail


async def test_a_replaced_kind_is_asked_again(runtime: KindRuntime, fake: FakeBinaries) -> None:
    """An upgrade needs no restart of the manager; an unchanged binary is asked once."""
    await runtime.health()
    await runtime.health()
    fake.edit(kind="v0.31.0")
    (fake.bin / "kind").touch()

    assert "v0.31.0" in (await runtime.health()).description
    assert 2 == len(fake.calls("kind version"))


@pytest.mark.parametrize("missing", ["docker", "kind"])
async def test_a_missing_program_is_named_with_a_cure(runtime: KindRuntime, fake: FakeBinaries, missing: str) -> None:
    """Not available, rather than not answering."""
    (fake.bin / missing).unlink()
    health = await runtime.health()

    assert False is health.available
    assert f"{missing} is not on PATH" in health.detail
    assert "https://" in health.detail


@pytest.mark.parametrize(
    ("text", "words"), [(DOWN, "Start it"), ("permission denied while trying to connect to the socket", "may not")]
)
async def test_an_engine_that_does_not_answer_is_not_missing(
    runtime: KindRuntime, fake: FakeBinaries, text: str, words: str
) -> None:
    """None: nobody can tell; and a stopped daemon has another cure than a forbidden socket."""
    fake.fault("docker info", stdout='{"ServerVersion": ""}', stderr=text, code=1)
    health = await runtime.health()

    assert None is health.available
    assert words in health.detail


async def test_podman_in_dockers_clothes_is_noticed(runtime: KindRuntime, fake: FakeBinaries) -> None:
    """Some distributions ship a `docker` that is podman; kind tells them apart, too."""
    fake.edit(info={"host": {}, "version": {}})

    assert None is (await runtime.health()).available
