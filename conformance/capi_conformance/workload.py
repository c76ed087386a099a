"""The workload cluster behind a kubeconfig: whether it answers, and whether it is still the same one."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from capi_conformance.management import Json

REQUEST = "--request-timeout=5s"
TIMEOUT_SECONDS = 15.0


class Workload:
    def __init__(self, kubeconfig: bytes, environ: Mapping[str, str]) -> None:
        self.kubeconfig, self._environ = kubeconfig, environ

    @classmethod
    def of(cls, secret: Json, environ: Mapping[str, str]) -> Workload:
        """Of a kubeconfig Secret of Cluster API."""
        assert secret, "there is no kubeconfig Secret"
        assert "value" in (secret.get("data") or {}), (
            f"the kubeconfig Secret has no key `value` but {sorted(secret.get('data') or {})}"
        )
        return cls(base64.b64decode(secret["data"]["value"]), environ)

    def problem(self) -> str:
        """Why it does not answer; empty when it does."""
        done = self._kubectl("get", "--raw=/api/v1/namespaces/kube-system")
        return done.stderr.strip() if done.returncode else ""

    def plugins(self) -> list[str]:
        """Users whose credentials come from a program: the core manager refuses these."""
        users = (yaml.safe_load(self.kubeconfig) or {}).get("users") or []
        return [one["name"] for one in users if {"exec", "auth-provider"} & set(one.get("user") or {})]

    def mark(self, name: str) -> None:
        """Leave something in it that another cluster would not have."""
        done = self._kubectl("create", "configmap", name, "--namespace=default")
        assert done.returncode == 0, done.stderr

    def identity(self, mark: str) -> Json:
        """UIDs of what a cluster has from its birth to its death, of its nodes and of the mark; equal: it is the same cluster.

        An API server that is only played may give none: then it is the mark alone that another cluster would not have.
        """
        done = self._kubectl("get", "namespace/kube-system", f"configmap/{mark}", "--namespace=default", "-o", "json")
        nodes = self._kubectl("get", "nodes", "-o", "json")
        assert done.returncode == nodes.returncode == 0, (
            f"the workload cluster does not answer, or has lost what was in it: {done.stderr}{nodes.stderr}"
        )
        items = json.loads(done.stdout)["items"] + json.loads(nodes.stdout)["items"]
        return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"].get("uid", "") for one in items}

    def _kubectl(self, *args: str) -> subprocess.CompletedProcess[str]:
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_bytes(self.kubeconfig)
            argv = ["kubectl", f"--kubeconfig={file.name}", REQUEST, *args]
            return subprocess.run(
                argv, env={**self._environ}, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
            )
