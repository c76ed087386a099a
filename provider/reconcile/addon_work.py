"""Applying add-ons to a cluster, and removing them from it: the work of a task. Effects: writes objects of the cluster, never others'.

Each step can be the last one that a manager gets to: the inventory is written before an object is made, and written without it after it is
gone. Everything is looked at anew when it begins, so a task that is started once too often does nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from provider.api import manifests, names
from provider.api.conditions import Reason
from provider.api.manifests import Manifest, Reference
from provider.api.meta import JsonObject, ObjectKey, part
from provider.errors import Conflict, NotOurs, ProviderError, Terminal, Transient
from provider.ports.runtime import Progress, Step, StepState
from provider.ports.workload import Objects, Served
from provider.reconcile import addon_inventory
from provider.reconcile.addon_cluster import read_cluster
from provider.reconcile.addon_states import (
    NEEDED_BY_OTHERS,
    AddonPhase,
    AddonState,
    Cluster,
    assess,
    label_of,
    leftovers,
    may_take,
    passed,
)
from provider.reconcile.addon_texts import Entry, Wanted

DEADLINE = 300.0
"""Seconds for one task; what is left is done by the next one."""
SECRET = ("", "Secret")
OF_ADDONS = frozenset({Reason.ADDON_CONFLICT, Reason.ADDON_REFUSED, Reason.ADDON_FAILED, Reason.WAITING_FOR_ADDONS})
MAY_PASS = frozenset({Reason.NAMESPACE_TERMINATING})


class AddonWork:
    def __init__(self, objects: Objects, wanted: Sequence[Wanted], failed: Collection[str] = ()) -> None:
        """`failed`: add-ons that are left alone, because what they failed with is not tried again yet."""
        self._objects, self._wanted, self._failed = objects, wanted, failed
        self._served: dict[str, Mapping[str, Served]] = {}
        self.at = ""
        """The add-on that is, or was last, worked on."""

    @property
    def digest(self) -> str:
        """Of the text of that add-on; empty: it is not on the list."""
        return next((one.digest for one in self._wanted if one.name == self.at), "")

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        return texts_of(self._wanted)

    async def run(self, progress: Progress) -> None:
        """What can be done now: ends when all is ready, or when the next step has to wait. Raises ProviderError."""
        try:
            async with asyncio.timeout(DEADLINE):
                await self._run(progress)
        except ProviderError as error:
            if error.reason in OF_ADDONS:
                raise
            raise _failed(error, f"Add-on {self.at}: {error.message}" if self.at else error.message) from error
        except TimeoutError as error:
            raise Transient(Reason.ADDON_FAILED, f"Add-on {self.at}: not done within {DEADLINE:.0f} s; it goes on.") from error

    async def _run(self, progress: Progress) -> None:
        cluster = await read_cluster(self._objects, self._wanted)
        listed = len(self._wanted)
        for state in assess(self._wanted, cluster)[listed:]:
            if state.act and state.name not in self._failed:
                self.at = state.name
                step = f"Removing add-on {state.name}"
                progress(Step(step, StepState.STARTED))
                await self._remove(state.name, cluster)
                progress(Step(step, StepState.SUCCEEDED))
        for index, one in enumerate(self._wanted):
            state = assess(self._wanted, cluster)[index]
            if one.name in self._failed:
                return
            if state.act:
                self.at = one.name
                cluster = await self._bring(one, state, cluster, progress)
                state = assess(self._wanted, cluster)[index]
            if state.phase is not AddonPhase.READY:
                return

    async def _bring(self, one: Wanted, state: AddonState, cluster: Cluster, progress: Progress) -> Cluster:
        """The cluster as it is afterwards."""
        step = f"Applying add-on {one.name}"
        progress(Step(step, StepState.STARTED))
        if state.phase is AddonPhase.APPLYING:
            await self._apply(one, cluster)
            cluster = await read_cluster(self._objects, self._wanted)
        await self._prune(one.name, one.entries, one.digest, cluster)
        progress(Step(step, StepState.SUCCEEDED))
        return await read_cluster(self._objects, self._wanted)

    # --- applying --------------------------------------------------------------------------------------------------------------

    async def _apply(self, one: Wanted, cluster: Cluster) -> None:
        over = passed(one, cluster)
        texts = [each for each in await asyncio.to_thread(manifests.read, one.text) if cluster.full(each.reference) not in over]
        former = cluster.inventories.get(one.name)
        entries = (*(former.entries if former is not None else ()), *one.entries)
        await self._write_inventory(one.name, entries, "", cluster)
        for manifest in sorted(texts, key=lambda found: found.reference[:2] not in NEEDED_BY_OTHERS):
            try:
                await self._apply_one(one, manifest, cluster)
            except ProviderError as error:
                raise _told(error, one.name, manifest) from error
        await self._record(one.name, entries, one.digest)

    async def _apply_one(self, one: Wanted, manifest: Manifest, cluster: Cluster) -> None:
        served, reference = await self._serving(one, manifest), manifest.reference
        key = served.key(reference.namespace, reference.name)
        full = reference._replace(namespace=key.namespace)
        found = cluster.live.get(full) or await self._objects.get(served.resource, key)
        if found is not None and not may_take(one.name, full, label_of(found), self._wanted, cluster):
            holder = label_of(found)
            whose = f"belongs to the add-on {holder}" if holder else "exists, and was not made by the add-on"
            raise NotOurs(Reason.ADDON_CONFLICT, f"{whose}: it is left alone. Remove it from the manifests, or from the cluster.")
        await self._objects.apply(served.resource, key, _marked(manifest.obj, one.name, key, found))

    async def _serving(self, one: Wanted, manifest: Manifest) -> Served:
        kind, api_version = manifest.reference.kind, manifest.api_version
        if kind not in self._served.get(api_version, {}):
            self._served[api_version] = await self._objects.served(api_version)
        if (served := self._served[api_version].get(kind)) is not None:
            return served
        if one.content is not None and (api_version, kind) in one.content.defines:
            raise Transient(Reason.WAITING_FOR_ADDONS, "its kind is being established.")
        message = f"the cluster serves no kind {kind} in {api_version}: correct it, or put its CRD first. Tried again meanwhile."
        raise Transient(Reason.ADDON_FAILED, message)

    # --- the inventory ---------------------------------------------------------------------------------------------------------

    async def _write_inventory(self, name: str, entries: Sequence[Entry], applied: str, cluster: Cluster) -> None:
        """Of an add-on that may have none yet. Raises NotOurs where somebody else has a ConfigMap of that name."""
        if name not in cluster.inventories:
            key = addon_inventory.key_of_inventory(name)
            found = await self._objects.get(names.CONFIG_MAPS, key)
            if found is not None and names.ADDON_INVENTORY_LABEL not in part(found, "metadata", "labels"):
                message = (
                    f"Add-on {name}: ConfigMap {key} in the cluster is not the add-on's: delete it there, or rename the add-on."
                )
                raise NotOurs(Reason.ADDON_CONFLICT, message)
        await self._record(name, entries, applied)

    async def _record(self, name: str, entries: Sequence[Entry], applied: str) -> None:
        obj = addon_inventory.write(name, dict.fromkeys(entries), applied)
        await self._objects.apply(names.CONFIG_MAPS, addon_inventory.key_of_inventory(name), obj)

    # --- removing --------------------------------------------------------------------------------------------------------------

    async def _prune(self, name: str, entries: Sequence[Entry], applied: str, cluster: Cluster) -> None:
        """Delete what an add-on of the list no longer has, and take off its inventory what is gone."""
        former = cluster.inventories[name]
        left = await self._delete(name, cluster)
        if set(left) | set(entries) != set(former.entries):
            await self._record(name, (*entries, *left), applied)

    async def _remove(self, name: str, cluster: Cluster) -> None:
        """The whole add-on; its inventory goes last."""
        inventory = cluster.inventories[name]
        if left := await self._delete(name, cluster):
            if set(left) != set(inventory.entries):
                await self._record(name, left, "")
        else:
            await self._objects.delete(names.CONFIG_MAPS, addon_inventory.key_of_inventory(name), uid=inventory.uid)

    async def _delete(self, name: str, cluster: Cluster) -> list[Entry]:
        """What of the leftovers is still there afterwards. Only what carries the add-on's label, by its uid."""
        inventory = cluster.inventories[name]
        left = leftovers(name, inventory, self._wanted, cluster)
        deleted: set[Reference] = set()
        for reference, _ in left.delete:
            served = cluster.kinds[reference.group, reference.kind]
            key, uid = ObjectKey(reference.namespace, reference.name), str(part(cluster.live[reference], "metadata").get("uid"))
            try:
                await self._objects.delete(served.resource, key, uid=uid)
                found = await self._objects.get(served.resource, key)
            except ProviderError as error:
                raise _failed(error, f"Add-on {name}: {reference} cannot be deleted: {error.message}") from error
            if found is None or part(found, "metadata").get("uid") != uid:
                deleted.add(reference)
        kept = {*(reference for reference, _ in left.delete), *left.going, *left.given, *left.kept} - deleted
        return [entry for reference, entry in cluster.of(inventory.entries).items() if reference in kept]


