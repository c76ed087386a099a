"""Where tests, demo and benchmarks find a tool: in the cache first, then on PATH, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack.tools import cache, find


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The cache folder and the one on PATH, both empty."""
    tools, path = tmp_path / "tools", tmp_path / "path"
    (tools / "bin").mkdir(parents=True)
    path.mkdir()
    monkeypatch.setenv(cache.ENVIRONMENT, str(tools))
    monkeypatch.setenv("PATH", str(path))
    return tools, path


def put(place: Path) -> str:
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    return str(place.resolve())


def test_the_cache_is_asked_before_path(folders: tuple[Path, Path]) -> None:
    """What `make tools` got has the pinned version; what is on PATH may have any."""
    tools, path = folders
    put(path / "kind")
    cached = put(tools / "bin" / "kind")

    assert cached == find.path("kind")


def test_a_tool_given_in_the_tools_folder_is_found(folders: tuple[Path, Path]) -> None:
    """CAPKIND_TOOLS_DIR may be a plain folder of executables."""
    assert put(folders[0] / "etcd") == find.path("etcd")


def test_path_is_asked_last(folders: tuple[Path, Path]) -> None:
    """A tool that is not in the cache may be installed on the machine."""
    assert put(folders[1] / "kubectl") == find.path("kubectl")


def test_every_missing_tool_is_named_with_the_cure(folders: tuple[Path, Path]) -> None:
    """The reason for a skipped tier: which tools, where they were looked for, what to run."""
    put(folders[1] / "kubectl")
    reason = find.missing("kubectl", "etcd", "kwok")

    assert "etcd not found" in reason and "kwok not found" in reason and "kubectl not" not in reason
    assert str(folders[0]) in reason and "make tools" in reason
    with pytest.raises(find.ToolMissing, match="etcd"):
        find.path("etcd")


def test_children_get_the_cache_first_on_their_path(folders: tuple[Path, Path]) -> None:
    """So that they find the same tools."""
    assert f"{folders[0] / 'bin'}:{folders[1]}" == find.search_path()
