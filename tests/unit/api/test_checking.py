"""provider.api.checking says of a spec what the API server says: the cases of every CEL rule, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from provider.api.checking import violations
from provider.api.model import Model
from tests.envtest.rule_cases import KINDCLUSTER_CASES, Case, Change


def alone(objects: Any) -> list[dict[str, Any]]:
    """Without changes of stored objects and names that the server gives, about which checking says nothing."""
    return [obj for obj in objects if not isinstance(obj, tuple) and "name" in obj["metadata"]]


def found(obj: dict[str, Any] | Change) -> list[str]:
    assert isinstance(obj, dict)
    return [str(one) for one in violations(obj.get("spec") or {}, obj["metadata"]["name"])]


def about_values(case: Case) -> bool:
    """Whether its rule can be broken by a value alone."""
    assert issubclass(case.model, Model)
    return any(rule.holds is not None for rule in case.model.cel_rules if rule.message.startswith(case.rule))


ABOUT_VALUES = [case for case in KINDCLUSTER_CASES if about_values(case)]


@pytest.mark.parametrize("case", ABOUT_VALUES, ids=lambda case: case.id)
def test_a_rule_says_in_python_what_it_says_in_cel(case: Case) -> None:
    """The same objects pass, the same are refused, with the same field and words."""
    says = [words.removeprefix("spec.") for words in case.says if not words.startswith(("spec:", "metadata.name:"))]
    for obj in alone(case.reject):
        assert any(all(words in one for words in says) for one in found(obj)), (obj, found(obj))
    if "two nodes map" not in case.rule:  # the server stops at a number of nodes; here all are compared
        assert [] == [found(obj) for obj in alone(case.accept) if found(obj)]


def test_a_value_of_another_type_is_told_before_rules_are_asked() -> None:
    """Rules expect the right types; the words say how to write the value."""
    spec = {
        "featureGates": {"A": "true"},
        "runtimeConfig": {"api/all": True},
        "nodes": [{"extraMounts": [{"hostPath": "relative"}]}],
    }

    assert {
        "featureGates.A: must be true or false, without quotes",
        'runtimeConfig.api/all: must be text: quote it, such as "true"',
        "nodes[0].extraMounts[0].containerPath: is required",
    } == set(found({"spec": spec, "metadata": {"name": "demo"}}))


def test_a_pattern_is_told_in_the_words_of_its_rule() -> None:
    """Never as a regular expression where a rule explains it."""
    complaints = found({"spec": {"image": "a b", "featureGates": {"a-b": True}}, "metadata": {"name": "demo"}})

    assert 2 == len(complaints)
    assert not any("pattern" in one for one in complaints)
