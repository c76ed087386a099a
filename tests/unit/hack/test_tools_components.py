"""Where Cluster API's own manifests come from when its release cannot be downloaded, and which tools only the capi tier gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack.tools import acquire, cache, components, pins
from hack.tools.download import Downloads

RENDERED = "kind: Deployment\\n        image: registry.example/staging/cluster-api-controller:main\\nother: image\\n"


def program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def means(folder: Path, go: Path | None) -> acquire.Means:
    return acquire.Means(folder / "cache", "", Downloads("the network is closed"), str(go) if go else None, lambda _: None)


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """Has the module in its cache, counts how often it is asked; a kubectl that renders anything stands beside it."""
    source = tmp_path / "module"
    source.mkdir()
    (source / "metadata.yaml").write_text("kind: Metadata\n")
    program(tmp_path / "cache" / "bin" / "kubectl", f"printf '{RENDERED}'")
    return program(tmp_path / "go", f'echo asked >>{tmp_path}/asked; echo \'{{"Dir": "{source}"}}\'')


def test_components_are_rendered_from_source_with_the_released_image(tmp_path: Path, go: Path) -> None:
    """The sources name an image of the main branch; what is kept names the release's, as the published file does."""
    assert "" == components.acquire(means(tmp_path, go))

    kept = tmp_path / "cache" / "store" / "cluster-api" / pins.CLUSTER_API
    assert f"        image: {components.IMAGE}\nother: image\n" in (kept / "core-components.yaml").read_text()
    assert (kept / "metadata.yaml").exists()


def test_components_are_made_once(tmp_path: Path, go: Path) -> None:
    """The second run sends no request."""
    assert ["", ""] == [components.acquire(means(tmp_path, go)) for _ in range(2)]
    assert 1 == (tmp_path / "asked").read_text().count("asked")


def test_a_renderer_that_fails_leaves_nothing_and_says_why(tmp_path: Path, go: Path) -> None:
    """The reason holds both ways that were tried."""
    program(tmp_path / "cache" / "bin" / "kubectl", "echo 'no such kustomization' >&2; exit 1")

    reason = components.acquire(means(tmp_path, go))

    assert "the network is closed" in reason and "no such kustomization" in reason
    assert not (tmp_path / "cache" / "store" / "cluster-api" / pins.CLUSTER_API).exists()


def test_without_go_and_without_a_network_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message gives the reason and the command that gets the file."""
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "cache"))

    assert "the network is closed" in components.acquire(means(tmp_path, None))
    with pytest.raises(components.ComponentsMissing, match="make tools-capi"):
        components.folder()


def test_cluster_apis_tools_are_a_set_of_their_own() -> None:
    """Unit tests and the demo do not need Cluster API compiled."""
    assert ["cluster-api-manager", "clusterctl"] == [tool.name for tool in pins.in_sets("capi")]
    assert set(pins.TOOLS) == {tool.name for tool in pins.in_sets("basic", "capi")}
    assert not {tool.name for tool in pins.in_sets("basic")} & {"cluster-api-manager", "clusterctl"}


def test_a_tool_without_a_download_is_not_looked_for(tmp_path: Path) -> None:
    """The core manager is published inside an image only: that is the reason given, not a broken address."""
    result = acquire.acquire([pins.TOOLS["cluster-api-manager"]], means(tmp_path, None))

    assert "publishes no executable" in result.problems["cluster-api-manager"]
