"""Who may make a cluster under a name that several objects claim: one at a time, the oldest first, at the price of one request a pass."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider.api import contract
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.backoff import CREATE
from provider.errors import Transient
from provider.ports.runtime import Verb
from provider.reconcile.claims import Claim, Claims, claim_of
from tests.fakes.clock import EPOCH
from tests.fakes.kube import Call
from tests.fakes.world import KEY, World, kindcluster

PAUSED = {"metadata": {"annotations": {contract.PAUSED_ANNOTATION: ""}}}
EXCLUDED = {"metadata": {"annotations": {contract.MANAGED_BY_ANNOTATION: "somebody"}}}
GOES_ON = {"metadata": {"annotations": {contract.PAUSED_ANNOTATION: None, contract.MANAGED_BY_ANNOTATION: None}}}


def named(number: int) -> ObjectKey:
    """Objects of one cluster name live in namespaces of their own."""
    return ObjectKey(f"team-{number:03d}", "demo")


def claimed(key: ObjectKey, runtime: str = "kind") -> JsonObject:
    """An object that has its identity already."""
    return kindcluster(key, identity={"token": hashlib.sha256(str(key).encode()).hexdigest()[:32], "runtime": runtime})


def creating(world: World, *keys: ObjectKey) -> list[ObjectKey]:
    """Those that have a create under way, queued or running."""
    found = []
    for key in keys:
        task = world.tasks.status(key)
        if task is not None and task.verb is Verb.CREATE and task.unfinished:
            found.append(key)
    return found


async def two_claims(world: World) -> ObjectKey:
    """An older object without an identity, because it is paused, and a younger one whose create waits for a slot."""
    world.run_tasks, world.tasks.queued = False, True
    young = named(2)
    world.apply(kindcluster() | {"metadata": {"name": KEY.name, "namespace": KEY.namespace, **PAUSED["metadata"]}})
    world.clock.advance(5)
    world.apply(kindcluster(young))
    await world.settle()
    assert creating(world, KEY, young) == [young]
    return young


@pytest.mark.fault(16, "the older gets its identity while the younger waits for a slot (fakes)", invariants="I3 I4")
async def test_a_create_that_waits_for_a_slot_holds_the_name() -> None:
    """However old the other one is: two creates of one name would end each other's."""
    world = World()
    young = await two_claims(world)
    world.edit(GOES_ON)
    await world.settle()

    assert creating(world, KEY, young) == [young]
    assert world.condition("Ready")["reason"] == "NameConflict"
    assert str(young) in world.condition("Ready")["message"]

    world.run_tasks = True
    await world.settle()
    assert world.status(young)["phase"] == "Ready"
    assert world.runtime.calls["create"] == 1


async def test_who_waits_for_a_held_name_has_it_when_it_is_let_go() -> None:
    """At once, not at the next look."""
    world = World()
    young = await two_claims(world)
    world.edit(GOES_ON)
    await world.settle()
    world.edit(PAUSED, young)
    await world.settle()

    assert creating(world, KEY, young) == [KEY]


@pytest.mark.fault(16, "two passes at the same time (fakes)", invariants="I3 I4")
async def test_of_two_passes_at_the_same_time_one_holds_the_name() -> None:
    """What the first has decided counts before anything of it is written."""
    world = World()
    world.run_tasks = False
    keys = [named(1), named(2)]
    for key in keys:
        world.apply(claimed(key))
        await world.look(key)
        await world.look(key)

    async def slowly(call: Call) -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    world.kube.before(slowly)
    for _ in range(6):
        await asyncio.gather(*(world.look(key) for key in keys))
        assert len(creating(world, *keys)) <= 1
    assert creating(world, *keys) == [named(1)]


async def test_an_identity_that_is_being_written_counts() -> None:
    """The older one is asked for while its identity is on the way: the younger looks again instead of taking the name."""
    world = World()
    world.run_tasks = False
    old, young = named(1), named(2)
    world.apply(kindcluster(old))
    world.clock.advance(1)
    world.apply(claimed(young))
    await world.look(young)  # the finalizer
    await world.look(young)  # the daemon
    seen: list[int] = []

    async def meanwhile(call: Call) -> None:
        if call.verb == "patch" and call.key == old and not seen:
            seen.append(1)
            await world.look(young)
            seen.append(len(creating(world, old, young)))

    world.kube.before(meanwhile)
    await world.look(old)
    assert seen == [1, 0]

    await world.settle()
    assert creating(world, old, young) == [old]


async def test_names_are_unique_on_a_runtime_only() -> None:
    """Another runtime's cluster of the same name is in nobody's way."""
    claims = Claims()
    on_kind, on_local = (claim_of(claimed(named(number), runtime)) for number, runtime in ((1, "kind"), (2, "local")))
    assert on_kind is not None and on_local is not None
    claims.note(on_kind)
    claims.note(on_local)
    claims.hold(on_kind)

    assert claims.older(on_local) is None
    assert claims.holder(on_local.place) is None


