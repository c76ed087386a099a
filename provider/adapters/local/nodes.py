"""The API of a local cluster as its maker uses it: is it ready, and make the Node objects that kwok then keeps Ready.

A handful of requests with the cluster's own admin certificate; everything else goes through provider.adapters.kube.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from pathlib import Path
from typing import Any

from provider.adapters.local.state import NodeSpec

REQUEST_SECONDS = 5.0
CAPACITY = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "100Gi"}
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"


class Api:
    """https://127.0.0.1:port with the admin certificate of `folder`."""

    def __init__(self, folder: Path, port: int) -> None:
        self._port = port
        self._context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        self._context.load_cert_chain(folder / "admin.crt", folder / "admin.key")

    async def ready(self) -> bool:
        try:
            status, _ = await self._request("GET", "/readyz")
        except (OSError, http.client.HTTPException):
            return False
        return status == http.client.OK

    async def register(self, node: NodeSpec, version: str, *, alone: bool) -> None:
        """Make the Node as its kubelet would. It may exist already. Raises OSError when the API server does not answer."""
        status, answer = await self._request("POST", "/api/v1/nodes", manifest(node, version, alone=alone))
        if status not in (http.client.CREATED, http.client.CONFLICT):
            raise OSError(f"Node {node.name} was refused: {answer.get('message', status)}")

    async def _request(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        return await asyncio.to_thread(self._exchange, method, path, body)

    def _exchange(self, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=REQUEST_SECONDS, context=self._context)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text[:1] == b"{" else {}
        finally:
            connection.close()


def manifest(node: NodeSpec, version: str, *, alone: bool) -> dict[str, Any]:
    """A Node with the labels, taints and capacity that kind's nodes have. A single node takes workloads, as with kind."""
    control_plane = node.role == "control-plane"
    labels = {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", **node.labels}
    spec: dict[str, Any] = {"providerID": f"local://{node.name}"}
    if control_plane:
        labels[CONTROL_PLANE_LABEL] = ""
    if control_plane and not alone:
        labels["node.kubernetes.io/exclude-from-external-load-balancers"] = ""
        spec["taints"] = [{"key": CONTROL_PLANE_LABEL, "effect": "NoSchedule"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": labels},
        "spec": spec,
        "status": {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "nodeInfo": {
                "kubeletVersion": version,
                "containerRuntimeVersion": "simulated://kwok",
                "osImage": "simulated",
                "kernelVersion": "",
                "operatingSystem": "linux",
                "architecture": "amd64",
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
                "kubeProxyVersion": "",
            },
        },
    }
