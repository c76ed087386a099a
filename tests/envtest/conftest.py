"""One API server for the whole session; a missing tool skips the tier with its reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devenv.controlplane import REQUIRED, ManagementAPI
from hack.tools import find
from tests.envtest.crd import KindClusters


@pytest.fixture(scope="session")
def apiserver() -> Iterator[ManagementAPI]:
    """A real API server, empty but for what Kubernetes itself puts there. Its controllers do not run."""
    if reason := find.missing(*REQUIRED):
        pytest.skip(f"tier envtest needs a real API server: {reason}")
    with ManagementAPI.temporary() as api:
        yield api


@pytest.fixture(scope="session")
def kindclusters(apiserver: ManagementAPI) -> KindClusters:
    """The same API server with our CRD, served."""
    kindclusters = KindClusters(apiserver)
    kindclusters.install()
    return kindclusters
