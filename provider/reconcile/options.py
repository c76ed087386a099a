"""What the manager's settings mean to the reconciler. Values only; where they come from is provider/settings.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from provider.policy.file import DEFAULT, Policy


@dataclass(frozen=True, slots=True)
class ReconcileOptions:
    default_runtime: str = "auto"
    """Runtime of objects without spec.runtime: "auto", "kind" or "local"."""
    default_image: str | None = None
    """Node image of objects that name neither image nor version; None leaves it to kind."""
    default_create_timeout: timedelta = timedelta(minutes=10)
    namespace: str | None = None
    """Only objects of this namespace; None = all."""
    watch_filter: str = ""
    """Only objects whose cluster.x-k8s.io/watch-filter label has this value; empty = all."""
    policy: Policy = DEFAULT
    """What objects may ask of the engine's host."""
    inside_network: bool = False
    """Whether the manager (and Cluster API's) runs on the runtime's own network, where clusters answer by their internal names."""
