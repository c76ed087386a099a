"""A kind management cluster with the provider and Cluster API's core manager in its pods, as a user sees it, with faults that tests inject.

Core is what its release publishes; only its certificate is not cert-manager's, and its image is made here, of the binary that tests use.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from devenv import capi, engine
from hack.tools import cache, find
from provider.adapters.local import pki

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE, DEPLOYMENT = "capkind-system", "capkind-controller-manager"
CORE_NAMESPACE, CORE_DEPLOYMENT = "capi-system", "capi-controller-manager"
WEBHOOK_SERVICE, WEBHOOK_SECRET = "capi-webhook-service", "capi-webhook-service-cert"
TITLE = "org.opencontainers.image.title=cluster-api-provider-kind"
DEFAULT_BASE = "docker.io/library/python:3.11-slim-bookworm"
VARIABLE = re.compile(r"\$\{\w+:=([^}]*)\}")
REFUSED = '{"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "metadata": {"name": "empty"}, "spec": {"paused": true}}'
"""A Cluster that core's webhook does not let in."""
FROM_SCRATCH = 'FROM scratch\nCOPY manager /manager\nENTRYPOINT ["/manager"]\n'

Json = dict[str, Any]


def missing() -> str:
    """Why the image cannot be built here; empty when it can. Pulls the base image if need be."""
    base = os.environ.get("BASE_IMAGE") or DEFAULT_BASE
    if engine.docker("image", "ls", "-q", base) or engine.docker("pull", "-q", base, check=False, timeout=300):
        return ""
    return f"no base image for the manager's image: {base} is not here and cannot be pulled (BASE_IMAGE names another)"


