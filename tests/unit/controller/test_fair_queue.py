"""provider.controller.fair_queue: no owner starves, first come first served within one, positions come true."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.controller.fair_queue import FairQueue


class Item(NamedTuple):
    owner: str
    number: int


Script = list[tuple[str, str, int]]
"""(what happens, owner, which of several)."""

SCRIPTS = st.lists(
    st.tuples(st.sampled_from(["add", "add", "take", "end", "remove"]), st.sampled_from("abcde"), st.integers(0, 9)), max_size=50
)


class Played:
    """A queue and what has been done with it, kept in the plainest way."""

    def __init__(self, slots: int) -> None:
        self.queue: FairQueue[Item] = FairQueue(slots)
        self.slots = slots
        self.waiting: dict[str, deque[Item]] = {}
        self.running: list[Item] = []
        self.begun: list[Item] = []
        self.numbers = 0

    def step(self, what: str, owner: str, which: int) -> None:
        if what == "add":
            self.numbers += 1
            item = Item(owner, self.numbers)
            self.waiting.setdefault(owner, deque()).append(item)
            self.queue.add(item, owner)
        elif what == "take":
            self.take()
        elif what == "end" and self.running:
            self.queue.release(self.running.pop(which % len(self.running)))
        elif what == "remove" and self.waiting.get(owner):
            line = self.waiting[owner]
            item = line[which % len(line)]
            line.remove(item)
            self.queue.remove(item, owner)

    def take(self) -> Item | None:
        item = self.queue.take()
        if item is not None:
            assert item is self.waiting[item.owner].popleft(), "not first come, first served"
            self.running.append(item)
            self.begun.append(item)
        return item

    def held(self, owner: str) -> int:
        return sum(item.owner == owner for item in self.running)

    def owners(self) -> set[str]:
        return {owner for owner, line in self.waiting.items() if line}


@given(SCRIPTS, st.integers(1, 4))
def test_a_slot_is_never_idle_and_goes_to_who_holds_the_fewest(script: Script, slots: int) -> None:
    """Whatever was queued, ended and withdrawn before."""
    played = Played(slots)
    for what, owner, which in script:
        before = {name: played.held(name) for name in played.owners()}
        due, count = what == "take" and before and len(played.running) < slots, len(played.begun)
        played.step(what, owner, which)
        assert len(played.begun) - count == bool(due)
        if due:
            assert before[played.begun[-1].owner] == min(before.values())
        assert played.queue.running == len(played.running) <= slots
        assert played.queue.waiting == sum(map(len, played.waiting.values()))


@given(SCRIPTS, st.integers(1, 4))
def test_nobody_without_a_slot_is_passed_over_twice_by_the_same_other(script: Script, slots: int) -> None:
    """No owner starves: with n owners, the n-th slot at the latest is its own, and nobody gains by queueing more, or again and again."""
    played = Played(slots)
    passed: dict[str, list[str]] = {}
    for what, owner, which in script:
        count = len(played.begun)
        for name in list(passed):
            if not played.waiting.get(name) or played.held(name):
                del passed[name]
        for name in played.owners():
            if not played.held(name):
                passed.setdefault(name, [])
        played.step(what, owner, which)
        for item in played.begun[count:]:
            passed.pop(item.owner, None)
            for name, others in passed.items():
                assert item.owner not in others, f"{item.owner} came before {name} twice"
                others.append(item.owner)


@given(SCRIPTS, st.integers(1, 4))
def test_positions_are_the_order_in_which_what_waits_begins(script: Script, slots: int) -> None:
    """When nothing is added and tasks end in the order of their beginning."""
    played = Played(slots)
    for what, owner, which in script:
        played.step(what, owner, which)
    told = played.queue.positions()
    assert sorted(told.values()) == list(range(1, len(told) + 1))
    assert set(told) == {item for line in played.waiting.values() for item in line}

    count = len(played.begun)
    while played.owners():
        if played.take() is None:
            played.queue.release(played.running.pop(0))
    assert list(told) == played.begun[count:]


def test_one_owner_with_a_hundred_does_not_hold_up_another() -> None:
    """The first slot that gets free is the newcomer's, and half of the slots are soon."""
    queue: FairQueue[Item] = FairQueue(2)
    for number in range(100):
        queue.add(Item("many", number), "many")
    running = [queue.take(), queue.take()]
    for number in range(2):
        queue.add(Item("few", number), "few")
    assert [queue.positions()[Item("few", number)] for number in range(2)] == [1, 3]

    order: list[Item] = []
    for _ in range(4):
        ended = running.pop(0)
        assert ended is not None
        queue.release(ended)
        began = queue.take()
        assert began is not None
        running.append(began)
        order.append(began)
    assert [item.owner for item in order] == ["few", "many", "few", "many"]


def test_who_lets_others_wait_gets_nothing_for_having_been_away() -> None:
    """An owner that was idle for long has no credit."""
    queue: FairQueue[Item] = FairQueue(1)
    for number in range(20):
        queue.add(Item("steady", number), "steady")
        item = queue.take()
        assert item is not None
        queue.release(item)
    for number in range(3):
        queue.add(Item("steady", 100 + number), "steady")
        queue.add(Item("back", number), "back")
    order = []
    while (item := queue.take()) is not None:
        order.append(item.owner)
        queue.release(item)
    assert order == ["steady", "back"] * 3


def test_what_does_not_wait_cannot_be_withdrawn() -> None:
    """A slip of the caller's is said, not swallowed."""
    queue: FairQueue[Item] = FairQueue(1)
    queue.add(Item("a", 1), "a")
    with pytest.raises(ValueError, match="not in deque"):
        queue.remove(Item("a", 2), "a")
    with pytest.raises(ValueError, match="nothing of b waits"):
        queue.remove(Item("b", 1), "b")