def texts_of(wanted: Sequence[Wanted]) -> tuple[tuple[str, str], ...]:
    """(name, digest) of each: what tells whether work is for the same texts. One that cannot be read has no digest, whatever the reason."""
    return tuple((one.name, one.digest) for one in wanted)


def _marked(obj: JsonObject, addon: str, key: ObjectKey, found: JsonObject | None) -> JsonObject:
    """As it is applied: with our label, and only to the object that was looked at."""
    metadata = {name: value for name, value in obj["metadata"].items() if name != "namespace"}
    metadata["labels"] = {**(metadata.get("labels") or {}), names.ADDON_LABEL: addon}
    if key.namespace:
        metadata["namespace"] = key.namespace
    if found is not None:
        metadata["uid"] = part(found, "metadata").get("uid")
    return {**obj, "metadata": metadata}


def _told(error: ProviderError, addon: str, manifest: Manifest) -> ProviderError:
    """The same with the place in the text. What a server says of a Secret may quote it."""
    refused = manifest.reference[:2] == SECRET and isinstance(error, Terminal)
    said = "the API server refuses it." if refused else error.message
    if said.startswith(f"{manifest.reference.kind} "):  # an error of the cluster's API begins with the object
        said = said.partition(": ")[2]
    return _failed(error, f"Add-on {addon}, document {manifest.document}: {manifest.reference}: {said}")


def _failed(error: ProviderError, message: str) -> ProviderError:
    match error:
        case NotOurs():
            return NotOurs(error.reason, message)
        case Terminal() if error.reason not in MAY_PASS:
            return Terminal(Reason.ADDON_REFUSED, message)
        case Conflict():
            return Transient(Reason.ADDON_FAILED, message, retry_after=1.0)
        case Transient() if error.reason is Reason.WAITING_FOR_ADDONS:
            return Transient(error.reason, message)
        case _:
            return Transient(Reason.ADDON_FAILED, message)
