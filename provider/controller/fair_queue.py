"""Who gets the next of a number of slots: the namespaces take turns, first come first served within one. Pure (docs/adr/0093).

Knows nothing of tasks, time or the event loop. What waits is told its position by playing the queue forward on a copy.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class FairQueue(Generic[Item]):
    """Items wait, take a slot and release it. Each has an owner: the one that holds the fewest slots is next, and of several such the one
    whose last turn is longest ago. A slot never stays free while something waits.

    So an owner that holds no slot is passed over by each other owner once at most, whatever they queue (tests/unit/controller/
    test_fair_queue.py).
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._waiting: dict[str, deque[Item]] = {}
        self._running: dict[Item, str] = {}
        """Owner of each, in the order in which they took their slots."""
        self._held: Counter[str] = Counter()
        self._turns: dict[str, int] = {}
        """When each owner that waits went to the end of the line."""
        self._line: list[tuple[int, int, str]] = []
        """A heap of (slots held, turn, owner). An entry whose turn is not the owner's any more is skipped."""
        self._last_turn = 0
        self._positions: dict[Item, int] | None = None

    def add(self, item: Item, owner: str) -> None:
        """It waits behind what the owner has waiting already."""
        self._positions = None
        if owner in self._waiting:
            self._waiting[owner].append(item)
        else:
            self._waiting[owner] = deque([item])
            self._line_up(owner)

    def remove(self, item: Item, owner: str) -> None:
        """It waits no more. Raises ValueError when it does not wait."""
        if owner not in self._waiting:
            raise ValueError(f"nothing of {owner} waits")
        self._positions = None
        self._waiting[owner].remove(item)
        self._forget_if_empty(owner)

    def take(self) -> Item | None:
        """What begins now; None: nothing waits, or no slot is free."""
        while self._line and len(self._running) < self._slots:
            _, turn, owner = heapq.heappop(self._line)
            if self._turns.get(owner) != turn:
                continue
            self._positions = None
            item = self._waiting[owner].popleft()
            self._running[item] = owner
            self._held[owner] += 1
            self._forget_if_empty(owner)
            self._line_up(owner)
            return item
        return None

    def release(self, item: Item) -> None:
        """It has ended. Who has had the slot is last in the line for it."""
        self._positions = None
        owner = self._running.pop(item)
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        self._line_up(owner)

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def running(self) -> int:
        return len(self._running)

    def positions(self) -> dict[Item, int]:
        """Of all that wait, in order: 1 is next. Right if nothing is added and what runs ends in the order in which it began."""
        if self._positions is None:
            future = self._copy()
            order: list[Item] = []
            while future._waiting:  # noqa: SLF001 - a copy of itself
                if (item := future.take()) is not None:
                    order.append(item)
                else:
                    future.release(next(iter(future._running)))  # noqa: SLF001
            self._positions = {item: number for number, item in enumerate(order, start=1)}
        return self._positions

    def _line_up(self, owner: str) -> None:
        if owner in self._waiting:
            self._last_turn += 1
            self._turns[owner] = self._last_turn
            heapq.heappush(self._line, (self._held[owner], self._last_turn, owner))

    def _forget_if_empty(self, owner: str) -> None:
        if not self._waiting[owner]:
            del self._waiting[owner], self._turns[owner]
        if not self._waiting:
            self._line.clear()

    def _copy(self) -> FairQueue[Item]:
        copy: FairQueue[Item] = FairQueue(self._slots)
        copy._waiting = {owner: deque(items) for owner, items in self._waiting.items()}
        copy._running, copy._held = dict(self._running), Counter(self._held)
        copy._turns, copy._line, copy._last_turn = dict(self._turns), list(self._line), self._last_turn
        return copy
