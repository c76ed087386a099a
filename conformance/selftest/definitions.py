"""CustomResourceDefinitions of the fake provider: good ones, and others with one fault each, under kinds of their own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

Json = dict[str, Any]

INFRASTRUCTURE, CONTROL_PLANE = "infrastructure.cluster.x-k8s.io", "controlplane.cluster.x-k8s.io"
VERSION = "v1alpha1"
CONDITIONS: Json = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
    "items": {
        "type": "object",
        "required": ["type", "status"],
        "properties": {
            "type": {"type": "string"},
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": {"type": "string", "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"},
            "message": {"type": "string"},
            "observedGeneration": {"type": "integer"},
            "lastTransitionTime": {"type": "string", "format": "date-time"},
        },
    },
}


def definition(kind: str, group: str = INFRASTRUCTURE) -> Json:
    """One without a fault."""
    marks = {"provisioned": {"type": "boolean"}, "controlPlaneInitialized": {"type": "boolean"}}
    status = {
        "initialization": _object(marks),
        "ready": {"type": "boolean"},
        "initialized": {"type": "boolean"},
        "heartbeat": {"type": "string"},
        "observedGeneration": {"type": "integer"},
        "conditions": copy.deepcopy(CONDITIONS),
    }
    endpoint = _object({"host": {"type": "string"}, "port": {"type": "integer"}})
    spec = {"fault": {"type": "string"}, "controlPlaneEndpoint": endpoint}
    # A default that the API server gives: nobody's writing.
    schema = _object({"spec": _object(spec), "status": {**_object(status), "default": {"observedGeneration": -1}}})
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    plural = f"{kind.lower()}s"
    labels = {
        "cluster.x-k8s.io/v1beta2": VERSION,
        "cluster.x-k8s.io/v1beta1": VERSION,
        "cluster.x-k8s.io/provider": "infrastructure-fake",
        "clusterctl.cluster.x-k8s.io": "",
    }
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "labels": labels},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def _counted(made: Json) -> Json:
    """With replicas and versions, as a control plane may have them."""
    version = made["spec"]["versions"][0]
    version["subresources"]["scale"] = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    properties["spec"]["properties"] |= {"replicas": {"type": "integer"}, "version": {"type": "string"}}
    item = _object({"version": {"type": "string"}, "replicas": {"type": "integer"}})
    counters = {name: {"type": "integer"} for name in ("replicas", "readyReplicas", "availableReplicas", "upToDateReplicas")}
    properties["status"]["properties"] |= {
        **counters,
        "selector": {"type": "string"},
        "versions": {"type": "array", "items": item},
    }
    return made


def good() -> list[Json]:
    template = definition("FakeClusterTemplate")
    inner = _object({"spec": _object({"fault": {"type": "string"}})})
    _schema(template)["properties"]["spec"] = _object({"template": inner})
    infrastructure = definition("FakeCluster")
    domain = _object({"name": {"type": "string"}, "controlPlane": {"type": "boolean"}})
    _status(infrastructure)["failureDomains"] = {"type": "array", "items": domain}
    return [infrastructure, _counted(definition("FakeControlPlane", CONTROL_PLANE)), template]


def broken() -> Iterator[Json]:
    """Kind by kind as FAULTS has them."""
    for kind, fault in FAULTS.items():
        made = definition(kind, "example.com" if kind == "ElsewhereCluster" else INFRASTRUCTURE)
        fault(made)
        yield made


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties}


def _schema(made: Json) -> Json:
    found: Json = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def _status(made: Json) -> Json:
    found: Json = _schema(made)["properties"]["status"]["properties"]
    return found


def _other_plural(made: Json) -> None:
    made["spec"]["names"]["plural"] = "misnamed"
    made["metadata"]["name"] = f"misnamed.{INFRASTRUCTURE}"


def _cluster_scope(made: Json) -> None:
    made["spec"]["scope"] = "Cluster"


def _other_list(made: Json) -> None:
    made["spec"]["names"]["listKind"] = "FakeItems"


def _no_contract(made: Json) -> None:
    made["metadata"]["labels"] = {
        name: value for name, value in made["metadata"]["labels"].items() if not name.startswith("cluster.x-k8s.io/v1")
    }


def _unserved(made: Json) -> None:
    made["metadata"]["labels"]["cluster.x-k8s.io/v1beta2"] = f"{VERSION}_v9"


def _not_for_clusterctl(made: Json) -> None:
    del made["metadata"]["labels"]["clusterctl.cluster.x-k8s.io"]


def _no_subresource(made: Json) -> None:
    del made["spec"]["versions"][0]["subresources"]


def _loose_conditions(made: Json) -> None:
    del _status(made)["conditions"]["items"]["properties"]["reason"]["pattern"]


def _text_for_marks(made: Json) -> None:
    _status(made)["initialization"]["properties"]["provisioned"] = {"type": "string"}


def _map_of_domains(made: Json) -> None:
    _status(made)["failureDomains"] = {"type": "object", "additionalProperties": _object({})}


def _no_counters(made: Json) -> None:
    del _status(_counted(made))["upToDateReplicas"]


def _one_version(made: Json) -> None:
    _status(_counted(made))["versions"] = {"type": "string"}


def _fault_free(made: Json) -> None:
    """Its group, or that it is named as a template, is the fault."""


FAULTS: dict[str, Callable[[Json], None]] = {
    "MisnamedCluster": _other_plural,
    "UnboundCluster": _cluster_scope,
    "ListlessCluster": _other_list,
    "UnlabelledCluster": _no_contract,
    "UnservedCluster": _unserved,
    "UnmovableCluster": _not_for_clusterctl,
    "ElsewhereCluster": _fault_free,
    "StatuslessCluster": _no_subresource,
    "LooseCluster": _loose_conditions,
    "TextCluster": _text_for_marks,
    "HollowTemplate": _fault_free,
    "MappedCluster": _map_of_domains,
    "UncountedCluster": _no_counters,
    "UnversionedCluster": _one_version,
}
