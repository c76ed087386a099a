"""Temporary management APIs beside each other: folders alone, no servers."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from devenv import controlplane
from devenv.controlplane import ManagementAPI


def test_a_folder_in_the_making_is_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run that starts at that very moment takes it for nobody's."""
    make = tempfile.mkdtemp

    def interrupted(prefix: str) -> str:
        folder = make(prefix=prefix, dir=tmp_path)
        controlplane.sweep()
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", interrupted)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(ManagementAPI, "start", lambda _: None)

    with ManagementAPI.temporary() as api:
        controlplane.sweep()
        assert [api.folder] == list(tmp_path.iterdir())
    assert [] == list(tmp_path.iterdir())


def test_what_a_killed_run_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody holds it."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / f"{controlplane.PREFIX}left").mkdir()

    controlplane.sweep()

    assert [] == list(tmp_path.iterdir())
