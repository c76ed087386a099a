"""Runs pieces of work side by side in a few lanes. What the work is, and what it says, is nothing to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

R = TypeVar("R")


@dataclass(frozen=True)
class Piece(Generic[R]):
    """`work` is called once, in one of the lanes."""

    work: Callable[[], R]
    after: Future[Any] | None = None
    """Has to be over first. How it ended is for the work to look at."""


def run(pieces: Sequence[Piece[R]], lanes: int) -> list[R]:
    """What each returned, in the order they were given. A free lane takes the first piece that may start; raises what a piece raised,
    once all the others are over. Interrupted (Ctrl-C), it begins none any more.
    """
    waiting, results = dict(enumerate(pieces)), {}
    changed = threading.Condition()

    def wake(_: Future[Any]) -> None:
        with changed:
            changed.notify_all()

    def take() -> tuple[int, Piece[R]] | None:
        with changed:
            while waiting:
                for number, piece in waiting.items():
                    if piece.after is None or piece.after.done():
                        return number, waiting.pop(number)
                changed.wait()
        return None

    def work() -> None:
        while taken := take():
            number, piece = taken
            results[number] = piece.work()
        with changed:
            changed.notify_all()

    for piece in pieces:
        if piece.after is not None:
            piece.after.add_done_callback(wake)
    try:
        with ThreadPoolExecutor(lanes) as pool:
            running = [pool.submit(work) for _ in range(lanes)]
    except KeyboardInterrupt:
        with changed:
            waiting.clear()
            changed.notify_all()
        raise
    for lane in running:
        lane.result()
    return [results[number] for number in range(len(pieces))]
