"""Writing an object of ours, guarded by the resourceVersion it was read at."""

from __future__ import annotations

from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, Resource
from provider.errors import Conflict
from provider.ports.kube import Kube


async def patch_guarded(
    kube: Kube, resource: Resource, obj: JsonObject, patch: JsonObject, *, subresource: str = ""
) -> JsonObject:
    """JSON merge patch of an object as it was read; returns it as written.

    Raises Conflict when the object changed or vanished since: nothing of what the pass intended may be carried out then.
    """
    metadata = obj["metadata"]
    key = ObjectKey(metadata["namespace"], metadata["name"])
    written = await kube.patch(resource, key, patch, subresource=subresource, version=metadata["resourceVersion"])
    if written is None:
        raise Conflict(Reason.OBJECT_GONE, f"{resource.kind} {key} was deleted meanwhile.")
    return written
