"""docs/howto/clusterctl.sh, from a bare management cluster to nothing left, on the embedded runtime (tests/e2e runs it with kind)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from devenv.walkthrough import SCRIPT, walk

NAME = "walk"


@pytest.mark.timeout(900)
def test_the_script_walks_from_a_bare_management_cluster_to_nothing_left(tmp_path: Path) -> None:
    """Artifacts, `clusterctl init`, generate, apply, Available, describe, get kubeconfig, nodes, delete: it stops at the first failure."""
    said = walk(tmp_path, NAME, runtime="local", flavor="local", seconds=120)

    assert re.search(rf"cluster.cluster.x-k8s.io/{NAME} condition met", said)
    assert re.search(r"─Available +True", said)
    assert re.search(rf"{NAME}-control-plane +Ready", said)
    assert said.rstrip().endswith("nothing")
    assert [] == list((tmp_path / "managed" / "state" / "local").iterdir())


def test_the_page_and_the_readme_name_the_script() -> None:
    """A reader finds it."""
    root = SCRIPT.parents[2]
    assert "(clusterctl.sh)" in (root / "docs" / "howto" / "clusterctl.md").read_text()
    assert "(docs/howto/clusterctl.sh)" in (root / "README.md").read_text()
