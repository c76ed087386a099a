"""The manifests of spec.addons: text from the spec or a ConfigMap → which objects each add-on has. Effects: reads ConfigMaps.

Read anew in each pass, like spec.configFrom: nothing tells of a change of a ConfigMap. What was parsed is remembered by the text's
digest, and parsing happens in a thread: a text may take seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from provider.api import manifests, names
from provider.api.conditions import Reason
from provider.api.manifests import Manifest, ManifestError, Reference
from provider.api.meta import ObjectKey, part
from provider.api.v1alpha1.common import AddOn
from provider.backoff import UNKNOWN_RETRY
from provider.errors import Terminal
from provider.ports.kube import Kube
from provider.reconcile.plan import Blocked
from provider.reconcile.scope import Scope

LONGEST = 1 << 20
"""Characters of a text: what a ConfigMap can hold."""
REMEMBERED = 256
"""Texts whose objects are remembered."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a text has, without the objects themselves, which may be large."""

    digest: str
    entries: tuple[Entry, ...]
    defines: frozenset[tuple[str, str]] = frozenset()
    """(apiVersion, kind) that its CustomResourceDefinitions will have served."""
    passing: tuple[Reference, ...] = ()
    """Its Jobs that Kubernetes removes when they have ended."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object, and the version of the API it was written for."""

    reference: Reference
    version: str

    @property
    def api_version(self) -> str:
        return f"{self.reference.group}/{self.version}" if self.reference.group else self.version


@dataclass(frozen=True, slots=True)
class Wanted:
    """An add-on of the list."""

    name: str
    text: str = field(default="", repr=False)
    content: Content | None = None
    blocked: Blocked | None = None
    """Why there is no content."""

    @property
    def digest(self) -> str:
        return self.content.digest if self.content is not None else ""

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self.content.entries if self.content is not None else ()


class Texts:
    """One per manager."""

    def __init__(self) -> None:
        self._read: OrderedDict[bytes, Content | str] = OrderedDict()

    async def resolve(self, scope: Scope, kube: Kube) -> tuple[Wanted, ...]:
        """In the order of the list."""
        return tuple([await self._one(addon, scope.key.namespace, kube) for addon in scope.spec.addons or ()])

    async def _one(self, addon: AddOn, namespace: str, kube: Kube) -> Wanted:
        text = await _text(addon, namespace, kube)
        if isinstance(text, Blocked):
            return Wanted(addon.name, blocked=text)
        found = await self._content(text)
        if isinstance(found, str):
            return Wanted(addon.name, blocked=Blocked(Reason.ADDON_INVALID, f"Add-on {addon.name}: {found}.", UNKNOWN_RETRY))
        return Wanted(addon.name, text, found)

    async def _content(self, text: str) -> Content | str:
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        if key not in self._read:
            self._read[key] = await asyncio.to_thread(_content, text)
            if len(self._read) > REMEMBERED:
                self._read.popitem(last=False)
        return self._read[key]


async def _text(addon: AddOn, namespace: str, kube: Kube) -> str | Blocked:
    reference = addon.config_map_key_ref
    if reference is None:
        return addon.manifests or ""
    place = f"Add-on {addon.name}: ConfigMap {namespace}/{reference.name}"
    try:
        obj = await kube.get(names.CONFIG_MAPS, ObjectKey(namespace, reference.name))
    except Terminal as error:  # the cluster itself is to be looked after all the same
        return Blocked(error.reason, f"{place} cannot be read: {error.message}", UNKNOWN_RETRY)
    if obj is None:
        return Blocked(Reason.ADDON_NOT_FOUND, f"{place} does not exist: create it, or correct the name.", UNKNOWN_RETRY)
    text = part(obj, "data").get(reference.key)
    if not isinstance(text, str):
        return Blocked(Reason.ADDON_NOT_FOUND, f"{place} has no key {reference.key}: add it, or correct the key.", UNKNOWN_RETRY)
    if len(text) > LONGEST:
        message = f"{place}, key {reference.key}: {len(text)} characters, and at most {LONGEST} are read: split it."
        return Blocked(Reason.ADDON_INVALID, message, UNKNOWN_RETRY)
    return text


def _content(text: str) -> Content | str:
    """Or what is wrong with it."""
    try:
        found = manifests.read(text)
    except ManifestError as error:
        return str(error)
    entries = tuple(Entry(one.reference, one.api_version.rpartition("/")[2]) for one in found)
    return Content(manifests.digest(found), entries, frozenset(_defined(found)), tuple(_passing(found)))


def _defined(found: Sequence[Manifest]) -> Iterator[tuple[str, str]]:
    for one in found:
        if one.reference[:2] == (CRDS.group, CRDS.kind):
            spec = part(one.obj, "spec")
            versions = spec.get("versions")
            for version in versions if isinstance(versions, list) else ():
                if isinstance(version, dict) and version.get("served") is True:
                    yield f"{spec.get('group')}/{version.get('name')}", str(part(spec, "names").get("kind"))


def _passing(found: Sequence[Manifest]) -> Iterator[Reference]:
    for one in found:
        if one.reference[:2] == JOB and part(one.obj, "spec").get("ttlSecondsAfterFinished") is not None:
            yield one.reference


JOB = ("batch", "Job")
CRDS = names.CUSTOM_RESOURCE_DEFINITIONS
