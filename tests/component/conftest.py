"""The kind runtime on a fake engine: real processes, real files, no containers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provider.adapters.kind.options import KindOptions
from provider.adapters.kind.runtime import KindRuntime
from provider.ports.runtime import ClusterRequest, Identity, Step
from tests.fakes.engine_cli import FakeBinaries

MakeRuntime = Callable[..., KindRuntime]


@pytest.fixture
def fake(tmp_path: Path) -> FakeBinaries:
    return FakeBinaries(tmp_path / "fake")


@pytest.fixture
def make_runtime(fake: FakeBinaries, tmp_path: Path) -> MakeRuntime:
    """A manager's runtime; call it again for the next manager on the same host."""

    def make(**options: Any) -> KindRuntime:
        given: dict[str, Any] = {
            "state_dir": tmp_path / "state",
            "environment": fake.env,
            "engine": "docker",
            "recheck": 0.1,
            "listing_age": 0.0,
        }
        return KindRuntime(KindOptions(**given | options))

    return make


@pytest.fixture
def runtime(make_runtime: MakeRuntime) -> KindRuntime:
    return make_runtime()


@pytest.fixture
def identity() -> Identity:
    return Identity("demo", "a" * 32, "default/demo")


@pytest.fixture
def steps() -> list[Step]:
    return []


@pytest.fixture
def request_for() -> Callable[..., ClusterRequest]:
    def make(control_planes: int = 1, workers: int = 0, **more: Any) -> ClusterRequest:
        nodes = [{"role": "control-plane"}] * control_planes + [{"role": "worker"}] * workers
        config = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "name": "demo", "nodes": nodes}
        fields = {"config": config, "image": "kindest/node:v1.34.4", "version": None, "timeout": 20.0} | more
        return ClusterRequest(**fields)

    return make
