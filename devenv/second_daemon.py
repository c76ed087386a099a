"""A second Docker daemon, empty, beside the one that answers: what somebody meets who switches context or DOCKER_HOST.

It has data, state, containerd namespace, network and mounts of its own. The network above all: a daemon with `--bridge=none` removes the
bridge docker0 of the network it runs in, which is that of the first daemon.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from devenv import processes
from devenv.capi import until

START_SECONDS = 30.0
STOP_SECONDS = 10.0
NAMESPACE = "second-daemon"
"""In containerd, where both daemons share the system's."""


class SecondDaemon:
    """`folder`: everything of it. Its path is short, because the paths of unix sockets are limited to 107 bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = str(folder / "docker.sock")

    def docker(self, *args: str) -> subprocess.CompletedProcess[str]:
        argv = ["docker", "--host", f"unix://{self.socket}", *args]
        return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=20)

    def contents(self) -> list[str]:
        """Ids or names of its containers, volumes, images and networks, without the networks that every daemon has."""
        asked = (("ps", "-aq"), ("volume", "ls", "-q"), ("image", "ls", "-q"), ("network", "ls", "--format", "{{.Name}}"))
        answers = [self.docker(*args) for args in asked]
        for answer in answers:
            answer.check_returncode()
        return [word for answer in answers for word in answer.stdout.split() if word not in ("host", "none")]


def missing() -> str:
    """Why there can be none; empty when there can."""
    if os.geteuid() != 0:
        return "a second dockerd has to be started by root"
    absent = [tool for tool in ("dockerd", "unshare") if shutil.which(tool) is None]
    return f"not on PATH: {', '.join(absent)}" if absent else ""


@contextlib.contextmanager
def running() -> Iterator[SecondDaemon]:
    """Until the end of the block; it dies with the caller. Raises AssertionError with the end of its log when it does not start."""
    with tempfile.TemporaryDirectory(prefix="second-") as folder:
        daemon = SecondDaemon(Path(folder))
        (daemon.folder / "daemon.json").write_text("{}")  # not the host's, whose settings are the first one's
        process = processes.start("dockerd", _argv(daemon), daemon.folder, environ={"PATH": os.environ["PATH"], "HOME": folder})
        try:
            _wait(daemon, process)
            yield daemon
        finally:
            _stop(process)


def _argv(daemon: SecondDaemon) -> list[str]:
    folder, unshare = daemon.folder, shutil.which("unshare")
    assert unshare is not None
    return [
        *(unshare, "--net", "--mount", "dockerd", f"--host=unix://{daemon.socket}", f"--config-file={folder / 'daemon.json'}"),
        *(f"--data-root={folder / 'data'}", f"--exec-root={folder / 'exec'}", f"--pidfile={folder / 'dockerd.pid'}"),
        *(f"--containerd-namespace={NAMESPACE}", f"--containerd-plugins-namespace={NAMESPACE}-plugins"),
        *("--bridge=none", "--iptables=false", "--ip6tables=false"),
    ]


def _wait(daemon: SecondDaemon, process: subprocess.Popen[bytes]) -> None:
    try:
        until(lambda: process.poll() is not None or _answers(daemon), START_SECONDS, "the second dockerd answers")
        assert process.poll() is None, f"the second dockerd ended with {process.returncode}"
    except AssertionError as error:
        raise AssertionError(f"{error}\n{(daemon.folder / 'dockerd.log').read_text(errors='replace')[-3000:]}") from error


def _answers(daemon: SecondDaemon) -> bool:
    return daemon.docker("info").returncode == 0


def _stop(process: subprocess.Popen[bytes]) -> None:
    """By SIGTERM, so that it ends its containerd; killed, it takes that along all the same."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
