"""What `volume ls --format json` of podman says, parsed strictly. Pure: text in, values out.

Only podman: kind makes a node's volume there before the node and by name, so `rm -v` leaves it behind. docker's and nerdctl's volumes are
anonymous and go with their containers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume of the engine, whoever made it."""

    name: str
    labels: frozenset[str]
    """Keys. kind's label has the node's name as its key (kind providers/podman/util.go)."""
    created: float
    """Seconds since the epoch, by the clock of the engine's host."""


def read_volumes(text: str) -> list[Volume]:
    """Raises ValueError for a shape that is not understood."""
    try:
        return [_volume(entry) for entry in json.loads(text or "[]")]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("not a list of volumes") from error


def _volume(entry: Any) -> Volume:
    created = datetime.fromisoformat(entry["CreatedAt"]).timestamp()
    return Volume(str(entry["Name"]), frozenset(entry.get("Labels") or {}), created)
