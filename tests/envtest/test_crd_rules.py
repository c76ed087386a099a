"""Every CEL rule of the CRD, tried on a real API server in both directions."""

from __future__ import annotations

import pytest

from hack import crdgen
from provider.api.model import Model
from provider.api.v1alpha1 import RESOURCES
from tests.envtest.class_cases import CLASS_CASES
from tests.envtest.crd import JsonObject, KindClusters
from tests.envtest.rule_cases import KINDCLUSTER_CASES, Case, Change

CASES = [*KINDCLUSTER_CASES, *CLASS_CASES]


def complaints(server: KindClusters, what: JsonObject | Change) -> list[str]:
    return server.complaints_about_change(*what) if isinstance(what, tuple) else server.complaints(what)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_rule_lets_good_objects_pass(kindclusters: KindClusters, case: Case) -> None:
    """What a rule does not mean to refuse is accepted, by all rules together."""
    for obj in case.accept:
        assert complaints(kindclusters, obj) == [], obj


@pytest.mark.fault(44, "objects that each rule of the CRD is there for", invariants="I3")
@pytest.mark.fault(28, "immutable fields are edited", invariants="I4")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_rule_refuses_bad_objects_with_field_and_cure(kindclusters: KindClusters, case: Case) -> None:
    """A refusal names the field and says what to do."""
    for obj in case.reject:
        found = complaints(kindclusters, obj)
        assert any(all(words in complaint for words in case.says) for complaint in found), (obj, found)


def test_every_rule_has_exactly_one_case() -> None:
    """A rule without an accept and a reject case is not there."""
    models = {model for kind in RESOURCES for model in crdgen.models(kind.model) if issubclass(model, Model)}
    rules = [(model, rule.message) for model in models for rule in model.cel_rules]
    matching = {
        (model, message): [c for c in CASES if c.model is model and message.startswith(c.rule)] for model, message in rules
    }
    assert {key: len(found) for key, found in matching.items() if len(found) != 1} == {}
    assert len(CASES) == len(rules)
    assert all(case.accept and case.reject for case in CASES)
