"""Permissions as data: each part of the manager that makes requests declares its own; hack/rbac.py writes config/rbac from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from provider.api.meta import Resource

APIVerb = Literal["get", "list", "watch", "create", "patch", "update", "delete"]


@dataclass(frozen=True, slots=True)
class Permission:
    """Verbs on one resource or subresource."""

    resource: Resource
    verbs: tuple[APIVerb, ...]
    why: str
    """What they are needed for; a comment in the role."""
    subresource: str = ""