@pytest.mark.parametrize(
    "happened",
    [
        pytest.param(lambda world, key: world.kube.edit(KINDCLUSTERS, key, {"metadata": {"finalizers": None}}), id="gone"),
        pytest.param(lambda world, key: world.kube.edit(KINDCLUSTERS, key, EXCLUDED), id="another manager's"),
        pytest.param(lambda world, key: world.kube.edit(KINDCLUSTERS, key, {"spec": {"clusterName": "else"}}), id="another name"),
    ],
)
async def test_an_entry_that_is_out_of_date_blocks_nobody_and_frees_nothing(happened: Callable[[World, ObjectKey], None]) -> None:
    """The watch has missed what became of the older one: the younger asks, creates nothing in that pass, and something in the next."""
    world = World()
    world.run_tasks = False
    old, young = named(1), named(2)
    world.apply(kindcluster(old))
    await world.settle()
    assert creating(world, old) == [old]
    world.tasks.finish(old)
    world.reconciler.claims.free(old)
    world.clock.advance(1)
    world.apply(claimed(young))
    await world.look(young)  # the finalizer
    await world.look(young)  # the daemon
    stale = claim_of(world.get(old) or {})
    assert stale is not None
    world.kube.remove(KINDCLUSTERS, old)
    happened(world, old)
    world.reconciler.claims.note(stale)
    await world.look(young)
    assert creating(world, young) == []

    await world.look(young)
    assert creating(world, young) == [young]


# --- requests ---------------------------------------------------------------------------------------------------------------------


async def one_round(number: int) -> tuple[int, int]:
    """(reads of KINDClusters, all calls) per object, of one look at each of so many objects that claim one name."""
    world = World()
    world.run_tasks = False
    keys = [named(number - index) for index in range(number)]  # the oldest is the last by name
    for key in keys:
        world.apply(claimed(key))
        world.clock.advance(1)
    for _ in ("finalizer", "daemon", "create"):
        for key in keys:
            await world.look(key)
    assert creating(world, *keys) == [keys[0]]
    world.tasks.finish(keys[0])
    world.reconciler.claims.free(keys[0])

    world.kube.calls.clear()
    for key in reversed(keys):
        await world.look(key)
    reads = [call for call in world.kube.calls if call.verb == "get" and call.resource == KINDCLUSTERS]
    return round(len(reads) / number), round(len(world.kube.calls) / number)


async def test_requests_for_one_name_grow_with_the_objects_not_with_their_square() -> None:
    """A pass reads its own object and the oldest, whether 10 or 200 objects claim the name."""
    few, many = await one_round(10), await one_round(200)

    assert few == many
    assert many[0] == 2


async def test_letting_go_brings_one_other_back() -> None:
    """Not all that wait, which would wait for that one."""
    world = World()
    world.run_tasks = False
    keys = [named(index) for index in range(50)]
    for key in keys:
        world.apply(kindcluster(key))
        await world.settle()
        world.clock.advance(1)
    world.due.clear()
    world.edit(EXCLUDED, keys[0])
    await world.look(keys[0])

    assert set(world.due) - {keys[0]} == {keys[1]}
    await world.settle()
    assert creating(world, *keys) == [keys[1]]


# --- whatever happens --------------------------------------------------------------------------------------------------------------

EVENTS = ["apply", "delete", "strip", "pause", "go on", "exclude", "end", "fail", "restart", "pass"]
SCRIPTS = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 3)), min_size=1, max_size=14)


class Rivals:
    """Objects of one cluster name, to which things happen."""

    def __init__(self) -> None:
        self.world = World()
        self.world.run_tasks = False
        self.keys = [named(number) for number in range(4)]

    async def happen(self, what: str, key: ObjectKey) -> None:
        world, obj = self.world, self.world.get(key)
        if what == "apply" and obj is None:
            world.apply(kindcluster(key))
        elif what == "restart":
            world.restart()
        elif what == "pass":
            await world.look(key)
            return
        elif what == "fail" and key in world.tasks.work:
            world.tasks.finish(key, Transient(Reason.CREATE_FAILED, "It broke."))
        elif what == "end" and key in world.tasks.work:
            await world.tasks.run(key)
        elif obj is not None:
            self.change(what, key)
        world.clock.advance(1)

    def change(self, what: str, key: ObjectKey) -> None:
        world = self.world
        match what:
            case "delete":
                world.delete(key)
            case "strip":
                world.edit({"metadata": {"finalizers": None}}, key)
            case "pause":
                world.edit(PAUSED, key)
            case "exclude":
                world.edit(EXCLUDED, key)
            case "go on":
                world.edit(GOES_ON, key)


