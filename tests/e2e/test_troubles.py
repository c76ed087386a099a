"""An engine that goes away, and input that only the host can refuse."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv import engine, second_daemon
from devenv.controlplane import ManagementAPI
from devenv.manager import ManagerProcess
from devenv.second_daemon import SecondDaemon
from provider.api import names
from tests.e2e.conftest import FLAGS

NAME = "e2e-trouble"
DAEMON = re.compile(r"docker/[^/\s]+/[0-9a-f]{12}")
"""The name of a daemon, in a message or an annotation."""


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
    manager.end()
    engine.remove_cluster(NAME)


@pytest.fixture
def other() -> Iterator[SecondDaemon | None]:
    """Another daemon of this host; None where there can be none."""
    if second_daemon.missing():
        yield None
        return
    with second_daemon.running() as daemon:
        yield daemon


@pytest.mark.fault(21, "the engine's socket is closed and opened again", invariants="I1 I7")
def test_an_unreachable_engine_changes_nothing_and_all_resumes(
    on_own_socket: ManagerProcess, engine_socket: engine.EngineSocket, other: SecondDaemon | None
) -> None:
    """Nothing created, deleted or flipped; said; deletion waits; then everything goes on by itself. The same where another daemon
    answers, whose silence about the cluster is no absence (docs/adr/0085).
    """
    manager = on_own_socket
    apply(manager, healPolicy="Recreate")
    manager.wait_ready(NAME)
    ids = engine.containers(NAME)
    engine_socket.close()
    manager.wait(40, lambda: manager.condition(NAME, "EngineReachable").get("status") == "False", "the engine is missed")
    assert manager.status(NAME)["ready"] is True
    if other is not None:
        _check_nothing_is_believed(manager, engine_socket, other)

    manager.api.kubectl("delete", "kindcluster", NAME, "--wait=false")
    manager.wait_reason(NAME, "Ready", "DeleteBlocked", 40)
    if other is not None:
        _check_the_deletion_waits(manager, other)
        engine_socket.close()
        manager.wait(40, lambda: not DAEMON.search(manager.condition(NAME, "Ready")["message"]), "the other daemon is missed")
        assert manager.condition(NAME, "Ready")["reason"] == "DeleteBlocked"
    assert ids == engine.containers(NAME)

    engine_socket.switch(engine.SOCKET)
    manager.wait_gone(NAME, 90)
    assert engine.containers(NAME) == []
    if other is None:
        pytest.skip(f"all but the part with another daemon passed: {second_daemon.missing()}")


def _check_nothing_is_believed(manager: ManagerProcess, engine_socket: engine.EngineSocket, other: SecondDaemon) -> None:
    """The cluster is not on the daemon that answers: both are named, Ready stays, and not even Recreate makes a cluster."""
    made = manager.status(NAME)["lastCreate"]
    engine_socket.switch(other.socket)
    message = manager.wait_reason(NAME, "EngineReachable", "OtherDaemon", 40)["message"]
    first = manager.get(NAME)["metadata"]["annotations"][names.DAEMON_ANNOTATION]

    assert first in message
    assert len(set(DAEMON.findall(message))) == 2
    assert (manager.status(NAME)["ready"], manager.condition(NAME, "Ready")["status"]) == (True, "True")
    assert manager.status(NAME)["lastCreate"] == made
    assert other.contents() == []


def _check_the_deletion_waits(manager: ManagerProcess, other: SecondDaemon) -> None:
    """What is not on the daemon that answers is not gone: both are named, the finalizer stays."""
    manager.wait(40, lambda: len(set(DAEMON.findall(manager.condition(NAME, "Ready")["message"]))) == 2, "both are named")
    waiting = manager.get(NAME)["metadata"]

    assert waiting["annotations"][names.DAEMON_ANNOTATION] in manager.condition(NAME, "Ready")["message"]
    assert names.FINALIZER in waiting["finalizers"]
    assert other.contents() == []


@pytest.mark.fault(25, "an image that does not exist, real engine", invariants="I1")
def test_an_image_that_does_not_exist(manager: ManagerProcess) -> None:
    """A registry that does not answer may answer later: tried again more and more slowly, with the image's name, without leftovers."""
    apply(manager, image="localhost/does-not-exist:v1")
    manager.wait_reason(NAME, "Ready", "CreateRetrying", 120)

    assert "does-not-exist" in manager.condition(NAME, "Ready")["message"]
    assert manager.status(NAME)["lastCreate"]["reason"] == "ImagePullFailed"
    assert "failureReason" not in manager.status(NAME)
    assert engine.containers(NAME) == []


def test_what_the_host_refuses_is_named_before_anything_is_made(manager: ManagerProcess, tmp_path: Path) -> None:
    """A missing path, which the engine would create as root, then a port in use; the one is cured by an edit, the other by freeing it."""
    missing = tmp_path / "missing"
    apply(manager, nodes=[{"role": "control-plane", "extraMounts": [{"hostPath": str(missing), "containerPath": "/data"}]}])
    manager.wait(60, lambda: str(missing) in manager.condition(NAME, "Ready").get("message", ""), "the path is named")
    assert not missing.exists()
    assert engine.containers(NAME) == []

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        mapping = {"containerPort": 80, "hostPort": port, "listenAddress": "127.0.0.1"}
        apply(manager, nodes=[{"role": "control-plane", "extraPortMappings": [mapping]}])
        manager.wait(60, lambda: str(port) in manager.condition(NAME, "Ready").get("message", ""), "the port is named")
        assert not missing.exists()
        assert engine.containers(NAME) == []
    manager.wait_ready(NAME)
