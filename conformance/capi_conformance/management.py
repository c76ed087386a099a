"""A management cluster as the kit reaches it: kubectl, clusterctl, and the API by way of `kubectl proxy`, so that any kubeconfig will do.

The one seam to whatever runs the provider is here, too: a host module gives Clusters; without one they are those of the command line.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from capi_conformance.profiles import GroupKind

MERGE = "application/merge-patch+json"
START_SECONDS = 20.0
CLUSTER = GroupKind("Cluster", "cluster.x-k8s.io")
SECRET = GroupKind("Secret")
CORE_PLURALS = {"Secret": "secrets", "Namespace": "namespaces"}
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")

# Becomes kubectl; the kernel ends it when the tests end, however they end (Linux).
_LAUNCH = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execvp(sys.argv[1], sys.argv[1:])
"""

Json = dict[str, Any]


@dataclass(frozen=True)
class Access:
    """How a management cluster is reached. `environ` is all that kubectl and clusterctl get of an environment."""

    kubeconfig: Path
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


@dataclass(frozen=True)
class Clusters:
    """Each runs the provider and Cluster API. Both providers must reach the place where workload clusters are."""

    home: Access
    target: Access | None = None
    """Where clusters are moved to; without it that is not tested."""


class Host(Protocol):
    """What a module that a profile names as `host` has to have."""

    def clusters(self, **arguments: str) -> AbstractContextManager[Clusters]:
        """Bring them up; take them down at the end. `arguments` are those of the profile. It may call pytest.skip."""
        ...


