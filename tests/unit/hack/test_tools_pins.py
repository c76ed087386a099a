"""The table of pinned tools agrees with the Go modules, and checksums are read in every published form."""

from __future__ import annotations

import re

import pytest

from hack.tools import build, pins
from hack.tools.download import DownloadFailed, checksum_for, expand

HASH = "ab" * 32


@pytest.mark.parametrize("tool", pins.TOOLS.values(), ids=lambda tool: tool.name)
def test_download_and_source_are_the_same_version(tool: pins.Tool) -> None:
    """go.mod pins the version that the table downloads, lists the package as a tool, and go.sum knows the module."""
    folder = build.MODULES / tool.family
    module, sums = (folder / "go.mod").read_text(), (folder / "go.sum").read_text()
    required = [
        name for name, version in re.findall(r"^\s*(?:require )?(\S+) (v\S+)", module, re.MULTILINE) if version == tool.version
    ]

    assert any(tool.package == name or tool.package.startswith(f"{name}/") for name in required)
    assert re.search(rf"^(tool )?\s*{re.escape(tool.package)}$", module, re.MULTILINE)
    assert any(f"{name} {tool.version} h1:" in sums for name in required)


@pytest.mark.parametrize("tool", [*pins.TOOLS.values(), pins.CORE_COMPONENTS, pins.CORE_METADATA], ids=lambda tool: tool.name)
def test_downloads_come_from_the_projects_own_release_sites(tool: pins.Tool) -> None:
    """Encrypted, at the pinned version, nothing left to fill in."""
    for url in filter(None, (expand(tool, tool.url), expand(tool, tool.checksum_url))):
        assert re.match(r"https://(dl\.k8s\.io|github\.com|api\.github\.com)/", url)
        assert tool.version in url
        assert "{" not in url


@pytest.mark.parametrize(
    "text",
    [
        HASH,
        f"{HASH}\n",
        f"{HASH.upper()}  tool\n",
        f"{'cd' * 32}  other\n{HASH} *bin/linux/tool\n",
        f'{{"assets": [{{"name": "other", "digest": "sha256:{"cd" * 32}"}}, {{"name": "tool", "digest": "sha256:{HASH}"}}]}}',
    ],
)
def test_checksums_are_read_in_every_published_form(text: str) -> None:
    """A bare hash, lines of sha256sum, or the digests of a GitHub release."""
    assert HASH == checksum_for(text, "tool")


@pytest.mark.parametrize(
    "text",
    ["", "<html>sign in</html>", f"{HASH} other", '{"assets": []}', '{"assets": [{"name": "tool", "digest": null}]}', "{}"],
)
def test_a_missing_checksum_is_no_checksum(text: str) -> None:
    """Without a published checksum nothing is downloaded: a login page or another file's hash does not count."""
    with pytest.raises(DownloadFailed, match="no checksum is published for tool"):
        checksum_for(text, "tool")
