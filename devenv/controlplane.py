"""A management cluster's API as local processes: real etcd and kube-apiserver, on request kube-controller-manager. Throw-away.

    with ManagementAPI.temporary() as api:
        api.kubectl("get", "namespaces")
        status, body = api.request("GET", "/version")

Everything listens on loopback or a unix socket inside one private folder, is killed with SIGKILL, and dies with the process that
started it unless `detached` (the demo), in which case `ManagementAPI(folder).stop()` of a later process ends it.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from devenv import audit, processes
from hack.tools import find
from provider.adapters.files import replace_file
from provider.adapters.local import pki

REQUIRED = ("etcd", "kube-apiserver", "kubectl")
PREFIX = "capk-api-"
READY_SECONDS = 60.0
START_TRIES = 3
"""A port found free may be taken before the API server binds it: pick another one."""

# What a management cluster's users rely on and a bare API server lacks; nothing that needs nodes.
CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "clusterrole-aggregation-controller",
    "root-ca-certificate-publisher-controller",
)


class StartFailed(Exception):
    """A component ended or did not get ready in time; the message carries the end of its log."""


class ManagementAPI:
    """One API server with its etcd in one folder. Not thread-safe; `start` from a thread that outlives it."""

    def __init__(self, folder: Path, *, controller_manager: bool = False, detached: bool = False, audited: bool = False) -> None:
        """`audited`: every request is recorded (see devenv/audit.py), and blocking owner references need a permission of their own."""
        self.folder = folder
        self._audited = audited
        self.kubeconfig = folder / "admin.kubeconfig"
        self.url = ""
        self._controller_manager = controller_manager
        self._detached = detached
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._flags: dict[str, tuple[str, ...]] = {}
        self._connection: http.client.HTTPSConnection | None = None
        if self.kubeconfig.exists():
            self.url = json.loads(self.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]

    @classmethod
    @contextlib.contextmanager
    def temporary(cls, *, controller_manager: bool = False, audited: bool = False) -> Iterator[Self]:
        """Started in a temporary folder, which is removed at the end. Folders of runs that were killed are removed first."""
        sweep()
        fresh = Path(tempfile.mkdtemp(prefix=f".{PREFIX}"))
        with _held(fresh):  # before it has a name that another run sweeps
            folder = fresh.rename(fresh.with_name(fresh.name.removeprefix(".")))
            api = cls(folder, controller_manager=controller_manager, audited=audited)
            try:
                api.start()
                yield api
            finally:
                api.stop()

    # --- start and stop -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Returns when /readyz answers (and the controller-manager, if wanted, runs). Raises ToolMissing, StartFailed."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_keys()
        self._spawn("etcd", *self._etcd_flags())
        for attempt in range(1, START_TRIES + 1):
            try:
                self._start_apiserver()
                break
            except StartFailed:
                if attempt == START_TRIES or not self._lost_port():
                    raise
        if self._controller_manager:
            self._spawn("kube-controller-manager", *self._controller_manager_flags())

    def stop(self) -> None:
        """Kill everything and remove the folder. Safe to call twice, and on a folder that another process started."""
        self.disconnect()
        for child in self._children.values():
            child.kill()
            child.wait()
        processes.kill_recorded(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    def running(self) -> dict[str, int]:
        """Living components → pid."""
        return {name: pid for name, (pid, _) in processes.records(self.folder).items()}

    def wait_ready(self) -> None:
        """Return when the API server answers and has its storage. Raises StartFailed."""
        until = time.monotonic() + READY_SECONDS
        while not self._answers():
            for name, child in self._children.items():
                if child.poll() is not None:
                    raise StartFailed(f"{name} ended with {child.returncode}: {self._log_end(name)}")
            if time.monotonic() > until:
                raise StartFailed(f"not ready in {READY_SECONDS:.0f} s: {self._log_end('kube-apiserver')}")
            time.sleep(0.05)

    # --- break (components that this object started) ------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """SIGKILL, as a crash would."""
        self._children[name].kill()
        self._children[name].wait()

    def revive(self, name: str) -> None:
        """Start it again after a `kill`, with its address and its data; `wait_ready` tells when it works."""
        self._spawn(name, *self._flags[name])

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """SIGSTOP: connections stay open, nothing is answered."""
        self._children[name].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._children[name].send_signal(signal.SIGCONT)

    # --- use ----------------------------------------------------------------------------------------------------------------

    def kubectl(
        self, *args: str, stdin: str | None = None, check: bool = True, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as cluster admin, output captured as text. Raises CalledProcessError when `check`."""
        return subprocess.run(
            [find.path("kubectl"), *args],
            input=stdin,
            capture_output=True,
            text=True,
            check=check,
            timeout=timeout,
            env=self.environment(),
        )

    def environment(self) -> dict[str, str]:
        """Environment for programs that shall use this API: nothing of the user's own configuration."""
        return {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), "KUBECONFIG": str(self.kubeconfig)}

    def request(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        """One HTTP request as cluster admin over a kept connection: (status, decoded JSON). Retries 429 (storage starting)."""
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        until = time.monotonic() + READY_SECONDS
        while True:
            status, answer = self._exchange(method, path, data, headers)
            if status != http.client.TOO_MANY_REQUESTS or time.monotonic() > until:
                return status, json.loads(answer) if answer[:1] in b"{[" else {"text": answer.decode()}
            time.sleep(0.05)

    def kubeconfig_for(self, user: str, *groups: str) -> Path:
        """A kubeconfig file for another user, e.g. to try a role: permissions are what RBAC grants the name and groups."""
        ca = self._load_ca()
        return replace_file(
            self.folder / f"{user.replace(':', '-')}.kubeconfig", pki.kubeconfig(self.url, ca, pki.client(ca, user, *groups))
        )

    def disconnect(self) -> None:
        """Close the kept connection; the next request makes another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    # --- parts --------------------------------------------------------------------------------------------------------------

    def _exchange(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        try:
            return self._send(method, path, data, headers)
        except (http.client.HTTPException, ConnectionError, ssl.SSLError):  # an idle connection the server has closed
            self.disconnect()
            return self._send(method, path, data, headers)

    def _send(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request(method, path, data, headers)
        response = self._connection.getresponse()
        return response.status, response.read()

    def _connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        context.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        host, _, port = self.url.removeprefix("https://").rpartition(":")
        return http.client.HTTPSConnection(host, int(port), timeout=30, context=context)

    def _make_keys(self) -> None:
        ca = pki.authority()
        pairs = {
            "ca": ca,
            "apiserver": pki.serving(ca),
            "admin": pki.client(ca, "admin", "system:masters"),
            "sa": pki.authority(),
        }
        for name, pair in pairs.items():
            replace_file(self.folder / f"{name}.key", pair.key_pem)
            replace_file(self.folder / f"{name}.crt", pair.certificate_pem)

    def _load_ca(self) -> pki.KeyPair:
        return pki.load((self.folder / "ca.key").read_bytes(), (self.folder / "ca.crt").read_bytes())

    def _write_admin(self) -> None:
        admin = pki.load((self.folder / "admin.key").read_bytes(), (self.folder / "admin.crt").read_bytes())
        replace_file(self.kubeconfig, pki.kubeconfig(self.url, self._load_ca(), admin))

    def _spawn(self, name: str, *flags: str) -> None:
        self._flags[name] = flags
        self._children[name] = processes.start(name, [find.path(name), *flags], self.folder, detached=self._detached)

    def _start_apiserver(self) -> None:
        port = free_port()
        self.url = f"https://127.0.0.1:{port}"
        self._write_admin()
        self._spawn("kube-apiserver", *self._apiserver_flags(port))
        self.wait_ready()

    def _answers(self) -> bool:
        try:
            return self._send("GET", "/readyz", None, {})[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            self.disconnect()
            return False

    def _log_end(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]

    def _lost_port(self) -> bool:
        return "address already in use" in self._log_end("kube-apiserver")

    def _etcd_flags(self) -> list[str]:
        endpoint = "unix://etcd.sock"  # relative to the working directory: a socket's path has at most 107 characters
        return [
            f"--data-dir={self.folder}/etcd",
            f"--listen-client-urls={endpoint}",
            "--advertise-client-urls=unix://client:1",  # never dialled; etcd insists on host:port here and below
            "--listen-peer-urls=unix://peer:1",
            "--initial-advertise-peer-urls=unix://peer:1",
            "--initial-cluster=default=unix://peer:1",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _apiserver_flags(self, port: int) -> list[str]:
        folder = self.folder
        return [
            "--etcd-servers=unix://etcd.sock",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            f"--client-ca-file={folder}/ca.crt",
            f"--tls-cert-file={folder}/apiserver.crt",
            f"--tls-private-key-file={folder}/apiserver.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder}/sa.crt",
            f"--service-account-signing-key-file={folder}/sa.key",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            "--endpoint-reconciler-type=none",
            "--profiling=false",
            *(audit.flags(folder) if self._audited else ()),
        ]

    def _controller_manager_flags(self) -> list[str]:
        folder = self.folder
        return [
            f"--kubeconfig={self.kubeconfig}",
            f"--root-ca-file={folder}/ca.crt",
            f"--service-account-private-key-file={folder}/sa.key",
            f"--controllers={','.join(CONTROLLERS)}",
            "--leader-elect=false",
            "--secure-port=0",
        ]


def sweep() -> None:
    """Remove temporary folders whose owner was killed: their lock is free. Their processes died with the owner."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), _held(folder):
            processes.kill_recorded(folder)
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; BlockingIOError when another process does. Ends with the process, however it ends."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def free_port() -> int:
    """One that nobody listens on at 127.0.0.1 just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
