"""One KINDCluster from apply to gone, in a world of fakes: what a user sees at each point, and what the engine is asked."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from provider.api import names
from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import Terminal, Transient
from provider.ports.runtime import NodeRunState, Presence, RuntimeObservation, Verb
from tests.fakes.world import KEY, World, kindcluster

NEGATIVE = {"Paused", "Expiring", "RollingOut", "ScalingUp", "ScalingDown"}


@pytest.fixture
def world() -> World:
    return World()


async def ready(world: World, **spec: Any) -> None:
    world.apply(kindcluster(**spec))
    await world.settle()
    assert world.status()["phase"] == "Ready"


async def test_an_applied_object_becomes_a_ready_cluster(world: World) -> None:
    """Apply is all a user does; the status then says where the cluster answers and how long it took."""
    await ready(world, workerReplicas=1)

    status = world.status()
    assert status["ready"] is True
    assert status["initialization"] == {"provisioned": True, "controlPlaneInitialized": True}
    assert status["nodesReady"] == "2/2"
    assert status["endpoints"]["host"] == "https://127.0.0.1:40001"
    assert status["version"] == "v1.34.4"
    assert status["clusterName"] == "demo"
    assert status["lastCreate"]["finishedAt"]
    assert len(status["lastCreate"]["steps"]) == 5
    assert world.runtime.marked() == ["demo-control-plane", "demo-worker"]


async def test_conditions_of_a_ready_cluster_are_green_and_silent(world: World) -> None:
    """A message on a True condition would bubble up into Cluster API's Available."""
    await ready(world)

    for condition in world.status()["conditions"]:
        expected = "False" if condition["type"] in NEGATIVE else "True"
        assert (expected, "") == (condition["status"], condition["message"]), condition


async def test_the_kubeconfig_secret_is_published_for_people(world: World) -> None:
    """Both keys hold the host's kubeconfig, and the Secret goes with the object."""
    await ready(world)

    secret = world.secret()
    assert secret is not None
    assert secret["data"]["config"] == secret["data"]["value"]
    assert "127.0.0.1:40001" in base64.b64decode(secret["data"]["config"]).decode()
    obj = world.get()
    assert obj is not None
    assert obj["metadata"]["uid"] == secret["metadata"]["ownerReferences"][0]["uid"]


@pytest.mark.fault(1, "each effect of a first pass is looked at", invariants="I5")
async def test_nothing_is_made_before_finalizer_and_identity_are_persisted(world: World) -> None:
    """A crash right after the first effect must find a way back to it."""
    world.run_tasks = False
    world.apply(kindcluster())
    await world.look()

    obj = world.get()
    assert obj is not None
    assert obj["metadata"]["finalizers"] == [names.FINALIZER]
    assert len(obj["spec"]["identity"]["token"]) == 32
    assert not world.tasks.started


async def test_the_intent_to_create_is_written_before_the_work_starts(world: World) -> None:
    """If the status write fails, no task may start: a restart could not tell remains from a cluster."""
    world.run_tasks = False
    world.apply(kindcluster())
    await world.look()  # identity
    await world.look()  # daemon
    world.kube.fail("patch", Transient(Reason.API_ERROR, "try later"))
    await world.look()
    assert not world.tasks.started

    await world.look()

    assert world.tasks.started == [(KEY, Verb.CREATE)]
    assert "finishedAt" not in world.status()["lastCreate"]


@pytest.mark.fault(40, "a Ready object is looked at again and again", invariants="I8")
async def test_a_ready_object_is_not_written_again(world: World) -> None:
    """No heartbeat writes: the resourceVersion stays."""
    await ready(world)
    before = world.get()

    for _ in range(3):
        await world.look()
        world.clock.advance(300)

    assert before == world.get()


async def test_delete_removes_cluster_secret_and_object(world: World) -> None:
    """Nothing is left."""
    await ready(world)

    world.delete()
    await world.settle()

    assert world.get() is None
    assert world.secret() is None
    assert world.runtime.clusters == {}


