"""spec.ttl and spec.expiresAt: an object is deleted when its time is over, as announced, and never before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.api import contract, names
from provider.api.conditions import Reason
from provider.api.meta import timestamp
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS, KINDClusterSpec
from provider.api.v1alpha1.kindclustertemplate import KINDCLUSTER_TEMPLATES, KINDClusterTemplateSpec
from provider.controllers import CONTROLLERS
from provider.errors import Terminal
from provider.ports.runtime import NodeRunState
from provider.reconcile.capi import Owner
from provider.reconcile.expiry import NOTICE, WARNING, expiry_of, next_look
from provider.reconcile.scope import Scope, open_scope
from tests.fakes.clock import EPOCH
from tests.fakes.kube import Call
from tests.fakes.mortal import CLUSTER, capi_cluster, owner_reference
from tests.fakes.world import KEY, World, kindcluster

HOUR = 3600.0


async def made(**spec: Any) -> World:
    world = World()
    world.apply(kindcluster(**spec))
    await world.pass_time(10)
    return world


def at(seconds: float) -> str:
    """So long after the world began."""
    return timestamp(EPOCH + timedelta(seconds=seconds))


def events(world: World, reason: str) -> list[str]:
    return [note.message for note in world.recorder.notes if note.reason == reason]


def extend(world: World, until: str | None) -> None:
    world.edit({"metadata": {"annotations": {names.EXTEND_ANNOTATION: until}}})


def later(clock: World, seconds: float) -> None:
    """A clock that jumps, and nobody looks meanwhile."""
    clock.clock.advance(seconds)


async def test_an_object_goes_at_its_time_and_its_cluster_with_it() -> None:
    """Announced from the beginning, warned of once, on time to the second although nothing else happens."""
    world = await made(ttl="2h")
    assert (True, at(2 * HOUR), "False") == (
        world.status()["ready"],
        world.status()["expiresAt"],
        world.condition("Expiring")["status"],
    )
    await world.pass_time(2 * HOUR - 10 - WARNING.total_seconds() - 1)
    assert [] == events(world, "ExpiresSoon")
    await world.pass_time(WARNING.total_seconds() - 1)
    (warning,) = events(world, "ExpiresSoon")
    assert at(2 * HOUR) in warning
    assert names.EXTEND_ANNOTATION in warning
    assert "True" == world.condition("Expiring")["status"]
    assert world.status()["ready"]

    await world.pass_time(3)

    assert world.get() is None
    assert [] == world.runtime.marked()
    assert 1 == len(events(world, "Expired"))
    assert [] == world.errors


@pytest.mark.parametrize(
    ("spec", "end"),
    [
        ({"ttl": "2h"}, 2 * HOUR),
        ({"expiresAt": at(HOUR)}, HOUR),
        ({"ttl": "2h", "expiresAt": at(HOUR)}, HOUR),
        ({"ttl": "1h", "expiresAt": at(2 * HOUR)}, HOUR),
        ({"expiresAt": "2026-01-02T06:04:05+02:00"}, HOUR),
    ],
)
async def test_the_earlier_of_the_two_counts(spec: dict[str, str], end: float) -> None:
    """Whatever the zone that a time is written in."""
    world = await made(**spec)

    assert at(end) == world.status()["expiresAt"]
    await world.pass_time(end - 12)
    assert world.get() is not None
    await world.pass_time(3)
    assert world.get() is None


async def test_the_annotation_puts_the_end_off() -> None:
    """Until then and no longer; a time before the end shortens nothing."""
    world = await made(ttl="1h")
    extend(world, at(0.5 * HOUR))
    await world.pass_time(1)
    assert at(HOUR) == world.status()["expiresAt"]
    await world.pass_time(HOUR - 60)
    assert "ExpiresSoon" == world.condition("Expiring")["reason"]
    extend(world, at(3 * HOUR))
    await world.pass_time(10)
    assert (at(3 * HOUR), "NotExpiring") == (world.status()["expiresAt"], world.condition("Expiring")["reason"])
    await world.pass_time(2 * HOUR - 20)
    assert world.get() is not None
    await world.pass_time(60)
    assert world.get() is None


@pytest.mark.parametrize(
    "value", ["tomorrow", "", "2026-01-02", "2026-02-30T00:00:00Z", "2026-01-02T03:04:05", "9" * 500, "2999-12-31T23:59:59-15:00"]
)
async def test_an_annotation_that_is_no_time_keeps_the_object(value: str) -> None:
    """Somebody wanted it to stay: it does, and says what is wrong."""
    world = await made(ttl="1h")
    extend(world, value)
    await world.pass_time(2 * HOUR)

    assert world.status()["ready"]
    assert "expiresAt" not in world.status()
    condition = world.condition("Expiring")
    assert ("False", "ExpiryRefused") == (condition["status"], condition["reason"])
    assert names.EXTEND_ANNOTATION in condition["message"]
    assert 1 == len(events(world, "ExpiryRefused"))


async def test_an_edit_that_puts_the_end_into_the_past_is_announced_first() -> None:
    """A slip of the pen must not cost a cluster that somebody works with."""
    world = await made()
    await world.pass_time(3 * HOUR)
    world.edit({"spec": {"ttl": "1h"}})
    await world.pass_time(NOTICE.total_seconds() - 5)
    assert world.status()["ready"]
    assert "ExpiresSoon" == world.condition("Expiring")["reason"]
    assert at(3 * HOUR + 10 + NOTICE.total_seconds()) == world.status()["expiresAt"]

    world.edit({"spec": {"ttl": "4h"}})
    await world.pass_time(60)
    assert at(4 * HOUR) == world.status()["expiresAt"]
    world.edit({"spec": {"ttl": "1h"}})
    await world.pass_time(NOTICE.total_seconds() + 5)
    assert world.get() is None


async def test_a_time_that_was_over_before_anything_was_made_makes_nothing() -> None:
    """As an old manifest that is applied again."""
    world = await made(expiresAt=at(-60))

    assert world.get() is None
    assert 0 == world.runtime.calls["create"]
    assert events(world, "Expired")[-1].startswith("Deleted")


async def test_nobody_who_takes_the_wish_back_loses_the_object() -> None:
    """Neither time nor condition stay behind as if it were still to end."""
    world = await made(ttl="1h")
    world.edit({"spec": {"ttl": None}})
    await world.pass_time(2 * HOUR)

    assert world.status()["ready"]
    assert "expiresAt" not in world.status()
    assert "NotExpiring" == world.condition("Expiring")["reason"]


@pytest.mark.parametrize("clock", ["the manager's", "the API server's", "unknown"])
async def test_one_clock_that_is_ahead_deletes_nothing(clock: str) -> None:
    """Both have to agree, and one that does not tell does not agree."""
    world = await made(ttl="1h")
    match clock:
        case "the manager's":
            later(world, 2 * HOUR)
            world.kube.ahead = timedelta(seconds=-2 * HOUR)
        case "the API server's":
            world.kube.ahead = timedelta(seconds=2 * HOUR)
        case _:
            later(world, 2 * HOUR)
            world.kube.silent = True
    for _ in range(3):
        world._add(KEY)
        await world.pass_time(60)
    assert world.status()["ready"]
    assert 1 == world.runtime.calls["create"]

    world.kube.ahead, world.kube.silent = timedelta(0), False
    await world.pass_time(HOUR)
    assert world.get() is None


async def test_a_manager_that_was_down_deletes_when_it_is_back() -> None:
    """The time was announced before; nothing is waited for again."""
    world = await made(ttl="1h")
    later(world, 5 * HOUR)
    world.restart()
    await world.pass_time(5)

    assert world.get() is None
    assert [] == world.runtime.marked()


async def test_a_manager_that_never_saw_the_wish_announces_it() -> None:
    """An edit while it was down, or a status that was lost, and a cluster that somebody uses."""
    world = await made()
    later(world, 5 * HOUR)
    world.edit({"spec": {"ttl": "1h"}})
    world.restart()
    await world.pass_time(NOTICE.total_seconds() - 5)
    assert world.status()["ready"]
    await world.pass_time(10)
    assert world.get() is None


async def test_a_pause_holds_and_what_ended_meanwhile_is_announced_after_it() -> None:
    """Nobody who unpauses an object to look at it loses it at once."""
    world = await made(ttl="1h")
    world.edit({"metadata": {"annotations": {contract.PAUSED_ANNOTATION: ""}}})
    await world.pass_time(5 * HOUR)
    assert world.get() is not None
    world.edit({"metadata": {"annotations": {contract.PAUSED_ANNOTATION: None}}})
    await world.pass_time(NOTICE.total_seconds() - 5)
    assert world.status()["ready"]
    assert "ExpiresSoon" == world.condition("Expiring")["reason"]
    await world.pass_time(10)
    assert world.get() is None


async def test_an_object_with_an_owner_does_not_expire() -> None:
    """The Cluster would be broken, and is not ours to delete."""
    world = World()
    world.kube.groups.add(contract.CAPI_GROUP)
    owner = world.kube.put(contract.CLUSTERS, capi_cluster())
    obj = kindcluster(ttl="1h", standalone=True)
    obj["metadata"]["ownerReferences"] = [owner_reference(owner)]
    world.apply(obj)
    await world.pass_time(3 * HOUR)

    assert world.status()["ready"]
    assert "expiresAt" not in world.status()
    condition = world.condition("Expiring")
    assert ("False", "ExpiryRefused") == (condition["status"], condition["reason"])
    assert "owner Cluster" in condition["message"]
    assert world.kube.read(contract.CLUSTERS, CLUSTER) is not None


async def test_an_object_that_waits_for_its_owner_does_not_expire() -> None:
    """A Cluster that is about to own it would be broken as well."""
    world = World()
    world.kube.groups.add(contract.CAPI_GROUP)
    world.apply(kindcluster(ttl="1h"))
    await world.pass_time(3 * HOUR)

    assert "WaitingForOwner" == world.condition("Ready")["reason"]
    assert "ExpiryRefused" == world.condition("Expiring")["reason"]


async def test_a_failure_is_kept_if_asked_and_goes_once_it_is_looked_into() -> None:
    """Held, and said; with the default it would be gone."""
    world = World()
    world.runtime.fail("create", Terminal(Reason.CONFIG_REJECTED, "kubeadm refuses a patch."), call=None)
    world.apply(kindcluster(ttl="1h", expiryPolicy="KeepUnready"))
    await world.pass_time(3 * HOUR)
    condition = world.condition("Expiring")
    assert ("False", "ExpiryHeld") == (condition["status"], condition["reason"])
    assert at(HOUR) in condition["message"]
    assert 1 == len(events(world, "ExpiryHeld"))

    world.edit({"spec": {"expiryPolicy": "Delete"}})
    await world.pass_time(5)
    assert world.get() is None


@pytest.mark.parametrize(("policy", "kept"), [("KeepUnready", True), ("Delete", False), (None, False)])
async def test_a_cluster_that_broke_is_kept_only_if_asked(policy: str | None, kept: bool) -> None:
    """One that lost a node has something to tell."""
    spec = {"expiryPolicy": policy} if policy else {}
    world = await made(workerReplicas=1, ttl="1h", **spec)
    world.set_node("demo-worker", None)
    await world.pass_time(2 * HOUR)

    assert kept == (world.get() is not None)


async def test_a_cluster_at_rest_is_no_failure() -> None:
    """Stopped as asked: its time is over all the same."""
    world = await made(ttl="1h", expiryPolicy="KeepUnready")
    world.edit({"spec": {"powerState": "Stopped"}})
    await world.pass_time(10)
    assert {NodeRunState.STOPPED} == {node.state for node in world.runtime.clusters["demo"].nodes}
    await world.pass_time(HOUR)

    assert world.get() is None


async def test_what_is_to_be_retained_does_not_expire() -> None:
    """Two wishes that contradict each other: nothing goes."""
    world = await made(ttl="1h", deletionPolicy="Retain")
    await world.pass_time(2 * HOUR)

    assert world.status()["ready"]
    assert "ExpiryHeld" == world.condition("Expiring")["reason"]
    assert "Retain" in world.condition("Expiring")["message"]


async def test_what_is_no_longer_held_is_announced_again() -> None:
    """Whoever takes back what kept it gets the minute that every other edit gives; until then nobody was warned."""
    world = await made(ttl="1h", deletionPolicy="Retain")
    await world.pass_time(2 * HOUR)
    assert [] == events(world, "ExpiresSoon")

    world.edit({"spec": {"deletionPolicy": "Delete"}})
    await world.pass_time(NOTICE.total_seconds() - 5)
    assert world.get() is not None
    assert "ExpiresSoon" == world.condition("Expiring")["reason"]
    await world.pass_time(10)
    assert world.get() is None


@pytest.mark.parametrize("spec", [{"expiryPolicy": "KeepUnready"}, {"deletionPolicy": "Retain"}])
async def test_nothing_is_made_to_be_kept(spec: dict[str, Any]) -> None:
    """Its time was over before it began: it stays, says why, and costs nothing."""
    world = World()
    world.apply(kindcluster(expiresAt="2020-01-01T00:00:00Z", **spec))
    await world.pass_time(HOUR)

    assert 0 == world.runtime.calls["create"]
    assert ("Expired", "ExpiryHeld") == (world.condition("Ready")["reason"], world.condition("Expiring")["reason"])


async def test_a_cluster_that_cannot_be_looked_at_is_not_taken_for_a_usable_one() -> None:
    """What the engine does not tell is not known, whatever Ready said last."""
    world = await made(ttl="1h", expiryPolicy="KeepUnready")
    world.runtime.engine_up = False
    await world.pass_time(2 * HOUR)
    assert world.status()["ready"]
    obj = world.get()
    assert obj is not None
    assert "deletionTimestamp" not in obj["metadata"]

    world.runtime.engine_up = True
    await world.pass_time(10 * 60)
    assert world.get() is None


async def test_a_cluster_that_may_not_be_deleted_is_looked_after() -> None:
    """An admission policy, or rights of an earlier version: said, tried again, and its containers are started as ever."""
    world = await made(ttl="1h")

    async def refuse(call: Call) -> None:
        if call.verb == "delete" and call.resource == KINDCLUSTERS:
            raise Terminal(Reason.API_ERROR, "admission webhook says no.")

    world.kube.before(refuse)
    await world.pass_time(2 * HOUR)
    world.set_node("demo-control-plane", NodeRunState.STOPPED)
    await world.pass_time(10 * 60)

    assert {NodeRunState.RUNNING} == {node.state for node in world.runtime.clusters["demo"].nodes}
    assert "admission webhook says no." in events(world, "APIError")[-1]


async def test_the_finalizer_is_there_before_the_end_is_carried_out() -> None:
    """Without it the object would be gone at once, and its containers nobody's."""
    world = await made(ttl="1h")
    world.kube.edit(KINDCLUSTERS, KEY, {"metadata": {"finalizers": None}})
    later(world, 2 * HOUR)
    await world.pass_time(10)

    assert world.get() is None
    assert [] == world.runtime.marked()


