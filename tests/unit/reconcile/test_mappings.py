"""Mappings of events to keys: which of our objects a Cluster and a Secret name."""

from __future__ import annotations

from typing import Any

import pytest

from provider.api import names
from provider.api.meta import ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.api.v1alpha1.kindcontrolplane import KINDCONTROLPLANES
from provider.reconcile.capi import referred_by_cluster
from provider.reconcile.kubeconfig_secrets import owner_of_secret

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
    assert referred_by_cluster(KINDCLUSTERS)(cluster(**spec)) == keys


def test_a_cluster_names_its_control_plane_as_well() -> None:
    """With a topology the two references name two objects of ours."""
    control_plane = {"apiGroup": names.CONTROL_PLANE_GROUP, "kind": KINDCONTROLPLANES.kind, "name": "other"}
    named = cluster(infrastructureRef=OURS, controlPlaneRef=control_plane)

    assert referred_by_cluster(KINDCLUSTERS)(named) == {KEY}
    assert referred_by_cluster(KINDCONTROLPLANES)(named) == {ObjectKey("team", "other")}


def test_a_cluster_without_spec_names_nothing() -> None:
    """A mapping never raises."""
    assert referred_by_cluster(KINDCLUSTERS)({"metadata": {"namespace": "team", "name": "c"}}) == set()


def test_a_secret_names_its_kindcluster_by_label() -> None:
    """And one without the label names nobody."""
    labelled = {"metadata": {"namespace": "team", "name": "s", "labels": {names.KINDCLUSTER_LABEL: "demo"}}}

    assert owner_of_secret(labelled) == {KEY}
    assert owner_of_secret({"metadata": {"namespace": "team", "name": "s"}}) == set()
