"""hack.crdgen: what it writes, and what it refuses to write."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, Field

from hack import crdgen
from hack.crdgen import Unrepresentable, structural
from provider.api import v1alpha1
from provider.api.customresource import CustomResource
from provider.api.meta import Resource
from provider.api.model import Model, validated_by
from provider.api.rules.rule import Rule
from provider.api.v1alpha1 import RESOURCES
from provider.api.v1alpha1.status import KINDClusterStatus

RULES = {model: getattr(model, "cel_rules", ()) for kind in RESOURCES for model in crdgen.models(kind.model)}


def described(annotation: Any, default: Any = None, **field: Any) -> type[BaseModel]:
    """A model with one optional field `x`."""
    return type("Made", (BaseModel,), {"__annotations__": {"x": annotation}, "x": Field(default, description="an x", **field)})


def x(model: type[BaseModel]) -> dict[str, Any]:
    schema: dict[str, Any] = structural(model)["properties"]["x"]
    return schema


class Leaf(BaseModel):
    """A leaf."""

    name: str = Field(max_length=5, description="name of it.")


class Tree(BaseModel):
    """Contains itself."""

    children: list[Tree] | None = Field(None, max_length=2, description="children of it.")


@validated_by(Rule("self.size > 1", "size is too small"))
class Part(Model):
    """An invented kind."""

    size: int = Field(description="size of it.")


def test_the_committed_crd_is_what_the_models_say() -> None:
    """`make manifests` was run after the last change."""
    assert crdgen.stale() == []


@pytest.mark.parametrize(
    ("annotation", "field", "expected"),
    [
        (str | None, {"max_length": 3}, {"type": "string", "maxLength": 3}),
        (int | None, {"ge": 0}, {"type": "integer", "minimum": 0, "format": "int64"}),
        (int | None, {"ge": 0, "le": 9}, {"type": "integer", "minimum": 0, "maximum": 9, "format": "int32"}),
        (Literal["a"] | None, {}, {"type": "string", "enum": ["a"]}),
        (Literal["a", "b"] | None, {}, {"type": "string", "enum": ["a", "b"]}),
        (
            list[Annotated[str, Field(max_length=3)]] | None,
            {"max_length": 2},
            {"type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 3}, "x-kubernetes-list-type": "atomic"},
        ),
        (
            dict[Annotated[str, Field(max_length=9, pattern="^a$")], bool] | None,
            {"max_length": 2},
            {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "boolean"}},
        ),
        (
            Leaf | None,
            {},
            {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string", "maxLength": 5, "description": "name of it."}},
            },
        ),
    ],
)
def test_what_pydantic_says_is_said_as_kubernetes_does(annotation: Any, field: dict[str, Any], expected: dict[str, Any]) -> None:
    """References inlined, no null, no title, no default, const as enum, lists atomic unless said otherwise."""
    assert x(described(annotation, **field)) == {"description": "an x", **expected}


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (described(str | None), "Made.x: string without maxLength"),
        (described(list[bool] | None), "Made.x: array without maxItems"),
        (described(dict[str, bool] | None), "Made.x: map without maxProperties"),
        (described(int | str | None), "Made.x: a union has no structural schema"),
        (described(bool, default=True), "Made.x: a default of True would be hidden in the schema"),
        (described(float | None, gt=0), "Made.x: exclusiveMinimum is not allowed"),
        (described(set[bool] | None, max_length=2), "Made.x: uniqueItems is not allowed"),
        (described(tuple[bool, bool] | None), "Made.x: prefixItems is not allowed"),
        (described(Any), "Made.x: untyped"),
        (described(str | None, max_length=3, json_schema_extra={"pattern": "(?!a)b"}), r"Made.x: \(\?!a\)b is not RE2"),
        (described(str | None, max_length=3, json_schema_extra={"pattern": r"(a)\1"}), r"is not RE2"),
        (type("Made", (BaseModel,), {"__annotations__": {"x": bool}}), "Made.x: no description"),
        (Tree, r"Tree.children\[\]: Tree contains itself"),
    ],
)
def test_what_kubernetes_would_refuse_is_refused_here(model: type[BaseModel], complaint: str) -> None:
    """With the path of the field, at `make manifests` instead of at `kubectl apply`."""
    with pytest.raises(Unrepresentable, match=complaint):
        structural(model)


def test_a_list_type_can_be_chosen() -> None:
    """Conditions are a map by type."""
    properties = structural(KINDClusterStatus)["properties"]
    assert properties["conditions"]["x-kubernetes-list-type"] == "map"
    assert properties["conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    assert properties["nodes"]["x-kubernetes-list-type"] == "atomic"


def test_every_rule_reaches_the_crd() -> None:
    """What a model is validated by stands in the CRD where the model does."""
    found: set[str] = set()

    def walk(schema: Any) -> None:
        if isinstance(schema, dict):
            found.update(rule["message"] for rule in schema.get("x-kubernetes-validations", []))
        for child in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
            walk(child)

    for kind in RESOURCES:
        walk(yaml.safe_load(crdgen.render(kind)))
    assert found == {rule.message for rules in RULES.values() for rule in rules}


def test_a_rule_is_one_line_and_blames_a_field() -> None:
    """The API server refuses line breaks in messages, and people need to know where."""
    for rule in (rule for rules in RULES.values() for rule in rules):
        assert "\n" not in rule.rule + rule.message + rule.expression
        assert rule.path.startswith(".") or rule.message.startswith("spec cannot be removed")


def test_stale_files_are_named_and_written_anew(tmp_path: Path) -> None:
    """Changed, missing and left-over files are stale; writing repairs all three."""
    kind = crdgen.file_name(RESOURCES[0].resource)
    made = sorted([*(f"bases/{crdgen.file_name(kind.resource)}" for kind in RESOURCES), "kustomization.yaml"])
    assert sorted(str(path.relative_to(tmp_path)) for path in crdgen.stale(tmp_path)) == made
    crdgen.write(tmp_path)
    (tmp_path / "bases" / kind).write_text("changed")
    (tmp_path / "bases" / "old.yaml").write_text("old")
    assert [path.name for path in crdgen.stale(tmp_path)] == [kind, "old.yaml"]
    crdgen.write(tmp_path)
    assert crdgen.stale(tmp_path) == []
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.yaml")) == made


def test_every_kind_with_a_definition_is_listed() -> None:
    """A new kind is a file with a DEFINITION and an entry of RESOURCES; one that is not listed would not be served."""
    modules = [import_module(f"provider.api.v1alpha1.{found.name}") for found in pkgutil.iter_modules(v1alpha1.__path__)]
    defined = [module.DEFINITION for module in modules if hasattr(module, "DEFINITION")]
    assert sorted(str(kind.resource) for kind in RESOURCES) == sorted(str(kind.resource) for kind in defined)


def test_an_entry_is_all_that_a_kind_needs() -> None:
    """Its CRD, with name, label of the contract and rules, and its line in the list that is applied."""
    kind = CustomResource(Resource("example.org", "v1beta1", "parts", "Part"), Part)
    made = crdgen.crd(kind)
    assert made["metadata"] == {
        "name": "parts.example.org",
        "labels": {"cluster.x-k8s.io/v1beta2": "v1beta1", "cluster.x-k8s.io/provider": "infrastructure-kind"},
    }
    (version,) = made["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    assert schema["x-kubernetes-validations"] == [{"rule": "self.size > 1", "message": "size is too small"}]
    assert "subresources" not in version
    assert yaml.safe_load(crdgen.kustomization([kind]))["resources"] == ["bases/example.org_parts.yaml"]


def test_the_command_checks_without_writing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--check` fails and says what to run; without it, files are written."""
    folder = tmp_path / "crd"
    assert crdgen.main(["--check", "--folder", str(folder)]) == 1
    assert "make manifests" in capsys.readouterr().err
    assert not folder.exists()
    assert crdgen.main(["--folder", str(folder)]) == 0
    assert crdgen.main(["--check", "--folder", str(folder)]) == 0
