"""hack.rbac: permissions of several parts become one role."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from hack import rbac
from provider.api.meta import Resource
from provider.api.rbac import Permission

WIDGETS = Resource("example.com", "v1", "widgets", "Widget")
SECRETS = Resource("", "v1", "secrets", "Secret")


def test_each_resource_gets_one_rule_with_all_verbs_and_reasons() -> None:
    """Whoever reads a rule sees who needs it."""
    text = rbac.rules(
        [
            Permission(WIDGETS, ("patch", "get"), "Served."),
            Permission(SECRETS, ("get",), "Kubeconfigs."),
            Permission(WIDGETS, ("patch",), "Outcome.", subresource="status"),
            Permission(WIDGETS, ("watch", "get"), "Mirrored."),
            Permission(SECRETS, ("create",), "Kubeconfigs."),
        ]
    )

    assert yaml.safe_load(text) == [
        {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get", "watch", "patch"]},
        {"apiGroups": ["example.com"], "resources": ["widgets/status"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create"]},
    ]
    assert "  # Served.\n  # Mirrored.\n" in text
    assert text.count("# Kubeconfigs.") == 1


def test_a_stale_role_fails_the_check_and_is_written_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make verify-gen` and `make manifests`."""
    monkeypatch.setattr(rbac, "FOLDER", tmp_path)

    assert rbac.main(["--check"]) == 1
    assert list(tmp_path.iterdir()) == []
    assert rbac.main([]) == 0
    assert rbac.main(["--check"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"role.yaml", "leader_election_role.yaml"}
