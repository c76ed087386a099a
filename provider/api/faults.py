"""What a reason says besides its text: the type of its Events, and where something has to change before it goes away."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """The types of Kubernetes Events."""

    NORMAL = "Normal"
    WARNING = "Warning"


class Fault(StrEnum):
    """Where something has to change before a reason goes away."""

    NONE = "None"
    """Nothing has to change: all is well, or the provider goes on by itself."""
    SPEC = "Spec"
    """Only an edit of the object, or another object, helps."""
    HOST = "Host"
    """The machine has to: its container engine, installed programs, their limits, or what else runs there."""
    MANAGEMENT = "Management"
    """The management cluster has to: its API server, or other objects in it."""
