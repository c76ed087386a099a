"""Cluster API itself beside a ManagementAPI: its real core manager as a local process, webhooks and conversion on, and its real clusterctl.

    with ManagementAPI.temporary(controller_manager=True) as api:
        core = CoreManager(api)
        core.start()                                   # installs the CRDs and webhooks too, and returns when all of it answers
        Clusterctl(folder, api).run("describe", "cluster", "demo")

A bare API server has no pods: webhooks and conversion are called by URL on loopback instead of through a Service.
"""

from __future__ import annotations

import base64
import copy
import http.client
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from devenv import processes
from devenv.controlplane import ManagementAPI, StartFailed, free_port
from hack.tools import components, find
from provider.adapters.files import replace_file
from provider.adapters.local import pki

REQUIRED = ("cluster-api-manager", "clusterctl")
MANAGER = "cluster-api-manager"
READY_SECONDS = 60.0
START_TRIES = 3
CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WEBHOOK_PATH = "/apis/admissionregistration.k8s.io/v1"
PLURALS = {
    "CustomResourceDefinition": CRD_PATH,
    "MutatingWebhookConfiguration": f"{WEBHOOK_PATH}/mutatingwebhookconfigurations",
    "ValidatingWebhookConfiguration": f"{WEBHOOK_PATH}/validatingwebhookconfigurations",
}
FLAGS = (
    "--insecure-diagnostics",
    "--leader-elect=false",
    "--skip-crd-migration-phases=StorageVersionMigration,CleanupManagedFields",  # looks for its Deployment's field manager
    "--feature-gates=ClusterTopology=true,ReconcilerRateLimiting=false",
)
CERT_MANAGER_KINDS = ("Issuer", "Certificate")
CERT_MANAGER_TEST = "/api/v1/namespaces/cert-manager-test"

Json = dict[str, Any]


def missing() -> str:
    """Why tests with Cluster API itself cannot run; empty when they can."""
    problems = [find.missing(*REQUIRED)]
    try:
        components.folder()
    except components.ComponentsMissing as error:
        problems.append(str(error))
    return "; ".join(filter(None, problems)).replace("make tools`", "make tools-capi`")


