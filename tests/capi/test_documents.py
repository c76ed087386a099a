"""The commands of docs/howto/*.md about Cluster API work: taken from the page and run in one shell, as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from provider.adapters.local import daemons, state

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "docs" / "howto" / name for name in ("clusterctl.md", "clusterclass.md")]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
FOLDER = "cluster-api-provider-kind-capi"


def script(page: Path, home: Path) -> str:
    """The page's block of shell; it stops at the first failure. What it leaves in the current folder goes to `home`."""
    (block,) = BLOCK.findall(page.read_text())
    assert isinstance(block, str)
    return "set -euo pipefail\n" + block.replace("~/", f"{home}/").replace("demo.kubeconfig", f"{home}/demo.kubeconfig")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_the_page_work_and_leave_nothing(page: Path, tmp_path: Path) -> None:
    """From `make capi-up` to `make capi-down`: a cluster that is Available, a kubeconfig that works, no process and no file after it."""
    kept = {name: value for name, value in os.environ.items() if name in ("HOME", "CAPKIND_TOOLS_DIR", "GOFLAGS", "GOPROXY")}
    states = tmp_path / ".local" / "state"
    environ = {
        **kept,
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "XDG_STATE_HOME": str(states),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
    }
    try:
        done = subprocess.run(
            ["bash", "-c", script(page, tmp_path)],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
    finally:
        marks = [known.marker for folder in state.clusters(states / FOLDER / "state" / "local") if (known := state.read(folder))]
        subprocess.run(["make", "capi-down"], cwd=ROOT, env=environ, capture_output=True, timeout=150, check=False)

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert re.search(r"demo-control-plane +Ready", done.stdout)
    assert [f"{FOLDER}.lock"] == [path.name for path in states.iterdir()]
    assert [] == marks == [mark for mark in marks if daemons.find(mark)]
