"""Waiting for something, and watching that nothing happens. What is waited for is a function that says what is still wrong, or nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.1

Problem = Callable[[], str]


def wait(seconds: float, problem: Problem) -> float:
    """Until nothing is wrong any more; returns the seconds it took. Fails with what was wrong at the end."""
    began = time.monotonic()
    while said := problem():
        assert time.monotonic() - began < seconds, f"after {seconds:g} s still: {said}"
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began


def hold(seconds: float, problem: Problem) -> None:
    """Nothing is wrong, and nothing becomes wrong for this long."""
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        said = problem()
        assert not said, f"after {elapsed:.1f} s: {said}"
        time.sleep(POLL_SECONDS)
