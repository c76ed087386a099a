"""Where paths lead is asked for a limited time: a file system that hangs must not hold the manager."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from provider.adapters import realpaths
from provider.api.conditions import Reason
from provider.errors import Transient


async def test_links_are_followed_and_what_does_not_exist_stays_as_it_is(tmp_path: Path) -> None:
    """Through every folder of a path, whatever is in its name."""
    (tmp_path / "real").mkdir()
    (tmp_path / "a link\n").symlink_to("real")
    asked = [str(tmp_path / "a link\n" / "data"), str(tmp_path / "none")]

    assert {asked[0]: str(tmp_path / "real" / "data"), asked[1]: asked[1]} == await realpaths.real_paths(asked)


async def test_a_path_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its name, and nothing is left running."""
    monkeypatch.setattr(realpaths, "DEADLINE", 0.3)
    monkeypatch.setattr(realpaths, "RESOLVE", "import time; time.sleep(3600)")
    began = time.monotonic()
    with pytest.raises(Transient) as caught:
        await realpaths.real_paths(["/net/archive"])

    assert Reason.HOST_ERROR is caught.value.reason
    assert "/net/archive" in caught.value.message
    assert time.monotonic() - began < 10
