"""Models → CustomResourceDefinition YAML: `python -m hack.crdgen [--check]`.

Refuses what the API server would refuse later: a keyword outside a structural schema, a string, list or map without an upper bound (CEL
costs are computed from the bounds), a regular expression that RE2 does not know; and what readers of a CRD would miss: a hidden default,
a property without description. Nothing here knows a field by name.

Source of what is allowed: Kubernetes apiextensions-apiserver pkg/apiserver/schema (structural schemas) and
apiextensions/v1 JSONSchemaProps.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from provider.api.customresource import CustomResource
from provider.api.meta import Resource
from provider.api.model import Model
from provider.api.rules.rule import Rule
from provider.api.v1alpha1 import RESOURCES

Schema = dict[str, Any]

FOLDER = Path(__file__).parents[1] / "config" / "crd"
BASES = FOLDER / "bases"
HEADER = "# Made from provider/api by `make manifests`. Do not edit.\n"
WIDTH = 130

INT32 = 2**31 - 1
MAX_NAME = 63
"""metadata.name becomes a label value on the Secrets of the object."""

KEYWORDS = frozenset(
    {
        "type", "format", "description", "properties", "required", "items", "additionalProperties", "enum", "pattern", "minLength",
        "maxLength", "minimum", "maximum", "minItems", "maxItems", "minProperties", "maxProperties", "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-validations",
    }
)  # fmt: skip
NOT_RE2 = re.compile(r"\(\?[=!<>]|\(\?P=|\\[1-9]|[*+?}]\+")
"""Look-around, atomic groups, back references and possessive quantifiers: Python knows them, RE2 does not."""
BOUNDS = {"array": "maxItems", "string": "maxLength"}


SELECTOR = ".status.selector"
"""Of the scale subresource. What it counts are nodes, which are no objects of the management cluster."""


class Unrepresentable(Exception):
    """A model says something that a structural schema cannot; the message starts with the path of the field."""


def crd(kind: CustomResource) -> Schema:
    """The whole CustomResourceDefinition. Raises Unrepresentable."""
    resource = kind.resource
    columns = [
        {"name": column.name, "jsonPath": column.path, "type": column.type}
        | ({"priority": column.priority} if column.priority else {})
        for column in kind.columns
    ]
    version: Schema = {
        "name": resource.version,
        "served": True,
        "storage": True,
        **({"additionalPrinterColumns": columns} if columns else {}),
        "schema": {"openAPIV3Schema": root_schema(kind.model, status=kind.status)},
    }
    if served := subresources(kind):
        version["subresources"] = served
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}", "labels": labels(resource)},
        "spec": {
            "group": resource.group,
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                **({"shortNames": list(kind.short_names)} if kind.short_names else {}),
                "categories": ["cluster-api"],
            },
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def labels(resource: Resource) -> dict[str, str]:
    """By the first, Cluster API finds the version that speaks its contract; by the second, clusterctl finds what is the provider's."""
    return {"cluster.x-k8s.io/v1beta2": resource.version, "cluster.x-k8s.io/provider": "infrastructure-kind"}


def subresources(kind: CustomResource) -> Schema:
    """The status where the model has one, and the scale where the kind asks for it."""
    served: Schema = {"status": {}} if "status" in kind.model.model_fields else {}
    if kind.scale is None:
        return served
    paths = {"specReplicasPath": kind.scale.wanted, "statusReplicasPath": kind.scale.there, "labelSelectorPath": SELECTOR}
    return served | {"scale": paths}


def root_schema(model: type[BaseModel], *, status: Mapping[str, int] | None = None) -> Schema:
    """The model's schema with what every Kubernetes object has. `status`: the default of the status; nobody writes one by hand, so
    that it hides nothing.
    """
    schema = structural(model)
    about = {
        "apiVersion": "apiVersion of this representation of the object.",
        "kind": "kind of the object.",
    }
    known: Schema = {key: {"type": "string", "description": text} for key, text in about.items()}
    known["metadata"] = {"type": "object", "properties": {"name": {"type": "string", "maxLength": MAX_NAME}}}
    schema["properties"] = known | schema["properties"]
    if status:
        schema["properties"]["status"]["default"] = dict(status)
    return schema


def structural(model: type[BaseModel]) -> Schema:
    """A model's schema as a structural schema, rules included. Raises Unrepresentable."""
    raw = model.model_json_schema(by_alias=True)
    rules = {found.__name__: found.cel_rules for found in models(model) if issubclass(found, Model)}
    return _convert(raw, raw.get("$defs", {}), rules, model.__name__, frozenset())


