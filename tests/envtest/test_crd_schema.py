"""Every constraint on a single field of spec and status, tried on a real API server in both directions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack import crdgen
from provider.api.v1alpha1.kindcluster import KINDCluster
from tests.envtest.crd import JsonObject, KindClusters, kindcluster
from tests.envtest.schema_constraints import Constraint, constraints, place

ROOT = crdgen.root_schema(KINDCluster)
SPEC = list(constraints(ROOT["properties"]["spec"], ("spec",)))
STATUS = list(constraints(ROOT["properties"]["status"], ("status",)))

NOT_ALONE: dict[str, JsonObject] = {
    "spec.configFrom type": {"configFrom": {"inline": ""}},
    "spec.nodes.[].role enum worker": {"nodes": [{"role": "worker"}, {}]},
    "spec.runtime enum local": {"runtime": "local"},
    "spec.networking.ipFamily enum ipv6": {"networking": {"ipFamily": "ipv6"}},
}
"""Where the accepted value needs company because of a rule."""


def spec_with(constraint: Constraint, value: object) -> JsonObject:
    if value == constraint.good and constraint.id in NOT_ALONE:
        return kindcluster(**NOT_ALONE[constraint.id])
    return {**kindcluster(), "spec": place(ROOT["properties"]["spec"], constraint.path[1:], value, ("spec",))}


@pytest.fixture(scope="module")
def stored(kindclusters: KindClusters) -> Iterator[JsonObject]:
    yield kindclusters.create(kindcluster("for-status"))
    kindclusters.delete("for-status")


@pytest.mark.fault(27, "each constraint of the schema, just inside and outside", invariants="I14")
@pytest.mark.parametrize("constraint", SPEC, ids=lambda constraint: constraint.id)
def test_spec_is_accepted_inside_and_refused_outside_of_a_constraint(kindclusters: KindClusters, constraint: Constraint) -> None:
    """One accept and one reject for each keyword of each field."""
    assert kindclusters.complaints(spec_with(constraint, constraint.good)) == []
    refusal = kindclusters.complaints(spec_with(constraint, constraint.bad))
    assert any(complaint.startswith(constraint.field) for complaint in refusal), refusal


@pytest.mark.parametrize("constraint", STATUS, ids=lambda constraint: constraint.id)
def test_status_is_accepted_inside_and_refused_outside_of_a_constraint(
    kindclusters: KindClusters, stored: JsonObject, constraint: Constraint
) -> None:
    """The same for what we write ourselves: a status that core Cluster API could stumble over is never stored."""
    schema = ROOT["properties"]["status"]
    assert kindclusters.complaints_about_status(stored, place(schema, constraint.path[1:], constraint.good, ("status",))) == []
    refusal = kindclusters.complaints_about_status(stored, place(schema, constraint.path[1:], constraint.bad, ("status",)))
    assert any(complaint.startswith(constraint.field) for complaint in refusal), refusal


def test_constraints_are_counted_once() -> None:
    """No constraint hides another by having the same name, and the walk finds them at all."""
    found = [constraint.id for constraint in (*SPEC, *STATUS)]
    assert len(found) == len(set(found))
    assert len(found) > 200
