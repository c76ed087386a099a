"""Several nodes and everything kind lets a user set, seen effective in the nodes."""

from __future__ import annotations

import base64
import ipaddress
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from devenv import engine
from devenv.manager import ManagerProcess


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def apply(manager: ManagerProcess, name: str, spec: dict[str, Any]) -> None:
    obj = {
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1",
        "kind": "KINDCluster",
        "metadata": {"name": name},
        "spec": spec,
    }
    manager.api.kubectl("apply", "-f", "-", stdin=json.dumps(obj))


def workload(manager: ManagerProcess, name: str, *args: str) -> str:
    secret = manager.api.kubectl("get", "secret", f"{name}-config", "-o", "jsonpath={.data.config}").stdout
    path = manager.folder / f"{name}.kubeconfig"
    path.write_bytes(base64.b64decode(secret))
    return manager.api.kubectl("--kubeconfig", str(path), *args).stdout


@pytest.mark.fault(22, "real nodes are killed, paused and started", invariants="I10")
def test_custom_networks_ports_mounts_and_patches_are_effective(manager: ManagerProcess, tmp_path: Path) -> None:
    """One control plane and two workers with all of it."""
    name, port = "e2e-custom", free_port()
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    (mounted / "hello").write_text("from the host")
    kubeadm = 'kind: ClusterConfiguration\napiServer:\n  extraArgs:\n    profiling: "false"\n'
    kubelet = "kind: JoinConfiguration\nnodeRegistration:\n  kubeletExtraArgs:\n    max-pods: '42'\n"
    containerd = '[plugins."io.containerd.grpc.v1.cri"]\n  max_concurrent_downloads = 7\n'
    apply(
        manager,
        name,
        {
            "nodes": [
                {
                    "role": "control-plane",
                    "extraPortMappings": [{"containerPort": 30080, "hostPort": port, "listenAddress": "127.0.0.1"}],
                    "extraMounts": [{"hostPath": str(mounted), "containerPath": "/mounted", "readOnly": True}],
                },
                {"role": "worker", "labels": {"tier": "front"}},
                {"role": "worker", "kubeadmConfigPatches": [kubelet]},
            ],
            "networking": {"podSubnet": "10.111.0.0/16", "serviceSubnet": "10.112.0.0/16"},
            "kubeadmConfigPatches": [kubeadm],
            "containerdConfigPatches": [containerd],
        },
    )
    manager.wait_ready(name)

    node = f"{name}-control-plane"
    assert manager.status(name)["nodesReady"] == "3/3"
    assert engine.run_in(node, "cat", "/mounted/hello") == "from the host"
    assert "--profiling=false" in engine.run_in(node, "cat", "/etc/kubernetes/manifests/kube-apiserver.yaml")
    assert "max_concurrent_downloads = 7" in engine.run_in(node, "cat", "/etc/containerd/config.toml")
    bindings = engine.inspect(node)[0]["HostConfig"]["PortBindings"]["30080/tcp"]
    assert [{"HostIp": "127.0.0.1", "HostPort": str(port)}] == bindings
    nodes = json.loads(workload(manager, name, "get", "nodes", "-o", "json"))["items"]
    assert all(entry["spec"]["podCIDR"].startswith("10.111.") for entry in nodes)
    assert {f"{name}-worker"} == {
        entry["metadata"]["name"] for entry in nodes if entry["metadata"]["labels"].get("tier") == "front"
    }
    assert {"42"} == {entry["status"]["capacity"]["pods"] for entry in nodes if entry["metadata"]["name"] == f"{name}-worker2"}
    assert workload(manager, name, "get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}").startswith("10.112.")
    _several_broken_nodes_are_repaired(manager, name)

    manager.api.kubectl("delete", "kindcluster", name, "--timeout=60s")
    assert engine.containers(name) == []


def _several_broken_nodes_are_repaired(manager: ManagerProcess, name: str) -> None:
    """One killed, another paused: both run again, nothing is replaced, and the endpoint stays."""
    nodes, endpoint = sorted(engine.containers(name)), manager.get(name)["spec"]["controlPlaneEndpoint"]
    engine.docker("pause", f"{name}-worker")
    engine.docker("kill", f"{name}-control-plane")
    manager.wait(10, lambda: manager.status(name)["ready"] is False, "the killed node is noticed")
    manager.wait_ready(name, 90)

    assert nodes == sorted(engine.containers(name, running=True))
    assert endpoint == manager.get(name)["spec"]["controlPlaneEndpoint"]
    assert workload(manager, name, "get", "--raw", "/readyz") == "ok"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_three_control_planes(manager: ManagerProcess) -> None:
    """The load balancer is ours too: counted, named as the way in, and removed with the rest. Restarts in another order, and rest, are
    survived.
    """
    name, volumes = "e2e-ha", engine.leaked_volumes()
    apply(manager, name, {"controlPlaneReplicas": 3, "healPolicy": "Report"})
    manager.wait_ready(name, 300)

    assert manager.status(name)["nodesReady"] == "3/3"
    assert len(engine.containers(name)) == 4
    assert f"https://{name}-external-load-balancer:6443" == manager.status(name)["endpoints"]["internal"]
    assert workload(manager, name, "get", "nodes", "--no-headers").count(" Ready ") == 3
    _restarted_in_another_order(manager, name)
    _stopped_and_started(manager, name)

    manager.api.kubectl("delete", "kindcluster", name, "--timeout=120s")
    assert engine.containers(name) == []
    assert set() == engine.leaked_since(volumes)


def _restarted_in_another_order(manager: ManagerProcess, name: str) -> None:
    """As a restart of the engine or the host may do it: nodes get other addresses, and etcd finds its members all the same."""
    before = _addresses(name)
    nodes = sorted(before, key=lambda node: ipaddress.ip_address(before[node]))
    engine.docker("stop", *nodes)
    manager.wait_reason(name, "Ready", "RepairNeeded", 30)
    engine.docker("start", *reversed(nodes))
    assert any(before[node] != address for node, address in _addresses(name).items())
    manager.wait_ready(name, 120)
    assert workload(manager, name, "create", "configmap", "written-after-a-restart")


def _stopped_and_started(manager: ManagerProcess, name: str) -> None:
    for state, phase in (("Stopped", "Stopped"), ("Running", "Ready")):
        manager.api.kubectl("patch", "kindcluster", name, "--type=merge", f'-p={{"spec":{{"powerState":"{state}"}}}}')
        manager.wait_phase(name, phase, 120)
    assert manager.status(name)["lastResume"]["seconds"] > 0
    assert workload(manager, name, "get", "configmap", "written-after-a-restart")


def _addresses(name: str) -> dict[str, str]:
    """Node → address on the engine's network."""
    found = engine.inspect(*engine.containers(name))
    return {one["Name"].lstrip("/"): next(iter(one["NetworkSettings"]["Networks"].values()))["IPAddress"] for one in found}
