"""A field of the spec is declared once: its marker alone brings it into rules, kind's document, refusals, the record and the reference."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field

from hack import fieldtables
from provider.adapters.local import preflight
from provider.api.markers import FREE, IMMUTABLE, ONCE, RECREATE, REFUSED, SAME, Marker, marked_fields
from provider.api.model import Model, validated_by
from provider.api.rules.cluster import SPEC
from provider.api.v1alpha1.common import Node
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.reconcile import drift
from provider.reconcile.kind_config import kind_config


class Disk(Model):
    """Invented: an object below the spec."""

    size: str | None = Field(None, description="size of the disk.")


class NodeWithGadget(Node):
    """A node with an invented field that needs containers."""

    gadget: Annotated[str | None, Marker(RECREATE, REFUSED, kind=SAME)] = Field(None, description="gadget in the node.")


@validated_by(*SPEC)
class Spec(KINDClusterSpec):
    """A spec with one invented field of each sort."""

    nodes: Annotated[list[NodeWithGadget] | None, Marker(RECREATE, kind=SAME)] = Field(None, description="nodes.")  # type: ignore[assignment]
    gadget: Annotated[str | None, Marker(RECREATE, REFUSED, kind="kindGadget")] = Field(None, description="gadget | <of> all.")
    disk: Annotated[Disk | None, Marker(RECREATE, kind=SAME)] = Field(None, description="disk of the cluster.")
    pace: Annotated[str | None, Marker(FREE)] = Field(None, description="pace of work.")
    stamp: Annotated[str | None, Marker(ONCE)] = Field(None, description="stamp by the provider.")
    origin: Annotated[str | None, Marker(IMMUTABLE)] = Field(None, description="origin of it.")


SAMPLE = Spec.model_validate(
    {"gadget": "g", "disk": {"size": "1Gi"}, "pace": "slow", "stamp": "s", "origin": "o", "nodes": [{"gadget": "n"}]}
)


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("gadget", ["cannot change once the cluster has been made"]),
        ("disk", ["cannot change once the cluster has been made"]),
        ("pace", []),
        ("stamp", ["is written by the provider, once"]),
        ("origin", ["cannot change: create a new KINDCluster"]),
    ],
)
def test_the_rules_on_changes_know_it(field: str, says: list[str]) -> None:
    """One CEL rule that blames the field, or none where it may change at any time."""
    messages = [rule.message for rule in Spec.cel_rules if rule.path == f".{field}"]
    assert messages == [message for message in messages if message.startswith(f"{field} {''.join(says)}")]
    assert len(messages) == len(says)


def test_the_rule_of_runtime_local_names_it() -> None:
    """At the top and in a node."""
    (rule,) = (rule for rule in Spec.cel_rules if rule.path == ".runtime" and "local" in rule.rule)
    assert "(has(self.gadget))" in rule.rule
    assert "self.nodes.exists(n, has(n.gadget))" in rule.rule
    assert "' gadget'" in rule.expression and "' nodes[].gadget'" in rule.expression


def test_kinds_document_has_it_under_kinds_name() -> None:
    """And nothing that is not kind's."""
    config = kind_config(SAMPLE, "demo")
    assert config["kindGadget"] == "g"
    assert config["disk"] == {"size": "1Gi"}
    assert config["nodes"] == [{"role": "control-plane", "gadget": "n"}]
    assert not config.keys() & {"gadget", "pace", "stamp", "origin"}


def test_the_local_runtime_refuses_it_before_a_create() -> None:
    """By its name in the spec."""
    found = list(preflight.unsupported(kind_config(SAMPLE, "demo"), marked_fields(Spec)))
    assert found == ["spec.nodes[0].gadget", "spec.gadget"]


def test_the_record_of_what_a_cluster_was_made_from_has_it() -> None:
    """Only what needs a new cluster; objects field by field."""
    record = drift.made_from(SAMPLE, kind_config(SAMPLE, "demo"))
    assert (record["gadget"], record["disk.size"]) == ("g", "1Gi")
    assert not record.keys() & {"pace", "stamp", "origin"}


def test_the_reference_has_it() -> None:
    """In the table of its object, with what its marker says; text cannot break the table."""
    rows = {row[0]: row[1:] for _, rows in fieldtables.tables(Spec) for row in rows}
    assert rows["`spec.gadget`"] == ("text", r"gadget \| &lt;of> all.", "with a new cluster", "kind", "`kindGadget`")
    assert rows["`spec.nodes[].gadget`"] == ("text", "gadget in the node.", "with a new cluster", "kind", "`gadget`")
    assert rows["`spec.disk.size`"] == ("text", "size of the disk.", "with a new cluster", "all", "`size`")
    assert rows["`spec.pace`"] == ("text", "pace of work.", "at any time", "all", "")
