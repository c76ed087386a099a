"""docs/howto/ttl.md, run as printed, and an object whose time is over: real API server, real manager, the embedded runtime."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv import processes
from devenv.controlplane import ManagementAPI
from devenv.manager import ManagerProcess
from hack.tools import find
from tests.local.test_documents import commands

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "howto" / "ttl.md"
SHORT = """
apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
kind: KINDCluster
metadata: {name: short}
spec: {ttl: 25s}
"""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ManagerProcess]:
    with ManagementAPI.temporary() as api:
        api.kubectl("apply", "-k", str(ROOT / "config" / "crd"))
        api.kubectl("wait", "--for=condition=Established", "crd", "kindclusters.infrastructure.cluster.x-k8s.io")
        manager = ManagerProcess(api, tmp_path, "--runtime=local", environ={"PATH": find.search_path()})
        manager.start()
        yield manager
        manager.api.kubectl("delete", "kindclusters", "--all", "--timeout=60s", check=False)
        manager.end()


def run(manager: ManagerProcess, command: str) -> str:
    environ = {**os.environ, "PATH": find.search_path(), "KUBECONFIG": str(manager.api.kubeconfig)}
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=330, check=False
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}\n{manager.log[-4000:]}"
    return done.stdout


@pytest.mark.timeout(900)
def test_the_commands_of_the_page_work_and_an_object_goes_when_its_time_is_over(manager: ManagerProcess, tmp_path: Path) -> None:
    """On time, with every process of its cluster, and nobody had to ask; the other one is put off, and has no end at last."""
    manager.api.kubectl("apply", "-f", "-", stdin=SHORT)
    first, extension, last = commands(PAGE)
    shown = [run(manager, command) for command in first]
    assert manager.status("ttl")["expiresAt"] == shown[2]
    assert "EXPIRES" in shown[3]
    assert shown[2] in shown[3]

    for command in extension:
        run(manager, command)
    assert manager.status("ttl")["expiresAt"] > shown[2]

    manager.wait_gone("short", 60)
    assert [] == processes.naming(str(tmp_path / "state" / "local" / "short"))
    said = manager.api.kubectl(
        "get", "events", "-o", "jsonpath={range .items[*]}{.involvedObject.name} {.reason}{'\\n'}{end}"
    ).stdout
    assert {"short ExpiresSoon", "short Ready", "short Expired"} <= set(said.splitlines())
    assert "ttl Expired" not in said

    run(manager, last[0])
    manager.wait(20, lambda: "expiresAt" not in manager.status("ttl"), "it has no end")
    run(manager, last[1])
