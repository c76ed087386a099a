"""What an API server saw of one user, from its audit log: verbs on resources, as roles grant them, and how it answered.

with ManagementAPI.temporary(audited=True) as api:
    ...
    used = {entry.permission for entry in audit.entries(api.folder, "system:serviceaccount:ns:name")}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

POLICY, LOG = "audit-policy.json", "audit.log"
FORBIDDEN = 403
RULES = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [{"level": "Metadata"}],
}
"""A watch is recorded when it begins to answer (ResponseStarted) and when it ends."""


class Permission(NamedTuple):
    """One verb on one resource: the smallest thing that a role can grant."""

    group: str
    resource: str
    """With its subresource: "kindclusters/status"."""
    verb: str


@dataclass(frozen=True)
class Entry:
    permission: Permission
    path: str
    code: int

    @property
    def forbidden(self) -> bool:
        return self.code == FORBIDDEN


def flags(folder: Path) -> list[str]:
    """For the API server; writes the policy into its folder. The second one makes it ask for permission to block an owner's deletion."""
    (folder / POLICY).write_text(json.dumps(RULES))
    return [
        f"--audit-policy-file={folder / POLICY}",
        f"--audit-log-path={folder / LOG}",
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
    ]


def entries(folder: Path, user: str) -> Iterator[Entry]:
    """Requests of a user for resources, oldest first; those for paths such as /version need no grant."""
    for line in (folder / LOG).read_text().splitlines():
        event = json.loads(line)
        if event["user"]["username"] == user and "objectRef" in event and "responseStatus" in event:
            yield Entry(_permission(event), event["requestURI"], int(event["responseStatus"].get("code", 0)))


def granted(roles: Iterable[dict[str, Any]]) -> set[Permission]:
    """What the rules of Roles and ClusterRoles grant, one by one."""
    return {
        Permission(group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _permission(event: dict[str, Any]) -> Permission:
    reference = event["objectRef"]
    resource = "/".join(filter(None, (reference.get("resource"), reference.get("subresource"))))
    return Permission(reference.get("apiGroup", ""), resource, event["verb"])
