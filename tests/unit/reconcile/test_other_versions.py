"""Another version of the manager takes over living clusters: an older one, that wrote less, and a newer one, that wrote more."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from provider.api import names
from provider.api.kind import NodeRole
from provider.api.meta import JsonObject
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from tests.conftest import Figure
from tests.fakes.runtime import FakeCluster, FakeNode
from tests.fakes.world import KEY, World, kindcluster

STORED = Path(__file__).parent / "golden" / "stored.yaml"
"""What the first version leaves behind: a Ready object, and the containers with their marks. Never made anew: it stands for what exists."""
FUTURE: JsonObject = {
    "metadata": {"annotations": {f"{names.GROUP}/of-tomorrow": "x"}, "labels": {f"{names.GROUP}/of-tomorrow": "x"}},
    "status": {"ofTomorrow": {"a": [1]}, "phase": "PhaseOfTomorrow"},
}
CONDITION = {
    "type": "OfTomorrow",
    "status": "False",
    "reason": "ReasonOfTomorrow",
    "message": "x",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "observedGeneration": 1,
}


async def ready() -> World:
    world = World()
    world.apply(kindcluster())
    await world.pass_time(60)
    assert world.status()["phase"] == "Ready"
    return world


async def taken_over(world: World) -> None:
    """A new manager works; afterwards the cluster is what it was, the object is Ready and never was anything else, and all is quiet."""
    clusters, calls = repr(world.runtime.clusters), world.runtime.calls.copy()
    phases: list[str] = []
    world.kube.watch(
        lambda _, resource, obj: phases.append((obj.get("status") or {}).get("phase", "")) if resource == KINDCLUSTERS else None
    )
    world.restart()
    await world.pass_time(600)

    changed = world.runtime.calls - calls
    assert (changed["create"], changed["delete"], changed["start"]) == (0, 0, 0)
    assert repr(world.runtime.clusters) == clusters
    assert world.status()["phase"] == "Ready"
    assert set(phases) <= {"Ready", "", "PhaseOfTomorrow"}, "it was called something else meanwhile"
    writes = len(world.kube.writes())
    world.restart()
    await world.pass_time(600)
    assert len(world.kube.writes()) == writes


def without_one(obj: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """(what is lacking, the object without it) for each thing that a manager writes besides the identity, which every version has."""
    meta = obj["metadata"]
    for part in ("annotations", "labels"):
        for name in meta.get(part, {}):
            yield f"{part} {name}", {"metadata": {part: {name: None}}}
    yield "finalizers", {"metadata": {"finalizers": [one for one in meta["finalizers"] if one != names.FINALIZER]}}
    for name, value in obj["status"].items():
        yield f"status {name}", {"status": {name: None}}
        if isinstance(value, dict):
            yield from ((f"status {name}.{key}", {"status": {name: {key: None}}}) for key in value)
    for condition in obj["status"]["conditions"]:
        kept = [one for one in obj["status"]["conditions"] if one != condition]
        yield f"condition {condition['type']}", {"status": {"conditions": kept}}


@pytest.mark.fault(38, "what an older version did not write is lacking, one thing at a time (fakes)", invariants="I1 I4 I8 I10")
async def test_whatever_an_older_version_did_not_write_is_added_and_nothing_is_made_again(figure: Figure) -> None:
    """Each annotation, label, field of the status and condition; and the whole status."""
    world = await ready()
    stored = world.get()
    assert stored is not None
    lacks = [*without_one(stored), ("status", {"status": None})]
    for what, patch in lacks:
        for subresource in ("", "status"):
            world.kube.edit(KINDCLUSTERS, KEY, patch, subresource=subresource)
        await taken_over(world)
        assert world.status()["initialization"] == stored["status"]["initialization"], what
    figure("things lacking", len(lacks))


@pytest.mark.fault(38, "a newer version has written more, and is taken back (fakes)", invariants="I1 I4 I8")
async def test_what_a_newer_version_wrote_does_no_harm() -> None:
    """Fields, a phase, a condition and a reason that this version does not know."""
    world = await ready()
    patch = copy.deepcopy(FUTURE)
    patch["status"]["conditions"] = [*world.status()["conditions"], CONDITION]
    for subresource in ("", "status"):
        world.kube.edit(KINDCLUSTERS, KEY, patch, subresource=subresource)

    await taken_over(world)


@pytest.mark.fault(38, "an object and containers as the first version left them", invariants="I1 I3 I4 I8 I10")
async def test_what_the_first_version_left_is_taken_over() -> None:
    """The mark on the containers and the identity in the object are for ever: who computes another mark makes every cluster foreign."""
    stored = yaml.safe_load(STORED.read_text())
    world = World()
    world.runtime.clusters["demo"] = FakeCluster(
        port=stored["port"],
        initialized=True,
        nodes=[
            FakeNode(node["name"], NodeRole(node["role"]), node["id"], node["marker"], image=node["image"])
            for node in stored["nodes"]
        ],
    )
    obj = stored["object"]
    world.apply({**obj, "metadata": {**obj["metadata"]}})
    world.kube.edit(KINDCLUSTERS, KEY, {"status": obj["status"]}, subresource="status")

    await taken_over(world)
    assert world.status()["endpoints"] == obj["status"]["endpoints"]
