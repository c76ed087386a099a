"""The commands of the README work: taken from the page and run in one shell, as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from capi_conformance.profiles import Profile, Seconds

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "conformance" / "README.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS_SECONDS = 900.0
"""Patience with all of them on a busy machine: a management cluster with Cluster API, and a whole run of the kit."""
FOLDER = "cluster-api-provider-kind-capi"


@pytest.mark.timeout(1100)
@pytest.mark.usefixtures("runs")  # which go on meanwhile
def test_the_commands_of_the_page_work_and_leave_nothing(tmp_path: Path) -> None:
    """The kit passes in the playground: by a kubeconfig, without a second management cluster."""
    (block,) = BLOCK.findall(PAGE.read_text())
    kept = {name: value for name, value in os.environ.items() if name in ("HOME", "CAPKIND_TOOLS_DIR", "GOFLAGS", "GOPROXY")}
    states = tmp_path / ".local" / "state"
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    environ = {**kept, "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "XDG_STATE_HOME": str(states), "XDG_CACHE_HOME": cache}
    script = "set -euo pipefail\n" + block.replace("~/", f"{tmp_path}/")
    try:
        done = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=COMMANDS_SECONDS, check=False
        )
    finally:
        subprocess.run(["make", "capi-down"], cwd=ROOT, env=environ, capture_output=True, timeout=150, check=False)

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert re.search(r"\d+ passed", done.stdout) and "no second management cluster" in done.stdout
    assert [f"{FOLDER}.lock"] == [path.name for path in states.iterdir()]


@pytest.mark.parametrize("command", re.findall(r"PROFILE=([^\s`]+)", PAGE.read_text()))
def test_profiles_that_the_page_names_exist(command: str) -> None:
    """And can be read."""
    assert Profile.load(ROOT / command).infrastructure.kind


def test_the_page_has_every_setting_of_a_profile() -> None:
    """With the defaults that they have."""
    page = PAGE.read_text()
    for name, default in vars(Seconds()).items():
        assert f"seconds.{name}" in page, name
        assert re.search(rf"`seconds\.{name}`.*\b{default:g}\b", page), name
