"""hack.lanes: work side by side, in order, and nothing waits for what it does not need."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from hack import lanes
from hack.lanes import Piece

SECONDS = 10.0
ROOT = Path(__file__).resolve().parents[3]
INTERRUPTED = """
import _thread, signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in the background with it ignored
from hack import lanes
seen = threading.Event()

def interrupts():
    _thread.interrupt_main()
    assert seen.wait(10)

try:
    lanes.run([lanes.Piece(interrupts), lanes.Piece(lambda: print("the next one"))], 1)
except KeyboardInterrupt:
    print("interrupted")
    seen.set()
"""


def test_results_come_in_the_order_of_the_pieces() -> None:
    """However many lanes there are, and whichever ends first."""
    for count in (1, 2, 5):
        assert [0, 1, 4, 9] == lanes.run([Piece(lambda number=number: number**2) for number in range(4)], count)  # type: ignore[misc]


def test_pieces_run_side_by_side() -> None:
    """Two that wait for each other end."""
    meeting = threading.Barrier(2)

    def meet() -> bool:
        meeting.wait(SECONDS)
        return True

    assert [True, True] == lanes.run([Piece(meet), Piece(meet)], 2)


def test_no_more_run_at_once_than_there_are_lanes() -> None:
    """One lane: one after the other, so that nobody comes to a meeting."""
    meeting = threading.Barrier(2)

    def meets() -> bool:
        try:
            meeting.wait(0.1)
        except threading.BrokenBarrierError:
            return False
        return True

    assert [False] * 5 == lanes.run([Piece(meets)] * 5, 1)


def test_a_piece_that_must_wait_holds_up_no_other() -> None:
    """In one lane, the second piece makes way for the first."""
    gate: Future[str] = Future()

    def opens() -> str:
        gate.set_result("open")
        return "second"

    assert ["open", "second"] == lanes.run([Piece(gate.result, after=gate), Piece(opens)], 1)


def test_a_gate_that_failed_lets_its_piece_look_at_it() -> None:
    """How it ended is for the piece to say."""
    gate: Future[str] = Future()
    gate.set_exception(RuntimeError("no tools"))

    assert ["no tools"] == lanes.run([Piece(lambda: str(gate.exception()), after=gate)], 2)


def test_what_a_piece_raises_is_raised_when_the_others_are_over() -> None:
    """Nothing is left running, and nothing is lost in silence."""
    done: list[str] = []

    def breaks() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        lanes.run([Piece(breaks), Piece(lambda: done.append("other"))], 2)

    assert ["other"] == done


def test_nothing_is_begun_after_an_interrupt() -> None:
    """Whoever presses Ctrl-C does not mean the next tier."""
    said = subprocess.run([sys.executable, "-c", INTERRUPTED], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)

    assert said.stdout == "interrupted\n"
