"""provider.controller.watch, the parts that need no API server: which keys an event names, how kopf is set up, when restarts stop."""

from __future__ import annotations

import itertools
from typing import Any

import kopf
import pytest

from provider.api import names
from provider.api.meta import ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.api.v1alpha1.kindcontrolplane import KINDCONTROLPLANES
from provider.controller.watch import (
    MAX_RESTARTS,
    RESTART_LONGEST,
    RESTART_WINDOW,
    Backoffs,
    RestartGuard,
    keys_of_cluster,
    keys_of_secret,
    make_registry,
    make_settings,
)

OURS = {"apiGroup": names.GROUP, "kind": KINDCLUSTERS.kind, "name": "demo"}
KEY = ObjectKey("team", "demo")


def cluster(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "team", "name": "c"}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "keys"),
    [
        ({"infrastructureRef": OURS}, {KEY}),
        ({"controlPlaneRef": OURS}, {KEY}),
        ({"infrastructureRef": OURS, "controlPlaneRef": OURS}, {KEY}),
        ({"infrastructureRef": {"apiVersion": f"{names.GROUP}/v1alpha1", "kind": KINDCLUSTERS.kind, "name": "demo"}}, {KEY}),
        ({"infrastructureRef": OURS | {"namespace": "other"}}, {KEY}),
        ({"infrastructureRef": OURS | {"kind": "DockerCluster"}}, set()),
        ({"infrastructureRef": OURS | {"apiGroup": "other.group"}}, set()),
        ({"infrastructureRef": {"apiGroup": names.GROUP, "kind": KINDCLUSTERS.kind}}, set()),
        ({}, set()),
    ],
)
def test_a_cluster_names_the_kindclusters_it_refers_to(spec: dict[str, Any], keys: set[ObjectKey]) -> None:
    """Both reference forms of Cluster API; always in the Cluster's own namespace."""
    assert keys_of_cluster(cluster(**spec)) == {(KINDCLUSTERS, key) for key in keys}


def test_a_cluster_names_its_control_plane_as_well() -> None:
    """With a topology the two references name two objects of ours."""
    control_plane = {"apiGroup": names.CONTROL_PLANE_GROUP, "kind": KINDCONTROLPLANES.kind, "name": "demo"}

    found = keys_of_cluster(cluster(infrastructureRef=OURS, controlPlaneRef=control_plane))

    assert found == {(KINDCLUSTERS, KEY), (KINDCONTROLPLANES, KEY)}


def test_a_cluster_without_spec_names_nothing() -> None:
    """Handlers never raise."""
    assert keys_of_cluster({"metadata": {"namespace": "team", "name": "c"}}) == set()


def test_a_secret_names_its_kindcluster_by_label() -> None:
    """And one without the label names nobody."""
    labelled = {"metadata": {"namespace": "team", "name": "s", "labels": {names.KINDCLUSTER_LABEL: "demo"}}}

    assert keys_of_secret(labelled) == {KEY}
    assert keys_of_secret({"metadata": {"namespace": "team", "name": "s"}}) == set()


def test_backoffs_never_end_and_can_be_had_again() -> None:
    """kopf gives up when its backoffs do, and asks for them anew for each request."""
    backoffs = Backoffs()

    first, second = (list(itertools.islice(backoffs, 1000)) for _ in range(2))

    assert len(first) == len(second) == 1000
    assert 0.1 < min(first) < max(first) <= 5.0 * 1.25


def test_kopf_is_told_to_write_nothing() -> None:
    """No peering, no events, no finalizer of its own, and never one with our name: kopf strips that as unneeded."""
    settings = make_settings()

    assert settings.peering.standalone
    assert not settings.posting.enabled
    assert settings.persistence.finalizer != names.FINALIZER
    assert settings.process.ultimate_exiting_timeout is None
    assert not settings.scanning.disabled


def test_kopf_has_no_handler_that_changes_objects() -> None:
    """Only on.event: create, update, delete, resume, timer and daemon handlers would patch objects or block deletion."""

    async def login() -> Any:
        raise AssertionError("nobody logs in here")

    registry = make_registry(lambda resource, key: None, login)

    assert len(registry._watching.get_all_handlers()) == 4
    for others in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert list(others.get_all_handlers()) == []
    assert registry is not kopf.get_default_registry()


def test_restarts_are_spaced_and_counted() -> None:
    """Doubling waits, then the end: a process that cannot watch must be seen to fail."""
    guard = RestartGuard()

    delays = [guard.next_delay(now=float(second)) for second in range(MAX_RESTARTS + 1)]

    assert delays[:3] == [1.0, 2.0, 4.0]
    assert all(delay is not None and delay <= RESTART_LONGEST for delay in delays[:-1])
    assert delays[-1] is None


def test_old_restarts_are_forgiven() -> None:
    """A crash a day is no crash loop."""
    guard = RestartGuard()

    assert all(guard.next_delay(now=number * (RESTART_WINDOW + 1)) == 1.0 for number in range(100))
    assert guard.total == 100
