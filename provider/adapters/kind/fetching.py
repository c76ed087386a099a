"""Getting the images of a cluster's nodes onto the engine before its nodes are made: from an archive, else from a registry."""

from __future__ import annotations

import asyncio
from pathlib import Path

from provider.adapters.engine.cli import Engine
from provider.adapters.kind.archives import Archives
from provider.adapters.steps import as_step
from provider.api import image
from provider.api.conditions import Reason
from provider.errors import Transient
from provider.ports.runtime import ClusterRequest, Progress, Step, StepState


async def fetch(engine: Engine, archives: Archives, request: ClusterRequest, timeout: float, progress: Progress) -> None:
    """What is on the engine stays as it is. `timeout`: seconds for all of it. Raises Transient, Terminal."""
    end = asyncio.get_running_loop().time() + timeout
    names = {str(node.get("image") or request.image or "") for node in request.config["nodes"]} - {""}
    for name in sorted(names):
        await fetch_one(engine, archives, name, max(1.0, end - asyncio.get_running_loop().time()), progress)


async def fetch_one(engine: Engine, archives: Archives, name: str, timeout: float, progress: Progress) -> None:
    """The same of one image."""
    if await engine.has_image(name):
        return
    archived = (await asyncio.to_thread(archives.look)).files.get(image.parse(name).wanted)
    if archived is not None:
        await as_step(progress, f"Loading {name} from {archived.path.name}", _load(engine, name, archived.path, timeout))
    else:
        await as_step(progress, f"Pulling {name}", _pull(engine, name, timeout, progress))


async def _load(engine: Engine, name: str, archive: Path, timeout: float) -> None:
    await engine.load(archive, timeout)
    if not await engine.has_image(name):
        raise Transient(
            Reason.IMAGE_PULL_FAILED, f"{archive.name} was loaded, and the engine has no {name}. Save it anew under that name."
        )


async def _pull(engine: Engine, name: str, timeout: float, progress: Progress) -> None:
    await engine.pull(name, timeout, lambda detail: progress(Step(f"Pulling {name}", StepState.STARTED, detail=detail)))
