"""An engine that goes away, and input that only the host can refuse."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv import engine
from devenv.controlplane import ManagementAPI
from devenv.manager import ManagerProcess
from tests.e2e.conftest import FLAGS

NAME = "e2e-trouble"


def apply(manager: ManagerProcess, **spec: Any) -> None:
    obj = {
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1",
        "kind": "KINDCluster",
        "metadata": {"name": NAME},
        "spec": spec,
    }
    manager.api.kubectl("apply", "-f", "-", stdin=json.dumps(obj))


@pytest.fixture
def engine_socket(tmp_path: Path) -> Iterator[engine.EngineSocket]:
    engine_socket = engine.EngineSocket(tmp_path)
    engine_socket.open()
    yield engine_socket
    engine_socket.close()


@pytest.fixture
def on_own_socket(api: ManagementAPI, tmp_path: Path, engine_socket: engine.EngineSocket) -> Iterator[ManagerProcess]:
    """A manager whose engine can be made to vanish."""
    image = f"--default-image={engine.node_image()}"
    manager = ManagerProcess(api, tmp_path / "manager", *FLAGS, image, environ={"DOCKER_HOST": engine_socket.host})
    manager.start()
    yield manager
    manager.kill()
    engine.remove_cluster(NAME)


@pytest.mark.fault(21, "the engine's socket is closed and opened again", invariants="I1 I7")
def test_an_unreachable_engine_changes_nothing_and_all_resumes(
    on_own_socket: ManagerProcess, engine_socket: engine.EngineSocket
) -> None:
    """Nothing created, deleted or flipped; said; deletion waits; then everything goes on by itself."""
    manager = on_own_socket
    apply(manager)
    manager.wait_ready(NAME)
    ids = engine.containers(NAME)
    engine_socket.close()
    manager.wait(40, lambda: manager.condition(NAME, "EngineReachable").get("status") == "False", "the engine is missed")
    assert manager.status(NAME)["ready"] is True

    manager.api.kubectl("delete", "kindcluster", NAME, "--wait=false")
    manager.wait_reason(NAME, "Ready", "DeleteBlocked", 40)
    assert ids == engine.containers(NAME)

    engine_socket.open()
    manager.wait_gone(NAME, 90)
    assert engine.containers(NAME) == []


@pytest.mark.fault(25, "an image that does not exist, real engine", invariants="I1")
def test_an_image_that_does_not_exist(manager: ManagerProcess) -> None:
    """A registry that does not answer may answer later: tried again more and more slowly, with the image's name, without leftovers."""
    apply(manager, image="localhost/does-not-exist:v1")
    manager.wait_reason(NAME, "Ready", "CreateRetrying", 120)

    assert "does-not-exist" in manager.condition(NAME, "Ready")["message"]
    assert manager.status(NAME)["lastCreate"]["reason"] == "ImagePullFailed"
    assert "failureReason" not in manager.status(NAME)
    assert engine.containers(NAME) == []


def test_a_port_in_use(manager: ManagerProcess) -> None:
    """The port is named before anything is made; freeing it is all a user has to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        mapping = {"containerPort": 80, "hostPort": port, "listenAddress": "127.0.0.1"}
        apply(manager, nodes=[{"role": "control-plane", "extraPortMappings": [mapping]}])
        manager.wait(60, lambda: str(port) in manager.condition(NAME, "Ready").get("message", ""), "the port is named")
        assert engine.containers(NAME) == []
    manager.wait_ready(NAME)


def test_a_missing_mount_is_reported_not_created(manager: ManagerProcess, tmp_path: Path) -> None:
    """The engine would create the path as root; we name it instead, and an edit is the cure."""
    missing = tmp_path / "missing"
    node = {"role": "control-plane", "extraMounts": [{"hostPath": str(missing), "containerPath": "/data"}]}
    apply(manager, nodes=[node])
    manager.wait(60, lambda: str(missing) in manager.condition(NAME, "Ready").get("message", ""), "the path is named")

    assert not missing.exists()
    assert engine.containers(NAME) == []
    apply(manager, nodes=[{"role": "control-plane"}])
    manager.wait_ready(NAME)
