"""What helps to understand a failure, written to a private folder: nodes' own output, inspect without environments, kind's export.

Best effort: every part may fail, none stops another, nothing secret of ours is written (proxies with passwords are in the environment).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.listing import Container
from provider.adapters.kind.cli import KindCommand
from provider.errors import ProviderError

LINES = 2000
HIDDEN = "(not written)"
SECRET_KEYS = frozenset({"Env", "HttpProxy", "HttpsProxy"})
PROXY_LINE = re.compile(r"(?im)^(.*proxy:).*$")


async def collect(engine: Engine, kind: KindCommand, own: Sequence[Container], cluster_name: str, directory: Path) -> None:
    """Below `directory` (made, 0700): NODE.log, NODE.json, and export/ with kind's own collection."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # noqa: ASYNC240 - one system call on a local disk
        for container in own:
            await _one(engine, container, directory)
        export = directory / "export"
        await kind.export_logs(engine, cluster_name, export)
        await asyncio.to_thread(_scrub, export)
    except (ProviderError, OSError):
        return


async def _one(engine: Engine, container: Container, directory: Path) -> None:
    try:
        (directory / f"{container.name}.log").write_text(await engine.logs(container.id, LINES))
        described = hide(await engine.inspect([container.id]))
        (directory / f"{container.name}.json").write_text(json.dumps(described, indent=1))
    except ProviderError as error:
        (directory / f"{container.name}.log").write_text(error.message)


def _scrub(export: Path) -> None:
    """Hide the same in what kind wrote (inspect.json, docker-info.txt)."""
    for path in export.rglob("inspect.json"):
        try:
            path.write_text(json.dumps(hide(json.loads(path.read_text())), indent=1))
        except ValueError:
            path.unlink()
    for path in export.glob("*-info.txt"):
        path.write_text(PROXY_LINE.sub(rf"\1 {HIDDEN}", path.read_text(errors="replace")))


def hide(value: Any) -> Any:
    """A decoded inspect output without environments."""
    if isinstance(value, dict):
        return {key: HIDDEN if key in SECRET_KEYS and part else hide(part) for key, part in value.items()}
    return [hide(part) for part in value] if isinstance(value, list) else value