@pytest.mark.fault(29, "deleted in the middle of a create (fakes)", invariants="I2")
async def test_delete_while_creating_stops_the_create(world: World) -> None:
    """A user who deletes does not wait for a cluster nobody wants."""
    world.run_tasks = False
    world.apply(kindcluster())
    await world.settle()
    world.delete()
    await world.look()
    assert world.tasks.cancelled == [KEY]

    world.run_tasks = True
    await world.settle()
    assert world.get() is None


@pytest.mark.fault(31, "the engine is silent while an object is deleted (fakes)", invariants="I6 I7")
async def test_delete_waits_while_the_engine_does_not_answer(world: World) -> None:
    """The finalizer goes only after a successful, empty observation."""
    await ready(world)
    world.runtime.engine_up = False
    world.delete()
    await world.settle()

    assert world.condition("Ready")["reason"] == "DeleteBlocked"
    assert "goes on by itself" in world.condition("Ready")["message"]

    world.runtime.engine_up = True
    await world.pass_time(20)

    assert world.get() is None
    assert world.runtime.clusters == {}


async def test_delete_waits_for_what_containers_leave_behind(world: World) -> None:
    """Somebody removed the containers; a volume of theirs is still there, which nobody would find without the object."""
    await ready(world)
    world.runtime.remains.add(next(node.marker or "" for node in world.runtime.clusters["demo"].nodes))
    world.runtime.clusters.clear()
    world.delete()
    world.run_tasks = False
    await world.settle()
    assert world.get() is not None

    world.run_tasks = True
    await world.settle()
    assert world.get() is None
    assert world.runtime.marked() == []


@pytest.mark.fault(31, "the runtime fails to remove (fakes)", invariants="I6")
async def test_a_failing_delete_is_tried_again_and_never_released_early(world: World) -> None:
    """An error is not absence."""
    await ready(world)
    world.runtime.fail("delete", Transient(Reason.ENGINE_FAILED, "removal is stuck"), call=None)
    world.delete()
    await world.pass_time(60)

    assert "removal is stuck" in world.condition("Ready")["message"]
    assert world.runtime.clusters

    world.runtime.heal()
    await world.pass_time(20)
    assert world.get() is None


async def test_retain_keeps_the_cluster(world: World) -> None:
    """deletionPolicy: Retain releases the object and leaves the containers alone."""
    await ready(world, deletionPolicy="Retain")

    world.delete()
    await world.settle()

    assert world.get() is None
    assert world.runtime.marked() == ["demo-control-plane"]


@pytest.mark.fault(21, "the engine does not answer (fakes)", invariants="I7")
async def test_an_unreachable_engine_flips_nothing(world: World) -> None:
    """Unknown is not absent: Ready stays, a condition says what is wrong, and all resumes by itself."""
    await ready(world)
    world.runtime.engine_up = False
    await world.look()

    assert world.condition("Ready")["status"] == "True"
    assert world.condition("EngineReachable")["status"] == "False"
    assert world.status()["phase"] == "Ready"

    world.runtime.engine_up = True
    await world.pass_time(20)
    assert world.condition("EngineReachable")["status"] == "True"


@pytest.mark.fault(21, "the engine does not answer (fakes)", invariants="I1")
async def test_a_new_object_waits_for_an_unreachable_engine(world: World) -> None:
    """Nothing is created on a guess; the condition names the engine."""
    world.runtime.engine_up = False
    world.apply(kindcluster(runtime="kind"))
    await world.settle()

    assert (world.status()["phase"], world.condition("Ready")["reason"]) == ("Pending", "EngineUnreachable")

    world.runtime.engine_up = True
    await world.pass_time(20)
    assert world.status()["phase"] == "Ready"


@pytest.mark.fault(15, "a cluster without our mark has the name (fakes)", invariants="I3")
async def test_a_foreign_cluster_of_the_same_name_is_neither_adopted_nor_harmed(world: World) -> None:
    """In create and in delete alike."""
    foreign = world.runtime.add_foreign("demo")
    world.apply(kindcluster())
    await world.settle()

    assert world.condition("Ready")["reason"] == "NameConflict"
    assert world.condition("OwnershipVerified")["status"] == "False"

    world.delete()
    await world.settle()
    assert world.get() is None
    assert foreign is world.runtime.clusters["demo"]


