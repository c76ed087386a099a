"""Writing an object of ours, guarded by the resourceVersion it was read at."""

from __future__ import annotations

from provider.api.conditions import Reason
from provider.api.fit import fit
from provider.api.meta import JsonObject, Resource, key_of
from provider.api.model import Model
from provider.errors import Conflict
from provider.ports.kube import Kube


async def patch_status(kube: Kube, resource: Resource, model: type[Model], obj: JsonObject, new: JsonObject) -> JsonObject | None:
    """Make the whole status `new`, cut to what its model allows; None when it is already: nothing was written.

    Every status is written here, so that nothing that was observed can keep one from being written. Raises Conflict as patch_guarded does.
    """
    old = obj.get("status")
    patch = difference(old if isinstance(old, dict) else {}, fit(model, new))
    return await patch_guarded(kube, resource, obj, {"status": patch}, subresource="status") if patch else None


async def patch_guarded(
    kube: Kube, resource: Resource, obj: JsonObject, patch: JsonObject, *, subresource: str = ""
) -> JsonObject:
    """JSON merge patch of an object as it was read; returns it as written.

    Raises Conflict when the object changed or vanished since: nothing of what the pass intended may be carried out then.
    """
    key = key_of(obj)
    written = await kube.patch(resource, key, patch, subresource=subresource, version=obj["metadata"]["resourceVersion"])
    if written is None:
        raise Conflict(Reason.OBJECT_GONE, f"{resource.kind} {key} was deleted meanwhile.")
    return written


def difference(old: JsonObject, new: JsonObject) -> JsonObject:
    """JSON merge patch (RFC 7386) that turns `old` into `new`; empty when they are equal."""
    patch: JsonObject = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := difference(before, value):
                patch[key] = inner
        elif key not in old or before != value:
            patch[key] = value
    return patch
