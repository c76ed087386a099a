"""What every implementation of provider.ports.kube.Kube promises: the in-memory fake and the client of a real API server alike.

A difference found here is a lie the unit tests would believe. The real one needs etcd and kube-apiserver.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from devenv.controlplane import REQUIRED, ManagementAPI
from hack.tools import find
from provider.adapters.kube.client import KubeClient
from provider.adapters.kube.login import Login, login
from provider.api.meta import JsonObject, ObjectKey, Resource
from provider.api.names import LEASES, SECRETS
from provider.errors import Conflict, Terminal
from provider.ports.kube import Kube
from tests.fakes.kube import FakeKube

GROUP = "contract.test"
WIDGETS = Resource(GROUP, "v1", "widgets", "Widget")
SOME_VERSION_OF_WIDGETS = Resource(GROUP, "", "widgets", "Widget")
NOT_SERVED = Resource("nobody.test", "", "things", "Thing")
FINALIZER = "contract.test/finalizer"

WIDGET_CRD: JsonObject = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"widgets.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def management() -> Iterator[ManagementAPI]:
    if reason := find.missing(*REQUIRED):
        pytest.skip(reason)
    with ManagementAPI.temporary() as api:
        api.kubectl("create", "-f", "-", stdin=json.dumps(WIDGET_CRD))
        api.kubectl("wait", "--for=condition=Established", f"crd/widgets.{GROUP}")
        # Just after Established the storage may still answer 429; `request` waits for it.
        api.request("GET", f"/apis/{GROUP}/v1/widgets")
        yield api


@pytest.fixture(params=["fake", "real"])
async def kube(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kube]:
    if request.param == "fake":
        fake = FakeKube()
        fake.groups.add(GROUP)
        fake.with_status.add(WIDGETS.plural)
        yield fake
        return
    api: ManagementAPI = request.getfixturevalue("management")

    async def enter() -> Login:
        return await login(str(api.kubeconfig), "", tmp_path)

    client = KubeClient(enter)
    yield client
    await client.close()


@pytest.fixture
def key() -> ObjectKey:
    """A name nobody used before: the real server is shared by the module."""
    return ObjectKey("default", f"w-{uuid4().hex[:10]}")


def widget(key: ObjectKey, **more: Any) -> JsonObject:
    meta = {"name": key.name, "namespace": key.namespace} | more.pop("metadata", {})
    return {"apiVersion": WIDGETS.api_version, "kind": "Widget", "metadata": meta} | more


async def read(kube: Kube, key: ObjectKey, resource: Resource = WIDGETS) -> JsonObject:
    obj = await kube.get(resource, key)
    assert obj is not None
    return obj


async def test_what_does_not_exist_is_none(kube: Kube, key: ObjectKey) -> None:
    """Absence is an answer, not an error; an API group nobody serves is absence too."""
    assert await kube.get(WIDGETS, key) is None
    assert await kube.get(SOME_VERSION_OF_WIDGETS, key) is None
    assert await kube.get(NOT_SERVED, key) is None
    assert await kube.list(NOT_SERVED) == []
    assert await kube.patch(WIDGETS, key, {"spec": {"a": 1}}) is None
    await kube.delete(WIDGETS, key)
    await kube.delete(NOT_SERVED, key)


async def test_a_created_object_gets_what_the_server_gives(kube: Kube, key: ObjectKey) -> None:
    """uid, resourceVersion, generation 1, creation time; a status sent along is dropped."""
    created = await kube.create(WIDGETS, widget(key, spec={"size": 1}, status={"ready": True}))

    meta = created["metadata"]
    assert meta["generation"] == 1
    assert all(meta[name] for name in ("uid", "resourceVersion", "creationTimestamp"))
    assert "status" not in created
    assert await kube.get(WIDGETS, key) == created


async def test_a_name_can_be_taken_once(kube: Kube, key: ObjectKey) -> None:
    """The second create is a conflict, and the first object is unharmed."""
    created = await kube.create(WIDGETS, widget(key))

    with pytest.raises(Conflict) as caught:
        await kube.create(WIDGETS, widget(key))

    assert caught.value.reason == "AlreadyExists"
    assert await kube.get(WIDGETS, key) == created


async def test_a_patch_merges_removes_and_replaces_lists(kube: Kube, key: ObjectKey) -> None:
    """RFC 7386: maps are merged, null removes, lists are replaced whole."""
    await kube.create(WIDGETS, widget(key, spec={"kept": 1, "gone": 2, "list": [1, 2], "deep": {"a": 1}}))

    patched = await kube.patch(WIDGETS, key, {"spec": {"gone": None, "list": [3], "deep": {"b": 2}}})

    assert patched is not None
    assert patched["spec"] == {"kept": 1, "list": [3], "deep": {"a": 1, "b": 2}}
    assert await kube.get(WIDGETS, key) == patched


async def test_the_generation_counts_changes_of_spec_alone(kube: Kube, key: ObjectKey) -> None:
    """Labels and status leave it alone; observedGeneration depends on that."""
    await kube.create(WIDGETS, widget(key, spec={"size": 1}))

    await kube.patch(WIDGETS, key, {"metadata": {"labels": {"a": "b"}}})
    await kube.patch(WIDGETS, key, {"status": {"ready": True}}, subresource="status")
    assert (await read(kube, key))["metadata"]["generation"] == 1

    await kube.patch(WIDGETS, key, {"spec": {"size": 2}})
    assert (await read(kube, key))["metadata"]["generation"] == 2


async def test_status_and_the_rest_are_written_apart(kube: Kube, key: ObjectKey) -> None:
    """Neither door lets the other's fields through."""
    await kube.create(WIDGETS, widget(key, spec={"size": 1}))

    await kube.patch(WIDGETS, key, {"status": {"ready": True}, "spec": {"size": 2}}, subresource="status")
    await kube.patch(WIDGETS, key, {"status": {"ready": False}, "metadata": {"labels": {"a": "b"}}})

    obj = await read(kube, key)
    assert (obj["spec"], obj["status"], obj["metadata"]["labels"]) == ({"size": 1}, {"ready": True}, {"a": "b"})