async def test_a_locked_name_is_no_fault_of_the_engine(world: World) -> None:
    """Another process on the host works on a cluster of that name: wait, and say exactly that."""
    locked = RuntimeObservation(Presence.UNKNOWN, reason=Reason.NAME_LOCKED, detail="Another process works on demo.")
    world.runtime.lie("observe", locked, call=None)
    world.apply(kindcluster())
    await world.settle()

    assert world.condition("EngineReachable")["status"] == "True"
    assert world.condition("Ready")["reason"] == "NameLocked"
    assert world.runtime.calls["create"] == 0


@pytest.mark.fault(16, "two namespaces, one clusterName (fakes)", invariants="I3 I4")
async def test_of_two_claims_to_one_name_the_older_wins_and_the_other_takes_over(world: World) -> None:
    """The second waits with a reason that names the first, and needs no help when the first is gone."""
    second = ObjectKey("team-b", "demo")
    await ready(world)
    world.clock.advance(5)
    world.apply(kindcluster(second))
    await world.settle()

    assert world.condition("Ready", second)["reason"] == "NameConflict"

    world.delete()
    await world.settle()

    assert world.get() is None
    assert world.status(second)["phase"] == "Ready"


@pytest.mark.fault(16, "two namespaces, one clusterName (fakes)", invariants="I4")
async def test_a_claim_without_containers_yet_is_respected(world: World) -> None:
    """Between persisting its identity and its first container the older object must not lose its name."""
    world.run_tasks = False
    second = ObjectKey("team-b", "demo")
    world.apply(kindcluster())
    await world.settle()
    world.clock.advance(5)
    world.apply(kindcluster(second))
    await world.settle()

    assert world.tasks.started == [(KEY, Verb.CREATE)]
    assert "default/demo" in world.condition("Ready", second)["message"]


@pytest.mark.fault(20, "nodes are stopped (fakes)", invariants="I1")
async def test_a_stopped_node_is_started(world: World) -> None:
    """Repair is the default policy; the status tells the truth meanwhile."""
    await ready(world, workerReplicas=1)
    world.run_tasks = False
    world.set_node("demo-worker", NodeRunState.STOPPED)
    await world.look()

    assert (world.status()["phase"], world.condition("Ready")["reason"]) == ("Repairing", "Starting")
    assert world.status()["ready"] is False

    world.run_tasks = True
    await world.pass_time(15)
    assert world.status()["phase"] == "Ready"


@pytest.mark.fault(20, "a node is removed (fakes)", invariants="I1 I7")
async def test_a_lost_node_is_reported_and_replaced_only_with_consent(world: World) -> None:
    """kind cannot add nodes; what is in a cluster is never destroyed without being asked."""
    await ready(world, workerReplicas=1)
    world.set_node("demo-worker", None)
    await world.pass_time(60)

    assert (world.status()["phase"], world.condition("Ready")["reason"]) == ("Degraded", "RepairNeeded")
    assert "healPolicy: Recreate" in world.condition("Ready")["message"]
    assert world.runtime.calls["create"] == 1

    world.edit({"spec": {"healPolicy": "Recreate"}})
    await world.pass_time(5)

    assert world.status()["phase"] == "Ready"
    assert world.status()["nodesReady"] == "2/2"
    assert world.runtime.requests[-1].config["networking"]["apiServerPort"] == 40001, "it must answer where it was published"


@pytest.mark.fault(32, "the published Secret is deleted", invariants="I1")
async def test_a_deleted_secret_comes_back(world: World) -> None:
    """And an edited one is repaired, without touching what others added."""
    await ready(world)
    key = ObjectKey("default", "demo-config")
    world.kube.remove(names.SECRETS, key)
    await world.look()
    assert world.secret() is not None

    world.kube.edit(names.SECRETS, key, {"data": {"value": "eA==", "extra": "eQ=="}})
    await world.look()

    secret = world.secret()
    assert secret is not None
    assert secret["data"]["config"] == secret["data"]["value"]
    assert secret["data"]["extra"] == "eQ=="


