"""Writes the roles of config/rbac from the permissions that the code declares: `python -m hack.rbac [--check]`.

As with controller-gen's markers, what makes a request declares the permission beside it (provider.api.rbac.Permission): each reconciler
in its file, the watch, the recorder and leader election in theirs. `--check` writes nothing and fails when a file is stale.
tests/capi/test_least_rbac.py compares the roles with what an API server saw.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

from provider.adapters.kube import recorder
from provider.api.meta import Resource
from provider.api.rbac import APIVerb, Permission
from provider.controller import leaderelection, watch
from provider.controllers import CONTROLLERS

FOLDER = Path(__file__).resolve().parent.parent / "config" / "rbac"
VERBS = get_args(APIVerb)
"""In the order in which they are written."""

MANAGER_ROLE = """\
# Made by `make manifests` from the permissions in the code (hack/rbac.py). Do not edit.
# What the manager does, and nothing more (tests/capi/test_least_rbac.py compares it with what an API server saw). Its name begins with
# the namespace's once prefixed (capkind-system-...): `clusterctl delete` removes cluster-scoped objects of such names only.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: system-manager-role
rules:
"""
LEADER_ELECTION_ROLE = """\
# Made by `make manifests` from the permissions in the code (hack/rbac.py). Do not edit.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: leader-election-role
  namespace: system
rules:
"""


def files() -> dict[Path, str]:
    """Path to content."""
    cluster_wide = [permission for entry in CONTROLLERS for permission in entry.permissions]
    cluster_wide += [*recorder.PERMISSIONS, *watch.PERMISSIONS]
    return {
        FOLDER / "role.yaml": MANAGER_ROLE + rules(cluster_wide),
        FOLDER / "leader_election_role.yaml": LEADER_ELECTION_ROLE + rules(leaderelection.PERMISSIONS),
    }


def rules(permissions: Iterable[Permission]) -> str:
    """One rule per resource and subresource, with the verbs and the reasons of all who need it."""
    merged: dict[Resource, dict[str, list[Permission]]] = {}
    for one in permissions:
        merged.setdefault(one.resource, {}).setdefault(one.subresource, []).append(one)
    return "".join(
        _rule(resource, subresource, found)
        for resource, by_subresource in merged.items()
        for subresource, found in by_subresource.items()
    )


def _rule(resource: Resource, subresource: str, permissions: Sequence[Permission]) -> str:
    comments = "".join(f"  # {why}\n" for why in dict.fromkeys(one.why for one in permissions))
    verbs = sorted({verb for one in permissions for verb in one.verbs}, key=VERBS.index)
    name = f"{resource.plural}/{subresource}" if subresource else resource.plural
    group = resource.group or '""'
    return f"{comments}  - apiGroups: [{group}]\n    resources: [{name}]\n    verbs: [{', '.join(verbs)}]\n"


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0, or 1 when --check finds a stale file."""
    stale = {path: text for path, text in files().items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if "--check" in arguments:
            print(f"{path.name} is stale: run `make manifests`", file=sys.stderr)
        else:
            path.write_text(text)
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
