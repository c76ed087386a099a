"""provider.controller.leaderelection: one manager per Lease."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey
from provider.api.names import LEASES
from provider.controller.leaderelection import (
    LAST_MOMENT,
    LEASE_NAME,
    LEASE_SECONDS,
    LONGEST_LEASE,
    RENEW_DEADLINE,
    RETRY_SECONDS,
    Elector,
)
from provider.errors import Transient
from tests.fakes.clock import LoopClock, in_virtual_time
from tests.fakes.kube import FakeKube

KEY = ObjectKey("default", LEASE_NAME)


def now() -> float:
    return asyncio.get_running_loop().time()


def elector(kube: FakeKube, identity: str) -> Elector:
    return Elector(kube, LoopClock(), "default", identity)


def lease(kube: FakeKube) -> JsonObject:
    obj = kube.read(LEASES, KEY)
    assert obj is not None
    spec: JsonObject = obj["spec"]
    return spec


@in_virtual_time
async def test_the_first_gets_the_lease_at_once() -> None:
    """A lonely manager starts without delay."""
    kube = FakeKube()
    one = elector(kube, "one")
    await one.acquire()

    assert one.leading
    assert now() == 0
    assert lease(kube)["holderIdentity"] == "one"
    assert lease(kube)["leaseDurationSeconds"] == LEASE_SECONDS


@in_virtual_time
async def test_the_second_waits_while_the_first_renews() -> None:
    """For as long as it takes."""
    kube = FakeKube()
    one, two = elector(kube, "one"), elector(kube, "two")
    await one.acquire()
    keeping, waiting = asyncio.create_task(one.keep()), asyncio.create_task(two.acquire())
    await asyncio.sleep(600)

    assert not keeping.done()
    assert not waiting.done()
    assert lease(kube)["holderIdentity"] == "one"


@in_virtual_time
async def test_a_dead_holder_is_replaced_after_the_lease_time() -> None:
    """Counted from when the record was last seen to change, by our own clock."""
    kube = FakeKube()
    one, two = elector(kube, "one"), elector(kube, "two")
    await one.acquire()
    waiting = asyncio.create_task(two.acquire())
    await waiting

    assert LEASE_SECONDS <= now() <= LEASE_SECONDS + 2 * RETRY_SECONDS
    assert lease(kube)["holderIdentity"] == "two"
    assert lease(kube)["leaseTransitions"] == 1


@in_virtual_time
async def test_a_restarted_holder_takes_its_own_lease_back_at_once() -> None:
    """Killed and started again: the identity is the same, and nobody else has it."""
    kube = FakeKube()
    await elector(kube, "one").acquire()
    again = elector(kube, "one")
    await again.acquire()

    assert now() == 0
    assert again.leading


@in_virtual_time
async def test_a_released_lease_is_taken_at_the_next_try() -> None:
    """An orderly end does not cost the successor fifteen seconds."""
    kube = FakeKube()
    one, two = elector(kube, "one"), elector(kube, "two")
    await one.acquire()
    waiting = asyncio.create_task(two.acquire())
    await asyncio.sleep(0.1)
    await one.release()
    await waiting

    assert now() <= RETRY_SECONDS + 0.1


@pytest.mark.fault(5, "the Lease cannot be renewed (fakes)", invariants="I4")
@in_virtual_time
async def test_without_renewal_the_holder_stops_before_anybody_may_take_over() -> None:
    """An unreachable API server: work ends at ten seconds, the Lease at fifteen."""
    kube = FakeKube()
    one = elector(kube, "one")
    await one.acquire()
    kube.fail("*", Transient(Reason.API_ERROR, "down"), times=10_000)
    await one.keep()

    assert not one.leading
    assert RENEW_DEADLINE - 2 * RETRY_SECONDS <= now() <= RENEW_DEADLINE


@in_virtual_time
async def test_an_api_server_that_hangs_counts_as_unreachable() -> None:
    """No answer is waited for beyond the deadline."""
    kube = FakeKube()
    one = elector(kube, "one")
    await one.acquire()

    async def hang(call: object) -> None:
        await asyncio.sleep(3600)

    kube.before(hang)
    await one.keep()

    assert now() <= RENEW_DEADLINE + 0.1


@in_virtual_time
async def test_a_short_outage_is_survived() -> None:
    """A few failed renewals in time are no loss."""
    kube = FakeKube()
    one = elector(kube, "one")
    await one.acquire()
    keeping = asyncio.create_task(one.keep())
    kube.fail("*", Transient(Reason.API_ERROR, "down"), times=2)
    await asyncio.sleep(100)

    assert not keeping.done()
    assert one.leading


@pytest.mark.fault(5, "the Lease is taken away (fakes)", invariants="I4")
@in_virtual_time
async def test_a_lease_taken_by_force_ends_the_holder() -> None:
    """Somebody edited it: two must never work."""
    kube = FakeKube()
    one = elector(kube, "one")
    await one.acquire()
    kube.edit(LEASES, KEY, {"spec": {"holderIdentity": "thief"}})
    await one.keep()

    assert not one.leading
    assert now() <= 2 * RETRY_SECONDS


@in_virtual_time
async def test_a_deleted_lease_is_made_again() -> None:
    """Its holder is still the holder."""
    kube = FakeKube()
    one = elector(kube, "one")
    await one.acquire()
    kube.remove(LEASES, KEY)
    keeping = asyncio.create_task(one.keep())
    await asyncio.sleep(10)

    assert not keeping.done()
    assert lease(kube)["holderIdentity"] == "one"


@pytest.mark.fault(5, "two race for a Lease (fakes)", invariants="I4")
@in_virtual_time
async def test_two_that_race_for_a_free_lease_do_not_both_win() -> None:
    """The resourceVersion decides."""
    kube = FakeKube()

    async def yield_control(call: object) -> None:
        await asyncio.sleep(0.01)

    kube.before(yield_control)
    tasks = {name: asyncio.create_task(elector(kube, name).acquire()) for name in ("one", "two", "three")}
    await asyncio.sleep(1)

    assert [name for name, task in tasks.items() if task.done()] == [lease(kube)["holderIdentity"]]


@in_virtual_time
async def test_an_unreachable_api_server_at_the_start_is_waited_for() -> None:
    """The manager may start before its API server."""
    kube = FakeKube()
    kube.fail("*", Transient(Reason.API_ERROR, "down"), times=50)
    one = elector(kube, "one")
    await one.acquire()

    assert one.leading


@pytest.mark.parametrize(
    "spec",
    [
        None,
        {},
        {"holderIdentity": None, "leaseDurationSeconds": None, "renewTime": None, "leaseTransitions": None},
        {"holderIdentity": "", "leaseDurationSeconds": "soon", "leaseTransitions": -7, "renewTime": "yesterday"},
    ],
)
def test_a_lease_that_says_nothing_is_free(spec: Any) -> None:
    """Somebody else made it, or a client cleared its fields: it is taken at once, and released in order."""

    @in_virtual_time
    async def check() -> None:
        kube = FakeKube()
        meta = {"name": KEY.name, "namespace": KEY.namespace}
        kube.put(LEASES, {"metadata": meta} | ({} if spec is None else {"spec": spec}))
        one = elector(kube, "one")
        await one.acquire()

        assert now() == 0
        assert lease(kube)["holderIdentity"] == "one"
        await one.release()
        assert lease(kube)["holderIdentity"] == ""

    check()


@pytest.mark.parametrize("seconds", [0, -1, 10**9, "long", None, 2.5])
def test_a_dead_holder_is_replaced_whatever_its_record_says(seconds: Any) -> None:
    """An odd length of the Lease counts as the usual one, an endless one as five minutes; a renewTime in the future as any other."""

    @in_virtual_time
    async def check() -> None:
        kube = FakeKube()
        spec = {"holderIdentity": "dead", "leaseDurationSeconds": seconds, "renewTime": "2999-01-01T00:00:00.000000Z"}
        kube.put(LEASES, {"metadata": {"name": KEY.name, "namespace": KEY.namespace}, "spec": spec})
        await elector(kube, "two").acquire()

        assert LEASE_SECONDS <= now() <= LONGEST_LEASE + 2 * RETRY_SECONDS
        assert lease(kube)["holderIdentity"] == "two"

    check()


@in_virtual_time
async def test_a_lease_whose_spec_is_taken_away_is_written_again() -> None:
    """Its holder is still the holder."""
    kube = FakeKube()
    one = elector(kube, "one")
    await one.acquire()
    kube.edit(LEASES, KEY, {"spec": None})
    keeping = asyncio.create_task(one.keep())
    await asyncio.sleep(30)

    assert not keeping.done()
    assert lease(kube)["holderIdentity"] == "one"


@in_virtual_time
async def test_the_watchdog_is_moved_by_each_renewal_and_never_past_the_lease() -> None:
    """Its time comes before another manager's, and after the orderly end of this one."""
    kube, moves = FakeKube(), list[float | None]()
    one = Elector(kube, LoopClock(), "default", "one", moves.append)
    await one.acquire()
    assert moves == [LAST_MOMENT]

    kube.fail("*", Transient(Reason.API_ERROR, "down"), times=10_000)
    await one.keep()
    assert moves == [LAST_MOMENT]
    assert RENEW_DEADLINE < LAST_MOMENT < LEASE_SECONDS

    await one.release()
    assert moves[-1] is None
