"""The container engine as tests see it: what exists under a cluster name, and a socket to it that can be closed.

Only containers, volumes and clusters with names given by a test are touched.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from hack.tools import find

NODE_REPOSITORY = "kindest/node"
RELEASE = re.compile(rf"{NODE_REPOSITORY}:v\d+\.\d+\.\d+")
"""Tags of releases; an engine may also hold the layers an image was built from."""
CLUSTER_LABEL = "io.x-k8s.kind.cluster"
SOCKET = "/var/run/docker.sock"
LEAK_SECONDS = 10.0
"""A volume that has no container for longer is left over."""


def docker(*args: str, check: bool = True, timeout: float = 60.0) -> str:
    return subprocess.run(["docker", *args], check=check, capture_output=True, text=True, timeout=timeout).stdout.strip()


def node_image() -> str:
    """The newest node image that the engine has; empty when there is none, or no docker."""
    try:
        found = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", NODE_REPOSITORY, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return max((image for image in found.split() if RELEASE.fullmatch(image)), default="")


def missing() -> str:
    """Why the e2e tier cannot run; empty when it can."""
    if shutil.which("docker") is None:
        return "docker is not on PATH"
    try:
        subprocess.run(["docker", "info"], check=True, capture_output=True, timeout=20)
    except (subprocess.SubprocessError, OSError):
        return "no Docker engine answers (docker info failed)"
    if not node_image():
        return f"the engine has no {NODE_REPOSITORY} image"
    return find.missing("kind", "kubectl", "etcd", "kube-apiserver", "kube-controller-manager")


def containers(cluster: str, *, running: bool = False) -> list[str]:
    """Ids of all containers of a kind cluster."""
    scope = [] if running else ["-a"]
    return docker("ps", *scope, "-q", "--no-trunc", "--filter", f"label={CLUSTER_LABEL}={cluster}").split()


def inspect(*names: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(docker("inspect", *names)) if names else []
    return found


def volumes(cluster: str) -> set[str]:
    """Names of the volumes of a kind cluster's containers."""
    mounts = [mount for one in inspect(*containers(cluster)) for mount in one["Mounts"]]
    return {mount["Name"] for mount in mounts if mount["Type"] == "volume"}


def leaked_volumes() -> set[str]:
    """Volumes that no container uses (any more)."""
    return set(docker("volume", "ls", "-q", "--filter", "dangling=true").split())


def leaked_since(before: set[str]) -> set[str]:
    """Volumes that have lost their container since then and stay so: one is without for a moment while its container comes or goes."""
    until = time.monotonic() + LEAK_SECONDS
    while (left := leaked_volumes() - before) and time.monotonic() < until:
        time.sleep(0.2)
    return left


def networks() -> set[str]:
    return set(docker("network", "ls", "--format", "{{.Name}}").split())


def run_in(container: str, *argv: str) -> str:
    return docker("exec", container, *argv)


def make_image(name: str, program: Path) -> str:
    """An image that holds one program, which needs no other file, and runs it; no registry and no base image is asked."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "root.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(program.resolve(), "program")
        docker("import", "--change", 'ENTRYPOINT ["/program"]', str(archive), name)
    return name


def kind(*args: str) -> str:
    """The kind command, as a user would type it."""
    return subprocess.run(["kind", *args], check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def remove_cluster(cluster: str) -> None:
    """Clean up after a failed test."""
    if found := containers(cluster):
        docker("rm", "-f", "-v", *found, check=False)


def remove_leftovers(prefixes: tuple[str, ...]) -> None:
    """Clusters of an earlier run that was cut off."""
    listed = docker("ps", "-a", "--filter", f"label={CLUSTER_LABEL}", "--format", f'{{{{.Label "{CLUSTER_LABEL}"}}}}').split()
    for name in sorted(set(listed)):
        if name.startswith(prefixes):
            remove_cluster(name)


class EngineSocket:
    """A unix socket that forwards to the engine's. Closed, it looks like a stopped daemon, while the real one goes on."""

    def __init__(self, folder: Path, target: str = SOCKET) -> None:
        self.path, self._target = folder / "engine.sock", target
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def host(self) -> str:
        return f"unix://{self.path}"

    def open(self) -> None:
        self.path.unlink(missing_ok=True)
        self._listener = listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen(128)
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def close(self) -> None:
        """Refuse new connections and cut the open ones."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.path.unlink(missing_ok=True)
        with self._lock:
            for end in self._open:
                _cut(end)
            self._open.clear()

    def switch(self, target: str) -> None:
        """Be the way to another daemon's socket from now on."""
        self.close()
        self._target = target
        self.open()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            with self._lock:
                self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            _cut(source)
            _cut(sink)


def _cut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
