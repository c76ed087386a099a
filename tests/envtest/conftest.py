"""One API server for the whole session; a missing tool skips the tier with its reason."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import pytest

from devenv.controlplane import REQUIRED, ManagementAPI
from hack.tools import find
from tests.envtest.crd import KindClusters


@contextlib.contextmanager
def real_apiserver() -> Iterator[ManagementAPI]:
    """Empty but for what Kubernetes itself puts there. Its controllers do not run."""
    if reason := find.missing(*REQUIRED):
        pytest.skip(f"tier envtest needs a real API server: {reason}")
    with ManagementAPI.temporary() as api:
        yield api


@pytest.fixture(scope="session")
def apiserver() -> Iterator[ManagementAPI]:
    """The one that tests share which break nothing of it."""
    with real_apiserver() as api:
        yield api


@pytest.fixture(scope="session")
def kindclusters(apiserver: ManagementAPI) -> KindClusters:
    """The same API server with our CRD, served."""
    kindclusters = KindClusters(apiserver)
    kindclusters.install()
    return kindclusters


@pytest.fixture
def silent_kopf() -> Iterator[None]:
    """As in the product (observability.logformat): kopf's tracebacks of what these tests break on purpose help nobody."""
    logger = logging.getLogger("kopf")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)
