"""What every implementation of provider.ports.workload.Objects promises: the in-memory fake and the client of a real API server alike."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest

from devenv.controlplane import REQUIRED, ManagementAPI
from hack.tools import find
from provider.adapters.kube.workload import WorkloadProbe
from provider.api.meta import JsonObject, ObjectKey, Resource
from provider.api.names import CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS
from provider.errors import Conflict, Terminal, Transient
from provider.ports.workload import Objects
from tests.contract.test_kube import WIDGET_CRD, WIDGETS
from tests.fakes.objects import NAMESPACES, FakeObjects

LABEL = "contract.test/mine"
NOT_SERVED = Resource("nobody.test", "v1", "things", "Thing")


@pytest.fixture(scope="module")
def cluster() -> Iterator[ManagementAPI]:
    if reason := find.missing(*REQUIRED):
        pytest.skip(reason)
    with ManagementAPI.temporary() as api:
        yield api


@pytest.fixture(params=["fake", "real"])
async def objects(request: pytest.FixtureRequest) -> AsyncIterator[Objects]:
    if request.param == "fake":
        yield FakeObjects()
        return
    probe = WorkloadProbe()
    yield probe.objects(request.getfixturevalue("cluster").kubeconfig.read_text())
    await probe.close()


@pytest.fixture
def key() -> ObjectKey:
    return ObjectKey("default", f"c-{uuid4().hex[:8]}")


def config_map(key: ObjectKey, labels: dict[str, str] | None = None, **data: str) -> JsonObject:
    metadata: dict[str, Any] = {"name": key.name, "namespace": key.namespace, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def test_kinds_are_told_with_their_plural_and_scope(objects: Objects) -> None:
    """Of the core and of a group; what is not served is empty, not an error."""
    core, apps = await objects.served("v1"), await objects.served("apps/v1")

    assert (CONFIG_MAPS, True) == (core["ConfigMap"].resource, core["ConfigMap"].namespaced)
    assert (NAMESPACES, False) == (core["Namespace"].resource, core["Namespace"].namespaced)
    assert Resource("apps", "v1", "deployments", "Deployment") == apps["Deployment"].resource
    assert {} == await objects.served("nobody.test/v1")
    assert {} == await objects.served("apps/v1alpha9")
    assert ["v1"] == await objects.versions("apps")
    assert [] == await objects.versions("nobody.test")


async def test_what_is_not_there_is_none_and_empty(objects: Objects, key: ObjectKey) -> None:
    """An object, and a kind."""
    assert await objects.get(CONFIG_MAPS, key) is None
    assert await objects.get(NOT_SERVED, key) is None
    assert [] == await objects.list(NOT_SERVED, LABEL)
    await objects.delete(CONFIG_MAPS, key, uid="5d3c0c27-0000-0000-0000-000000000000")


async def test_an_applied_object_is_there_and_applied_again_unchanged(objects: Objects, key: ObjectKey) -> None:
    """The same text twice writes once; what the text no longer has goes, what others have added stays."""
    first = await objects.apply(CONFIG_MAPS, key, config_map(key, a="1", b="2"))
    again = await objects.apply(CONFIG_MAPS, key, config_map(key, a="1", b="2"))
    changed = await objects.apply(CONFIG_MAPS, key, config_map(key, a="3"))

    assert first["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]
    assert {"a": "3"} == changed["data"]
    assert first["metadata"]["uid"] == changed["metadata"]["uid"]
    found = await objects.get(CONFIG_MAPS, key)
    assert found is not None
    assert changed["data"] == found["data"]


async def test_lists_are_by_label_over_all_namespaces_or_one(objects: Objects, key: ObjectKey) -> None:
    """With all there is of an object, or its metadata alone."""
    mark = f"{LABEL}={key.name}"
    other = ObjectKey("kube-system", key.name)
    for one, labels in ((key, {LABEL: key.name}), (other, {LABEL: key.name}), (ObjectKey("default", f"{key.name}-x"), {})):
        await objects.apply(CONFIG_MAPS, one, config_map(one, labels, a="1"))

    everywhere = await objects.list(CONFIG_MAPS, mark)
    here = await objects.list(CONFIG_MAPS, mark, namespace="kube-system")
    bare = await objects.list(CONFIG_MAPS, mark, metadata_only=True)

    assert ["default", "kube-system"] == sorted(one["metadata"]["namespace"] for one in everywhere)
    assert ["kube-system"] == [one["metadata"]["namespace"] for one in here]
    assert [{"a": "1"}] * 2 == [one["data"] for one in everywhere]
    assert [True, True] == ["data" not in one and one["metadata"]["labels"] == {LABEL: key.name} for one in bare]


async def test_only_the_object_that_was_seen_is_changed_or_deleted(objects: Objects, key: ObjectKey) -> None:
    """Another one of the same name has another uid; deleting what is gone is no error."""
    obj = await objects.apply(CONFIG_MAPS, key, config_map(key, a="1"))
    stranger = "5d3c0c27-0000-0000-0000-000000000000"
    wrong = config_map(key, a="2")
    wrong["metadata"]["uid"] = stranger
    with pytest.raises(Conflict):
        await objects.apply(CONFIG_MAPS, key, wrong)
    with pytest.raises(Conflict):
        await objects.delete(CONFIG_MAPS, key, uid=stranger)

    await objects.delete(CONFIG_MAPS, key, uid=obj["metadata"]["uid"])
    await objects.delete(CONFIG_MAPS, key, uid=obj["metadata"]["uid"])
    assert await objects.get(CONFIG_MAPS, key) is None
    with pytest.raises(Conflict):
        await objects.apply(CONFIG_MAPS, key, wrong)


async def test_an_object_without_its_namespace_or_kind_may_come_later(objects: Objects) -> None:
    """Both may be made by somebody in a moment."""
    homeless, unknown = ObjectKey(f"n-{uuid4().hex[:8]}", "a"), ObjectKey("default", "a")
    thing = {"apiVersion": NOT_SERVED.api_version, "kind": NOT_SERVED.kind, "metadata": {"name": "a", "namespace": "default"}}
    with pytest.raises(Transient):
        await objects.apply(CONFIG_MAPS, homeless, config_map(homeless))
    with pytest.raises(Transient):
        await objects.apply(NOT_SERVED, unknown, thing)


async def test_a_field_that_the_kind_does_not_have_is_refused(objects: Objects, key: ObjectKey) -> None:
    """A typo would be dropped in silence otherwise."""
    with pytest.raises(Terminal):
        await objects.apply(CONFIG_MAPS, key, {**config_map(key), "dta": {}})
    assert await objects.get(CONFIG_MAPS, key) is None


async def test_a_definition_brings_its_kind(objects: Objects, key: ObjectKey) -> None:
    """Established in a moment; then its objects can be applied."""
    name = WIDGET_CRD["metadata"]["name"]
    await objects.apply(CUSTOM_RESOURCE_DEFINITIONS, ObjectKey("", name), WIDGET_CRD)
    end = time.monotonic() + 30
    while "Widget" not in await objects.served(WIDGETS.api_version):
        assert time.monotonic() < end, "the kind is not served"
    widget = {"apiVersion": WIDGETS.api_version, "kind": "Widget", "metadata": {"name": key.name, "namespace": "default"}}

    while True:
        try:
            await objects.apply(WIDGETS, key, {**widget, "spec": {"a": 1}})
        except Transient:  # just after it is established, its storage may not be
            assert time.monotonic() < end, "the kind takes no objects"
        else:
            break
    found = await objects.get(WIDGETS, key)
    assert found is not None
    assert {"a": 1} == found["spec"]
