"""The command line that the demo and the playground share."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from devenv import detached


@pytest.fixture
def states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def is_locked(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_verb_gets_the_folder_and_holds_the_lock(states: Path) -> None:
    """Two commands at once would start everything twice. The folder itself is made by what needs it."""
    seen: list[tuple[Path, bool]] = []

    def up(folder: Path) -> None:
        seen.append((folder, is_locked(folder.parent / f"{folder.name}.lock")))

    assert 0 == detached.run("demo", {"up": up}, ["up"])
    assert [(states / "cluster-api-provider-kind-demo", True)] == seen
    assert not seen[0][0].exists()


@pytest.mark.parametrize("arguments", [[], ["sideways"], ["up", "down"]])
def test_anything_but_one_verb_shows_the_usage(states: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """And leaves no file."""
    assert 2 == detached.run("playground", {"up": lambda _: None, "down": lambda _: None}, arguments)
    assert "usage: python -m devenv.playground up|down" in capsys.readouterr().err
    assert not states.exists()


def test_a_failure_is_a_message_and_an_exit_code(states: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person sees what to do, not a traceback; the lock is free again."""

    def up(folder: Path) -> None:
        raise detached.Failed(f"remove {folder.name} first")

    assert 1 == detached.run("demo", {"up": up}, ["up"])
    assert "✗ remove cluster-api-provider-kind-demo first" in capsys.readouterr().err
    assert not is_locked(states / "cluster-api-provider-kind-demo.lock")
