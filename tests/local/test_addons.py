"""Add-ons in a real cluster of the embedded runtime: docs/howto/addons.md is true, and a killed manager loses none of their objects."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv.controlplane import ManagementAPI
from devenv.manager import ManagerProcess
from hack.tools import find

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "howto" / "addons.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAME = "demo"
KINDCLUSTERS = "kindclusters.infrastructure.cluster.x-k8s.io"
MANY = 450
PATIENCE = 60.0
"""Seconds; other tiers run beside this one."""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ManagerProcess]:
    with ManagementAPI.temporary() as api:
        api.kubectl("apply", "-k", str(ROOT / "config" / "crd"))
        api.kubectl("wait", "--for=condition=Established", "crd", KINDCLUSTERS)
        manager = ManagerProcess(api, tmp_path, "--runtime=local", environ={"PATH": find.search_path()})
        manager.start()
        yield manager
        manager.kill()
        manager.start()
        manager.api.kubectl("delete", "kindclusters", "--all", "--timeout=120s", check=False, timeout=130)
        manager.end()


def shell(manager: ManagerProcess, block: str) -> None:
    """As a reader would type it, in a folder of their own."""
    environ = {"PATH": find.search_path(), "KUBECONFIG": str(manager.api.kubeconfig), "HOME": str(manager.home)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=manager.folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=330,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{manager.log[-4000:]}"


def kubectl(manager: ManagerProcess, *args: str) -> str:
    """In the made cluster."""
    secret = manager.api.kubectl("get", "secret", f"{NAME}-config", "-o", "jsonpath={.data.config}").stdout
    path = manager.folder / "published.kubeconfig"
    path.write_bytes(base64.b64decode(secret))
    return manager.api.kubectl("--kubeconfig", str(path), *args).stdout


def ours(manager: ManagerProcess, kind: str, label: str = "addon") -> set[str]:
    selector = f"infrastructure.cluster.x-k8s.io/{label}"
    return set(kubectl(manager, "get", kind, "-A", "-l", selector, "-o", "jsonpath={.items[*].metadata.name}").split())


def phases(manager: ManagerProcess) -> list[tuple[str, str]]:
    return [(one["name"], one["phase"]) for one in manager.status(NAME).get("addons", [])]


@pytest.mark.timeout(900)
def test_the_commands_of_the_page_apply_change_and_prune(manager: ManagerProcess) -> None:
    """In their order, with what the page promises of each; the Deployment is rolled out by real controllers."""
    first, change, drop = BLOCK.findall(PAGE.read_text())
    shell(manager, first)
    assert [("base", "Ready"), ("web", "Ready")] == phases(manager)
    assert {"web"} == ours(manager, "deployments")
    assert "1" == kubectl(manager, "get", "deployment", "web", "-n", "shop", "-o", "jsonpath={.status.availableReplicas}")

    shell(manager, change)
    manager.wait(PATIENCE, lambda: ours(manager, "deployments") == {"web-2"}, "the changed text")
    manager.wait_reason(NAME, "AddonsReady", "AddonsReady")

    shell(manager, drop)
    manager.wait(PATIENCE, lambda: not ours(manager, "configmaps", "addon-inventory"), "all is gone")
    manager.wait_reason(NAME, "AddonsReady", "AddonsReady")
    assert set() == ours(manager, "deployments") | ours(manager, "namespaces")
    assert "shop" not in kubectl(manager, "get", "namespaces", "-o", "name")


CRD: dict[str, object] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.shop.test"},
    "spec": {
        "group": "shop.test",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object", "properties": {}}}}
        ],
    },
}
WIDGET: dict[str, object] = {"apiVersion": "shop.test/v1", "kind": "Widget", "metadata": {"name": "w"}}


def apply(manager: ManagerProcess, **addons: list[dict[str, object]]) -> None:
    listed = [{"name": name, "manifests": "\n---\n".join(map(json.dumps, objects))} for name, objects in addons.items()]
    obj = {
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1",
        "kind": "KINDCluster",
        "metadata": {"name": NAME},
        "spec": {"addons": listed},
    }
    manager.api.kubectl("apply", "-f", "-", stdin=json.dumps(obj))


def config_map(name: str, **data: object) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **data}


@pytest.mark.timeout(900)
@pytest.mark.fault(2, "SIGKILL while add-ons are applied and removed (local)", invariants="I1 I2")
def test_what_the_server_says_counts_and_a_killed_manager_loses_nothing(manager: ManagerProcess) -> None:
    """A kind and its objects at once; a wrong field; a foreign object; killed while many are applied, and while they are removed."""
    apply(manager, widgets=[WIDGET, CRD], wrong=[config_map("wrong", dta={})])
    condition = manager.wait_reason(NAME, "AddonsReady", "AddonRefused", 120)
    assert "Add-on wrong, document 1: ConfigMap wrong" in condition["message"]
    assert "dta" in condition["message"]
    assert {"w"} == ours(manager, "widgets")

    apply(manager, theirs=[config_map("kube-root-ca.crt", data={})])
    assert "was not made by the add-on" in manager.wait_reason(NAME, "AddonsReady", "AddonConflict")["message"]
    assert "BEGIN" in kubectl(manager, "get", "configmap", "kube-root-ca.crt", "-o", "jsonpath={.data}")

    apply(manager, many=[config_map(f"many-{number}") for number in range(MANY)])
    manager.wait(PATIENCE, lambda: "kindcluster-addon-many" in ours(manager, "configmaps", "addon-inventory"), "it has begun")
    manager.kill()
    there = len(ours(manager, "configmaps"))
    assert there < MANY, "the moment is missed"
    apply(manager, few=[config_map("many-0")])
    manager.start()
    manager.wait(PATIENCE, lambda: len(ours(manager, "configmaps")) < max(there, 2), "some of them are gone")
    manager.kill()
    manager.start()
    manager.wait(PATIENCE, lambda: ours(manager, "configmaps", "addon-inventory") == {"kindcluster-addon-few"}, "one is left")
    manager.wait_reason(NAME, "AddonsReady", "AddonsReady")

    assert {"many-0"} == ours(manager, "configmaps")
    assert "" == kubectl(manager, "get", "crd", "-o", "name").strip()
