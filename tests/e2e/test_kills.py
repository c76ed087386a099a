"""SIGKILL of the manager's whole process group in a real create and in the delete that follows. Many more: tests/kills."""

from __future__ import annotations

import pytest

from devenv import engine
from devenv.manager import ManagerProcess

NAME = "e2e-kill"
MANIFEST = f"""
apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
kind: KINDCluster
metadata: {{name: {NAME}}}
"""
ONE_CREATE = 120.0
"""Generous bound for one create on a loaded machine."""


@pytest.mark.fault(3, "SIGKILL of the manager's group at moments spread over a real create", invariants="I1 I2 I4")
@pytest.mark.fault(2, "SIGKILL of the manager's group while a real cluster is removed", invariants="I2")
@pytest.mark.slow
@pytest.mark.parametrize(("creating", "deleting"), [(2.0, 0.05), (9.0, 0.4), (19.0, 1.0)])
def test_killed_while_creating_and_while_deleting(manager: ManagerProcess, creating: float, deleting: float) -> None:
    """After each restart: Ready within one create's time, one cluster; then gone without a leftover. Moments in seconds."""
    volumes = engine.leaked_volumes()
    manager.api.kubectl("apply", "-f", "-", stdin=MANIFEST)
    manager.wait(60, lambda: manager.status(NAME).get("phase") == "Creating", "the create has begun")
    manager.kill_after(creating)
    manager.wait_ready(NAME, ONE_CREATE)
    assert len(engine.containers(NAME)) == 1

    manager.api.kubectl("delete", "kindcluster", NAME, "--wait=false")
    manager.kill_after(deleting)
    manager.wait_gone(NAME)

    assert engine.containers(NAME) == []
    assert set() == engine.leaked_since(volumes)
    assert "NotFound" in manager.api.kubectl("get", "secret", f"{NAME}-config", check=False).stderr
