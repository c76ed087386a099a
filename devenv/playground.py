"""`make capi-up`, `make capi-down`: a management cluster with Cluster API itself to play with, made of local processes.

    python -m devenv.playground up | down

`up` starts a management API, installs Cluster API and this provider with `clusterctl init` from release artifacts of this checkout, and
starts Cluster API's core manager (webhooks on) and our manager. It prints what to export and what to try, and may be repeated.
`down` deletes the clusters through Cluster API, then ends every process and removes every file.

Everything lives in one private folder; nothing of the user's kubeconfig or of clusterctl's configuration is read or written.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from devenv import capi, tools
from devenv.controlplane import ManagementAPI, StartFailed
from devenv.detached import DetachedManager
from hack import release
from hack.tools import cache

ROOT = Path(__file__).resolve().parent.parent
COMPONENTS = {"etcd", "kube-apiserver", "kube-controller-manager", capi.MANAGER}
DELETE_SECONDS = 120.0


class PlayFailed(Exception):
    """It cannot go on; the message says what to do."""


def state() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "cluster-api-provider-kind-capi"


class Playground:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = folder / "environment"
        self.api = ManagementAPI(folder / "api", controller_manager=True, detached=True)
        self.manager = DetachedManager(folder, self.api)

    # --- verbs --------------------------------------------------------------------------------------------------------------

    def up(self) -> None:
        if set(self.api.running()) < COMPONENTS:
            self._start()
        self.manager.start()
        print(self._hints())

    def down(self) -> None:
        if self.api.running():
            self._delete_clusters()
        self.manager.stop()
        self.api.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        print("✓ every process and file of it is gone")

    # --- parts --------------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        began = time.monotonic()
        self.api.stop()
        print("• starting etcd, kube-apiserver, kube-controller-manager")
        self.api.start()
        artifacts = release.write(self.folder / "release")
        clusterctl = capi.Clusterctl(self.folder / "clusterctl", self.api, infrastructure=artifacts / release.COMPONENTS)
        print("• clusterctl init --infrastructure kind")
        clusterctl.init()
        print("• starting Cluster API's core manager")
        capi.CoreManager(self.api, detached=True).start()
        self._write_environment(clusterctl)
        print(f"✓ Cluster API is ready ({time.monotonic() - began:.1f} s)")

    def _write_environment(self, clusterctl: capi.Clusterctl) -> None:
        kept = ("KUBECONFIG", "XDG_CONFIG_HOME", "CLUSTERCTL_DISABLE_VERSIONCHECK", "GOPROXY")
        lines = [f"export {name}={shlex.quote(value)}" for name, value in clusterctl.environment().items() if name in kept]
        self.environment.write_text("\n".join([*lines, f'export PATH={shlex.quote(str(cache.bin_folder()))}:"$PATH"', ""]))

    def _hints(self) -> str:
        version = capi.kubernetes_version(self.api)
        return f"""
Use it:
  source {self.environment}      # KUBECONFIG={self.api.kubeconfig}, kubectl, clusterctl with its own configuration

Try:
  clusterctl generate cluster demo --kubernetes-version {version} | kubectl apply -f -
  clusterctl describe cluster demo --show-conditions all
  clusterctl get kubeconfig demo > demo.kubeconfig && kubectl --kubeconfig demo.kubeconfig get nodes
  kubectl delete cluster demo

Without a container engine, generate with --flavor local.
Logs:      {self.api.folder / f"{capi.MANAGER}.log"}
           {self.manager.log}
Remove it: make capi-down"""

    def _delete_clusters(self) -> None:
        """Through Cluster API and our manager, which alone know what is whose."""
        found = self.api.kubectl("get", "clusters,kindclusters", "-A", "-o", "name", check=False)
        if found.returncode != 0 or not found.stdout.strip():
            return
        self.manager.start()
        print("• deleting the clusters")
        for kind in ("clusters", "kindclusters"):
            done = self.api.kubectl(
                *("delete", kind, "--all", "-A", f"--timeout={DELETE_SECONDS:.0f}s"), check=False, timeout=DELETE_SECONDS + 10
            )
            if done.returncode != 0:
                raise PlayFailed(f"A cluster could not be deleted; nothing else was removed. {done.stderr}")


def main(arguments: Sequence[str]) -> int:
    verbs = {"up": Playground.up, "down": Playground.down}
    if len(arguments) != 1 or arguments[0] not in verbs:
        print(f"usage: python -m devenv.playground {'|'.join(verbs)}", file=sys.stderr)
        return 2
    folder = state()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            verbs[arguments[0]](Playground(folder))
        except (PlayFailed, StartFailed, tools.ToolMissing, AssertionError) as error:
            print(f"✗ {error}", file=sys.stderr)
            return 1
        except subprocess.CalledProcessError as error:
            print(f"✗ {' '.join(map(str, error.cmd))}: {error.stderr}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
