"""The plain values by which a pass and a runtime speak of registries: what nodes are to know, and what one look has found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where nodes ask first for the images of one registry."""

    host: str
    """As in the names of images: "docker.io", "registry.example.org:5000"."""
    endpoints: tuple[str, ...]
    """URLs, in the order in which they are asked; the registry itself comes last."""


@dataclass(frozen=True, slots=True)
class Registries:
    """What the nodes of a cluster are to know (spec.registry, spec.registryMirrors)."""

    shared: bool = False
    """The registry that the clusters of one engine share."""
    mirrors: tuple[Mirror, ...] = ()

    def __bool__(self) -> bool:
        return self.shared or bool(self.mirrors)


@dataclass(frozen=True, slots=True)
class Connected:
    """How far that has come."""

    nodes: frozenset[str]
    """Names of the nodes that run and know exactly that."""
    settled: bool
    """The shared registry runs and the cluster says where; or, where it is not wanted, the cluster says nothing of it any more, and it is
    not left without a cluster.
    """
    host: str = ""
    """What to push to on the engine's host, and what names of images begin with: "localhost:5001". Empty: no shared registry."""
    conflict: str = ""
    """What stands in the way that is not ours, and the cure, for people; empty: nothing."""


NO_REGISTRIES = Registries()