class CoreManager:
    """At most one process at a time; it ends with the API (whose folder holds its log) and with the process that started it."""

    def __init__(
        self, api: ManagementAPI, *, detached: bool = False, name: str = MANAGER, environ: dict[str, str] | None = None
    ) -> None:
        """`name` of its log; `environ` of the process, where it is not the bare default."""
        self.api = api
        self._detached, self._name, self._environ = detached, name, environ
        self._process: subprocess.Popen[bytes] | None = None
        self._certificates = api.folder / ("webhook" if name == MANAGER else f"webhook-{name}")
        self._webhook_port = 0

    def start(self) -> None:
        """Returns when it is ready and its CRDs and webhooks are served. Raises ToolMissing, ComponentsMissing, StartFailed."""
        if not self._certificates.exists():
            self._make_certificate()
        for attempt in range(1, START_TRIES + 1):
            try:
                self._start()
            except StartFailed as error:
                if attempt == START_TRIES or "address already in use" not in str(error):
                    raise
                self._webhook_port = 0
            else:
                return

    def stop(self) -> None:
        """SIGTERM, so that it finishes what it writes."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the core manager was not started"
        return self._process.pid

    @property
    def log(self) -> str:
        path = self.api.folder / f"{self._name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # --- parts --------------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._webhook_port = self._webhook_port or free_port()
        health, diagnostics = free_port(), free_port()
        self._install()
        argv = [self._program(), f"--kubeconfig={self.api.kubeconfig}", f"--webhook-cert-dir={self._certificates}"]
        argv += [f"--webhook-port={self._webhook_port}", f"--health-addr=127.0.0.1:{health}", *FLAGS]
        argv += [f"--diagnostics-address=127.0.0.1:{diagnostics}"]
        began = len(self.log)
        self._process = processes.start(self._name, argv, self.api.folder, detached=self._detached, environ=self._environ)
        until = time.monotonic() + READY_SECONDS
        while not _ready(health):
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise StartFailed(f"{self._name} is not ready: {self.log[began:][-2000:]}")
            time.sleep(0.05)

    def _program(self) -> str:
        return find.path(MANAGER)

    def _documents(self) -> Iterator[Json]:
        """What of its release is installed: CRDs and webhooks."""
        yield from core_documents(*PLURALS)

    def _install(self) -> None:
        """CRDs and webhooks, new or as `clusterctl init` left them, pointed at the process."""
        documents = list(self._documents())
        for document in documents:
            put(self.api, self._rewired(document))
        wait_established(self.api, [one["metadata"]["name"] for one in documents if one["kind"] == "CustomResourceDefinition"])

    def _rewired(self, document: Json) -> Json:
        document = copy.deepcopy(document)
        document["metadata"].pop("annotations", None)  # cert-manager has no part in this
        if webhook := (document.get("spec", {}).get("conversion") or {}).get("webhook"):
            webhook["clientConfig"] = self._client_config("/convert")
        for webhook in document.get("webhooks", ()):
            webhook["clientConfig"] = self._client_config(webhook["clientConfig"]["service"]["path"])
        return document

    def _client_config(self, path: str) -> Json:
        authority = base64.b64encode((self._certificates / "ca.crt").read_bytes()).decode()
        return {"url": f"https://127.0.0.1:{self._webhook_port}{path}", "caBundle": authority}

    def _make_certificate(self) -> None:
        self._certificates.mkdir(mode=0o700)
        authority = pki.authority("webhooks")
        pair = pki.serving(authority)
        replace_file(self._certificates / "ca.crt", authority.certificate_pem)
        replace_file(self._certificates / "tls.crt", pair.certificate_pem)
        replace_file(self._certificates / "tls.key", pair.key_pem)


class Clusterctl:
    """The real command with a configuration of its own: providers from local repositories, no network, nothing of the user's."""

    def __init__(self, folder: Path, api: ManagementAPI, *, infrastructure: Path | None = None, provider: str = "kind") -> None:
        """`infrastructure`: infrastructure-components.yaml of a release, ours unless it is another provider's, in its repository."""
        self.folder, self.api, self.provider = folder, api, provider
        core = components.folder() / "core-components.yaml"
        providers = [{"name": "cluster-api", "type": "CoreProvider", "url": core.as_uri()}]
        if infrastructure is not None:
            providers.append({"name": provider, "type": "InfrastructureProvider", "url": infrastructure.absolute().as_uri()})
        self.config = folder / "config" / "cluster-api" / "clusterctl.yaml"
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(yaml.safe_dump({"providers": providers}))

    def environment(self) -> dict[str, str]:
        return {
            **self.api.environment(),
            "PATH": find.search_path(),
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.config.parent.parent),
            "CLUSTERCTL_DISABLE_VERSIONCHECK": "true",
            "GOPROXY": "off",
        }

    def run(
        self, *args: str, check: bool = True, timeout: float = 120.0, environ: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Output captured as text. A failure shows what it said."""
        done = subprocess.run(
            [find.path("clusterctl"), *args],
            env={**self.environment(), **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, f"clusterctl {' '.join(args)}: {done.stdout}\n{done.stderr}"
        return done

    def init(self) -> subprocess.CompletedProcess[str]:
        """Install Cluster API and our provider, as a user does; no bootstrap and no other control-plane provider."""
        install_cert_manager_kinds(self.api)
        # It tries cert-manager in this namespace; while the one of an earlier run is still going, it would download cert-manager.
        until(lambda: self.api.request("GET", CERT_MANAGER_TEST)[0] == http.client.NOT_FOUND, 60, f"{CERT_MANAGER_TEST} gone")
        return self.run("init", "--infrastructure", self.provider, "--bootstrap", "-", "--control-plane", "-")


# --- objects ----------------------------------------------------------------------------------------------------------------------


def core_documents(*kinds: str) -> Iterator[Json]:
    """Objects of these kinds of Cluster API's release; of all, if none is named."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a megabyte: 20 times faster where libyaml is
    with (components.folder() / "core-components.yaml").open() as file:
        yield from (document for document in yaml.load_all(file, Loader=loader) if not kinds or document["kind"] in kinds)


def put(api: ManagementAPI, wanted: Json) -> None:
    """Create a CRD or a webhook configuration, or replace what it says; metadata of one that is there stays."""
    collection = PLURALS[wanted["kind"]]
    path = f"{collection}/{wanted['metadata']['name']}"
    status, present = api.request("GET", path)
    if status == http.client.NOT_FOUND:
        status, answer = api.request("POST", collection, wanted)
    else:
        status, answer = api.request("PUT", path, {**wanted, "metadata": present["metadata"]})
    assert status in (http.client.OK, http.client.CREATED), answer


def wait_established(api: ManagementAPI, names: list[str], seconds: float = 30.0) -> None:
    def established(name: str) -> bool:
        _, answer = api.request("GET", f"{CRD_PATH}/{name}")
        conditions = (answer.get("status") or {}).get("conditions") or []
        return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)

    until(lambda: all(established(name) for name in names), seconds, f"established: {names}")


def install_cert_manager_kinds(api: ManagementAPI) -> None:
    """`clusterctl init` installs cert-manager unless objects of its kinds can be created; nothing here needs more of it than that."""
    plurals = [f"{kind.lower()}s" for kind in CERT_MANAGER_KINDS]
    for kind, plural in zip(CERT_MANAGER_KINDS, plurals, strict=True):
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
        versions = [{"name": "v1", "served": True, "storage": True, "schema": schema}]
        spec = {"group": "cert-manager.io", "names": names, "scope": "Namespaced", "versions": versions}
        meta = {"name": f"{plural}.cert-manager.io"}
        put(api, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": meta, "spec": spec})
    wait_established(api, [f"{plural}.cert-manager.io" for plural in plurals])


def until(done: Callable[[], object], seconds: float, what: str) -> float:
    """Poll until done; returns the seconds it took. Raises AssertionError."""
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began


def kubernetes_version(api: ManagementAPI) -> str:
    """Of the management API, "v1.34.4": what the embedded runtime offers too, because it is made of the same binaries."""
    return str(api.request("GET", "/version")[1]["gitVersion"])


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