def models(root: type[BaseModel]) -> set[type[BaseModel]]:
    """A model and all models in its fields. pydantic names them in its schema and gives no way back to the classes."""
    found: set[type[BaseModel]] = set()

    def visit(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in found:
            found.add(annotation)
            for field in annotation.model_fields.values():
                visit(field.annotation)
        for part in get_args(annotation):
            visit(part)

    visit(root)
    return found


def _convert(
    raw: Schema, defs: Mapping[str, Schema], rules: Mapping[str, Sequence[Rule]], path: str, inside: frozenset[str]
) -> Schema:
    """One node of pydantic's JSON schema → the same as structural schema; `inside`: models on the way here (no recursion)."""
    raw = _without_null(raw, path)
    if "$ref" in raw:
        name = raw.pop("$ref").rpartition("/")[2]
        if name in inside:
            raise Unrepresentable(f"{path}: {name} contains itself")
        return _convert({**defs[name], **raw}, defs, rules, path, inside | {name})
    schema = {key: value for key, value in raw.items() if key not in {"title", "$defs", "const"}}
    if "const" in raw:
        schema["enum"] = [raw["const"]]
    _tidy(schema)
    if "properties" in schema:
        schema["properties"] = {
            key: _convert(value, defs, rules, f"{path}.{key}", inside) for key, value in schema["properties"].items()
        }
    for key, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            schema[key] = _convert(schema[key], defs, rules, path + suffix, inside)
    if schema.get("type") == "object" and (found := rules.get(raw.get("title", ""))):
        schema["x-kubernetes-validations"] = [_validation(rule) for rule in found]
    _checked(schema, path)
    if not schema.get("properties", True):
        del schema["properties"]  # an object without fields; the API server stores no empty map
    return schema


def _validation(rule: Rule) -> dict[str, str]:
    """A rule as an entry of x-kubernetes-validations."""
    entries = {
        "rule": rule.rule,
        "message": rule.message,
        "messageExpression": rule.expression,
        "fieldPath": rule.path,
        "reason": rule.reason,
    }
    return {key: value for key, value in entries.items() if value}


def _without_null(raw: Schema, path: str) -> Schema:
    """`T | None` → T that may be absent: the API server never stores null. Only None may be a default, and it means absent."""
    if raw.get("default") is not None:
        raise Unrepresentable(f"{path}: a default of {raw['default']!r} would be hidden in the schema; make absent mean it")
    raw = {key: value for key, value in raw.items() if key != "default"}
    options = [option for option in raw.pop("anyOf", [{}]) if option.get("type") != "null"]
    if len(options) != 1:
        raise Unrepresentable(f"{path}: a union has no structural schema")
    return {**options[0], **raw}


def _tidy(schema: Schema) -> None:
    """JSON schema → OpenAPI v3, which cannot restrict the keys of maps: a CEL rule has to do that."""
    schema.pop("propertyNames", None)
    if by_pattern := schema.pop("patternProperties", None):
        (schema["additionalProperties"],) = by_pattern.values()
    if schema.get("type") == "integer":
        schema["format"] = "int32" if schema.get("maximum", INT32 + 1) <= INT32 else "int64"
    if schema.get("type") == "array":
        schema.setdefault("x-kubernetes-list-type", "atomic")
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split())


def _checked(schema: Schema, path: str) -> None:
    """Raises Unrepresentable for what the API server would refuse, and for an unbounded string, list or map."""
    if unknown := schema.keys() - KEYWORDS:
        raise Unrepresentable(f"{path}: {', '.join(sorted(unknown))} is not allowed in a structural schema")
    if "type" not in schema:
        raise Unrepresentable(f"{path}: untyped")
    if (bound := BOUNDS.get(schema["type"])) and not schema.keys() & {bound, "enum", "format"}:
        raise Unrepresentable(f"{path}: {schema['type']} without {bound}")
    if schema["type"] == "object":
        _check_object(schema, path)
    if (pattern := schema.get("pattern")) and NOT_RE2.search(pattern):
        raise Unrepresentable(f"{path}: {pattern} is not RE2")


def _check_object(schema: Schema, path: str) -> None:
    if "properties" not in schema and "maxProperties" not in schema:
        raise Unrepresentable(f"{path}: map without maxProperties")
    for key, value in schema.get("properties", {}).items():
        if not value.get("description"):
            raise Unrepresentable(f"{path}.{key}: no description")


class _Dumper(yaml.SafeDumper):
    """No anchors; long texts stay readable."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the signature is PyYAML's)
        return True


def file_name(resource: Resource) -> str:
    """As controller-gen names it."""
    return f"{resource.group}_{resource.plural}.yaml"


def render(kind: CustomResource) -> str:
    """The file's content."""
    return f"{HEADER}---\n" + yaml.dump(crd(kind), Dumper=_Dumper, sort_keys=False, width=WIDTH, allow_unicode=True)


def kustomization(kinds: Sequence[CustomResource]) -> str:
    """The list of the definitions, for `kubectl apply -k`."""
    listed = "".join(f"  - bases/{file_name(kind.resource)}\n" for kind in kinds)
    return f"{HEADER}apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{listed}"


def files(folder: Path = FOLDER) -> dict[Path, str]:
    """Everything that is made, and its content."""
    definitions = {folder / "bases" / file_name(kind.resource): render(kind) for kind in RESOURCES}
    return definitions | {folder / "kustomization.yaml": kustomization(RESOURCES)}


def stale(folder: Path = FOLDER) -> list[Path]:
    """Files whose content is not what the models say now, or that no kind makes any more."""
    wanted = files(folder)
    wrong = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    return wrong + sorted(set((folder / "bases").glob("*.yaml")) - wanted.keys())


def write(folder: Path = FOLDER) -> None:
    (folder / "bases").mkdir(parents=True, exist_ok=True)
    for path in stale(folder):
        path.unlink(missing_ok=True)
    for path, text in files(folder).items():
        path.write_text(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0, or 1 when --check finds a stale file."""
    parser = argparse.ArgumentParser(prog="python -m hack.crdgen", description="Write config/crd from the models.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the files are (default: config/crd)")
    options = parser.parse_args(argv)
    if not options.check:
        write(options.folder)
        return 0
    wrong = stale(options.folder)
    for path in wrong:
        sys.stderr.write(f"{path.name} is stale: run `make manifests`\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
