"""A management cluster with Cluster API's core manager and our manager at work, and what a user of it does and sees."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devenv import capi
from devenv.controlplane import ManagementAPI
from devenv.manager import API, ManagerProcess
from hack import release
from hack.tools import find
from provider.adapters.local import daemons, state

KUBERNETES = "v1.34.4"
NAMESPACE = "capkind-system"
MANAGER = f"system:serviceaccount:{NAMESPACE}:capkind-manager"
GROUPS = ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}")
"""Whom config/rbac grants the manager's rights: its ServiceAccount, under the name that the API server knows it by."""
AVAILABLE_SECONDS = 90.0
CLUSTERS = "/apis/cluster.x-k8s.io/v1beta2"
MERGE = "application/merge-patch+json"
NEGATIVE = {"Paused", "Deleting", "RollingOut", "ScalingUp", "ScalingDown", "Updating", "Remediating"}
"""Conditions that are good when False (clusterctl's internal/util/tree)."""
ROW = re.compile(r"─(\w+)\s+(True|False|Unknown)\b")

Json = dict[str, Any]


@dataclass(eq=False)
class Managed:
    """Clusters are made in the namespace `default`."""

    api: ManagementAPI
    core: capi.CoreManager
    manager: ManagerProcess
    clusterctl: capi.Clusterctl

    @classmethod
    @contextlib.contextmanager
    def running(
        cls, folder: Path, artifacts: Path, *, runtime: str = "local", local: Path | None = None, audited: bool = False
    ) -> Iterator[Managed]:
        """Installed by `clusterctl init` from the artifacts; the manager has the rights that these grant it, and no others.

        `local`: where the embedded runtime keeps clusters, if shared. `audited`: as ManagementAPI has it.
        """
        folder.mkdir(exist_ok=True)
        if local is not None:
            (folder / "state").mkdir()
            (folder / "state" / "local").symlink_to(local)
        with cls.bare(folder, artifacts, runtime=runtime, audited=audited) as managed:
            managed.clusterctl.init()
            managed.start()
            yield managed

    @classmethod
    @contextlib.contextmanager
    def bare(cls, folder: Path, artifacts: Path, *, runtime: str = "local", audited: bool = False) -> Iterator[Managed]:
        """Nothing is installed and nothing runs but the management API; clusterctl is configured for the artifacts."""
        folder.mkdir(exist_ok=True)
        with ManagementAPI.temporary(controller_manager=True, audited=audited) as api:
            flags = [f"--kubeconfig={api.kubeconfig_for(MANAGER, *GROUPS)}", f"--leader-elect-namespace={NAMESPACE}"]
            flags += [f"--runtime={runtime}", "--log-level=debug"]
            managed = cls(
                api,
                capi.CoreManager(api),
                ManagerProcess(api, folder, *flags, environ={"PATH": find.search_path()}),
                capi.Clusterctl(folder, api, infrastructure=artifacts / release.COMPONENTS),
            )
            try:
                yield managed
            finally:
                managed._end()

    def start(self) -> None:
        """Both managers. What they serve must have been installed."""
        self.core.start()
        self.manager.start()

    def _end(self) -> None:
        """Clusters outlive their manager: what a failed test leaves of the embedded runtime's is ended by its mark."""
        self.manager.kill()
        self.core.kill()
        for folder in state.clusters(self.local):
            with contextlib.suppress(state.Unreadable):
                if known := state.read(folder):
                    daemons.end_all(known.marker, known.daemons)

    @property
    def local(self) -> Path:
        return self.manager.folder / "state" / "local"

    # --- what a user does -------------------------------------------------------------------------------------------------------

    def generate(self, name: str, *flags: str) -> str:
        return self.clusterctl.run("generate", "cluster", name, "--kubernetes-version", KUBERNETES, *flags).stdout

    def apply(self, text: str) -> None:
        self.api.kubectl("apply", "-f", "-", stdin=text)

    def create(self, name: str, *flags: str, flavor: str = "local") -> float:
        """Generate, apply, wait; returns the seconds from apply to Available."""
        text = self.generate(name, "--flavor", flavor, *flags)
        self.apply(text)
        return self.wait_available(name)

    def patch(self, path: str, body: Json) -> None:
        status, answer = self.api.request("PATCH", path, body, content_type=MERGE)
        assert status == 200, answer

    def pause_cluster(self, name: str, paused: bool) -> None:
        self.patch(f"{CLUSTERS}/namespaces/default/clusters/{name}", {"spec": {"paused": paused}})

    def annotate(self, name: str, annotation: str, value: str | None) -> None:
        """On the KINDCluster; None removes it."""
        self.patch(self.path(name), {"metadata": {"annotations": {annotation: value}}})

    def delete(self, name: str) -> None:
        self.api.kubectl("delete", "cluster", name, "--wait=false")

    def abandon(self, name: str) -> None:
        """The manager is killed and the objects vanish behind its back, as when a management cluster is lost. The kind cluster stays."""
        self.manager.kill()
        if self.cluster(name):
            self.pause_cluster(name, False)  # core does not let go of a paused one
        if self.kindcluster(name):
            self.patch(self.path(name), {"metadata": {"finalizers": None}})
        self.api.kubectl("delete", "kindcluster,cluster", name, "--ignore-not-found", "--timeout=50s")
        self.api.kubectl("delete", "secret", f"{name}-kubeconfig", f"{name}-config", "--ignore-not-found")

    # --- what a user sees -------------------------------------------------------------------------------------------------------

    @staticmethod
    def path(name: str) -> str:
        return f"{API}/namespaces/default/kindclusters/{name}"

    def cluster(self, name: str) -> Json:
        """The Cluster, or {}."""
        status, found = self.api.request("GET", f"{CLUSTERS}/namespaces/default/clusters/{name}")
        return found if status == 200 else {}

    def names(self) -> list[str]:
        """Of all KINDClusters."""
        return self.api.kubectl("get", "kindclusters", "-o", "jsonpath={.items[*].metadata.name}").stdout.split()

    def kindcluster(self, name: str) -> Json:
        return self.manager.get(name)

    def condition(self, name: str, kind: str) -> Json:
        """Of the Cluster."""
        conditions = (self.cluster(name).get("status") or {}).get("conditions") or []
        return next((one for one in conditions if one["type"] == kind), {})

    def available(self, name: str) -> bool:
        found = self.condition(name, "Available")
        return found.get("status") == "True" and not found.get("message")

    def described(self, name: str) -> tuple[set[str], list[tuple[str, str]]]:
        """The conditions that `clusterctl describe` shows, and those rows that are not good."""
        rows: list[tuple[str, str]] = ROW.findall(
            self.clusterctl.run("describe", "cluster", name, "--show-conditions", "all").stdout
        )
        return {kind for kind, _ in rows}, [row for row in rows if row[1] != ("False" if row[0] in NEGATIVE else "True")]

    def wait_available(self, name: str, seconds: float = AVAILABLE_SECONDS) -> float:
        return self.manager.wait(seconds, lambda: self.available(name), f"Cluster {name} Available")

    def wait_gone(self, name: str, seconds: float = 60.0) -> float:
        return self.manager.wait(seconds, lambda: not self.cluster(name) and not self.kindcluster(name), f"{name} gone")

    def wait_paused(self, name: str) -> Json:
        return self.manager.wait_reason(name, "Paused", "Paused")

    def secret(self, name: str) -> Json:
        status, found = self.api.request("GET", f"/api/v1/namespaces/default/secrets/{name}")
        return found if status == 200 else {}

    def nodes(self, kubeconfig: str) -> list[str]:
        """Names of the nodes of the cluster that a kubeconfig leads to."""
        path = self.manager.folder / "workload.kubeconfig"
        path.write_text(kubeconfig)
        path.chmod(0o600)
        said = self.api.kubectl("--kubeconfig", str(path), "get", "nodes", "-o", "name").stdout
        return sorted(line.removeprefix("node/") for line in said.split())

    def secret_nodes(self, name: str, key: str = "value") -> list[str]:
        """Names of the nodes that the kubeconfig in a Secret shows."""
        return self.nodes(base64.b64decode(self.secret(name)["data"][key]).decode())

    def processes(self, name: str) -> set[tuple[str, int, int]]:
        """(component, pid, start time) of everything that runs for a cluster; equal sets: nothing was restarted."""
        known = state.read(self.local / name)
        found = daemons.find(known.marker) if known else {}
        return {(component, one.pid, one.started) for component, many in found.items() for one in many}
