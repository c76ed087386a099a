"""docs/howto/clusterctl.sh, from a bare management cluster to nothing left, with real kind (tests/capi runs it without an engine)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv import capi, engine
from devenv.walkthrough import walk

NAME = "e2e-walk"

pytestmark = [pytest.mark.skipif(bool(capi.missing()), reason=capi.missing()), pytest.mark.timeout(1200)]


@pytest.fixture
def name() -> Iterator[str]:
    yield NAME
    engine.remove_cluster(NAME)


def test_the_script_walks_from_a_bare_management_cluster_to_nothing_left(name: str, tmp_path: Path) -> None:
    """The same file as in the tier without an engine; the default template instead of the flavor `local`."""
    said = walk(tmp_path, name, runtime="kind", version=engine.node_image().rpartition(":")[2])

    assert re.search(rf"cluster.cluster.x-k8s.io/{name} condition met", said)
    assert re.search(r"─Available +True", said)
    assert re.search(rf"{name}-control-plane +Ready", said)
    assert said.rstrip().endswith("nothing")
    assert [] == engine.containers(name)
