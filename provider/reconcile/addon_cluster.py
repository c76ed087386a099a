"""Reading what a cluster has of add-ons: inventories, and the objects with the label of an add-on. Effects: reads only.

Objects are listed by kind, with the label: a handful of requests, however many objects there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from provider.api import names
from provider.api.manifests import Reference
from provider.api.meta import JsonObject, part
from provider.ports.workload import Objects, Served
from provider.reconcile import addon_inventory
from provider.reconcile.addon_readiness import is_checked
from provider.reconcile.addon_states import Cluster
from provider.reconcile.addon_texts import Entry, Wanted


async def read_cluster(objects: Objects, wanted: Sequence[Wanted]) -> Cluster:
    """Raises ProviderError where one of the answers cannot be had: then nothing is known."""
    found = await objects.list(names.CONFIG_MAPS, names.ADDON_INVENTORY_LABEL, namespace=addon_inventory.NAMESPACE)
    inventories = {one.addon: one for one in map(addon_inventory.read, found)}
    entries = [entry for one in wanted for entry in one.entries]
    entries += [entry for one in inventories.values() for entry in one.entries]
    if not entries:
        return Cluster(inventories)
    kinds = await _kinds(objects, entries)
    lists = await asyncio.gather(*(_list(objects, served) for served in kinds.values()))
    live = {}
    for served, listed in zip(kinds.values(), lists, strict=True):
        for obj in listed:
            metadata = part(obj, "metadata")
            namespace, name = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
            live[Reference(served.resource.group, served.resource.kind, namespace, name)] = obj
    return Cluster(inventories, kinds, live)


async def _list(objects: Objects, served: Served) -> list[JsonObject]:
    resource = served.resource
    found = await objects.list(resource, names.ADDON_LABEL, metadata_only=not is_checked(resource.group, resource.kind))
    # Items of a list have neither, at least not those of metadata alone.
    return [{**obj, "apiVersion": resource.api_version, "kind": resource.kind} for obj in found]


async def _kinds(objects: Objects, entries: Iterable[Entry]) -> dict[tuple[str, str], Served]:
    """Of each kind, how it is served: in a version that an entry names, else in any. What is not served has no objects."""
    known: dict[str, Mapping[str, Served]] = {}
    found: dict[tuple[str, str], Served] = {}
    asked = dict.fromkeys((entry.reference.group, entry.reference.kind, entry.api_version) for entry in entries)
    for group, kind, api_version in asked:
        if api_version not in known:
            known[api_version] = await objects.served(api_version)
        if kind in known[api_version]:
            found.setdefault((group, kind), known[api_version][kind])
    for group, kind in dict.fromkeys((group, kind) for group, kind, _ in asked if group and (group, kind) not in found):
        for version in await objects.versions(group):
            api_version = f"{group}/{version}"
            if api_version not in known:
                known[api_version] = await objects.served(api_version)
            if kind in known[api_version]:
                found[group, kind] = known[api_version][kind]
                break
    return found
