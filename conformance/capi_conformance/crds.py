"""What core and clusterctl read from a CustomResourceDefinition."""

from __future__ import annotations

import re
from typing import Any

from capi_conformance.management import Json
from capi_conformance.subject import at

CONTRACTS = ("v1beta2", "v1beta1")
COUNTERS = ("replicas", "readyReplicas", "availableReplicas", "upToDateReplicas")
"""Of a control plane with replicas: what core copies to Cluster.status.controlPlane."""


def labels(definition: Json) -> dict[str, str]:
    return definition["metadata"].get("labels") or {}


def contracts(definition: Json) -> dict[str, list[str]]:
    """Contract version → versions of the kind that keep to it."""
    found = {one: labels(definition).get(f"cluster.x-k8s.io/{one}", "") for one in CONTRACTS}
    return {contract: versions.split("_") for contract, versions in found.items() if versions}


def schemas(definition: Json) -> dict[str, Json]:
    """Version that is served → its schema."""
    return {one["name"]: one["schema"]["openAPIV3Schema"] for one in definition["spec"]["versions"] if one["served"]}


def current(definition: Json) -> dict[str, Json]:
    """Versions that are named for the newest contract that the definition keeps to. Older contracts had other conditions and counters."""
    named = next(iter(contracts(definition).values()), [])
    return {name: schema for name, schema in schemas(definition).items() if name in named}


def property_of(schema: Json, path: str) -> Any:
    """The schema of a field, `path` with dots; {} when the schema has no such field."""
    for name in path.split("."):
        schema = at(schema, "properties", name) or {}
    return schema


def plural(kind: str) -> str:
    """As core derives it from a kind (its CalculateCRDName)."""
    word = kind.lower()
    if re.search(r"(s|x|z|ch|sh)$", word):
        return f"{word}es"
    return f"{word[:-1]}ies" if re.search(r"[^aeiou]y$", word) else f"{word}s"
