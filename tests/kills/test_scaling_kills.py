"""Workers from none to three to one on real kind, with a SIGKILL of the manager's whole process group at each step of the way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from devenv import engine
from devenv.manager import ManagerProcess
from tests.conftest import Figure

NAME = "e2e-scale"
MANIFEST = f"""
apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
kind: KINDCluster
metadata: {{name: {NAME}}}
"""
ONE_STEP = 150.0
"""Seconds within which a new manager has got to the next step, on a loaded machine: whatever was half-made is made anew before."""
HEAD = f"{NAME}-control-plane"


def worker(number: int) -> str:
    return f"{NAME}-worker{number if number > 1 else ''}"


def exists(name: str) -> bool:
    return name in engine.docker("ps", "-a", "--format", "{{.Names}}").split()


def members() -> set[str]:
    """Nodes of the cluster's own API."""
    return set(engine.run_in(HEAD, "kubectl", "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split())


def cordoned(name: str) -> bool:
    return (
        engine.run_in(HEAD, "kubectl", "get", "node", name, "--ignore-not-found", "-o", "jsonpath={.spec.unschedulable}")
        == "true"
    )


def is_member(name: str) -> bool:
    return name in members()


def has_left(name: str) -> bool:
    return name not in members()


def is_leaving(name: str) -> bool:
    return cordoned(name) or not exists(name)


def has_its_config(name: str) -> bool:
    """Written right before kubeadm is run."""
    return exists(name) and bool(engine.docker("exec", name, "ls", "/kind/kubeadm.conf", check=False))


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.fault(
    2, "SIGKILL of the manager's group at each step of workers that join and leave a real cluster", invariants="I1 I2 I3 I4"
)
def test_workers_join_and_leave_however_often_the_manager_dies(manager: ManagerProcess, figure: Figure) -> None:
    """Three workers, then the first of them: the nodes that are wanted, the control plane that was there, nothing left of any other. kind
    lists what there is, and removes it.
    """
    volumes = engine.leaked_volumes()
    manager.api.kubectl("apply", "-f", "-", stdin=MANIFEST)
    manager.wait_ready(NAME)
    head = engine.inspect(HEAD)[0]["Id"]
    kills = 0

    def kill_when(done: Callable[[], object], what: str) -> None:
        nonlocal kills
        manager.wait(ONE_STEP, done, what)
        manager.kill()
        manager.start()
        kills += 1

    manager.api.kubectl("scale", "kindcluster", NAME, "--replicas=3")
    for number in (1, 2, 3):
        name = worker(number)
        kill_when(partial(exists, name), f"{name} is made")
        kill_when(partial(has_its_config, name), f"{name} is about to join")
        kill_when(partial(is_member, name), f"{name} has joined")
    manager.wait(ONE_STEP, lambda: manager.status(NAME).get("nodesReady") == "4/4", "three workers are Ready")
    first = engine.inspect(worker(1))[0]["Id"]

    manager.api.kubectl("scale", "kindcluster", NAME, "--replicas=1")
    for number in (3, 2):
        name = worker(number)
        kill_when(partial(is_leaving, name), f"{name} is being drained")
        kill_when(partial(has_left, name), f"{name} is no node any more")
    manager.wait(
        ONE_STEP,
        lambda: manager.status(NAME).get("nodesReady") == "2/2" and manager.status(NAME)["workerReplicas"] == 1,
        "one is left",
    )

    assert {HEAD, worker(1)} == members() == set(engine.kind("get", "nodes", "--name", NAME).split())
    assert {head, first} == set(engine.containers(NAME))
    assert not cordoned(worker(1))
    manager.wait(ONE_STEP, lambda: "seconds" in manager.status(NAME)["lastScale"], "it is told that this is over")
    assert manager.status(NAME)["ready"]
    engine.kind("delete", "cluster", "--name", NAME)
    assert engine.containers(NAME) == []
    manager.api.kubectl("delete", "kindcluster", NAME, "--timeout=60s")
    assert set() == engine.leaked_since(volumes)
    figure("kills while workers join or leave", kills)