@dataclass
class InCluster:
    """A kind cluster `name` whose kubeconfig is `folder/kubeconfig`. Nothing of the user's configuration is read or written."""

    name: str
    folder: Path

    @property
    def node(self) -> str:
        return f"{self.name}-control-plane"

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([os.environ["PATH"], str(cache.bin_folder())])
        own = {"KUBECONFIG": str(self.folder / "kubeconfig"), "XDG_CONFIG_HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        return {**os.environ, "PATH": path, **own, "CLUSTERCTL_DISABLE_VERSIONCHECK": "true"}

    # --- what a user does ---------------------------------------------------------------------------------------------------------

    def shell(self, script: str, timeout: float = 300.0) -> str:
        """In bash and the checkout, ending at the first failure; its output. A failure shows all of it."""
        argv = ["timeout", "--kill-after=5", str(timeout), "bash", "-c", f"set -euo pipefail\n{script}"]
        done = subprocess.run(
            argv, cwd=ROOT, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}\n{self.story()}"
        return done.stdout

    def kubectl(self, *args: str, stdin: str = "", check: bool = True, timeout: float = 120.0) -> str:
        argv = [find.path("kubectl"), *args]
        done = subprocess.run(
            argv, env=self.environment(), input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert not check or done.returncode == 0, f"{argv}: {done.stdout}\n{done.stderr}\n{self.story()}"
        return done.stdout

    def share_nothing(self) -> None:
        """One DNS server: kube-proxy of a node image without iptables' `statistic` stops at the first Service with two endpoints."""
        self.kubectl("scale", "-n", "kube-system", "deployment/coredns", "--replicas=1")
        self.kubectl("rollout", "status", "-n", "kube-system", "deployment/coredns", "--timeout=60s")

    def kill_manager(self) -> None:
        """SIGKILL to the manager, and with it to all that runs in its container, as an out-of-memory killer does."""
        container = self.manager()["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        engine.run_in(self.node, "ctr", "--namespace", "k8s.io", "task", "kill", "--signal", "SIGKILL", container)

    # --- what a user sees ---------------------------------------------------------------------------------------------------------

    def get(self, kind: str, name: str, namespace: str = "default") -> Json:
        """The object, or {}."""
        said = self.kubectl("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
        found: Json = json.loads(said or "{}")
        return found

    def condition(self, kind: str, name: str, condition: str) -> Json:
        conditions = (self.get(kind, name).get("status") or {}).get("conditions") or []
        return next((one for one in conditions if one["type"] == condition), {})

    def available(self, cluster: str) -> bool:
        found = self.condition("cluster", cluster, "Available")
        return found.get("status") == "True" and not found.get("message")

    def manager(self) -> Json:
        """Its pod; the newest one while another is ending."""
        pods = json.loads(self.kubectl("get", "pods", "-n", NAMESPACE, "-o", "json"))["items"]
        return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default={})

    def log(self) -> str:
        """What the manager has said, in this run of its container and the one before."""
        argv = ["logs", "-n", NAMESPACE, f"deployment/{DEPLOYMENT}", "--tail=200"]
        return "".join(self.kubectl(*argv, *flags, check=False) for flags in (["--previous"], []))

    def story(self) -> str:
        """For a failure: what the objects say, and the manager."""
        objects = self.kubectl("get", "kindclusters", "-A", "-o", "jsonpath={.items[*].status.conditions}", check=False)
        return f"--- conditions ---\n{objects}\n--- manager ---\n{self.log()}"

    def wait(self, seconds: float, done: Callable[[], object], what: str) -> float:
        """Poll until done; returns the seconds it took. A failure shows what the manager said."""
        try:
            return capi.until(done, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from error

    # --- Cluster API --------------------------------------------------------------------------------------------------------------

    def install_core(self) -> None:
        """Core's own release, webhooks on. Returns when it is ready."""
        documents = list(self._core())
        deployment = next(one for one in documents if one["kind"] == "Deployment")
        self._load_core(deployment["spec"]["template"]["spec"]["containers"][0]["image"])
        self.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(documents))
        self.kubectl("rollout", "status", "-n", CORE_NAMESPACE, f"deployment/{CORE_DEPLOYMENT}", "--timeout=90s")
        self.wait(
            30,
            self._webhook_answers,
            "core's webhooks answer: nodes learn of a Service's endpoints a moment after they are ready",
        )

    def _webhook_answers(self) -> bool:
        argv = [find.path("kubectl"), "apply", "--dry-run=server", "-f", "-"]
        done = subprocess.run(
            argv, env=self.environment(), input=REFUSED, capture_output=True, text=True, timeout=60, check=False
        )
        return "one of spec.controlPlaneRef, spec.infrastructureRef" in done.stderr

    def _core(self) -> Iterator[Json]:
        names = [f"{WEBHOOK_SERVICE}.{CORE_NAMESPACE}.svc"]
        authority = pki.authority("webhooks")
        pair = pki.serving(authority, names=names)
        bundle = _encode(authority.certificate_pem)
        for document in capi.core_documents():
            if document["kind"] not in capi.CERT_MANAGER_KINDS:
                yield _completed(document, bundle)
        meta = {"name": WEBHOOK_SECRET, "namespace": CORE_NAMESPACE}
        data = {"tls.crt": _encode(pair.certificate_pem), "tls.key": _encode(pair.key_pem)}
        yield {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "kubernetes.io/tls", "data": data}

    def _load_core(self, image: str) -> None:
        context = self.folder / "core"
        context.mkdir()
        shutil.copy(find.path(capi.MANAGER), context / "manager")
        (context / "Dockerfile").write_text(FROM_SCRATCH)
        engine.docker("build", "-q", "-t", image, str(context))
        try:
            self.shell(f"kind load docker-image {image} --name {self.name}")
        finally:
            engine.docker("rmi", image)


def remove_unnamed_images() -> None:
    """What builds of our image left behind: the stage before, and what had the name before."""
    for image in engine.docker("image", "ls", "-q", "--filter", "dangling=true", "--filter", f"label={TITLE}").split():
        engine.docker("rmi", image, check=False)  # another test may be building upon it


def _completed(document: Json, bundle: str) -> Json:
    """With the variables' defaults, which clusterctl would fill in, and the authority, which cert-manager would."""
    text = VARIABLE.sub(r"\1", json.dumps(document)).replace('"imagePullPolicy": "Always"', '"imagePullPolicy": "IfNotPresent"')
    completed: Json = json.loads(text)
    if completed["kind"] == "CustomResourceDefinition":
        completed["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"] = bundle
    for webhook in completed.get("webhooks", ()):
        webhook["clientConfig"]["caBundle"] = bundle
    return completed


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
