"""Processes that outlived their job: which are killed, and which are waited for."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from provider.adapters.process import strays
from provider.adapters.process.strays import Process


async def test_a_process_that_has_no_arguments_is_not_judged_by_them() -> None:
    """The kernel shows none while a process starts a program or ends: there is nothing that must finish."""
    found = [[Process(2**22 + 1, 1, ())], []]

    assert await strays.end(lambda: found.pop(0), lambda argv: argv[0] == "docker", patience=5.0)


@pytest.mark.skipif(sys.platform != "linux", reason="everything is read from /proc")
async def test_patience_has_an_end() -> None:
    """What must finish and does not is killed at last, and that is told."""
    found: list[Sequence[Process]] = [[Process(2**22 + 1, 1, ("docker", "run"))], [Process(2**22 + 1, 1, ("docker", "run"))], []]

    assert not await strays.end(lambda: found.pop(0), lambda _: True, patience=0.01)


def test_an_empty_name_is_no_jobs() -> None:
    """Most processes have no job in their environment."""
    assert [] == strays.of_job("")