@pytest.mark.parametrize("change", ["extended", "made anew"])
async def test_what_changes_in_the_last_moment_is_not_deleted(change: str) -> None:
    """Between reading and deleting there is time for a person: uid and resourceVersion are part of the request."""
    world = await made(ttl="1h")

    async def meddle(call: Call) -> None:
        if call.verb == "delete" and call.resource == KINDCLUSTERS and not done:
            done.append(call)
            if change == "extended":
                extend(world, at(9 * HOUR))
            else:
                world.kube.edit(KINDCLUSTERS, KEY, {"metadata": {"finalizers": None}})
                world.kube.remove(KINDCLUSTERS, KEY)
                world.apply(kindcluster())

    done: list[Call] = []
    world.kube.before(meddle)
    await world.pass_time(2 * HOUR)

    assert 1 == len(done)
    obj = world.get()
    assert obj is not None
    assert "deletionTimestamp" not in obj["metadata"]
    assert [] == events(world, "Expired")


async def test_nothing_is_written_between_two_things_to_say() -> None:
    """A time is written as a time: the status does not count down."""
    world = await made(ttl="2h")
    before = world.get()
    for _ in range(20):
        await world.pass_time(60)
        world._add(KEY)
    assert before == world.get()


def test_templates_know_no_end_and_only_kindclusters_may_be_deleted() -> None:
    """A topology's objects have owners, and the role cannot delete what nothing expires."""
    own = {"ttl", "expires_at", "expiry_policy"}
    assert own <= KINDClusterSpec.model_fields.keys()
    assert not own & KINDClusterTemplateSpec.model_fields.keys()
    deletable = {one.resource for entry in CONTROLLERS for one in entry.permissions if "delete" in one.verbs}
    assert KINDCLUSTERS in deletable
    assert KINDCLUSTER_TEMPLATES not in deletable


