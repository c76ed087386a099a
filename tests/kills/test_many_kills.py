"""Many kills of the manager's whole process group on real kind, at random moments from a recorded seed; several within one create."""

from __future__ import annotations

import random

import pytest

from devenv import engine
from devenv.manager import ManagerProcess
from tests.conftest import Figure

SEED = 8
LIVES = 8
KILLS_WHILE_CREATING = 3
CREATE_SECONDS = 25.0
"""About what one create takes: a manager lives for at most that before it is killed."""
ONE_CREATE = 180.0
"""Generous bound for one create on a loaded machine."""
NAME = "e2e-kills"
MANIFEST = f"""
apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
kind: KINDCluster
metadata: {{name: {NAME}}}
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.fault(3, "SIGKILL of the manager's group, three times within one real create", invariants="I1 I2 I4")
@pytest.mark.fault(2, "SIGKILL of the manager's group while a real cluster is removed", invariants="I2 I6")
@pytest.mark.parametrize("life", range(LIVES))
def test_a_cluster_is_made_and_removed_however_often_the_manager_dies(manager: ManagerProcess, life: int, figure: Figure) -> None:
    """Ready within one create's time after the last kill, one container; after the delete no container and no volume."""
    rng = random.Random(SEED + life)  # noqa: S311 - repeatable on purpose
    volumes = engine.leaked_volumes()
    manager.api.kubectl("apply", "-f", "-", stdin=MANIFEST)
    for _ in range(KILLS_WHILE_CREATING):
        manager.kill_after(rng.uniform(0.2, CREATE_SECONDS))
    took = manager.wait_ready(NAME, ONE_CREATE)
    assert len(engine.containers(NAME)) == 1

    manager.api.kubectl("delete", "kindcluster", NAME, "--wait=false")
    manager.kill_after(rng.uniform(0.0, 1.5))
    manager.wait_gone(NAME)

    assert engine.containers(NAME) == []
    assert set() == engine.leaked_since(volumes)
    assert "NotFound" in manager.api.kubectl("get", "secret", f"{NAME}-config", check=False).stderr
    figure("kills", KILLS_WHILE_CREATING + 1)
    figure("seed", SEED)
    figure("seconds to Ready after the last kill, all lives", round(took))
