"""Two management clusters with Cluster API and the fake provider, and the runs of the kit against it, several at a time."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from devenv import capi
from devenv.controlplane import REQUIRED, ManagementAPI
from hack.tools import find
from selftest import definitions
from selftest.fake import FakeProvider
from selftest.faults import Fault
from selftest.forwarders import Forwarders
from selftest.runs import AT_ONCE, GREEN, Place, Runs

NAMESPACE_OBJECT = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fake-system"}}
METADATA = {
    "apiVersion": "clusterctl.cluster.x-k8s.io/v1alpha3",
    "kind": "Metadata",
    "releaseSeries": [{"major": 0, "minor": 1, "contract": "v1beta2"}],
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Only what runs the kit needs tools; the rest of this folder needs Python."""
    here = [
        item for item in items if item.path.is_relative_to(Path(__file__).parent) and "runs" in getattr(item, "fixturenames", ())
    ]
    reason = "; ".join(filter(None, [find.missing(*REQUIRED), capi.missing()])) if here else ""
    for item in here if reason else ():
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("conformance")
    with contextlib.ExitStack() as stack:
        apis = [stack.enter_context(ManagementAPI.temporary(controller_manager=True)) for _ in range(2)]
        home, away = (stack.enter_context(_installed(api, folder / str(number))) for number, api in enumerate(apis))
        forwarders = stack.enter_context(Forwarders())
        for api in apis:
            provider = FakeProvider(api, forwarders, apis)
            provider.start()
            stack.callback(provider.stop)
        pool = stack.enter_context(ThreadPoolExecutor(AT_ONCE))
        stack.callback(pool.shutdown, cancel_futures=True)
        runs = Runs(home, away, folder, pool)
        for fault in _wanted(request.session.items):
            runs.start(fault.name if fault else GREEN, fault)
        yield runs


def _wanted(items: list[pytest.Item]) -> list[Fault | None]:
    """What the selected tests are about; None, and first because it takes longest, is the provider without a fault."""
    here = [item for item in items if isinstance(item, pytest.Function) and item.path.name == "test_faults.py"]
    chosen: list[Any] = [item.callspec.params["fault"] if hasattr(item, "callspec") else None for item in here]
    return sorted(dict.fromkeys(chosen), key=lambda fault: fault is not None)


@contextlib.contextmanager
def _installed(api: ManagementAPI, folder: Path) -> Iterator[Place]:
    """As a user does: `clusterctl init` from a release of the fake provider."""
    release = folder / "repository" / "infrastructure-fake" / "v0.1.0"
    release.mkdir(parents=True)
    components = release / "infrastructure-components.yaml"
    components.write_text(yaml.safe_dump_all([NAMESPACE_OBJECT, *definitions.good()]))
    (release / "metadata.yaml").write_text(yaml.safe_dump(METADATA))
    clusterctl = capi.Clusterctl(folder, api, infrastructure=components, provider="fake")
    clusterctl.init()
    broken = list(definitions.broken())
    api.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": broken}))
    capi.wait_established(api, [one["metadata"]["name"] for one in (*definitions.good(), *broken)])
    core = capi.CoreManager(api)
    core.start()
    try:
        yield Place(api, clusterctl)
    finally:
        core.kill()
