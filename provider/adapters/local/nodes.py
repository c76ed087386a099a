"""Requests to a local cluster: is it ready, and its Node objects, which kwok keeps Ready: create them, drain and delete them.

They use the cluster's own admin certificate and serve changes only; the manager observes clusters through adapters.kube.workload.
"""

from __future__ import annotations

import contextlib
import platform
import ssl
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from provider.adapters.local.loopback import HOST
from provider.adapters.local.state import NodeSpec
from provider.api.conditions import Reason
from provider.api.kind import NodeRole, node_names
from provider.errors import Transient

REQUEST_SECONDS = 5.0
PROBE_SECONDS = 1.0
"""Short: another program may listen there and never answer."""
MERGE = "application/merge-patch+json"
CAPACITY = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "100Gi"}
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
NO_BALANCER_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""uname(2)'s names to Go's, where they differ."""


@contextlib.asynccontextmanager
async def connect(folder: Path, port: int) -> AsyncIterator[Api]:
    """https://127.0.0.1:port with the admin certificate of `folder`."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "admin.crt", folder / "admin.key")
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(f"https://{HOST}:{port}", connector=connector) as session:
        yield Api(session)


class Api:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ready(self) -> bool:
        try:
            status, _ = await self._request("GET", "/readyz", timeout=PROBE_SECONDS)
        except (OSError, aiohttp.ClientError):
            return False
        return status == HTTPStatus.OK

    async def register(self, node: dict[str, Any]) -> None:
        """Create a Node as its kubelet would; it may exist already. Raises Transient when it is refused or there is no answer."""
        name = node["metadata"]["name"]
        try:
            status, answer = await self._request("POST", "/api/v1/nodes", node)
        except (OSError, aiohttp.ClientError) as error:
            raise Transient(Reason.LOCAL_NODE_FAILED, f"Node {name} could not be registered: {error}") from error
        if status not in (HTTPStatus.CREATED, HTTPStatus.CONFLICT):
            raise Transient(Reason.LOCAL_NODE_FAILED, f"Node {name} was refused: {answer.get('message', status)}")

    async def node(self, name: str) -> dict[str, Any] | None:
        """None when there is none. Raises Transient, as all below."""
        status, answer = await self._told("GET", f"/api/v1/nodes/{name}")
        return answer if status == HTTPStatus.OK else None

    async def patch(self, name: str, patch: dict[str, Any]) -> None:
        """Of a Node, as merge patch."""
        await self._told("PATCH", f"/api/v1/nodes/{name}", patch)

    async def delete(self, name: str) -> None:
        """A Node; absent is success."""
        await self._told("DELETE", f"/api/v1/nodes/{name}")

    async def pods_on(self, name: str) -> list[dict[str, Any]]:
        _, answer = await self._told("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{name}")
        found: list[dict[str, Any]] = answer.get("items") or []
        return found

    async def evict(self, namespace: str, name: str) -> None:
        """As its PodDisruptionBudget allows; whether it goes shows in what is there afterwards."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"namespace": namespace, "name": name}}
        await self._told("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body, HTTPStatus.TOO_MANY_REQUESTS)

    async def _told(self, method: str, path: str, body: Any = None, *tolerated: int) -> tuple[int, dict[str, Any]]:
        """An answer that is no error; "not found" is none."""
        try:
            status, answer = await self._request(method, path, body)
        except (OSError, aiohttp.ClientError) as error:
            raise Transient(Reason.LOCAL_NODE_FAILED, f"The cluster's API server gave no answer: {error}") from error
        if status >= HTTPStatus.BAD_REQUEST and status not in (HTTPStatus.NOT_FOUND, *tolerated):
            raise Transient(Reason.LOCAL_NODE_FAILED, f"{method} {path} was refused: {answer.get('message', status)}")
        return status, answer

    async def _request(
        self, method: str, path: str, body: Any = None, timeout: float = REQUEST_SECONDS
    ) -> tuple[int, dict[str, Any]]:
        deadline = aiohttp.ClientTimeout(total=timeout)
        headers = {"Content-Type": MERGE} if method == "PATCH" else None
        async with self._session.request(method, path, json=body, headers=headers, timeout=deadline) as response:
            return response.status, await response.json() if response.content_type == "application/json" else {}


def specs(config: Mapping[str, Any]) -> tuple[NodeSpec, ...]:
    """The nodes of a kind document with the names kind would give them."""
    labels = [dict(node.get("labels") or {}) for node in config["nodes"]]
    return tuple(NodeSpec(name, str(role), own) for (name, role), own in zip(node_names(config), labels, strict=True))


def manifest(node: NodeSpec, cluster_name: str, version: str, *, alone: bool) -> dict[str, Any]:
    """A Node with the labels, taints and capacity that kind's nodes have. A single node takes workloads and may be balanced to, as
    with kind (kind pkg/cluster/internal/create/actions/kubeadminit)."""
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    labels = {"kubernetes.io/hostname": node.name}
    for prefix in ("", "beta."):
        labels |= {f"{prefix}kubernetes.io/arch": architecture, f"{prefix}kubernetes.io/os": "linux"}
    spec: dict[str, Any] = {"providerID": f"kind://local/{cluster_name}/{node.name}"}
    if node.role == NodeRole.CONTROL_PLANE:
        labels[CONTROL_PLANE_LABEL] = ""
        if not alone:
            labels[NO_BALANCER_LABEL] = ""
            spec["taints"] = [{"key": CONTROL_PLANE_LABEL, "effect": "NoSchedule"}]
    metadata = {"name": node.name, "labels": labels | node.labels}
    status = {"capacity": CAPACITY, "allocatable": CAPACITY, "nodeInfo": _info(version, architecture)}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec, "status": status}


def _info(version: str, architecture: str) -> dict[str, str]:
    """status.nodeInfo; every field of it is required."""
    nothing = dict.fromkeys(("kernelVersion", "machineID", "systemUUID", "bootID", "kubeProxyVersion"), "")
    return nothing | {
        "kubeletVersion": version,
        "containerRuntimeVersion": "simulated://kwok",
        "osImage": "simulated",
        "operatingSystem": "linux",
        "architecture": architecture,
    }
