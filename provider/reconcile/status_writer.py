"""Writing what a pass found: one guarded status patch, nothing when it equals what is there, then an Event for a transition."""

from __future__ import annotations

from provider.api import meta, names
from provider.api.conditions import ConditionType, Reason
from provider.api.meta import JsonObject
from provider.ports.kube import EventNote, Kube, Recorder
from provider.reconcile import status
from provider.reconcile.patch import patch_guarded


async def write_status(obj: JsonObject, new: JsonObject, kube: Kube, recorder: Recorder) -> None:
    """`obj`: the KINDCluster as read. Raises Conflict when it changed since; then nothing of this pass's intent may be carried out."""
    old = obj.get("status") or {}
    patch = status.difference(old, new)
    if not patch:
        return
    written = await patch_guarded(kube, names.KINDCLUSTERS, obj, {"status": patch}, subresource="status")
    for note in transitions(old, new):
        await recorder.record(written, note)


def transitions(old: JsonObject, new: JsonObject) -> list[EventNote]:
    """Events worth a person's time: the reason of Ready changed, the engine came or went, the cluster became outdated or up to date."""
    notes = []
    for kind in (ConditionType.READY, ConditionType.ENGINE_REACHABLE, ConditionType.UP_TO_DATE):
        before = meta.find_condition(old.get("conditions") or [], kind)
        after = meta.find_condition(new.get("conditions") or [], kind)
        if after is None or (before is not None and before["reason"] == after["reason"] and before["status"] == after["status"]):
            continue
        if kind is not ConditionType.READY and before is None and after["status"] == "True":
            continue
        notes.append(EventNote(Reason(after["reason"]), after.get("message") or f"{kind} is {after['status']}."))
    return notes
