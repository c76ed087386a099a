"""SIGKILL of the manager's whole process group at moments spread over a real create and a real delete."""

from __future__ import annotations

import time

import pytest

from devenv import engine
from devenv.manager import ManagerProcess

NAME = "e2e-kill"
MANIFEST = f"""
apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
kind: KINDCluster
metadata: {{name: {NAME}}}
"""
CREATE_SECONDS = 25.0
"""About what one create takes; the moments are spread over it."""
ONE_CREATE = 120.0
"""Generous bound for one create on a loaded machine."""


@pytest.mark.fault(3, "SIGKILL of the manager's group at moments spread over a real create", invariants="I1 I2 I4")
@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_killed_while_creating(manager: ManagerProcess, part: int) -> None:
    """After a restart: Ready within one create's time, one cluster, no leftover."""
    volumes = engine.leaked_volumes()
    manager.api.kubectl("apply", "-f", "-", stdin=MANIFEST)
    moment = time.monotonic() + CREATE_SECONDS * (part + 0.5) / 10
    manager.wait(CREATE_SECONDS + 5, lambda: time.monotonic() > moment, "the moment")
    manager.kill()

    manager.start()
    manager.wait_ready(NAME, ONE_CREATE)

    assert len(engine.containers(NAME)) == 1
    manager.api.kubectl("delete", "kindcluster", NAME, "--timeout=60s")
    assert engine.containers(NAME) == []
    assert engine.leaked_volumes() <= volumes


@pytest.mark.fault(2, "SIGKILL of the manager's group while a real cluster is removed", invariants="I2")
@pytest.mark.slow
def test_killed_while_deleting(manager: ManagerProcess) -> None:
    """At three moments of a delete; each time the next manager finishes it."""
    for seconds in (0.05, 0.4, 1.0):
        manager.api.kubectl("apply", "-f", "-", stdin=MANIFEST)
        manager.wait_ready(NAME)
        manager.api.kubectl("delete", "kindcluster", NAME, "--wait=false")
        moment = time.monotonic() + seconds
        while time.monotonic() < moment:
            pass
        manager.kill()

        manager.start()
        manager.wait_gone(NAME)

        assert engine.containers(NAME) == []
        assert "NotFound" in manager.api.kubectl("get", "secret", f"{NAME}-config", check=False).stderr