@pytest.mark.fault(9, "two writers on a real API server", invariants="I13")
@pytest.mark.parametrize("subresource", ["", "status"])
async def test_a_guarded_patch_is_refused_when_the_object_has_changed(kube: Kube, key: ObjectKey, subresource: str) -> None:
    """Lost updates are impossible: stale version, no write."""
    first = await kube.create(WIDGETS, widget(key, spec={"size": 1}))
    second = await kube.patch(WIDGETS, key, {"spec": {"size": 2}})
    assert second is not None
    patch = {"spec": {"size": 3}, "status": {"size": 3}}

    with pytest.raises(Conflict):
        await kube.patch(WIDGETS, key, patch, subresource=subresource, version=first["metadata"]["resourceVersion"])
    assert await kube.get(WIDGETS, key) == second

    third = await kube.patch(WIDGETS, key, patch, subresource=subresource, version=second["metadata"]["resourceVersion"])
    assert third is not None
    assert third[subresource or "spec"] == {"size": 3}


async def test_a_patch_that_changes_nothing_writes_nothing(kube: Kube, key: ObjectKey) -> None:
    """The resourceVersion stays, watchers hear nothing."""
    created = await kube.create(WIDGETS, widget(key, spec={"size": 1}))

    again = await kube.patch(WIDGETS, key, {"spec": {"size": 1}, "metadata": {"labels": {"not": None}}})

    assert again is not None
    assert again["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]


async def test_identity_cannot_be_patched_away(kube: Kube, key: ObjectKey) -> None:
    """uid and creation time belong to the server."""
    created = await kube.create(WIDGETS, widget(key))

    patched = await kube.patch(WIDGETS, key, {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 77}})

    assert patched is not None
    names = ("uid", "creationTimestamp", "generation")
    assert [patched["metadata"][name] for name in names] == [created["metadata"][name] for name in names]


@pytest.mark.fault(6, "the object was made again meanwhile, on a real API server", invariants="I3")
async def test_deletion_checks_the_uid_it_is_given(kube: Kube, key: ObjectKey) -> None:
    """A namesake that was made meanwhile survives."""
    created = await kube.create(WIDGETS, widget(key))

    with pytest.raises(Conflict):
        await kube.delete(WIDGETS, key, uid="11111111-1111-4111-8111-111111111111")
    assert await kube.get(WIDGETS, key) == created

    await kube.delete(WIDGETS, key, uid=created["metadata"]["uid"])
    assert await kube.get(WIDGETS, key) is None


