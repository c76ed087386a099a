"""`make capi-up`, `make capi-down`: a management cluster with Cluster API itself to play with, made of local processes.

    python -m devenv.playground up | down

`up` starts a management API, installs Cluster API and this provider with `clusterctl init` from release artifacts of this checkout, and
starts Cluster API's core manager (webhooks on) and our manager. It prints what to export and what to try, and may be repeated.
`down` deletes the clusters through Cluster API, then ends every process and removes every file.

Everything lives in one private folder; nothing of the user's kubeconfig or of clusterctl's configuration is read or written.
"""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

from devenv import capi, detached
from hack import release
from hack.tools import cache

COMPONENTS = {"etcd", "kube-apiserver", "kube-controller-manager", capi.MANAGER}


class Playground(detached.Environment):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.environment = folder / "environment"

    # --- verbs --------------------------------------------------------------------------------------------------------------

    def up(self) -> None:
        if set(self.api.running()) < COMPONENTS:
            self._start()
        self.manager.start()
        print(self._hints())

    def down(self) -> None:
        if self.api.running():
            self.delete_clusters("clusters", "kindclusters")
        self.remove()

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


VERBS = {"up": lambda folder: Playground(folder).up(), "down": lambda folder: Playground(folder).down()}

if __name__ == "__main__":
    sys.exit(detached.run("playground", VERBS, sys.argv[1:]))
