"""What is not ours is left alone; what two want, one gets."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv import engine
from devenv.manager import ManagerProcess
from hack.tools import find

NAME = "e2e-shared"


def manifest(namespace: str) -> str:
    return f"""
apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
kind: KINDCluster
metadata: {{name: {NAME}, namespace: {namespace}}}
"""


@pytest.fixture
def by_hand(foreign_kubeconfig: Path) -> Iterator[str]:
    """A cluster a person made with kind; its control plane's container id."""
    argv = [find.path("kind"), "create", "cluster", f"--name={NAME}", f"--image={engine.node_image()}"]
    subprocess.run([*argv, f"--kubeconfig={foreign_kubeconfig}"], check=True, capture_output=True, timeout=300)
    yield engine.containers(NAME)[0]
    engine.remove_cluster(NAME)


def _fingerprint() -> list[object]:
    return [
        (entry["Id"], entry["State"]["StartedAt"], entry["State"]["Status"]) for entry in engine.inspect(*engine.containers(NAME))
    ]


@pytest.mark.fault(15, "a real cluster made by hand", invariants="I3")
def test_a_cluster_made_by_hand_is_neither_adopted_nor_harmed(manager: ManagerProcess, by_hand: str) -> None:
    """In create, in run (a restart of the manager) and in delete."""
    before = _fingerprint()
    manager.api.kubectl("apply", "-f", "-", stdin=manifest("default"))
    message = manager.wait_reason(NAME, "Ready", "NameConflict")["message"]

    assert NAME in message
    manager.kill()
    manager.start()
    manager.api.kubectl("annotate", "kindcluster", NAME, "look=again")
    manager.wait_reason(NAME, "OwnershipVerified", "NameConflict")
    manager.api.kubectl("delete", "kindcluster", NAME, "--timeout=60s")
    assert before == _fingerprint()


@pytest.mark.fault(16, "two namespaces, one real cluster", invariants="I3 I4")
@pytest.mark.slow
def test_the_second_claim_waits_and_takes_over(manager: ManagerProcess) -> None:
    """Two namespaces, one name."""
    manager.api.kubectl("create", "namespace", "team-b")
    manager.api.kubectl("apply", "-f", "-", stdin=manifest("default"))
    manager.wait(30, lambda: manager.get(NAME).get("spec", {}).get("identity"), "first claim")
    manager.api.kubectl("apply", "-f", "-", stdin=manifest("team-b"))
    manager.wait_ready(NAME)
    assert manager.wait_reason(NAME, "Ready", "NameConflict", namespace="team-b")["reason"] == "NameConflict"
    first = engine.containers(NAME)

    manager.api.kubectl("delete", "kindcluster", NAME, "--timeout=60s")
    manager.wait_ready(NAME, namespace="team-b")

    assert not set(first) & set(engine.containers(NAME))
    manager.api.kubectl("delete", "kindcluster", NAME, "-n", "team-b", "--timeout=60s")
    assert engine.containers(NAME) == []
