"""Waiting for a state, and watching that one holds. The state is a function that returns what is wrong with it, "" when nothing is."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.1

Problem = Callable[[], str]


def wait(seconds: float, problem: Problem) -> float:
    """Until nothing is wrong; returns the seconds it took. Fails with what was wrong at the end."""
    began = time.monotonic()
    while wrong := problem():
        assert time.monotonic() - began < seconds, f"after {seconds:g} s still: {wrong}"
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began


def hold(seconds: float, problem: Problem) -> None:
    """Fails as soon as something is wrong within this time."""
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        wrong = problem()
        assert not wrong, f"after {elapsed:.1f} s: {wrong}"
        time.sleep(POLL_SECONDS)
