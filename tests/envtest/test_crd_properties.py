"""The API server and the models agree: what one accepts the other understands."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from provider.api.checking import violations
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from tests.envtest.crd import KindClusters, kindcluster
from tests.envtest.spec_strategies import Spec, specs, spoilt

BOUNDED = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


def without_null(value: Any) -> Any:
    """As the API server stores it."""
    if isinstance(value, dict):
        return {key: without_null(child) for key, child in value.items() if child is not None}
    return [without_null(child) for child in value] if isinstance(value, list) else value


def as_sent(value: Any) -> Any:
    """In JSON a whole number is one, however it is written: the API server stores 1.0 as 1, and nobody reads anything else from it."""
    if isinstance(value, dict):
        return {key: as_sent(child) for key, child in value.items()}
    if isinstance(value, list):
        return [as_sent(child) for child in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def as_read(spec: Spec) -> Spec:
    """As the models write it: without what says the same in two ways."""
    spec = {key: value for key, value in copy.deepcopy(spec).items() if (key, value) != ("nodes", [])}
    for mapping in (mapping for node in spec.get("nodes", []) for mapping in node.get("extraPortMappings", [])):
        if "protocol" in mapping:
            mapping["protocol"] = mapping["protocol"].upper()
    return spec


@pytest.mark.fault(27, "random valid specs, real API server", invariants="I14")
@BOUNDED
@given(spec=specs())
def test_every_valid_spec_is_accepted_and_understood(kindclusters: KindClusters, spec: Spec) -> None:
    """No rule refuses what it does not mean to; what is read and written again is the same."""
    assert kindclusters.complaints(kindcluster("example", **spec)) == []
    assert violations(spec, "example") == []
    assert KINDClusterSpec.model_validate(spec).model_dump(by_alias=True, exclude_none=True) == as_read(spec)


@pytest.mark.fault(27, "random spoilt specs, real API server", invariants="I14")
@BOUNDED
@given(spec=spoilt())
@example(spec={"controlPlaneReplicas": 1.0})
def test_whatever_the_server_accepts_is_understood(kindclusters: KindClusters, spec: Spec) -> None:
    """A stored object that the manager cannot read would be stuck: the server is at least as strict as the models. And what checks configs
    that the server never sees as fields (provider.api.checking) says of each the same as the server: the rules' two halves agree.
    """
    spec = as_sent(spec)
    complaints, found = kindclusters.complaints(kindcluster("example", **spec)), violations(spec, "example")
    assert bool(complaints) is bool(found), (complaints, found)
    if complaints == []:
        stored = without_null(spec)
        assert KINDClusterSpec.model_validate(stored).model_dump(by_alias=True, exclude_none=True) == as_read(stored)