@settings(max_examples=40, deadline=None)
@given(SCRIPTS)
def test_at_most_one_create_of_a_name_and_in_the_end_somebody_has_it(script: list[tuple[str, int]]) -> None:
    """Whatever is applied, deleted, paused, handed over and restarted, in whatever order and between whichever passes."""

    async def play() -> None:
        rivals = Rivals()
        world = rivals.world
        for what, number in script:
            await rivals.happen(what, rivals.keys[number])
            if what != "pass":
                await world.settle()
            assert len(creating(world, *rivals.keys)) <= 1
        for key in rivals.keys:
            if world.get(key) is not None:
                world.edit(GOES_ON, key)
        world.run_tasks = True
        world.clock.advance(CREATE.limit)
        await world.pass_time(0)
        living = [key for key in rivals.keys if world.get(key) is not None]
        ready = [key for key in living if world.status(key).get("phase") == "Ready"]
        assert len(ready) <= 1
        assert ready or not living or world.runtime.clusters, "nobody has the name"

    asyncio.run(play())


def make(number: int, age: int, name: str) -> Claim:
    created = (EPOCH + timedelta(seconds=age)).isoformat()
    return Claim(created, f"ns-{number}", "x", "kind", name, uid=f"{number}-{age}")


class PlainSearch:
    """What Claims is, as a dictionary that is searched from end to end."""

    def __init__(self) -> None:
        self.known: dict[ObjectKey, Claim] = {}
        self.held: dict[str, ObjectKey] = {}

    def note(self, claim: Claim) -> None:
        if claim.key not in self.known or self.known[claim.key].created <= claim.created:
            self.known[claim.key] = claim

    def oldest(self, name: str) -> Claim | None:
        return min((claim for claim in self.known.values() if claim.cluster_name == name), default=None)

    def hold(self, claim: Claim) -> None:
        self.let_go(claim.key)
        self.held[claim.cluster_name] = claim.key

    def let_go(self, key: ObjectKey) -> set[str]:
        names = {name for name, holder in self.held.items() if holder == key}
        self.held = {name: holder for name, holder in self.held.items() if holder != key}
        return names

    def end(self, what: str, key: ObjectKey) -> set[ObjectKey]:
        """Who comes first by that, of others."""
        names = self.let_go(key) if what != "forget" else set()
        if what != "free" and (claim := self.known.pop(key, None)) is not None:
            names.add(claim.cluster_name)
        first = [self.oldest(name) for name in names if name not in self.held]
        return {claim.key for claim in first if claim is not None and claim.key != key}


STEPS = st.tuples(
    st.sampled_from(["note", "note", "forget", "hold", "free", "release"]),
    st.integers(0, 5),
    st.integers(0, 3),
    st.sampled_from("ab"),
)


@given(st.lists(STEPS, max_size=40))
def test_the_index_is_the_plain_search(script: list[tuple[str, int, int, str]]) -> None:
    """Who is oldest, who holds, and who comes first when another lets go."""
    claims, plain = Claims(), PlainSearch()
    for what, number, age, name in script:
        claim = make(number, age, name)
        known = plain.known.get(claim.key)
        if what == "note":
            plain.note(claim)
            claims.note(claim)
        elif what == "hold":
            if known is not None and known.cluster_name not in plain.held:
                plain.hold(known)
                claims.hold(known)
        else:
            first = plain.end(what, claim.key)
            called = getattr(claims, what)(claim.key)
            assert called in first if first else called is None
        for one in plain.known.values():
            oldest = plain.oldest(one.cluster_name)
            assert claims.older(one) == (oldest if oldest != one else None)
        assert {name: claims.holder(("kind", name)) for name in "ab"} == {name: plain.held.get(name) for name in "ab"}


def test_the_same_object_without_its_identity_is_older_news() -> None:
    """Events come late; another object of the same name begins anew."""
    obj = claimed(KEY)
    obj["metadata"] |= {"uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    claims, claim = Claims(), claim_of(obj)
    assert claim is not None
    younger = Claim("2026-01-02T00:00:00Z", "x", "x", *claim.place, uid="2")
    claims.observe(obj)
    claims.observe({**obj, "spec": {}})
    assert claims.older(younger) == claim

    claims.observe({**obj, "metadata": {**obj["metadata"], "uid": "3", "creationTimestamp": "2026-01-03T00:00:00Z"}, "spec": {}})
    assert claims.older(younger) is None
    claims.observe(obj)
    claims.observe({**obj, "metadata": {**obj["metadata"], "uid": "0", "creationTimestamp": "2025-01-01T00:00:00Z"}, "spec": {}})
    assert claims.older(younger) == claim
