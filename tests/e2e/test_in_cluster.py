"""The manager in a pod of a real kind management cluster, with exactly the rights of config/rbac: docs/howto/in-cluster.md is true."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from devenv import capi, engine, incluster
from devenv.incluster import NAMESPACE, InCluster

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "in-cluster.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
IMAGE = re.compile(r"^export IMAGE=(\S+)$", re.MULTILINE)
MANAGEMENT, NAME, MINIMAL = "e2e-management", "e2e-inside", "e2e-minimal"
READER = """
apiVersion: v1
kind: Pod
metadata: {{name: reader}}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  containers:
  - name: reader
    image: {image}
    command: [python3, -c, {script}]
    volumeMounts: [{{name: kubeconfig, mountPath: /kubeconfig}}]
  volumes:
  - name: kubeconfig
    secret: {{secretName: {secret}}}
"""
SHOW_NODES = """
from kubernetes import client, config
config.load_kube_config("/kubeconfig/value")
print(*(node.metadata.name for node in client.CoreV1Api().list_node().items))
"""

pytestmark = pytest.mark.timeout(1200)


def blocks() -> list[str]:
    """What a reader types, for names of our own, an engine without kind's default image, and a folder that is not the checkout."""
    text = PAGE.read_text().replace("--name management", f"--name {MANAGEMENT}")
    text = text.replace("kind create cluster", f"kind create cluster --image {engine.node_image()}")
    text = re.sub(r"CAPKIND_DEFAULT_IMAGE=\S+", f"CAPKIND_DEFAULT_IMAGE={engine.node_image()}", text)
    text = re.sub(r"\bminimal\b(?!\.yaml)", MINIMAL, text.replace("minimal.kubeconfig", "$XDG_CONFIG_HOME/minimal.kubeconfig"))
    text = re.sub(r"apply -f (\S+/minimal\.yaml)", rf"apply -f - < <(sed 's/name: minimal/name: {MINIMAL}/' \1)", text)
    return BLOCK.findall(text)


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InCluster]:
    """Set up, and removed again, by the page."""
    if reason := incluster.missing():
        pytest.skip(reason)
    set_up, settings, _, remove = blocks()
    inside = InCluster(MANAGEMENT, tmp_path_factory.mktemp("inside"))
    try:
        inside.shell(set_up)
        inside.share_nothing()
        inside.shell(settings)
        yield inside
        inside.shell(remove)
    finally:
        for cluster in (MANAGEMENT, NAME, MINIMAL):
            engine.remove_cluster(cluster)
        incluster.remove_unnamed_images()


@pytest.fixture(scope="module")
def with_core(inside: InCluster) -> InCluster:
    """Cluster API comes to a management cluster where the manager works already."""
    if reason := capi.missing():
        pytest.skip(reason)
    inside.install_core()
    return inside


def image() -> str:
    found = IMAGE.search(PAGE.read_text())
    assert found
    return found[1]


def test_the_pages_own_cluster_comes_and_goes(inside: InCluster) -> None:
    """Without Cluster API: a sibling container of the management cluster, whose kubeconfig works on the host; nothing is left of it."""
    use = blocks()[2]
    *before, delete = use.strip().splitlines()
    shown = inside.shell("\n".join(before))
    made = engine.volumes(MINIMAL)
    inside.shell(delete)

    assert re.search(rf"{MINIMAL}-control-plane +Ready", shown)
    assert made
    assert [] == engine.containers(MINIMAL)
    assert not made & engine.leaked_volumes()


def test_a_cluster_survives_its_manager_and_is_reached_by_name(with_core: InCluster) -> None:
    """Killed while making it, Available all the same; its Secret works in a pod; the pod deleted while deleting it, gone all the same."""
    inside, version = with_core, engine.node_image().rpartition(":")[2]
    inside.shell(
        f"clusterctl generate cluster {NAME} --from templates/cluster-template.yaml --kubernetes-version {version} | kubectl apply -f -"
    )
    inside.wait(60, lambda: engine.containers(NAME), "its node is being made")
    inside.kill_manager()
    inside.wait(180, lambda: inside.available(NAME), f"Cluster {NAME} Available")
    made = engine.volumes(NAME)

    assert 1 == inside.manager()["status"]["containerStatuses"][0]["restartCount"]
    assert f"https://{NAME}-control-plane:6443" in secret(inside, f"{NAME}-kubeconfig", "value")
    assert "https://127.0.0.1:" in secret(inside, f"{NAME}-config", "config")
    assert [f"{NAME}-control-plane"] == nodes_seen_by_a_pod(inside, f"{NAME}-kubeconfig")

    inside.kubectl("delete", "cluster", NAME, "--wait=false")
    inside.kubectl("delete", "pod", "-n", NAMESPACE, inside.manager()["metadata"]["name"], "--wait=false")
    inside.wait(60, lambda: not inside.get("cluster", NAME) and not inside.get("kindcluster", NAME), f"{NAME} gone")
    assert [] == engine.containers(NAME)
    assert not made & engine.leaked_volumes()
    assert "orbidden" not in inside.log()


def secret(inside: InCluster, name: str, key: str) -> str:
    return base64.b64decode(inside.get("secret", name)["data"][key]).decode()


def nodes_seen_by_a_pod(inside: InCluster, kubeconfig: str) -> list[str]:
    """Names of the nodes that a pod of the management cluster sees through a Secret; any pod: this one has no rights and no engine."""
    inside.kubectl("apply", "-f", "-", stdin=READER.format(image=image(), script=json.dumps(SHOW_NODES), secret=kubeconfig))
    inside.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/reader", "--timeout=60s")
    said = inside.kubectl("logs", "reader")
    inside.kubectl("delete", "pod", "reader", "--wait=false")
    return said.split()


def test_the_images_own_user_reaches_the_engine_by_the_sockets_group(inside: InCluster) -> None:
    """Not root where the socket allows: both commands answer, and nothing is said of a configuration that cannot be read."""
    group = str(Path(engine.SOCKET).stat().st_gid)
    flags = ["--rm", "--read-only", "--cap-drop=ALL", f"--group-add={group}", f"--volume={engine.SOCKET}:{engine.SOCKET}"]
    said = engine.docker(
        "run", *flags, "--entrypoint=sh", image(), "-c", "id -u; kind get clusters 2>&1; docker version -f '{{.Server.Os}}'"
    )

    assert ["65532", MANAGEMENT, "linux"] == [line for line in said.splitlines() if line in ("65532", MANAGEMENT, "linux")]
    assert "denied" not in said
