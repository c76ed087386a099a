"""The kit is installable alone and runs from where it was installed, in a folder that has nothing to do with this repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent
PROFILE = "infrastructure: FakeCluster.infrastructure.cluster.x-k8s.io\n"
NO_SERVER = '{"apiVersion": "v1", "kind": "Config"}'


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the kit was installed into. From a copy of its source, as a build leaves files behind; needs no network."""
    folder = tmp_path_factory.mktemp("installed")
    copy = shutil.copytree(SOURCE, folder / "source", ignore=shutil.ignore_patterns("selftest", "__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", f"--target={folder / 'site'}", copy], check=True, timeout=120)
    return folder / "site"


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The installed command, in an empty folder, with no configuration of the user's."""
    environ = {"PYTHONPATH": str(installed), "PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    argv = [sys.executable, str(installed / "bin" / "capi-conformance"), *arguments]
    return subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_explains_its_options(installed: Path, tmp_path: Path) -> None:
    """`--help` lists the options of the kit, not those of pytest."""
    done = run(installed, tmp_path, "--help")

    assert 0 == done.returncode, done.stderr
    for option in ("--profile", "--kubeconfig", "--target-kubeconfig", "--stable-seconds"):
        assert option in done.stdout


def test_without_a_profile_there_is_nothing_to_test(installed: Path, tmp_path: Path) -> None:
    """A run that tests nothing must not look like one that passed."""
    done = run(installed, tmp_path)

    assert 2 == done.returncode
    assert "name the provider's profile" in done.stderr


def test_a_bad_profile_is_a_usage_error(installed: Path, tmp_path: Path) -> None:
    """The message names the file and what is wrong in it; no check runs."""
    (tmp_path / "bad.yaml").write_text(PROFILE + "speed: high\n")
    done = run(installed, tmp_path, "--profile=bad.yaml")

    assert 4 == done.returncode
    assert "bad.yaml" in done.stderr and "no such setting: speed" in done.stderr


def test_without_a_management_cluster_checks_fail_with_the_reason(installed: Path, tmp_path: Path) -> None:
    """The checks are found where they were installed; arguments that are pytest's reach it."""
    (tmp_path / "profile.yaml").write_text(PROFILE)
    (tmp_path / "nowhere.kubeconfig").write_text(NO_SERVER)
    arguments = ("--profile=profile.yaml", "--kubeconfig=nowhere.kubeconfig", "-k", "test_objects_live_in_namespaces", "-q")
    done = run(installed, tmp_path, *arguments)

    assert 1 == done.returncode, done.stdout + done.stderr
    assert "1 error" in done.stdout
    assert "cannot reach nowhere.kubeconfig" in done.stdout or "kubectl" in done.stdout
