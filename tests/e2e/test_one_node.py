"""One node from apply to gone, and everything a user may do to it in between. One cluster, in the order of its life."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv import engine, processes
from devenv.manager import ManagerProcess
from hack.tools import find

NAME = "e2e-one"
MANIFEST = f"""
apiVersion: infrastructure.cluster.x-k8s.io/v1alpha1
kind: KINDCluster
metadata: {{name: {NAME}}}
spec: {{networking: {{apiServerPort: -1}}}}
"""
IMAGE = "localhost/e2e-shop:dev"
NOTICED = 5.0
"""Seconds within which the status must tell the truth about a broken node."""


PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "registry.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def kubectl(manager: ManagerProcess, *args: str) -> str:
    """kubectl with the published Secret, as a user would."""
    secret = manager.api.kubectl("get", "secret", f"{NAME}-config", "-o", "jsonpath={.data.config}").stdout
    path = manager.folder / "published.kubeconfig"
    path.write_bytes(base64.b64decode(secret))
    return manager.api.kubectl("--kubeconfig", str(path), *args).stdout


@pytest.fixture
def image() -> Iterator[str]:
    """On this engine, and behind no registry."""
    yield engine.make_image(IMAGE, Path(find.path("kind")))
    engine.docker("image", "rm", IMAGE)


@pytest.mark.timeout(1200)
@pytest.mark.fault(20, "docker kill and stop", invariants="I1 I2")
def test_a_cluster_lives_breaks_is_repaired_and_goes_away(manager: ManagerProcess, image: str) -> None:
    """Apply, Ready, Secret, stop, kill, pause, rest and resume, lost Secret, delete: the whole life of a laptop cluster."""
    volumes, networks = engine.leaked_volumes(), engine.networks() | {"kind"}
    mine = _users_own_kubeconfig(manager.home)

    manager.api.kubectl("apply", "-f", "-", stdin=MANIFEST)
    manager.wait_ready(NAME)

    _columns_answer_the_first_question(manager)
    assert f"{NAME}-control-plane" in kubectl(manager, "get", "nodes")
    _idle_writes_nothing(manager)
    _an_image_is_preloaded_and_runs(manager, image)
    _an_image_is_pushed_and_pulled(manager, image)
    _addons_are_applied_changed_and_pruned(manager, image)
    _a_worker_joins_and_leaves(manager, image)
    for breakage in ("stop", "kill", "pause"):
        _noticed_and_repaired(manager, breakage)
    for state, container in (("Paused", "paused"), ("Stopped", "exited")):
        _rests_and_resumes(manager, state, container)
    _address_that_moved_is_said(manager)
    _lost_secret_comes_back(manager)
    assert f"{NAME}-control-plane" in kubectl(manager, "get", "nodes")
    _nothing_is_loaded_again(manager)
    assert "1/1" == manager.status(NAME)["registry"]["nodes"]
    _lost_data_is_said(manager)
    assert mine.read_text() == "sentinel"

    manager.api.kubectl("delete", "kindcluster", NAME, "--timeout=60s")

    assert engine.containers(NAME) == []
    assert "" == engine.docker("ps", "-aq", "--filter", "name=^capk-registry$")
    assert set() == engine.leaked_since(volumes)
    assert engine.networks() <= networks
    assert "NotFound" in manager.api.kubectl("get", "secret", f"{NAME}-config", check=False).stderr
    assert [mine] == [path for path in manager.home.rglob("*") if path.is_file()]
    assert manager.stop() < 10


def _users_own_kubeconfig(home: Path) -> Path:
    path = home / ".kube" / "config"
    path.parent.mkdir()
    path.write_text("sentinel")
    return path


def _columns_answer_the_first_question(manager: ManagerProcess) -> None:
    header, row = manager.api.kubectl("get", "kc").stdout.splitlines()
    assert header.split() == ["NAME", "CLUSTER", "PHASE", "READY", "VERSION", "NODES", "ENDPOINT", "AGE"]
    assert row.split()[:6] == [NAME, NAME, "Ready", "True", "v1.34.4", "1/1"]


def _idle_writes_nothing(manager: ManagerProcess) -> None:
    before = manager.get(NAME)["metadata"]["resourceVersion"]
    end = time.monotonic() + 3
    manager.wait(5, lambda: time.monotonic() > end, "three quiet seconds")
    assert before == manager.get(NAME)["metadata"]["resourceVersion"]


def _an_image_is_preloaded_and_runs(manager: ManagerProcess, image: str) -> None:
    """From this engine into the node; the kubelet may not pull."""
    patch = json.dumps({"spec": {"images": [image]}})
    manager.api.kubectl("patch", "kindcluster", NAME, "--type=merge", f"-p={patch}")
    manager.wait_reason(NAME, "ImagesPreloaded", "ImagesPreloaded", 30)
    assert [(image, "1/1")] == [(one["name"], one["nodes"]) for one in manager.status(NAME)["images"]]

    kubectl(manager, "run", "shop", f"--image={image}", "--image-pull-policy=Never", "--restart=Never", "--", "version")
    kubectl(manager, "wait", "pod/shop", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")
    assert "kind v" in kubectl(manager, "logs", "shop")


def _an_image_is_pushed_and_pulled(manager: ManagerProcess, image: str) -> None:
    """docs/howto/registry.md, up to leaving the registry: the registry outlives all that happens to the cluster, and goes with it."""
    *blocks, _ = BLOCK.findall(PAGE.read_text())
    script = "".join(blocks).replace("demo", NAME).replace("docker tag shop:dev", f"docker tag {image}")
    path = os.pathsep.join([str(Path(find.path("kubectl")).parent), os.environ["PATH"]])
    environ = {**os.environ, "PATH": path, "KUBECONFIG": str(manager.api.kubeconfig)}
    argv = ["bash", "-c", f"set -euo pipefail\n{script}"]
    done = subprocess.run(argv, cwd=manager.folder, env=environ, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}\n{manager.log[-6000:]}"

    engine.docker("rmi", "localhost:5001/shop:dev")
    assert {"host": "localhost:5001", "nodes": "1/1"} == manager.status(NAME)["registry"]
    assert "kind v" in kubectl(manager, "logs", "pulled")
    assert "localhost:5001" in kubectl(manager, "get", "configmap", "local-registry-hosting", "-n=kube-public", "-o=yaml")


def _addons_are_applied_changed_and_pruned(manager: ManagerProcess, image: str) -> None:
    """In their order, with a Job of a real pod in between; another Job instead of the first; nothing at all."""
    _addons(manager, base=[_NAMESPACE], job=[_job("first", image)], late=[_LATE])
    manager.wait(60, lambda: _addon_phases(manager) == {"base": "Ready", "job": "Ready", "late": "Ready"}, "add-ons are applied")
    started = ("get", "job", "first", "-n", "shop", "-o", "jsonpath={.status.completionTime}")
    assert kubectl(manager, *started) <= kubectl(
        manager, "get", "configmap", "late", "-n", "shop", "-o", "jsonpath={.metadata.creationTimestamp}"
    )

    _addons(manager, base=[_NAMESPACE], job=[_job("second", image)], late=[_LATE])
    manager.wait(60, lambda: _marked(manager, "jobs") == ["second"], "the first Job is pruned")
    manager.wait_reason(NAME, "AddonsReady", "AddonsReady", 60)

    _addons(manager)
    manager.wait(60, lambda: _addon_phases(manager) == {}, "add-ons are removed")
    assert [] == _marked(manager, "jobs,configmaps,namespaces")
    assert "True" == manager.condition(NAME, "AddonsReady")["status"]


def _addons(manager: ManagerProcess, **addons: list[dict[str, object]]) -> None:
    listed = [{"name": name, "manifests": "\n---\n".join(map(json.dumps, objects))} for name, objects in addons.items()]
    patch = json.dumps({"spec": {"addons": listed}})
    manager.api.kubectl("patch", "kindcluster", NAME, "--type=merge", f"-p={patch}")


def _addon_phases(manager: ManagerProcess) -> dict[str, str]:
    return {one["name"]: one["phase"] for one in manager.status(NAME).get("addons", [])}


def _marked(manager: ManagerProcess, kinds: str) -> list[str]:
    selector = "infrastructure.cluster.x-k8s.io/addon"
    return kubectl(manager, "get", kinds, "-A", "-l", selector, "-o", "jsonpath={.items[*].metadata.name}").split()


def _job(name: str, image: str) -> dict[str, object]:
    container = {"name": "shop", "image": image, "imagePullPolicy": "Never", "args": ["version"]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}}


_NAMESPACE: dict[str, object] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
_LATE: dict[str, object] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late", "namespace": "shop"}}


def _a_worker_joins_and_leaves(manager: ManagerProcess, image: str) -> None:
    """By the scale subresource. The new node gets the preloaded image and runs it; kind knows the node; the first one stays the same."""
    first = engine.containers(NAME)
    manager.api.kubectl("scale", "kindcluster", NAME, "--replicas=1")
    manager.wait(60, lambda: manager.status(NAME).get("nodesReady") == "2/2", "a worker has joined")
    manager.wait(30, lambda: manager.status(NAME)["images"][0]["nodes"] == "2/2", "it has the image")
    assert {f"{NAME}-control-plane", f"{NAME}-worker"} == set(engine.kind("get", "nodes", "--name", NAME).split())
    pod = {"apiVersion": "v1", "spec": {"nodeName": f"{NAME}-worker"}}
    options = ("--image-pull-policy=Never", "--restart=Never", f"--overrides={json.dumps(pod)}")
    kubectl(manager, "run", "there", f"--image={image}", *options, "--", "version")
    kubectl(manager, "wait", "pod/there", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")

    manager.api.kubectl("scale", "kindcluster", NAME, "--replicas=0")
    manager.wait(60, lambda: "seconds" in manager.status(NAME)["lastScale"] and manager.status(NAME)["workerReplicas"] == 0)
    assert first == engine.containers(NAME)
    assert f"{NAME}-worker" not in kubectl(manager, "get", "nodes")
    assert manager.status(NAME)["ready"]


def _nothing_is_loaded_again(manager: ManagerProcess) -> None:
    """Neither after the node has been stopped and killed, nor by another manager, which has to look for itself."""
    assert 2 == manager.log.count("verb=load outcome="), manager.log[-6000:]  # the second: into a worker that was here
    manager.stop()
    patch = json.dumps({"status": {"images": None}})
    manager.api.kubectl("patch", "kindcluster", NAME, "--subresource=status", "--type=merge", f"-p={patch}")
    manager.start()
    manager.wait(30, lambda: manager.status(NAME).get("images"), "another manager has looked")

    assert "1/1" == manager.status(NAME)["images"][0]["nodes"]
    assert 2 == manager.log.count("verb=load outcome=")


def _noticed_and_repaired(manager: ManagerProcess, breakage: str) -> None:
    ids = engine.containers(NAME)
    engine.docker(breakage, f"{NAME}-control-plane")
    manager.wait(NOTICED, lambda: manager.status(NAME)["ready"] is False, f"docker {breakage} noticed")
    manager.wait_ready(NAME, 60)
    assert ids == engine.containers(NAME), "a repair must not replace the cluster"


def _rests_and_resumes(manager: ManagerProcess, state: str, container: str) -> None:
    """The same container, truthful meanwhile, with the seconds that it took to come back."""
    ids = engine.containers(NAME)
    _power(manager, state)
    manager.wait_reason(NAME, "Ready", state, 60)
    assert [container] == [one["State"]["Status"] for one in engine.inspect(*ids)]
    status = manager.status(NAME)
    assert (state, False, True) == (status["phase"], status["ready"], status["initialization"]["provisioned"])
    began = time.monotonic()
    _power(manager, "Running")
    manager.wait_ready(NAME, 60)
    assert ids == engine.containers(NAME)
    assert 0 <= manager.status(NAME)["lastResume"]["seconds"] <= time.monotonic() - began + 2  # cut, then rounded
    assert "Ready" in kubectl(manager, "get", "nodes", "--no-headers").split()


def _power(manager: ManagerProcess, state: str) -> None:
    manager.api.kubectl("patch", "kindcluster", NAME, "--type=merge", f'-p={{"spec":{{"powerState":"{state}"}}}}')


def _address_that_moved_is_said(manager: ManagerProcess) -> None:
    """With port -1 the engine picks one at each start. The kubeconfig that is published leads there."""
    obj, condition = manager.get(NAME), manager.condition(NAME, "EndpointCurrent")
    published, now = obj["spec"]["controlPlaneEndpoint"], obj["status"]["endpoints"]["host"]
    assert f"https://{published['host']}:{published['port']}" != now, "the engine has picked the same port again, twice"
    assert (condition["status"], condition["reason"]) == ("False", "EndpointMoved")
    assert f"{NAME}-control-plane" in kubectl(manager, "get", "nodes")


def _lost_data_is_said(manager: ManagerProcess) -> None:
    """As with an etcd on a tmpfs: the node starts again, all of it runs, and what was in the cluster is gone."""
    node, uid = f"{NAME}-control-plane", manager.status(NAME)["clusterUID"]
    assert uid == kubectl(manager, "get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    engine.run_in(node, "rm", "-rf", "/var/lib/etcd/member")
    engine.docker("kill", node)
    assert "dataDir" in manager.wait_reason(NAME, "ControlPlaneReady", "DataLost")["message"]
    assert "healPolicy: Recreate" in manager.wait_reason(NAME, "Ready", "RepairNeeded")["message"]
    assert (manager.status(NAME)["clusterUID"], manager.condition(NAME, "Stalled")["status"]) == (uid, "True")


def _lost_secret_comes_back(manager: ManagerProcess) -> None:
    manager.api.kubectl("delete", "secret", f"{NAME}-config")
    manager.wait(
        NOTICED, lambda: not manager.api.kubectl("get", "secret", f"{NAME}-config", check=False).returncode, "Secret is back"
    )
    manager.api.kubectl("patch", "secret", f"{NAME}-config", "--type=merge", '-p={"data":{"config":"eA=="}}')
    manager.wait(
        NOTICED,
        lambda: manager.api.kubectl("get", "secret", f"{NAME}-config", "-o", "jsonpath={.data.config}").stdout != "eA==",
        "edited Secret is repaired",
    )


@pytest.mark.fault(29, "deleted in the middle of a real create", invariants="I2")
def test_delete_while_creating_leaves_nothing(manager: ManagerProcess) -> None:
    """A user who changes their mind waits for the removal only."""
    manager.api.kubectl("apply", "-f", "-", stdin=MANIFEST)
    manager.wait(30, lambda: engine.containers(NAME), "a container exists")

    manager.api.kubectl("delete", "kindcluster", NAME, "--timeout=60s")

    assert engine.containers(NAME) == []


@pytest.mark.fault(4, "SIGTERM in the middle of a real create", invariants="I1 I14")
@pytest.mark.fault(20, "docker rm", invariants="I1")
def test_sigterm_leaves_no_orphan_child_and_a_removed_cluster_is_replaced_with_consent(manager: ManagerProcess) -> None:
    """The manager ends in time and takes its kind with it; the next one finishes the job. `kind delete cluster` behind our back: said,
    and made again only where the policy allows.
    """
    manager.api.kubectl("apply", "-f", "-", stdin=MANIFEST)
    manager.wait(30, lambda: engine.containers(NAME), "a container exists")
    took = manager.stop()
    assert took < 10
    assert processes.naming(f"--name={NAME}", f"--name {NAME}") == []
    manager.start()
    manager.wait_ready(NAME)

    before = manager.get(NAME)["spec"]["controlPlaneEndpoint"]
    engine.remove_cluster(NAME)
    manager.wait_reason(NAME, "Ready", "RepairNeeded", NOTICED)
    manager.api.kubectl("patch", "kindcluster", NAME, "--type=merge", '-p={"spec":{"healPolicy":"Recreate"}}')
    manager.wait_ready(NAME)

    assert before == manager.get(NAME)["spec"]["controlPlaneEndpoint"]
    assert f"{NAME}-control-plane" in kubectl(manager, "get", "nodes"), "the endpoint must still be the cluster's own"
