"""spec.configFrom: kind's own config stands in for the fields that a spec leaves out. Effects: reads one ConfigMap.

It is read anew in each pass, before anything depends on the spec; from there on its fields are fields of the spec, for every rule and every
decision (docs/adr/0105-kind-configs-as-they-are.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from provider.api import kindfile, names
from provider.api.checking import violations
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, part
from provider.api.v1alpha1.common import ConfigFrom
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.backoff import UNKNOWN_RETRY
from provider.ports.kube import Kube
from provider.reconcile.identity import cluster_name_of
from provider.reconcile.plan import Blocked
from provider.reconcile.scope import Scope

FIELD = "spec.configFrom"
LONGEST = 65536
"""Characters of a config, in a ConfigMap as well: more would be read in every pass."""
SHOWN = 5
"""Complaints in one message."""


async def with_config(scope: Scope, kube: Kube) -> Scope:
    """With the fields of that config in `spec`; or as it was, and `unresolved` says why."""
    wanted = scope.spec.config_from
    if wanted is None:
        return scope
    text = await _text(wanted, scope.key.namespace, kube)
    spec: JsonObject = scope.obj.get("spec") or {}
    found = text if isinstance(text, Blocked) else resolve(spec, text, cluster_name_of(scope.obj))
    if isinstance(found, Blocked):
        return replace(scope, unresolved=found)
    return replace(scope, spec=KINDClusterSpec.model_validate({**spec, **found}), filled=found)


async def _text(wanted: ConfigFrom, namespace: str, kube: Kube) -> str | Blocked:
    reference = wanted.config_map_key_ref
    if reference is None:
        return wanted.inline or ""
    obj = await kube.get(names.CONFIG_MAPS, ObjectKey(namespace, reference.name))
    place = f"{FIELD}.configMapKeyRef: ConfigMap {namespace}/{reference.name}"
    if obj is None:
        return Blocked(Reason.CONFIG_NOT_FOUND, f"{place} does not exist: create it, or correct the name.", UNKNOWN_RETRY)
    text = part(obj, "data").get(reference.key)
    if not isinstance(text, str):
        return Blocked(Reason.CONFIG_NOT_FOUND, f"{place} has no key {reference.key}: add it, or correct the key.", UNKNOWN_RETRY)
    if len(text) > LONGEST:
        message = f"{place}, key {reference.key}: {len(text)} characters, and at most {LONGEST} are read: shorten it."
        return Blocked(Reason.CONFIG_INVALID, message, UNKNOWN_RETRY)
    return text


def resolve(spec: Mapping[str, Any], text: str, cluster_name: str) -> JsonObject | Blocked:
    """The fields of a spec that a config gives, each merged with what the spec has of it. Pure.

    A field that is absent in the spec is taken from the config; one that both give has to be the same. Fields of objects and entries of
    maps are compared one by one, lists as a whole.
    """
    documents = _read(text)
    if len(documents) != 1:
        return _invalid([f"it has {len(documents)} configs of kind: exactly one is taken"])
    (document,) = documents
    if document.complaints:
        return _invalid([f"line {complaint.line}: {complaint}" for complaint in document.complaints])
    conflicts = [
        f"spec.{path} and {path} of {FIELD} (line {document.line(path)}) are different: remove one of the two."
        for path in _conflicts(spec, document.fields)
    ]
    if document.name and document.name != cluster_name:
        conflicts.append(f'name of {FIELD} is "{document.name}", and the cluster is called "{cluster_name}": remove it there.')
    if conflicts:
        return Blocked(Reason.CONFIG_CONFLICT, " ".join(conflicts[:SHOWN]), UNKNOWN_RETRY)
    filled = {name: _merged(spec.get(name), value) for name, value in document.fields.items()}
    if found := violations({**spec, **filled}, cluster_name):
        return _invalid([f"line {document.line(one.path)}: {one}" for one in found])
    return filled


_read = lru_cache(maxsize=16)(kindfile.read)
"""Passes are many, and edits few. What it returns is never changed. Few, because one may have megabytes."""


def _invalid(complaints: Sequence[str]) -> Blocked:
    shown = "; ".join(complaints[:SHOWN]) + ("; …" if len(complaints) > SHOWN else "")
    return Blocked(Reason.CONFIG_INVALID, f"{FIELD}: {shown}.", UNKNOWN_RETRY)


def _conflicts(given: Mapping[str, Any], fields: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name, value in fields.items():
        own = given.get(name)
        if own is None or own == value or (path == "" and own == []):
            continue
        if isinstance(own, dict) and isinstance(value, dict):
            yield from _conflicts(own, value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def _merged(own: Any, value: Any) -> Any:
    """Of what does not contradict each other."""
    return {**own, **value} if isinstance(own, dict) and isinstance(value, dict) else value