class Management:
    """Safe to use from several threads."""

    def __init__(self, access: Access, socket_path: Path) -> None:
        self._access, self._socket = access, socket_path
        self._resources: dict[GroupKind, str] = {}
        self._kinds: tuple[GroupKind, ...] = ()

    @classmethod
    @contextlib.contextmanager
    def reached(cls, access: Access) -> Iterator[Management]:
        folder = Path(tempfile.mkdtemp(prefix="conformance-"))
        management = cls(access, folder / "api.sock")
        argv = [sys.executable, "-I", "-S", "-c", _LAUNCH, "kubectl", "proxy", f"--unix-socket={management._socket}"]
        with (folder / "log").open("wb") as log:
            proxy = subprocess.Popen(argv, env=management.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            management._await_proxy(proxy, folder / "log")
            yield management
        finally:
            proxy.kill()
            proxy.wait()
            shutil.rmtree(folder, ignore_errors=True)

    def _await_proxy(self, proxy: subprocess.Popen[bytes], log: Path) -> None:
        until = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                if self.request("GET", "/version")[0] == http.client.OK:
                    return
            assert proxy.poll() is None and time.monotonic() < until, (
                f"cannot reach {self.kubeconfig}: {log.read_text(errors='replace')[-1000:]}"
            )
            time.sleep(0.05)

    # --- commands -----------------------------------------------------------------------------------------------------------------

    @property
    def kubeconfig(self) -> Path:
        return self._access.kubeconfig

    @property
    def environ(self) -> dict[str, str]:
        return {**self._access.environ, "KUBECONFIG": str(self.kubeconfig)}

    def kubectl(
        self, *args: str, stdin: str = "", check: bool = True, timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        return self._run(["kubectl", *args], stdin, check=check, timeout=timeout)

    def clusterctl(self, *args: str, variables: Mapping[str, str] | None = None, timeout: float = 600.0) -> str:
        return self._run(["clusterctl", *args], "", check=True, timeout=timeout, variables=variables).stdout

    def _run(
        self, argv: list[str], stdin: str, *, check: bool, timeout: float, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        environ = {**self.environ, **(variables or {})}
        program = shutil.which(argv[0], path=environ.get("PATH"))
        assert program, f"{argv[0]} is not on PATH"
        done = subprocess.run(
            [program, *argv[1:]], input=stdin, env=environ, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert not check or done.returncode == 0, f"{' '.join(argv)}: {done.stdout}\n{done.stderr}"
        return done

    # --- objects ------------------------------------------------------------------------------------------------------------------

    def path(self, kind: GroupKind, namespace: str, name: str = "") -> str:
        base, _, plural = self._resource(kind).rpartition("/")
        return f"{base}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")

    def get(self, kind: GroupKind, namespace: str, name: str, version: str = "") -> Json:
        """{} when it does not exist. In the newest version unless one is named."""
        path = self.path(kind, namespace, name)
        if version:
            path = f"/apis/{kind.group}/{version}/namespaces/{path.partition('/namespaces/')[2]}"
        status, found = self.request("GET", path)
        assert status in (http.client.OK, http.client.NOT_FOUND), found
        return found if status == http.client.OK else {}

    def all(self, kind: GroupKind, namespace: str) -> list[Json]:
        return self.page(kind, namespace)[0]

    def page(self, kind: GroupKind, namespace: str) -> tuple[list[Json], str]:
        """All objects, and the resource version at which these were all."""
        status, found = self.request("GET", self.path(kind, namespace))
        assert status == http.client.OK, found
        return found["items"], found["metadata"]["resourceVersion"]

    def patch(self, kind: GroupKind, namespace: str, name: str, body: Json) -> None:
        assert self.try_patch(kind, namespace, name, body), f"{kind} {namespace}/{name} does not exist"

    def try_patch(self, kind: GroupKind, namespace: str, name: str, body: Json) -> bool:
        """Whether there was something to patch."""
        status, answer = self.request("PATCH", self.path(kind, namespace, name), body, content_type=MERGE)
        assert status in (http.client.OK, http.client.NOT_FOUND), answer
        return status == http.client.OK

    def delete(self, kind: GroupKind, namespace: str, name: str) -> None:
        status, answer = self.request("DELETE", self.path(kind, namespace, name))
        assert status in (http.client.OK, http.client.ACCEPTED, http.client.NOT_FOUND), answer

    def apply(self, documents: list[Json]) -> None:
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))

    def definitions(self) -> list[Json]:
        status, found = self.request("GET", DEFINITIONS)
        assert status == http.client.OK, found
        items: list[Json] = found["items"]
        return items

    def kinds(self) -> tuple[GroupKind, ...]:
        """Of Cluster API and its providers, as far as their objects live in namespaces; as they were when first asked for."""
        if not self._kinds:
            specs = [one["spec"] for one in self.definitions() if one["spec"]["scope"] == "Namespaced"]
            kinds = [GroupKind(one["names"]["kind"], one["group"]) for one in specs if one["group"].endswith("cluster.x-k8s.io")]
            self._kinds = tuple(kinds)
        return self._kinds

    def definition(self, kind: GroupKind) -> Json:
        """The CustomResourceDefinition."""
        for one in self.definitions():
            if (one["spec"]["names"]["kind"], one["spec"]["group"]) == (kind.kind, kind.group):
                return one
        raise AssertionError(f"no CustomResourceDefinition has kind {kind}")

    def _resource(self, kind: GroupKind) -> str:
        """/apis/GROUP/VERSION/PLURAL, of the newest version that is served."""
        if not kind.group:
            return f"/api/v1/{CORE_PLURALS[kind.kind]}"
        if kind not in self._resources:
            spec = self.definition(kind)["spec"]
            newest = max((one["name"] for one in spec["versions"] if one["served"]), key=_age)
            self._resources[kind] = f"/apis/{kind.group}/{newest}/{spec['names']['plural']}"
        return self._resources[kind]

    # --- HTTP ---------------------------------------------------------------------------------------------------------------------

    def request(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> tuple[int, Json]:
        connection = self.connect()
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, path, data, {"Content-Type": content_type, "Accept": "application/json"})
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        return response.status, json.loads(answer) if answer[:1] == b"{" else {"text": answer.decode(errors="replace")}

    def connect(self) -> http.client.HTTPConnection:
        return _UnixConnection(self._socket)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.sock.close()
            raise


def _age(version: str) -> tuple[int, int, int]:
    """Sorts v1alpha1 < v1beta1 < v1beta2 < v1 < v2, and what is no such version before all."""
    found = VERSION.fullmatch(version)
    if found is None:
        return (-1, 0, 0)
    major, stage, minor = found.groups()
    return ({"alpha": 0, "beta": 1, None: 2}[stage], int(major), int(minor or 0))