# --- over all times ----------------------------------------------------------------------------------------------------------------

TIMES = st.integers(-400_000, 400_000).map(lambda seconds: EPOCH + timedelta(seconds=seconds))
MAYBE = st.none() | TIMES


def scope(now: datetime, status: dict[str, Any], annotations: dict[str, str], spec: dict[str, Any]) -> Scope:
    obj = kindcluster(**spec)
    obj["metadata"] |= {"creationTimestamp": timestamp(EPOCH), "annotations": annotations, "generation": 1}
    return open_scope(KEY, {**obj, "status": status}, Owner(standalone=True), {}, now)


@given(
    now=TIMES,
    ttl=st.none() | st.integers(1, 400_000),
    expires=MAYBE,
    extended=MAYBE,
    published=MAYBE,
    begun=st.booleans(),
)
def test_never_before_its_time_and_never_unannounced(
    now: datetime, ttl: int | None, expires: datetime | None, extended: datetime | None, published: datetime | None, begun: bool
) -> None:
    """Over all times: not before what is asked for, not before the annotation, and what is in use a minute after it was told at least;
    what is told is the same in the next pass; there is always a next look until it is over."""
    spec: dict[str, Any] = {} if ttl is None else {"ttl": f"{ttl // 3600}h{ttl % 3600 // 60}m{ttl % 60}s"}
    spec |= {} if expires is None else {"expiresAt": timestamp(expires)}
    annotations = {} if extended is None else {names.EXTEND_ANNOTATION: timestamp(extended)}
    status: dict[str, Any] = {} if published is None else {"expiresAt": timestamp(published)}
    status |= {"lastCreate": {"startedAt": timestamp(EPOCH)}} if begun else {}

    seen = scope(now, status, annotations, spec)
    found = expiry_of(seen, seen.conditions)

    if not spec:
        assert found is None
        return
    assert found is not None
    assert found.at is not None
    asked = [one for one in (None if ttl is None else EPOCH + timedelta(seconds=ttl), expires) if one is not None]
    assert found.at >= min(asked)
    assert extended is None or found.at >= extended
    if begun and found.at <= now:
        assert published is not None
        assert published <= found.at
    assert begun is False or published is None or published > now or found.at <= max(published, min(asked), extended or published)
    after = scope(now, {**status, "expiresAt": found.told}, annotations, spec)
    assert (again := expiry_of(after, after.conditions)) is not None
    assert found.told == again.told
    look = next_look(seen, seen.conditions)
    assert look is not None
    assert look > timedelta(0)
    assert found.over(now) or now + look <= found.at
    assert found.at.tzinfo is UTC
