"""`make demo`, `make demo-status`, `make demo-down`: the provider's main job on a machine where nothing runs yet.

    python -m devenv.demo up | status | down

`up` starts a management API (etcd, API server, controller-manager as local processes), installs the CRDs, starts the manager, applies
the minimal sample and shows what happens until the new cluster's nodes are listed through the published Secret. It may be repeated.
`down` deletes the clusters through the manager, then ends every process and removes every file.

Everything lives in one private folder; nothing of the user's kubeconfig is read or written.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from devenv import detached, engine
from hack.tools import cache

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "config" / "samples" / "minimal.yaml"
CLUSTER = "minimal"
READY_SECONDS = 600.0
COMPONENTS = 3
"""Processes of a management API: etcd, kube-apiserver, kube-controller-manager."""

out = Console(highlight=False, soft_wrap=True)


class Demo(detached.Environment):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.kubeconfig = folder / f"{CLUSTER}.kubeconfig"

    # --- verbs --------------------------------------------------------------------------------------------------------------

    def up(self) -> None:
        self._start_api()
        self._install()
        self._start_manager()
        self.api.kubectl("apply", "-f", str(SAMPLE))
        self._follow()
        self._show()
        self._next_steps()

    def status(self) -> None:
        if not self.api.running():
            raise detached.Failed("The demo is not running; start it with `make demo`.")
        out.print(f"management API: {', '.join(sorted(self.api.running()))} at {self.api.url}")
        out.print(
            f"manager:        {'running' if self.manager.running else 'not running; `make demo` starts it'}, log {self.manager.log}"
        )
        self._show()
        self._next_steps()

    def down(self) -> None:
        if self.api.running():
            self.delete_clusters("kindclusters")
        self.remove()

    # --- parts --------------------------------------------------------------------------------------------------------------

    def _start_api(self) -> None:
        if len(self.api.running()) >= COMPONENTS:
            return
        out.print("• starting a management API (etcd, kube-apiserver, kube-controller-manager)")
        began = time.monotonic()
        self.api.stop()
        self.api.start()
        out.print(f"[green]✓[/] management API answers ({time.monotonic() - began:.1f} s)")

    def _install(self) -> None:
        self.api.kubectl("apply", "-k", str(ROOT / "config" / "crd"))
        self.api.kubectl("wait", "--for=condition=Established", "crd", "kindclusters.infrastructure.cluster.x-k8s.io")

    def _start_manager(self) -> None:
        if not self.manager.running:
            # An image the engine has already, so that the demo needs no registry; empty leaves the choice to kind.
            self.manager.start(f"--default-image={engine.node_image()}")
            out.print(f"• manager started, log {self.manager.log}")

    def _object(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.api.kubectl("get", "kindcluster", CLUSTER, "-o", "json").stdout)
        return found

    def _follow(self) -> None:
        """Print each step as it begins and ends, until Ready or failed."""
        printed: dict[str, str] = {}
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            status = self._object().get("status") or {}
            _print_steps(status, printed)
            if status.get("ready"):
                out.print(f"[green]✓[/] Ready, on runtime {status.get('runtime')}")
                out.print(_condition_message(status, "NodesSimulated"))
                return
            if status.get("phase") == "Failed":
                raise detached.Failed(f"{status.get('failureReason')}: {status.get('failureMessage')}")
            if not self.manager.running:
                raise detached.Failed(f"The manager ended; its log {self.manager.log} ends with:\n{_tail(self.manager.log)}")
            time.sleep(0.3)
        raise detached.Failed(f"Not Ready after {READY_SECONDS:.0f} s. {_condition_message(self._object()['status'], 'Ready')}")

    def _show(self) -> None:
        out.print("\n[bold]$ kubectl get kindclusters[/]")
        out.print(self.api.kubectl("get", "kindclusters", "-A").stdout)
        secret = self.api.kubectl("get", "secret", f"{CLUSTER}-config", "-o", "json", check=False)
        if secret.returncode != 0:
            return
        text = base64.b64decode(json.loads(secret.stdout)["data"]["config"])
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_bytes(text)
        out.print(f"[bold]$ kubectl --kubeconfig {self.kubeconfig} get nodes[/]")
        out.print(self.api.kubectl("--kubeconfig", str(self.kubeconfig), "get", "nodes").stdout)

    def _next_steps(self) -> None:
        kubectl = cache.bin_folder() / "kubectl"
        out.print("[bold]What next[/]")
        out.print(f"  the new cluster:      {kubectl} --kubeconfig {self.kubeconfig} get pods -A")
        out.print(f"  the KINDClusters:     {kubectl} --kubeconfig {self.api.kubeconfig} describe kindcluster {CLUSTER}")
        out.print(f"  another cluster:      {kubectl} --kubeconfig {self.api.kubeconfig} apply -f config/samples/workers.yaml")
        out.print("  what runs:            make demo-status")
        out.print("  remove all of it:     make demo-down")


def _print_steps(status: dict[str, Any], printed: dict[str, str]) -> None:
    for step in (status.get("lastCreate") or {}).get("steps") or []:
        name, step_state = step["name"], step["state"]
        if printed.get(name) == step_state:
            continue
        if name not in printed and step_state != "Started":
            out.print(f"  • {name}")
        mark = {"Started": f"  • {name}", "Succeeded": f"  [green]✓[/] {name} ({step.get('seconds', 0)} s)"}
        out.print(mark.get(step_state, f"  [red]✗[/] {name}"))
        printed[name] = step_state


def _condition_message(status: dict[str, Any], kind: str) -> str:
    conditions = status.get("conditions") or []
    return next((f"{entry['reason']}: {entry['message']}" for entry in conditions if entry["type"] == kind), "")


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


VERBS = {
    "up": lambda folder: Demo(folder).up(),
    "status": lambda folder: Demo(folder).status(),
    "down": lambda folder: Demo(folder).down(),
}

if __name__ == "__main__":
    sys.exit(detached.run("demo", VERBS, sys.argv[1:]))
