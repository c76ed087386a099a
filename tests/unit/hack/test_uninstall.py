"""hack/uninstall.sh against a kubectl that records how it is called: what it refuses, and in which order it asks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from provider.api.v1alpha1 import RESOURCES

SCRIPT = Path(__file__).resolve().parents[3] / "hack" / "uninstall.sh"
CRDS = [f"{kind.resource.plural}.{kind.resource.group}" for kind in RESOURCES]
KUBECTL = """#!/bin/bash
echo "$*" >> {calls}
case "$*" in
  "get --ignore-not-found -o name -k config/crd") {answer} ;;
  "get kindclusters.infrastructure.cluster.x-k8s.io "*) printf '%s' "{clusters}" ;;
esac
"""


def uninstall(folder: Path, *, crds: list[str] | None, clusters: str = "") -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The script's end and kubectl's calls. `crds`: those that are installed; None: the API server does not answer."""
    calls = folder / "calls"
    answer = (
        "exit 1"
        if crds is None
        else "; ".join(f"echo customresourcedefinition.apiextensions.k8s.io/{crd}" for crd in crds) or "true"
    )
    kubectl = folder / "kubectl"
    kubectl.write_text(KUBECTL.format(calls=calls, answer=answer, clusters=clusters))
    kubectl.chmod(0o700)
    argv = [str(SCRIPT), "config/crd"]
    done = subprocess.run(argv, env={"PATH": f"{folder}:/usr/bin:/bin"}, capture_output=True, text=True, timeout=20, check=False)
    return done, calls.read_text().splitlines()


def test_every_kind_is_listed_before_its_crd_is_deleted(tmp_path: Path) -> None:
    """Or the API server may open a kind's storage only while it deletes the CRD, fail, and keep the CRD for ever."""
    done, calls = uninstall(tmp_path, crds=CRDS)
    assert done.returncode == 0, done.stderr
    assert [call.split()[1] for call in calls[1:-1]] == CRDS
    assert all("--all-namespaces" in call for call in calls[1:-1])
    assert calls[-1] == "delete --ignore-not-found --timeout=2m -k config/crd"


def test_it_refuses_while_there_are_clusters(tmp_path: Path) -> None:
    """It names them and says how to remove them; nothing is deleted."""
    done, calls = uninstall(tmp_path, crds=CRDS, clusters="default   mine   True")
    assert done.returncode == 1
    assert "default   mine" in done.stderr
    assert "kubectl delete kindclusters.infrastructure.cluster.x-k8s.io --all" in done.stderr
    assert not [call for call in calls if call.startswith("delete")]


@pytest.mark.parametrize(("crds", "deletes"), [([], True), (None, False)])
def test_nothing_installed_is_fine_and_an_unanswered_question_is_not(
    tmp_path: Path, crds: list[str] | None, deletes: bool
) -> None:
    """Unknown is not absent: without an answer nothing is deleted."""
    done, calls = uninstall(tmp_path, crds=crds)
    assert (done.returncode == 0) is deletes
    assert bool([call for call in calls if call.startswith("delete")]) is deletes