async def test_deletion_checks_the_version_it_is_given(kube: Kube, key: ObjectKey) -> None:
    """Whoever changed the object meanwhile wanted something of it: the deletion is of the object as it was read."""
    created = await kube.create(WIDGETS, widget(key))
    edited = await kube.patch(WIDGETS, key, {"spec": {"a": 1}})
    uid, version = created["metadata"]["uid"], created["metadata"]["resourceVersion"]

    with pytest.raises(Conflict):
        await kube.delete(WIDGETS, key, uid=uid, version=version)
    assert await kube.get(WIDGETS, key) == edited

    assert edited is not None
    await kube.delete(WIDGETS, key, uid=uid, version=edited["metadata"]["resourceVersion"])
    assert await kube.get(WIDGETS, key) is None


async def test_the_server_tells_its_time(kube: Kube, key: ObjectKey) -> None:
    """The clock that creationTimestamp is taken from, in whole seconds."""
    created = datetime.fromisoformat((await kube.create(WIDGETS, widget(key)))["metadata"]["creationTimestamp"])
    told = await kube.time()

    assert told is not None
    assert told.utcoffset() == timedelta(0)
    assert timedelta(0) <= told - created < timedelta(minutes=1)


async def test_deletion_waits_for_finalizers(kube: Kube, key: ObjectKey) -> None:
    """The object stays with a deletionTimestamp and a new generation; it goes with its last finalizer."""
    await kube.create(WIDGETS, widget(key, metadata={"finalizers": [FINALIZER]}))
    await kube.delete(WIDGETS, key)

    deleting = await read(kube, key)
    assert deleting["metadata"]["deletionTimestamp"]
    assert deleting["metadata"]["generation"] == 2

    await kube.delete(WIDGETS, key)
    assert (await read(kube, key))["metadata"]["resourceVersion"] == deleting["metadata"]["resourceVersion"]

    await kube.patch(WIDGETS, key, {"status": {"phase": "Deleting"}}, subresource="status")
    await kube.patch(WIDGETS, key, {"metadata": {"finalizers": []}})
    assert await kube.get(WIDGETS, key) is None


async def test_no_finalizer_can_be_added_once_deletion_has_begun(kube: Kube, key: ObjectKey) -> None:
    """422: what comes too late must not resurrect the object."""
    await kube.create(WIDGETS, widget(key, metadata={"finalizers": [FINALIZER]}))
    await kube.delete(WIDGETS, key)

    with pytest.raises(Terminal) as caught:
        await kube.patch(WIDGETS, key, {"metadata": {"finalizers": [FINALIZER, "contract.test/late"]}})

    assert caught.value.reason == "Invalid"


async def test_a_list_is_of_one_namespace_and_one_label_selector(kube: Kube, key: ObjectKey) -> None:
    """Items come complete with apiVersion and kind."""
    label = {"contract.test/run": key.name}
    other = ObjectKey("kube-system", key.name)
    plain = ObjectKey("default", f"{key.name}-plain")
    await kube.create(WIDGETS, widget(key, metadata={"labels": label}))
    await kube.create(WIDGETS, widget(other, metadata={"labels": label}))
    await kube.create(WIDGETS, widget(plain))
    selector = f"contract.test/run={key.name}"

    def names(items: list[JsonObject]) -> list[str]:
        return sorted(f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in items)

    assert names(await kube.list(WIDGETS, labels=selector)) == sorted([str(key), str(other)])
    assert names(await kube.list(WIDGETS, namespace="default", labels=selector)) == [str(key)]
    assert str(plain) in names(await kube.list(SOME_VERSION_OF_WIDGETS, namespace="default"))
    found = (await kube.list(SOME_VERSION_OF_WIDGETS, labels=selector))[0]
    assert (found["apiVersion"], found["kind"]) == (WIDGETS.api_version, "Widget")


async def test_the_server_says_which_groups_it_serves(kube: Kube) -> None:
    """How Cluster API's presence is found out."""
    assert await kube.serves(GROUP)
    assert await kube.serves("")
    assert not await kube.serves("nobody.test")


async def test_built_in_types_work_the_same(kube: Kube, key: ObjectKey) -> None:
    """Secrets and Leases are what we write besides our own objects; they have no generation and no status."""
    meta = {"name": key.name, "namespace": key.namespace}
    await kube.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"value": "YQ=="}})
    await kube.patch(SECRETS, key, {"data": {"value": None, "config": "Yg=="}})
    await kube.create(
        LEASES, {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": meta, "spec": {"holderIdentity": "me"}}
    )

    assert (await read(kube, key, SECRETS))["data"] == {"config": "Yg=="}
    assert (await read(kube, key, LEASES))["spec"]["holderIdentity"] == "me"
    await kube.delete(SECRETS, key)
    assert await kube.get(SECRETS, key) is None
