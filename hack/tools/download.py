"""Official downloads, each checked against the checksum that its project publishes.

A closed network is found out once: the first request that gets no connection ends all tries of this run.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import platform
import shutil
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hack.tools.pins import Tool

T = TypeVar("T")

CONNECT_SECONDS = 5.0
"""For the first answer of a server; networks that swallow packets are common where downloads are closed."""
RESOLVE_SECONDS = 10.0
"""For a whole small request, name resolution included, which knows no deadline of its own."""
STALL_SECONDS = 30.0
"""Longest silence in the middle of a download."""
SHA256_DIGITS = 64


class DownloadFailed(Exception):
    """This tool cannot be downloaded; the message says why."""


@dataclass
class Downloads:
    """One run's view of the network. `closed` holds the reason once a server could not be reached."""

    closed: str = ""

    def fetch(self, tool: Tool, work: Path) -> Path:
        """Download, check and unpack into the folder `work`. Raises DownloadFailed."""
        if self.closed:
            raise DownloadFailed(self.closed)
        url = expand(tool, tool.url)
        wanted = checksum_for(self._small(expand(tool, tool.checksum_url)), url.rsplit("/", 1)[1])
        target = work / "download"
        try:
            actual = _save(url, target)
        except (OSError, http.client.HTTPException) as error:
            raise _refused(url, error) from error
        if actual != wanted:
            raise DownloadFailed(f"{url} has the SHA-256 {actual}, its project publishes {wanted}")
        return _unpack(target, work, expand(tool, tool.member)) if tool.member else target

    def _small(self, url: str) -> str:
        try:
            return _within(RESOLVE_SECONDS, lambda: _read(url))
        except urllib.error.HTTPError as error:
            raise _refused(url, error) from error
        except (OSError, http.client.HTTPException) as error:
            self.closed = f"no download: {url.split('/')[2]}: {_words(error)}"
            raise DownloadFailed(self.closed) from error


def expand(tool: Tool, template: str) -> str:
    machines = {"x86_64": "amd64", "aarch64": "arm64"}
    arch = machines.get(platform.machine(), platform.machine())
    return template.format(version=tool.version, os=platform.system().lower(), arch=arch)


def checksum_for(text: str, file_name: str) -> str:
    """The SHA-256 of a file in any of the forms that Tool.checksum_url describes. Raises DownloadFailed when it is not there."""
    if text.lstrip().startswith("{"):
        digests = {asset.get("name"): str(asset.get("digest") or "") for asset in json.loads(text).get("assets", [])}
        found = digests.get(file_name, "").removeprefix("sha256:")
    else:
        rows = [line.split() for line in text.splitlines() if line.strip()]
        named = [row[0] for row in rows if len(row) > 1 and row[1].lstrip("*").rsplit("/", 1)[-1] == file_name]
        found = (named or [row[0] for row in rows if len(rows) == 1 and len(row) == 1] or [""])[0]
    if len(found) != SHA256_DIGITS:
        raise DownloadFailed(f"no checksum is published for {file_name}")
    return found.lower()


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as answer:
        return str(answer.read().decode())


def _save(url: str, target: Path) -> str:
    """Write what the URL holds into a file. Returns its SHA-256."""
    with urllib.request.urlopen(url, timeout=STALL_SECONDS) as answer, target.open("wb") as file:
        shutil.copyfileobj(answer, file, 1 << 20)
        expected = answer.headers.get("Content-Length")
    if expected and target.stat().st_size != int(expected):
        raise http.client.IncompleteRead(b"", int(expected) - target.stat().st_size)
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(archive: Path, work: Path, member: str) -> Path:
    target = work / "member"
    with tarfile.open(archive) as tar:
        content = tar.extractfile(member)
        if content is None:
            raise DownloadFailed(f"the archive holds no file {member}")
        with target.open("wb") as file:
            shutil.copyfileobj(content, file)
    return target


def _within(seconds: float, work: Callable[[], T]) -> T:
    """The result of work, or TimeoutError; work that hangs is left behind in a thread that ends with the process."""
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    return results[0]


def _refused(url: str, error: Exception) -> DownloadFailed:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
    return DownloadFailed(f"{url}: {_words(error)}")


def _words(error: Exception) -> str:
    return str(getattr(error, "reason", "")) or str(error) or type(error).__name__
