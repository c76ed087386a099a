"""Every command in the README and the docs works: they are taken from the pages and run, in order, as a reader would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv import processes
from devenv.controlplane import ManagementAPI
from hack.tools import find

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "docs" / "troubleshooting.md"]
IN_BACKGROUND = ("make run",)
ELSEWHERE = ("make test", "make test-e2e")
"""Commands that are run as what they are: the tiers themselves."""
NOT_HERE = re.compile(r"^## The Cluster is gone .*?(?=^## )", re.MULTILINE | re.DOTALL)
"""A section that needs Cluster API: tests/capi/test_delete.py runs it."""
OTHER_DAEMON = "kubectl annotate --overwrite kindcluster demo infrastructure.cluster.x-k8s.io/engine-daemon=docker/HOST/DIGEST"
DEMO = '{"apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1", "kind": "KINDCluster", "metadata": {"name": "demo"}}'
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The commands of each block of shell, without comments."""
    blocks = []
    for block in BLOCK.findall(NOT_HERE.sub("", page.read_text())):
        lines = [re.sub(r"\s+# .*$", "", line).strip() for line in block.splitlines()]
        blocks.append([line for line in lines if line and not line.startswith("#")])
    return blocks


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A reader's shell on a machine without an engine: private folders, the embedded runtime."""
    path = find.search_path()
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("HOME", "XDG_CACHE_HOME", "CAPKIND_TOOLS_DIR", "GOFLAGS", "GOPROXY")
    }
    return {
        **kept,
        "PATH": path,
        "LC_ALL": "C.UTF-8",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "CAPKIND_RUNTIME": "local",
        "CAPKIND_HEALTH_ADDR": "127.0.0.1:0",
        "CAPKIND_DIAGNOSTICS_ADDRESS": "127.0.0.1:0",
    }


def run(command: str, environ: dict[str, str], folder: Path) -> str:
    """In a shell, as written; its output. A failure shows both."""
    done = subprocess.run(
        ["bash", "-c", f"cd {folder} && {command}"], env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def eventually(command: str, environ: dict[str, str], folder: Path, seconds: float = 20.0) -> str:
    """As `run`, tried again for a while: the API server publishes the schema of a new CRD a moment after it serves it."""
    end = time.monotonic() + seconds
    while True:
        try:
            return run(command, environ, folder)
        except AssertionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def in_background(command: str, environ: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """As in another terminal."""
    with log.open("wb") as output:
        argv = ["bash", "-c", f"cd {ROOT} && exec {command}"]
        return subprocess.Popen(argv, env=environ, stdout=output, stderr=output, start_new_session=True)


def test_the_demo_shows_the_main_job_and_leaves_nothing(environ: dict[str, str], tmp_path: Path) -> None:
    """Steps, the table, the nodes through the Secret, what next; then every process and file is gone."""
    assert commands(PAGES[0])[0] == ["make demo", "make demo-status", "make demo-down"]
    try:
        shown = run("make demo", environ, ROOT)
        for expected in ("Starting control-plane", "Ready", "ENDPOINT", "minimal-control-plane", "What next"):
            assert expected in shown
        assert "minimal-control-plane" in run("make demo", environ, ROOT), "it may be repeated"
        assert "running" in run("make demo-status", environ, ROOT)
    finally:
        run("make demo-down", environ, ROOT)

    left = [path for path in (tmp_path / "state").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []
    assert not processes.naming(str(tmp_path))


@pytest.fixture
def api() -> Iterator[ManagementAPI]:
    with ManagementAPI.temporary(controller_manager=True) as api:
        yield api


def test_the_commands_of_the_readme_work_in_order(environ: dict[str, str], tmp_path: Path, api: ManagementAPI) -> None:
    """From `make install` to `make uninstall`, typed as printed, against the current kubeconfig."""
    environ = {**environ, "KUBECONFIG": str(api.kubeconfig), "TMPDIR": str(tmp_path)}
    before, after = commands(PAGES[0])[1], commands(PAGES[0])[2]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in before:
            if command in IN_BACKGROUND:
                running.append(in_background(command, environ, tmp_path / "manager.log"))
            else:
                run(command, environ, ROOT)
        for command in after:
            folder = ROOT if command.startswith("make") else tmp_path
            if command == "kubectl describe kindcluster minimal":
                assert "Conditions" in run(command, environ, folder)
            else:
                run(command, environ, folder)
        run("kubectl get kindclusters || true", environ, ROOT)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{(tmp_path / 'manager.log').read_text()[-4000:]}") from error
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(15)


def test_the_commands_of_the_page_on_updating_work_in_order(environ: dict[str, str], tmp_path: Path, api: ManagementAPI) -> None:
    """In one shell, as a reader would; what `kubectl describe` and the wide table show is what the page says."""
    environ = {**environ, "KUBECONFIG": str(api.kubeconfig)}
    (block,) = BLOCK.findall((ROOT / "docs" / "howto" / "updating.md").read_text())
    describe = "kubectl describe kindcluster minimal\n"
    assert describe in block
    run("make install", environ, ROOT)
    manager = in_background("make run", environ, tmp_path / "manager.log")
    try:
        shown = run(f"set -euo pipefail\n{block}".replace(describe, f"{describe}kubectl get kc --output=wide\n"), environ, ROOT)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{(tmp_path / 'manager.log').read_text()[-4000:]}") from error
    finally:
        os.killpg(manager.pid, signal.SIGTERM)
        manager.wait(15)

    assert re.search(r"Field: +networking.podSubnet\n +To: +10.77.0.0/16\n +Class: +Recreate\n", shown)
    assert re.search(r"RUNTIME +EXPIRES +PLAN +MESSAGE\n.*local +Recreate", shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_of_a_page_escapes(page: Path) -> None:
    """A command that is added to a page must be one that a test runs."""
    known = {command for block in commands(PAGES[0])[:3] for command in block}
    known |= {"kubectl explain kindcluster.spec", "make", 'make run ARGS="--log-level=debug"', *ELSEWHERE}
    known |= {"kubectl describe kindcluster minimal", OTHER_DAEMON}

    assert {command for block in commands(page) for command in block} <= known


def test_the_remaining_commands_work(environ: dict[str, str], api: ManagementAPI, tmp_path: Path) -> None:
    """Help, explain, an annotation of a person, and the manager with a flag."""
    environ = {**environ, "KUBECONFIG": str(api.kubeconfig)}
    assert "test-unit" in run("make", environ, ROOT)
    run("make install", environ, ROOT)
    assert "clusterName" in eventually("kubectl explain kindcluster.spec", environ, ROOT)
    eventually(f"kubectl create -f - <<< '{DEMO}'", environ, ROOT)
    assert "annotated" in run(OTHER_DAEMON, environ, ROOT)
    run("kubectl delete kindcluster demo", environ, ROOT)
    log = tmp_path / "debug.log"
    manager = in_background('make run ARGS="--log-level=debug"', environ, log)
    try:
        end = time.monotonic() + 60
        while "Working" not in log.read_text():
            assert time.monotonic() < end, log.read_text()
            assert manager.poll() is None, log.read_text()
            time.sleep(0.1)
    finally:
        os.killpg(manager.pid, signal.SIGTERM)
        manager.wait(15)
