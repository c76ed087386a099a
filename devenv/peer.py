"""Host of the conformance kit for a provider that is not ours: Cluster API's DevCluster with its in-memory backend.

Its managers run beside the core manager as processes, as that does. What they make exists in memory only, so there is one management
cluster, and nothing to move to.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from capi_conformance.management import Access, Clusters
from devenv import capi
from devenv.controlplane import REQUIRED, ManagementAPI
from hack.tools import find, peers
from hack.tools.peers import PEERS, Peer

LOOPBACK = "127.0.0.1"


class PeerManager(capi.CoreManager):
    """Another provider's manager, installed and started as Cluster API's own."""

    def __init__(self, api: ManagementAPI, peer: Peer) -> None:
        self._peer = peer
        super().__init__(api, name=peer.manager.name, environ={"POD_IP": LOOPBACK, "PATH": find.search_path()})

    def _program(self) -> str:
        return str(self._peer.manager)

    def _documents(self) -> Iterator[capi.Json]:
        for document in yaml.safe_load_all(self._peer.components.read_text()):
            if document["kind"] in capi.PLURALS:
                yield document


class PeerClusterctl(capi.Clusterctl):
    def __init__(self, folder: Path, api: ManagementAPI) -> None:
        super().__init__(folder, api)
        known = yaml.safe_load(self.config.read_text())
        types = {
            "infrastructure": "InfrastructureProvider",
            "bootstrap": "BootstrapProvider",
            "control-plane": "ControlPlaneProvider",
        }
        known["providers"] += [
            {"name": one.provider, "type": types[one.kind], "url": one.components.absolute().as_uri()} for one in PEERS
        ]
        self.config.write_text(yaml.safe_dump(known))

    def init_all(self) -> None:
        capi.install_cert_manager_kinds(self.api)
        self.run("init", *(f"--{one.kind}={one.provider}" for one in PEERS))


def clusters() -> contextlib.AbstractContextManager[Clusters]:
    """Skips the tests when there is a reason to."""
    if reason := "; ".join(filter(None, [find.missing(*REQUIRED), capi.missing()])):
        pytest.skip(reason)
    try:
        peers.acquire()
    except peers.PeersMissing as error:
        pytest.skip(str(error))
    return _running()


@contextlib.contextmanager
def _running() -> Iterator[Clusters]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="capk-peer-")))
        api = stack.enter_context(ManagementAPI.temporary(controller_manager=True))
        clusterctl = PeerClusterctl(folder, api)
        clusterctl.init_all()
        for manager in (capi.CoreManager(api), *(PeerManager(api, one) for one in PEERS)):
            stack.callback(manager.kill)
            manager.start()
        yield Clusters(Access(api.kubeconfig, clusterctl.environment()))
