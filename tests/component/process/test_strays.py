"""Processes that outlived their job: which are killed, and which are waited for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

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


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(["/bin/sleep", "60"])
    yield child
    child.kill()
    child.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="everything is read from /proc")
async def test_a_process_in_the_middle_of_an_exec_is_looked_at_again_and_not_killed_for_it(
    sleeper: subprocess.Popen[bytes],
) -> None:
    """It may be one of the job: the search goes on until that can be told. It may be anybody's: nothing happens to it."""
    unclear = Process(sleeper.pid, strays.start_time(sleeper.pid) or 0, (), sure=False)
    found = [[unclear], [unclear], []]
    assert await strays.end(lambda: found.pop(0), lambda _: False, patience=5.0)
    assert [] == found
    assert sleeper.poll() is None

    looks: list[Process] = []

    def never_told() -> list[Process]:
        looks.append(unclear)
        return [unclear]

    assert await strays.end(never_told, lambda _: False, patience=5.0)
    assert 2 <= len(looks) < 20
    assert sleeper.poll() is None


@pytest.mark.skipif(sys.platform != "linux", reason="everything is read from /proc")
def test_a_job_is_found_in_the_middle_of_an_exec(tmp_path: Path) -> None:
    """It is either found, or something is left to be looked at again: never nothing."""
    script = tmp_path / "again"
    script.write_text('#!/bin/sh\nexec "$0"\n')
    script.chmod(0o700)
    child = subprocess.Popen([str(script)], env={strays.VARIABLE: str(tmp_path)})
    try:
        assert 0 == sum(child.pid not in {one.pid for one in strays.of_job(str(tmp_path))} for _ in range(300))
    finally:
        child.kill()
        child.wait()
