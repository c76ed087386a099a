"""docs/howto/clusterctl.sh against a bare management cluster that has no nodes: what its Deployments would run is run as processes."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from devenv import capi
from devenv.managed import KUBERNETES, Managed
from hack import release

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "docs" / "howto" / "clusterctl.sh"
DEPLOYMENTS = {"capi-system": "capi-controller-manager", "capkind-system": "capkind-controller-manager"}
INSTALL_SECONDS = 90.0


def walk(folder: Path, name: str, *, runtime: str, flavor: str = "", version: str = KUBERNETES, seconds: float = 300.0) -> str:
    """Run the script for a cluster of this name; what it printed. Raises AssertionError, with that, when it fails."""
    artifacts = folder / "release" / release.PROVIDER / release.VERSION
    with Managed.bare(folder / "managed", artifacts, runtime=runtime) as managed:
        capi.install_cert_manager_kinds(managed.api)
        environ = {
            **os.environ,
            **managed.clusterctl.environment(),
            "HOME": os.environ["HOME"],  # make keeps its virtual environment's and its tools' caches there
            "NAME": name,
            "FLAVOR": flavor,
            "KUBERNETES_VERSION": version,
            "RELEASE": str(folder / "release"),
            "CLUSTERCTL_CONFIG": str(managed.clusterctl.config),
        }
        log = folder / "script.log"
        with _running(log, environ) as script:
            capi.until(lambda: _installed(managed) or script.poll() is not None, INSTALL_SECONDS, "Deployments")
            if script.poll() is None:
                managed.start()
                _call_available(managed)
                managed.manager.wait(seconds, lambda: script.poll() is not None, "the end of the script")
        said = log.read_text()
        assert script.returncode == 0, f"{said}\n--- manager ---\n{managed.manager.log[-4000:]}"
        return said


@contextlib.contextmanager
def _running(log: Path, environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        script = subprocess.Popen(
            [SCRIPT], env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield script
    finally:
        if script.poll() is None:
            os.killpg(script.pid, signal.SIGKILL)
            script.wait()


def _path(namespace: str, name: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"


def _installed(managed: Managed) -> bool:
    return all(managed.api.request("GET", _path(*one))[0] == http.client.OK for one in DEPLOYMENTS.items())


def _call_available(managed: Managed) -> None:
    """As the deployment controller does when the pods are ready; clusterctl waits for that."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {"type": "Available", "status": "True", "reason": "Ready", "lastTransitionTime": now, "lastUpdateTime": now}
    for one in DEPLOYMENTS.items():
        managed.patch(f"{_path(*one)}/status", {"status": {"conditions": [condition]}})
