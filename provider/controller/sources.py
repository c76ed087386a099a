"""Where a controller's keys come from: watched resources of the management cluster, and streams of events from elsewhere. Data only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from provider.api.meta import JsonObject, ObjectKey, Resource
from provider.backoff import Backoff

Handle = Callable[[Resource, JsonObject], None]
"""Called for each object that was listed, changed or deleted; a deleted one as it was last."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A resource whose events requeue keys (controller-runtime: Watches). The first watch of a controller is its own resource."""

    resource: Resource
    keys: Callable[[JsonObject], Iterable[ObjectKey]]
    """The changed or deleted object → keys. Called in the manager's loop, so that it may read an Index. Must not raise."""
    selector: str = ""
    """Label selector that the API server applies; what it does not match never reaches this process."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Events that do not come from the management cluster (controller-runtime: WatchesRawSource)."""

    name: str
    """For logs."""
    open: Callable[[], AsyncIterator[Any]]
    """Called again when the stream ends, or raises ProviderError."""
    keys: Callable[[Any], Iterable[ObjectKey]]
    backoff: Backoff
    """Between tries to open it."""


@dataclass(frozen=True, slots=True)
class WatchedResource:
    """One stream of the API server, for all controllers that watch this resource."""

    resource: Resource
    selector: str
    reconciled: bool
    """Whether it is some controller's own resource: the manager is not ready before its stream is open."""


def watched_resources(controllers: Iterable[Sequence[Watch]]) -> list[WatchedResource]:
    """What to watch for these controllers' watches. Raises ValueError when two of them want different parts of one resource."""
    selectors: dict[Resource, str] = {}
    own: set[Resource] = set()
    for watches in controllers:
        own.add(watches[0].resource)
        for watch in watches:
            if selectors.setdefault(watch.resource, watch.selector) != watch.selector:
                # kopf would watch what matches both selectors, and each controller would miss objects in silence.
                raise ValueError(f"{watch.resource.plural} are watched with two label selectors")
    return [WatchedResource(resource, selector, resource in own) for resource, selector in selectors.items()]
