"""Which image the nodes are made from, and whether it can be had: decided from the spec and one look at what there is. Pure.

A name with a digest is preferred, because a tag may be moved. A tag without one is taken where only that is on the engine: an image that
was built or loaded there has no digest, and kind would try to pull it (docs/adr/0107-node-images-are-chosen-before-anything-is-made.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from provider.api import image
from provider.api.conditions import Reason
from provider.backoff import UNKNOWN_RETRY
from provider.ports.runtime import ClusterRequest, NodeImages
from provider.reconcile.plan import Blocked

NODE_REPOSITORY = "kindest/node"
SHOWN = 5
"""Images and archives named in a message."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the nodes of a cluster that is made now would be made from."""

    image: str | None
    """For nodes that name none of their own; None: kind's own, which it knows and we do not."""
    to_pull: tuple[str, ...] = ()
    """Images, of nodes that name one as well, that are neither on the engine nor in an archive."""
    to_load: tuple[str, ...] = ()
    """Those that are in an archive and not on the engine."""
    blocked: Blocked | None = None
    """Why it cannot be had, with the cure."""

    @property
    def to_fetch(self) -> bool:
        """Whether the engine has to get images before it can make nodes."""
        return bool(self.to_pull or self.to_load)


def choose(request: ClusterRequest, repository: str | None, found: NodeImages) -> Choice:
    """`request.image` is what the spec or the manager names. `repository`: spec.imageRepository."""
    chosen = _named(request, f"{repository}/{NODE_REPOSITORY}" if repository else NODE_REPOSITORY, found)
    if isinstance(chosen, Blocked):
        return Choice(None, blocked=chosen)
    wanted = {str(node["image"]) for node in request.config["nodes"] if node.get("image")}
    if chosen is not None and any(not node.get("image") for node in request.config["nodes"]):
        wanted.add(chosen)
    missing = sorted(name for name in wanted if image.parse(name).wanted not in found.present)
    to_pull = tuple(name for name in missing if not _is_here(name, found))
    return Choice(chosen, to_pull, tuple(name for name in missing if name not in to_pull))


def _named(request: ClusterRequest, repository: str, found: NodeImages) -> str | Blocked | None:
    if request.image is not None:
        return request.image
    offered = dict(_offered(repository, found))
    if request.version is not None:
        return _of_version(request.version, repository, offered, found)
    if own := [numbers for numbers in map(_release, found.known) if numbers in offered]:
        return offered[own[0]]
    if repository == NODE_REPOSITORY:
        return None
    message = f"spec.imageRepository: which node image {found.release} takes by itself is not known here. Set spec.version or spec.image."
    return Blocked(Reason.IMAGE_UNKNOWN, message)


def _of_version(version: str, repository: str, offered: Mapping[tuple[int, int, int], str], found: NodeImages) -> str | Blocked:
    if not image.is_minor(version):
        exact = image.release(version)
        return f"{repository}:{version}" if exact is None else offered.get(exact, f"{repository}:{version}")
    minor = tuple(int(part) for part in version.removeprefix("v").split("."))
    fitting = [numbers for numbers in offered if numbers[:2] == minor]
    return offered[max(fitting)] if fitting else _unknown(version, repository, offered, found)


def _unknown(version: str, repository: str, offered: Mapping[tuple[int, int, int], str], found: NodeImages) -> Blocked:
    known = ", ".join("v" + ".".join(map(str, numbers)) for numbers in sorted(offered)[-SHOWN:]) or "none"
    message = (
        f"spec.version: no node image of {version} is known for {found.release}, and none is on the engine (there are: {known}). Give a "
        f"full version, whose image is pulled; or pull or load one of the minor ({repository}:{version}.N); or set spec.image."
    )
    return Blocked(Reason.IMAGE_UNKNOWN, message + _unreadable(found), UNKNOWN_RETRY)


def _offered(repository: str, found: NodeImages) -> Iterator[tuple[tuple[int, int, int], str]]:
    """(release, name to use) of every node image in the repository that is here, or was published with kind. Of two, the later counts."""
    wanted, pinned = image.parse(repository).repository, dict[tuple[int, int, int], str]()
    for text in found.known:
        if (numbers := _release(text)) is not None:
            pinned[numbers] = f"{repository}:{image.parse(text).tag}@{image.parse(text).digest}"
            yield numbers, pinned[numbers]
    for text in found.present | found.archived:
        name = image.parse(text)
        numbers = image.release(name.tag) if name.repository == wanted else None
        if numbers is not None and not (numbers in pinned and _is_here(pinned[numbers], found)):
            yield numbers, f"{repository}:{name.tag}"


def _release(text: str) -> tuple[int, int, int] | None:
    return image.release(image.parse(text).tag)


def _is_here(text: str, found: NodeImages) -> bool:
    name = image.parse(text)
    return name.wanted in found.present or (not name.digest and name.tagged in found.archived)


def _unreadable(found: NodeImages) -> str:
    return f" Archives that cannot be read: {'; '.join(found.unreadable[:SHOWN])}." if found.unreadable else ""
