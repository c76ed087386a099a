"""The manager's private folder: one process at a time, one identity."""

from __future__ import annotations

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


def test_the_folder_is_private_whoever_made_it(tmp_path: Path) -> None:
    """Locks, logs and clusters' keys are in it."""
    for folder in (tmp_path / "a" / "new", tmp_path / "old"):
        if folder.name == "old":
            folder.mkdir(mode=0o755)
        prepare(folder)
        assert folder.stat().st_mode & 0o777 == 0o700


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
