"""The manager as a real process against a ManagementAPI: start, kill, stop, and wait for what a user would see.

It runs with an environment of its own (a private HOME and state folder), so that a test can prove what it does not touch.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from devenv import processes
from devenv.controlplane import ManagementAPI

ROOT = Path(__file__).resolve().parent.parent
API = "/apis/infrastructure.cluster.x-k8s.io/v1alpha1"
"""Path of the types the manager serves."""
STOP_SECONDS = 10.0
"""SIGTERM must end the manager within this."""


class ManagerProcess:
    """At most one process at a time. `environ` adds to a bare environment (PATH, HOME, what the engine's client needs)."""

    def __init__(self, api: ManagementAPI, folder: Path, *flags: str, environ: Mapping[str, str] | None = None) -> None:
        self.api, self.folder, self.flags = api, folder, flags
        self.home = folder / "home"
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "LC_ALL": "C.UTF-8",
            **{name: value for name, value in os.environ.items() if name.startswith(("DOCKER_", "CAPKIND_", "COVERAGE_"))},
            **(environ or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the manager was not started"
        return self._process.pid

    @property
    def log(self) -> str:
        path = self.folder / "manager.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        argv = [sys.executable, "-m", "provider", f"--kubeconfig={self.api.kubeconfig}", f"--state-dir={self.folder / 'state'}"]
        argv += ["--health-addr=0", "--diagnostics-address=0", *self.flags]
        self._process = processes.start("manager", argv, self.folder, environ=self.environ)

    def kill(self) -> None:
        """SIGKILL to the whole process group, as an out-of-memory killer or a power cut would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> float:
        """SIGTERM; returns the seconds it took. Raises TimeoutExpired when it takes longer than promised."""
        assert self._process is not None, "the manager was not started"
        began = time.monotonic()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        finally:
            if self._process.poll() is None:
                self.kill()
            self._process = None
        return time.monotonic() - began

    def end(self) -> None:
        """SIGTERM, if it was started and not ended since; by force when that takes too long. Its Lease is given back, so that the next one
        need not wait for it to expire.
        """
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()

    def kill_after(self, seconds: float) -> None:
        """Kill it at that moment, which is the input here, and start it again. Fails when it has ended before by itself."""
        moment = time.monotonic() + seconds
        self.wait(seconds + 5, lambda: time.monotonic() > moment, "the moment")
        self.kill()
        self.start()

    # --- what a user sees -------------------------------------------------------------------------------------------------------

    def get(self, name: str, namespace: str = "default") -> dict[str, Any]:
        """The KINDCluster, or {} when it does not exist."""
        path = f"{API}/namespaces/{namespace}/kindclusters/{name}"
        status, obj = self.api.request("GET", path)
        return obj if status == 200 else {}

    def status(self, name: str, namespace: str = "default") -> dict[str, Any]:
        found: dict[str, Any] = self.get(name, namespace).get("status") or {}
        return found

    def condition(self, name: str, kind: str, namespace: str = "default") -> dict[str, Any]:
        conditions = self.status(name, namespace).get("conditions") or []
        return next((entry for entry in conditions if entry["type"] == kind), {})

    def wait(self, seconds: float, done: Callable[[], object], what: str = "") -> float:
        """Poll until done; returns the seconds it took. Fails with what the objects say and the end of the log."""
        began = time.monotonic()
        while not done():
            if time.monotonic() - began > seconds:
                raise AssertionError(
                    f"not within {seconds:.0f} s: {what}\n{self._objects()}\n--- manager ---\n{self.log[-6000:]}"
                )
            if self._process is not None and self._process.poll() is not None:
                raise AssertionError(f"the manager ended with {self._process.returncode}\n{self.log[-6000:]}")
            time.sleep(0.05)
        return time.monotonic() - began

    def wait_ready(self, name: str, seconds: float = 180.0, namespace: str = "default") -> float:
        return self.wait(seconds, lambda: self.status(name, namespace).get("ready") is True, f"{name} Ready")

    def wait_phase(self, name: str, phase: str, seconds: float = 60.0, namespace: str = "default") -> float:
        return self.wait(seconds, lambda: self.status(name, namespace).get("phase") == phase, f"{name} {phase}")

    def wait_gone(self, name: str, seconds: float = 60.0, namespace: str = "default") -> float:
        return self.wait(seconds, lambda: not self.get(name, namespace), f"{name} gone")

    def wait_reason(self, name: str, kind: str, reason: str, seconds: float = 60.0, namespace: str = "default") -> dict[str, Any]:
        """Until condition `kind` has `reason`; returns the condition."""
        self.wait(seconds, lambda: self.condition(name, kind, namespace).get("reason") == reason, f"{name} {kind}={reason}")
        return self.condition(name, kind, namespace)

    def _objects(self) -> str:
        """Every KINDCluster with its phase and those of its conditions that are not True."""
        status, found = self.api.request("GET", f"{API}/kindclusters")
        if status != http.client.OK:
            return f"KINDClusters cannot be listed: {found}"
        return "\n".join(_summary(obj) for obj in found["items"]) or "there is no KINDCluster"


def _summary(obj: dict[str, Any]) -> str:
    meta, status = obj["metadata"], obj.get("status") or {}
    bad = [entry for entry in status.get("conditions") or [] if entry["status"] != "True"]
    lines = "".join(f"\n  {entry['type']}={entry['status']} {entry['reason']}: {entry.get('message', '')}" for entry in bad)
    return f"{meta['namespace']}/{meta['name']}: phase {status.get('phase')}{lines}"
