"""KINDClusters as nobody should write them: made from the CRD's own schema, valid or almost, with odd metadata and an odd status."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from typing import Any

from provider.api import contract, names

Schema = dict[str, Any]
Json = dict[str, Any]

VALID = (
    "a demo canary kindest/node:v1.34.4 v1.34.4 v1.34.0 10.20.0.0/16 10.21.0.0/16 fd00::/64 127.0.0.1 0.0.0.0 ::1 1h 30s 2h30m "
    "/mnt/a /var/run/docker.sock / /kind/owner TCP kind local auto Delete Retain Recreate true 1 0 api/all a.b/c example.com "
    "0123456789abcdef0123456789abcdef 2026-01-01T00:00:00Z"
)
HOSTILE = ("", " ", "\n", "a\nb", "\u0661", "\u202e", "\U0001f525" * 9, "\u00e9" * 63, "x" * 300, "- --name=x", "../../etc", "*")
CODE = ("{{7*7}}", "$(id)", "; rm -rf /", "!!python/object:os.system", "&a [*a]")
WORDS = (*VALID.split(), *HOSTILE, *CODE)
NUMBERS = (0, 1, 2, 3, -1, 9, 32, 33, 443, 6443, 65535, 65536, 2**31 - 1, -(2**31), 2**53)
ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    2**31,
    "",
    "a",
    "x" * 5000,
    [],
    {},
    [[]],
    [{}],
    [None],
    {"a": {"a": {"a": 1}}},
    ["a"] * 500,
)
OWNERS = (
    ("cluster.x-k8s.io/v1beta2", "Cluster"),
    ("cluster.x-k8s.io/v9", "Cluster"),
    ("v1", "Namespace"),
    ("a/b", "KINDCluster"),
    ("v1", "Secret"),
)
ANNOTATIONS = (
    contract.PAUSED_ANNOTATION,
    contract.MANAGED_BY_ANNOTATION,
    contract.DELETE_FOR_MOVE_ANNOTATION,
    names.MADE_FROM_ANNOTATION,
    "kubectl.kubernetes.io/last-applied-configuration",
    "example.com/x",
)
TEXTS = (
    "",
    "true",
    "false",
    "{",
    "[]",
    "null",
    '{"workerReplicas":"1000000000"}',
    '{"controlPlaneReplicas":"99999999999999999999","workerReplicas":"-5"}',
    '{"nodes":"[{\\"role\\":\\"worker\\",\\"count\\":1000000000}]"}',
    '{"runtime":{"a":[1,2,3]},"image":null}',
    "[" * 900 + "]" * 900,
    "\U0001f525" * 200,
    "x" * 20000,
)


def text(schema: Schema, rng: random.Random) -> str:
    """One that the pattern takes, where the words have one."""
    if "enum" in schema:
        return str(rng.choice(schema["enum"]))
    words = list(WORDS)
    rng.shuffle(words)
    fits = (word for word in words if re.search(schema.get("pattern", ""), word) and len(word) <= schema.get("maxLength", 10**6))
    return next(fits, words[0])


def value(schema: Schema, rng: random.Random, odds: float = 0.3) -> Any:
    """A value inside the bounds of the schema; whether the rules across fields take it is another matter."""
    match schema.get("type"):
        case "string":
            return text(schema, rng)
        case "integer":
            inside = [number for number in NUMBERS if schema.get("minimum", number) <= number <= schema.get("maximum", number)]
            return rng.choice(inside or [schema.get("minimum", 0)])
        case "boolean":
            return rng.random() < 0.5
        case "array":
            most = min(schema.get("maxItems", 3), 3)
            return [value(schema["items"], rng, odds) for _ in range(rng.randint(min(schema.get("minItems", 0), most), most))]
        case "object" if "additionalProperties" in schema:
            return {rng.choice(WORDS): value(schema["additionalProperties"], rng, odds) for _ in range(rng.randint(0, 3))}
        case "object":
            needed = schema.get("required", [])
            chosen = {key: child for key, child in schema.get("properties", {}).items() if key in needed or rng.random() < odds}
            return {key: value(child, rng, odds) for key, child in chosen.items()}
        case _:
            return rng.choice(ODD)


def spoil(obj: Any, rng: random.Random) -> None:
    """Replace one value, anywhere, by something odd."""
    places = list(_places(obj))
    if places:
        container, key = rng.choice(places)
        container[key] = copy.deepcopy(rng.choice(ODD))


def _places(obj: Any) -> Iterator[tuple[Any, Any]]:
    children = obj.items() if isinstance(obj, dict) else enumerate(obj) if isinstance(obj, list) else ()
    for key, child in children:
        yield obj, key
        yield from _places(child)


def metadata(name: str, rng: random.Random) -> Json:
    meta: Json = {"name": name, "namespace": "default"}
    if rng.random() < 0.4:
        meta["annotations"] = {key: rng.choice(TEXTS) for key in rng.sample(ANNOTATIONS, rng.randint(1, 3))}
    if rng.random() < 0.4:
        meta["labels"] = {
            key: rng.choice(["", "victim", "canary", "a" * 63, "A_.b"])
            for key in rng.sample([contract.CLUSTER_NAME_LABEL, contract.WATCH_FILTER_LABEL, names.KINDCLUSTER_LABEL, "x"], 2)
        }
    if rng.random() < 0.3:
        meta["ownerReferences"] = [_owner(rng, number) for number in range(rng.randint(1, 3))]
    if rng.random() < 0.2:
        meta["finalizers"] = ["example.com/not-ours"]
    return meta


def _owner(rng: random.Random, number: int) -> Json:
    api, kind = rng.choice(OWNERS)
    uid = rng.choice([f"00000000-0000-4000-8000-00000000000{number}", "x", "\u202e"])
    owner: Json = {"apiVersion": api, "kind": kind, "name": rng.choice(["victim", "a", "x" * 200]), "uid": uid}
    return owner | ({"controller": True} if number == 0 and rng.random() < 0.5 else {})


def hostile(schema: Schema, name: str, rng: random.Random) -> tuple[Json, Json | None]:
    """(object, status to write afterwards or None)."""
    properties = schema["properties"]
    spec = value(properties["spec"], rng, rng.choice([0.05, 0.1, 0.3]))
    obj = {"apiVersion": f"{names.GROUP}/{names.VERSION}", "kind": "KINDCluster", "metadata": metadata(name, rng), "spec": spec}
    for _ in range(rng.choice([0, 0, 0, 1, 3])):
        spoil(spec, rng)
    if rng.random() < 0.5:
        return obj, None
    status = value(properties["status"], rng, rng.choice([0.1, 0.5]))
    for _ in range(rng.choice([0, 0, 1])):
        spoil(status, rng)
    return obj, status
