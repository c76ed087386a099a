"""What the tests, the demo and the benchmarks stand on: quick to start, and never leaves anything behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devenv import processes
from devenv.controlplane import ManagementAPI, sweep

pytestmark = pytest.mark.usefixtures("apiserver")  # skipped with its reason where tools are missing

ROOT = Path(__file__).parents[2]
OWNER = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in its background
from devenv.controlplane import ManagementAPI
with ManagementAPI.temporary() as api:
    print(api.folder, *api.running().values(), flush=True)
    time.sleep(600)
"""
DETACHED = """
import pathlib, sys
from devenv.controlplane import ManagementAPI
ManagementAPI(pathlib.Path(sys.argv[1]), controller_manager=True, detached=True).start()
"""


def eventually(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return true()


@pytest.fixture
def owner() -> Iterator[tuple[subprocess.Popen[str], Path, list[int]]]:
    """Another process with an API server of its own: the process, its folder, the pids of its children."""
    process = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ))
    assert process.stdout is not None
    folder, *pids = process.stdout.readline().split()
    yield process, Path(folder), [int(pid) for pid in pids]
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_nothing_outlives_an_interrupted_run(how: signal.Signals, owner: tuple[subprocess.Popen[str], Path, list[int]]) -> None:
    """The kernel ends the children with their parent, however it ends; the next run removes the folder."""
    process, folder, pids = owner
    assert len(pids) == 2
    process.send_signal(how)
    process.wait(20)
    assert eventually(lambda: all(processes.start_time(pid) is None for pid in pids))
    sweep()
    assert not folder.exists()


def test_a_folder_in_use_is_not_swept(owner: tuple[subprocess.Popen[str], Path, list[int]]) -> None:
    """Two test runs at once do not disturb each other."""
    _, folder, pids = owner
    sweep()
    assert folder.exists()
    assert all(processes.start_time(pid) for pid in pids)


def test_a_detached_api_is_found_and_ended_by_a_later_process() -> None:
    """The demo leaves its API running; its folder is all that is needed to use and to end it."""
    folder = Path(f"/tmp/capk-detached-{os.getpid()}")
    subprocess.run([sys.executable, "-c", DETACHED, str(folder)], check=True, cwd=ROOT, timeout=60)
    later = ManagementAPI(folder)
    try:
        pids = later.running()
        assert set(pids) == {"etcd", "kube-apiserver", "kube-controller-manager"}
        assert later.request("GET", "/readyz")[0] == 200
        assert "default" in later.kubectl("get", "namespaces", "-o", "name").stdout
    finally:
        later.stop()
    assert eventually(lambda: all(processes.start_time(pid) is None for pid in pids.values()))
    assert not folder.exists()


def test_a_reused_pid_is_never_killed(tmp_path: Path) -> None:
    """A record names pid and start time; a process that merely has the pid is somebody else's."""
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        (tmp_path / processes.RECORDS).write_text(f'{{"etcd": [{bystander.pid}, "1"]}}')
        processes.kill_recorded(tmp_path)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_other_users_have_only_their_own_rights(apiserver: ManagementAPI) -> None:
    """Kubeconfigs for roles to be tried with."""
    config = str(apiserver.kubeconfig_for("nobody", "strangers"))
    assert "nobody" in apiserver.kubectl("auth", "whoami", "--kubeconfig", config).stdout
    refused = apiserver.kubectl("get", "secrets", "--kubeconfig", config, check=False)
    assert "forbidden" in refused.stderr
