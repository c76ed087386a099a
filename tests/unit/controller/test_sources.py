"""provider.controller.sources: what several controllers watch becomes one list of streams."""

from __future__ import annotations

import pytest

from provider.api.meta import JsonObject, ObjectKey, Resource
from provider.controller.sources import Watch, WatchedResource, watched_resources

WIDGETS, GADGETS, OWNERS = (Resource("example.com", "v1", f"{kind.lower()}s", kind) for kind in ("Widget", "Gadget", "Owner"))


def no_keys(obj: JsonObject) -> list[ObjectKey]:
    return []


def test_a_resource_that_several_controllers_watch_is_watched_once() -> None:
    """And only those that a controller reconciles are waited for."""
    widget = [Watch(WIDGETS, no_keys), Watch(OWNERS, no_keys, "a=b")]
    gadget = [Watch(GADGETS, no_keys), Watch(WIDGETS, no_keys), Watch(OWNERS, no_keys, "a=b")]

    assert watched_resources([widget, gadget]) == [
        WatchedResource(WIDGETS, "", reconciled=True),
        WatchedResource(OWNERS, "a=b", reconciled=False),
        WatchedResource(GADGETS, "", reconciled=True),
    ]


def test_two_selectors_for_one_resource_are_refused() -> None:
    """kopf would join them, and each controller would miss objects."""
    with pytest.raises(ValueError, match="owners"):
        watched_resources(
            [[Watch(WIDGETS, no_keys), Watch(OWNERS, no_keys, "a")], [Watch(GADGETS, no_keys), Watch(OWNERS, no_keys)]]
        )