async def test_a_secret_that_is_not_ours_is_left_alone(world: World) -> None:
    """A user's Secret of that name is a conflict with a cure, not something to overwrite."""
    theirs = {"type": "Opaque", "metadata": {"name": "demo-config", "namespace": "default"}, "data": {"config": "dGhlaXJz"}}
    world.kube.put(names.SECRETS, theirs)
    world.apply(kindcluster())
    await world.settle()

    assert world.condition("KubeconfigPublished")["reason"] == "SecretConflict"
    secret = world.secret()
    assert secret is not None
    assert secret["data"] == {"config": "dGhlaXJz"}
    assert world.status()["ready"] is False


@pytest.mark.fault(36, "writes are refused because the namespace is being deleted (fakes)", invariants="I14")
async def test_a_namespace_that_is_going_is_no_failure(world: World) -> None:
    """Its Secrets go before its KINDClusters do, and cannot be made again: said, and not tried over and over with errors."""
    await ready(world)
    world.kube.remove(names.SECRETS, ObjectKey("default", "demo-config"))
    world.kube.fail("create", Terminal(Reason.NAMESPACE_TERMINATING, "being terminated"), times=99, resource=names.SECRETS)

    await world.look()
    await world.pass_time(30)

    assert [] == world.errors
    assert world.condition("KubeconfigPublished")["reason"] == "NamespaceTerminating"
    world.delete()
    await world.pass_time(30)
    assert world.get() is None


async def test_a_host_that_cannot_begin_costs_no_try(world: World) -> None:
    """A missing kind command is not the spec's fault: said, waited for, never given up."""
    world.runtime.fail("create", Transient(Reason.KIND_MISSING, "kind is not on PATH."), call=None)
    world.apply(kindcluster())
    await world.pass_time(600)

    assert world.status()["phase"] != "Failed"
    assert "kind is not on PATH" in world.condition("Ready")["message"]

    world.runtime.heal()
    await world.pass_time(20)
    assert world.status()["ready"] is True
    assert world.status()["lastCreate"]["attempts"] == 1


async def test_a_terminal_failure_clears_with_the_next_generation(world: World) -> None:
    """One try is enough to know; correcting the spec is the cure."""
    world.runtime.fail("create", Terminal(Reason.CONFIG_REJECTED, "kubeadm refused a patch."))
    world.apply(kindcluster())
    await world.pass_time(600)
    assert world.runtime.calls["create"] == 1

    world.edit({"spec": {"workerReplicas": 1}})
    await world.settle()

    assert world.status()["phase"] == "Ready"
    assert "failureReason" not in world.status()


@pytest.mark.fault(14, "a create fails and leaves nodes (fakes)", invariants="I1 I4")
async def test_remains_of_a_failed_create_are_removed(world: World) -> None:
    """Nothing is left of what was given up, unless the user asked to keep it."""
    world.runtime.fail("create", Terminal(Reason.CONFIG_REJECTED, "no"), partial=1)
    world.apply(kindcluster(workerReplicas=1))
    await world.pass_time(60)

    assert world.runtime.clusters == {}


@pytest.mark.fault(28, "the spec is edited in the middle of a create (fakes)", invariants="I1 I4")
async def test_an_edit_while_creating_begins_anew(world: World) -> None:
    """The running create works for a spec nobody wants any more."""
    world.run_tasks = False
    world.apply(kindcluster())
    await world.settle()
    world.edit({"spec": {"workerReplicas": 2}})
    await world.look()
    assert world.tasks.cancelled == [KEY]

    world.run_tasks = True
    await world.settle()
    assert world.status()["nodesReady"] == "3/3"


@pytest.mark.fault(28, "the spec is edited at the end of a create (fakes)", invariants="I1 I4")
async def test_a_create_that_ends_just_before_an_edit_is_seen_begins_anew(world: World) -> None:
    """The finished task made what the older spec wanted; that must not pass for the cluster."""
    world.run_tasks = False
    world.apply(kindcluster())
    await world.settle()
    world.edit({"spec": {"workerReplicas": 2}})
    await world.tasks.run(KEY)
    world.run_tasks = True
    await world.settle()

    assert world.status()["nodesReady"] == "3/3"
    assert world.runtime.calls["create"] == 2


