"""Since when an add-on is in its phase: the status remembers it, so that another manager waits no longer than this one. Pure."""

from __future__ import annotations

from datetime import datetime

from provider.api.meta import JsonObject
from provider.reconcile.addon_states import AddonState
from provider.reconcile.scope import Scope


def since(scope: Scope, state: AddonState) -> datetime:
    """Now, where the status says something else."""
    entries: list[JsonObject] = scope.status.get("addons") or []
    known = next((one for one in entries if one["name"] == state.name), {})
    if known.get("phase") != state.phase or not known.get("since"):
        return scope.now
    return datetime.fromisoformat(known["since"])
