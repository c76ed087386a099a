"""Images of spec.images in the nodes' own image store: which node has which, and bringing what is missing.

`kind load` is not used: it imports all platforms of an image, which the image store of Docker 29 does not have. Here the engine's `save`
goes straight into the node's `ctr`, which takes the node's own platform; nothing is written to a disk on the way. A label on the image in
the node says what was loaded, and as what it is stored there: an image that was built anew, or replaced in the node, has not both
(docs/adr/0108-images-are-loaded-into-nodes-by-content.md).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.errors import engine_failure, with_excerpt
from provider.adapters.engine.listing import Container
from provider.adapters.kind.archives import Archives
from provider.adapters.process.command import CommandMissing, CommandTimeout, RunError
from provider.adapters.steps import as_step
from provider.api import image
from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.errors import Transient
from provider.ports.runtime import Preloaded, Progress

CTR = ("ctr", "-n", "k8s.io", "images")
IMPORT = (*CTR, "import", "--digests", "--no-unpack", "-")
"""Not unpacked: the kubelet's first container does that, for the snapshotter that its node uses, which ctr does not know."""
LABEL = "infrastructure.cluster.x-k8s.io/preloaded"
MAX_LIST = 4 << 20
LOAD_SECONDS = 600.0
"""For one image into one node."""
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Stored:
    """One name in a node's image store."""

    digest: str
    source: str
    """What our label says: id of what was loaded, if the name still stands for that; else empty."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Where an image is loaded from."""

    id: str
    origin: str | Path
    """Name on the engine, or archive."""


async def look(engine: Engine, archives: Archives, own: Sequence[Container], names: Sequence[str]) -> list[Preloaded]:
    """`own`: the cluster's containers; those that run no Kubernetes, or do not run, are left out. Raises Transient."""
    _, found = await _look(engine, archives, running(own), names)
    return found


async def load(engine: Engine, archives: Archives, own: Sequence[Container], names: Sequence[str], progress: Progress) -> None:
    """One image into one node after the other: what is loaded stays when this ends early. Raises Transient."""
    nodes = running(own)
    sources, found = await _look(engine, archives, nodes, names)
    todo = [(one, node) for one in found if one.source for node in nodes if node.name not in one.nodes]
    for number, (one, node) in enumerate(todo, 1):
        text = f"Loading {one.name} into {node.name} ({number} of {len(todo)})"
        await as_step(progress, text, _load(engine, node, one.name, sources[one.name]))


def running(own: Sequence[Container]) -> list[Container]:
    return [one for one in own if one.role in (NodeRole.CONTROL_PLANE, NodeRole.WORKER) and one.state.running]


def parse(text: str) -> dict[str, Stored]:
    """Of `ctr images ls`: name, type, digest, size, platforms, labels; the columns' widths vary, a size has a blank in it."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        digest = next((word for word in words[1:] if DIGEST.fullmatch(word)), "")
        if not digest:
            continue
        labels = dict(pair.partition("=")[::2] for pair in words[-1].split(","))
        source, _, stored_as = labels.get(LABEL, "").partition("/")
        found[words[0]] = Stored(digest, source if stored_as == digest else "")
    return found


async def _look(
    engine: Engine, archives: Archives, nodes: Sequence[Container], names: Sequence[str]
) -> tuple[Mapping[str, _Source], list[Preloaded]]:
    """Where each image would be loaded from, and who has what that source holds at this moment."""
    sources, stores = await asyncio.gather(
        _sources(engine, archives, names), asyncio.gather(*(_store(engine, one) for one in nodes))
    )
    by_node = dict(zip([node.name for node in nodes], stores, strict=True))
    return sources, [_where(name, sources.get(name), by_node) for name in names]


def _where(name: str, source: _Source | None, stores: Mapping[str, Mapping[str, Stored]]) -> Preloaded:
    stored = {node: store.get(image.parse(name).tagged) for node, store in stores.items()}
    if source is None:
        return Preloaded(name, "", frozenset(node for node, one in stored.items() if one is not None))
    return Preloaded(
        name, source.id, frozenset(node for node, one in stored.items() if one is not None and one.source == source.id)
    )


async def _sources(engine: Engine, archives: Archives, names: Sequence[str]) -> dict[str, _Source]:
    """The engine's image wins: it is what was built last."""
    ids = await asyncio.gather(*(engine.image_id(name) for name in names))
    archived = (await asyncio.to_thread(archives.look)).files
    found = {}
    for name, on_engine in zip(names, ids, strict=True):
        if on_engine:
            found[name] = _Source(on_engine, name)
        elif (entry := archived.get(image.parse(name).wanted)) is not None:
            found[name] = _Source(entry.id, entry.path)
    return found


async def _store(engine: Engine, node: Container) -> dict[str, Stored]:
    return parse(await engine.output_of(node.id, *CTR, "ls", limit=MAX_LIST))


async def _load(engine: Engine, node: Container, name: str, source: _Source) -> None:
    try:
        await engine.feed(node.id, IMPORT, source.origin, LOAD_SECONDS)
    except (CommandMissing, CommandTimeout) as error:
        raise engine_failure(error, engine.name) from error
    except RunError as error:
        raise Transient(
            Reason.IMAGE_LOAD_FAILED, with_excerpt(f"{name} cannot be loaded into {node.name}.", error.tail or error.message)
        ) from error
    except OSError as error:
        raise Transient(Reason.IMAGE_LOAD_FAILED, f"{name}: {source.origin} cannot be read ({error.strerror}).") from error
    tagged = image.parse(name).tagged
    stored = (await _store(engine, node)).get(tagged)
    if stored is None:
        message = f"{name} was loaded into {node.name}, which has no {tagged}: what was saved has another name."
        raise Transient(Reason.IMAGE_LOAD_FAILED, message)
    await engine.execute(node.id, *CTR, "label", tagged, f"{LABEL}={source.id}/{stored.digest}")
