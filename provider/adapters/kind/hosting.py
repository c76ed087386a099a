"""Where the shared registry is, told to whoever works with a cluster: the ConfigMap local-registry-hosting in its kube-public (KEP-1755),
which Tilt, Skaffold and others read. Written by the kubectl of a control-plane node, as kind installs its add-ons.

One that is not ours stays as it is: somebody has said something else on purpose.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from provider.adapters.engine.cli import Engine
from provider.api.conditions import Reason
from provider.errors import Transient

NAME, NAMESPACE, KEY = "local-registry-hosting", "kube-public", "localRegistryHosting.v1"
HELP = "https://kind.sigs.k8s.io/docs/user/local-registry/"
MANAGED_BY, PROVIDER = "app.kubernetes.io/managed-by", "cluster-api-provider-kind"
KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--request-timeout=10s", f"--namespace={NAMESPACE}")
GET = (*KUBECTL, "get", "configmap", NAME, "--ignore-not-found", "--output=json")
APPLY = (*KUBECTL, "apply", "--server-side", f"--field-manager={PROVIDER}", "--filename=-")
DELETE = (*KUBECTL, "delete", "configmap", f"--selector={MANAGED_BY}={PROVIDER}", f"--field-selector=metadata.name={NAME}")
MAX_ANSWER = 1 << 20


def config_map(host: str, inside: str) -> dict[str, Any]:
    """`host`: on the engine's host and for containerd. `inside`: for what runs on the nodes' network."""
    said = yaml.safe_dump({"host": host, "hostFromClusterNetwork": inside, "help": HELP}, sort_keys=False)
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": {MANAGED_BY: PROVIDER}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: said}}


async def is_published(engine: Engine, node: str, wanted: dict[str, Any] | None) -> bool:
    """Whether the cluster says what is wanted, or something that is not ours; None: whether it says nothing of ours. Raises Transient."""
    text = await engine.output_of(node, *GET, limit=MAX_ANSWER)
    try:
        found = json.loads(text) if text.strip() else None
        if found is None:
            return wanted is None
        ours = (found["metadata"].get("labels") or {}).get(MANAGED_BY) == PROVIDER
        return not ours or (wanted is not None and found.get("data") == wanted["data"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Transient(Reason.REGISTRY_FAILED, f"What the cluster says of its ConfigMap {NAME} cannot be read.") from error


async def publish(engine: Engine, node: str, wanted: dict[str, Any] | None) -> None:
    """None: take it back. Raises Transient."""
    if await is_published(engine, node, wanted):
        return
    if wanted is None:
        await engine.execute(node, *DELETE)
    else:
        await engine.give(node, APPLY, json.dumps(wanted))