@pytest.mark.fault(1, "the manager ends in the middle of a create (fakes)", invariants="I1 I4")
@pytest.mark.parametrize("nodes_made", [0, 1, 2])
async def test_a_manager_killed_while_creating_leaves_one_whole_cluster(world: World, nodes_made: int) -> None:
    """What stands there without a finished record is remains: removed, and made again."""
    world.run_tasks = False
    world.apply(kindcluster(workerReplicas=1))
    await world.settle()
    world.runtime.fail("create", Transient(Reason.CREATE_FAILED, ""), partial=nodes_made)
    work = world.tasks.work[KEY]
    with pytest.raises(Transient):
        await work(lambda step: None)

    world.restart()
    world.run_tasks = True
    await world.pass_time(60)

    assert world.status()["phase"] == "Ready"
    assert world.runtime.marked() == ["demo-control-plane", "demo-worker"]


@pytest.mark.fault(35, "deleted and applied again: new uid, no status (fakes)", invariants="I1 I3 I4")
async def test_a_lost_status_is_rebuilt_by_looking(world: World) -> None:
    """clusterctl move drops the status: the cluster is adopted by its marker, not made again."""
    await ready(world)
    obj = world.get()
    assert obj is not None
    obj["metadata"]["finalizers"] = []
    world.kube.edit(KINDCLUSTERS, KEY, {"metadata": {"finalizers": None}})
    world.kube.remove(KINDCLUSTERS, KEY)
    world.restart()
    world.apply({**kindcluster(), "spec": obj["spec"]})
    await world.settle()

    assert world.status()["phase"] == "Ready"
    assert world.runtime.calls["create"] == 1


@pytest.mark.fault(9, "somebody else writes between read and write (fakes)", invariants="I1 I4")
async def test_a_conflicting_write_loses_nothing(world: World) -> None:
    """Somebody edits the object between our read and our write: the pass is repeated."""
    edits = iter(range(3))

    async def interfere(call: object) -> None:
        writes = getattr(call, "verb", "") == "patch" and getattr(call, "resource", None) == KINDCLUSTERS
        if writes and (number := next(edits, None)) is not None:
            world.kube.edit(KINDCLUSTERS, KEY, {"metadata": {"annotations": {"edit": str(number)}}})

    world.apply(kindcluster())
    world.kube.before(interfere)
    await world.settle()

    assert world.status()["phase"] == "Ready"
    assert world.runtime.calls["create"] == 1


async def test_an_api_server_that_stops_answering_degrades(world: World) -> None:
    """Containers run and the API does not: said at once, without touching anything."""
    await ready(world)
    world.workload.answer = type(await world.workload.observe(_kubeconfig(world)))(False, "connection refused")
    await world.look()

    assert (world.status()["phase"], world.condition("Ready")["reason"]) == ("Degraded", "APIUnreachable")
    assert world.status()["initialization"]["provisioned"] is True
    assert world.runtime.calls["start"] == 0


@pytest.mark.fault(18, "the cluster's own API does not answer once (fakes)", invariants="I7")
async def test_one_missing_answer_does_not_flip_ready(world: World) -> None:
    """A deadline on a busy host is no verdict; three in a row are."""
    await ready(world)
    world.workload.answer = type(await world.workload.observe(_kubeconfig(world)))(None, "no answer within 3 s")
    await world.look()
    assert world.status()["ready"] is True

    await world.pass_time(10)
    assert world.status()["ready"] is False


async def test_history_and_events_tell_the_story(world: World) -> None:
    """`kubectl describe` reads like a log of what happened."""
    await ready(world)

    phases = [entry["phase"] for entry in world.status()["history"]]
    assert [phase for index, phase in enumerate(phases) if index == 0 or phases[index - 1] != phase] == ["Creating", "Ready"]
    assert world.recorder.reasons()[-1] == "Ready"


async def test_history_is_bounded(world: World) -> None:
    """A cluster that flaps for a week must not outgrow its object."""
    await ready(world)
    for _ in range(40):
        world.set_node("demo-control-plane", NodeRunState.STOPPED)
        await world.pass_time(30)

    assert len(world.status()["history"]) == 20


def _kubeconfig(world: World) -> str:
    secret = world.secret()
    assert secret is not None
    return base64.b64decode(secret["data"]["config"]).decode()
