"""The manager's private folder: one process at a time, one identity."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from provider.adapters.state_dir import only_process, prepare, stable_identity
from provider.errors import Terminal, Transient

HOLD = """
import sys
from pathlib import Path
from provider.adapters.state_dir import only_process
with only_process(Path(sys.argv[1])):
    print(1, flush=True)
    input()
"""


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    """Locks, logs and clusters' keys are in it."""
    prepare(tmp_path / "a" / "new")
    assert 0o700 == (tmp_path / "a" / "new").stat().st_mode & 0o777


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o750])
def test_a_folder_of_ours_is_taken_as_it_is(tmp_path: Path, mode: int) -> None:
    """Others may look at it: everything that the manager puts there is private by itself."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old").chmod(mode)
    prepare(tmp_path / "old")
    assert mode == (tmp_path / "old").stat().st_mode & 0o777


@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o775, 0o702])
def test_a_folder_that_others_write_to_is_refused_and_left_alone(tmp_path: Path, mode: int) -> None:
    """`--state-dir=/tmp` must not make /tmp private, and whoever writes to the folder could put links in the manager's way."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(mode)
    with pytest.raises(Transient, match="chmod 700") as caught:
        prepare(tmp_path / "shared")
    assert "StateDirUnusable" == caught.value.reason
    assert mode == stat.S_IMODE((tmp_path / "shared").stat().st_mode)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """Said with its cure."""
    (tmp_path / "file").touch()
    with pytest.raises(Transient, match=r"Not a directory.*--state-dir"):
        prepare(tmp_path / "file")


def test_a_folder_that_cannot_be_made_is_told_with_a_cure(tmp_path: Path) -> None:
    """Before anything else is tried."""
    (tmp_path / "file").touch()
    with pytest.raises(Transient, match="--state-dir") as caught:
        prepare(tmp_path / "file" / "state")
    assert caught.value.reason == "StateDirUnusable"


def test_the_identity_survives_a_restart(tmp_path: Path) -> None:
    """One per state folder, with the host's name in it for people."""
    assert stable_identity(tmp_path) == stable_identity(tmp_path)
    (tmp_path / "other").mkdir()
    assert stable_identity(tmp_path) != stable_identity(tmp_path / "other")


def test_a_state_folder_has_one_process(tmp_path: Path) -> None:
    """The second is told which pid is in its way; the lock ends with the process, however it ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline()

        with pytest.raises(Terminal, match=f"pid {other.pid}"), only_process(tmp_path):
            pass

        other.kill()
        other.wait()

    with only_process(tmp_path):
        assert (tmp_path / "manager.lock").stat().st_mode & 0o777 == 0o600
