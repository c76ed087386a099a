"""Cluster API itself: its real core manager, webhooks on, and its real clusterctl, against a real API server. Without them: skipped,
with the reason. The clusters are made by the embedded runtime, so that no container engine is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv import capi
from devenv.controlplane import REQUIRED, ManagementAPI
from devenv.managed import Managed
from hack import release
from hack.tools import find
from provider.adapters.local import components as local


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if "tests/capi/" in item.nodeid]
    reason = "; ".join(filter(None, [find.missing(*dict.fromkeys((*REQUIRED, *local.ALL))), capi.missing()])) if here else ""
    for item in here if reason else ():
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this version in a repository made by `make release-artifacts`."""
    return release.write(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def bare() -> Iterator[ManagementAPI]:
    """A management cluster with nothing in it."""
    with ManagementAPI.temporary(controller_manager=True) as api:
        yield api


@pytest.fixture(scope="module")
def clusterctl(bare: ManagementAPI, artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> capi.Clusterctl:
    """As a user has it who copied the entry of our clusterctl.yaml."""
    return capi.Clusterctl(tmp_path_factory.mktemp("clusterctl"), bare, infrastructure=artifacts / release.COMPONENTS)


@pytest.fixture(scope="module")
def managed(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Managed]:
    """A management cluster that `clusterctl init` has made, core and our manager at work."""
    with Managed.running(tmp_path_factory.mktemp("managed"), artifacts) as managed:
        yield managed
