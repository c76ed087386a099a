"""Another provider to hold the conformance kit against: Cluster API's own DevCluster (in memory) with its kubeadm providers.

Nobody publishes these programs but inside container images, so they are built from the modules that hack/tools/peer/go.mod pins, and kept
in the tools' cache. Nothing else here needs them: `make tools-capi` does not get them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hack.tools import build, cache, components
from hack.tools.pins import CLUSTER_API, CLUSTER_API_STAMP, CORE_METADATA

MODULE = build.MODULES / "peer"


@dataclass(frozen=True)
class Peer:
    """One of the providers."""

    label: str
    """As clusterctl labels it: "infrastructure-docker"."""
    module: str
    folder: str
    """Below the module: the package of its manager, with its manifests in config/default."""

    @property
    def kind(self) -> str:
        """ "infrastructure", "bootstrap" or "control-plane"."""
        return self.label.rpartition("-")[0]

    @property
    def provider(self) -> str:
        return self.label.rpartition("-")[2]

    @property
    def components(self) -> Path:
        """What `clusterctl init` installs of it, in a local repository; there once `acquire` has been."""
        return _store() / self.label / CLUSTER_API / f"{self.kind}-components.yaml"

    @property
    def manager(self) -> Path:
        return _store() / f"{self.label}-manager"


PEERS = (
    Peer("infrastructure-docker", "sigs.k8s.io/cluster-api/test", "infrastructure/docker"),
    Peer("bootstrap-kubeadm", "sigs.k8s.io/cluster-api", "bootstrap/kubeadm"),
    Peer("control-plane-kubeadm", "sigs.k8s.io/cluster-api", "controlplane/kubeadm"),
)


class PeersMissing(Exception):
    """They are not here and cannot be made; the message says what to do."""


def acquire() -> None:
    """Build what is not there; about five minutes on two cores with an empty build cache. Raises PeersMissing."""
    go = build.find_go(os.environ.get("PATH", os.defpath))
    if all(one.manager.exists() and one.components.exists() for one in PEERS):
        return
    if go is None:
        raise PeersMissing("no Go: install it (https://go.dev/doc/install)")
    with cache.locked(cache.root(), waiting=lambda: None):
        for one in PEERS:
            try:
                _build(go, one)
                _render(go, one)
            except subprocess.CalledProcessError as error:
                raise PeersMissing(f"{one.label}: {error.stderr.strip()[-1000:]}") from error


def _build(go: str, peer: Peer) -> None:
    if peer.manager.exists():
        return
    with cache.workspace(cache.root()) as work:
        flags = ["-mod=readonly", "-trimpath", "-ldflags", f"-s -w {CLUSTER_API_STAMP}", "-o", str(work / "manager")]
        _run(go, "build", *flags, f"{peer.module}/{peer.folder}")
        peer.manager.parent.mkdir(parents=True, exist_ok=True)
        (work / "manager").replace(peer.manager)


def _render(go: str, peer: Peer) -> None:
    source = Path(_run(go, "list", "-m", "-f", "{{.Dir}}", peer.module).strip()) / peer.folder / "config" / "default"
    rendered = _run(str(cache.bin_folder() / "kubectl"), "kustomize", str(source))
    peer.components.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(components.folder() / CORE_METADATA.name, peer.components.parent / CORE_METADATA.name)
    peer.components.write_text(rendered)


def _run(*argv: str) -> str:
    environ = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    return subprocess.run(argv, cwd=MODULE, env=environ, capture_output=True, text=True, check=True).stdout


def _store() -> Path:
    return cache.root() / "store" / "cluster-api-peers" / CLUSTER_API
