"""Reading manifests as users write them: YAML text of any origin → the Kubernetes objects in it. Pure.

The text is not trusted. Its events are counted before a value is made of them: an alias costs nothing to write and may stand for any number
of values, and nesting without end would end the process. What YAML 1.1 reads as a time or a number of base 60 stays text, as for kubectl.
No message quotes the text: it may hold Secrets. Whether an API server takes the objects is for it to say.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from provider.api.meta import JsonObject, part

MOST_OBJECTS = 500
"""Of one text. A LIST with all of one kind, and the inventory of all, stay small with it."""
MOST_VALUES, MOST_CHARACTERS, DEEPEST = 100_000, 4_000_000, 100
"""Of one text, with what aliases stand for counted each time; levels of nesting. CRDs have some thirty levels."""
SERVER_OWNED = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")
"""Fields of metadata that an export has and an API server gives."""
API_VERSION = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?v[a-z0-9]{1,62}", re.ASCII)
KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}", re.ASCII)
NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
LONGEST_NAME = 253
PROBLEM = 120
"""Characters of what the parser says."""


class ManifestError(ValueError):
    """What is wrong with a text, for the person who wrote it: the document, and what to do."""


class Reference(NamedTuple):
    """Which object: version and scope of its kind do not make it another one."""

    group: str
    kind: str
    namespace: str
    """As it is written; an API server takes none for `default`, unless the kind has no namespaces."""
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {f'{self.namespace}/' if self.namespace else ''}{self.name}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object of a text."""

    document: int
    """Number of its document in the text, from 1."""
    obj: JsonObject

    @property
    def api_version(self) -> str:
        return str(self.obj["apiVersion"])

    @property
    def reference(self) -> Reference:
        metadata = self.obj["metadata"]
        group = self.api_version.rpartition("/")[0]
        return Reference(group, str(self.obj["kind"]), str(metadata.get("namespace") or ""), str(metadata["name"]))


def read(text: str) -> tuple[Manifest, ...]:
    """The objects, in the order in which they stand in the text; documents that are empty are left out. Raises ManifestError."""
    try:
        _weigh(text)
        documents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise ManifestError(f"{where}this is not YAML: {_said(error.problem or error.context)}") from None
    except (yaml.YAMLError, ValueError, LookupError, OverflowError) as error:  # of values with a tag that they do not fit
        if isinstance(error, ManifestError):
            raise
        raise ManifestError("this is not YAML: a value does not fit its tag, or a character cannot be") from None
    found = tuple(one for number, document in enumerate(documents, 1) for one in _objects(number, document))
    if len(found) > MOST_OBJECTS:
        raise ManifestError(f"it has {len(found)} objects, and at most {MOST_OBJECTS} are taken: split it into several add-ons")
    _once(found)
    return found


def digest(manifests: Sequence[Manifest]) -> str:
    """32 hexadecimal digits over the objects and their order; comments and layout do not count."""
    content = json.dumps([one.obj for one in manifests], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _said(problem: object) -> str:
    return str(problem or "it cannot be parsed").splitlines()[0][:PROBLEM]


# --- how much it is --------------------------------------------------------------------------------------------------------------


class _Size(NamedTuple):
    values: int
    characters: int

    def plus(self, other: _Size) -> _Size:
        return _Size(self.values + other.values, self.characters + other.characters)


_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _weigh(text: str) -> None:
    """Raises ManifestError for what stands for too much. Reads events only: nothing of it is built, and no call is nested in another."""
    anchors: dict[str, _Size | None] = {}
    open_: list[tuple[str | None, _Size]] = [(None, _Size(0, 0))]
    for event in yaml.parse(text, Loader=_BASE):
        if isinstance(event, yaml.DocumentStartEvent):
            anchors.clear()  # names of anchors are those of their document
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, _Size(1, 0)))
            if len(open_) > DEEPEST:
                raise ManifestError(f"{_line(event)}it is nested more than {DEEPEST} levels deep: flatten it")
            if event.anchor:
                anchors[event.anchor] = None
        elif isinstance(event, yaml.AliasEvent):
            size = anchors.get(event.anchor or "", _Size(1, 0))
            if size is None:
                raise ManifestError(f"{_line(event)}an alias stands for what it is part of: write it out")
            _add(open_, size)
        elif isinstance(event, yaml.ScalarEvent):
            _add(open_, _note(anchors, event.anchor, _Size(1, len(event.value))))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_.pop()
            _add(open_, _note(anchors, anchor, size))


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}: " if event.start_mark is not None else ""


def _note(anchors: dict[str, _Size | None], anchor: str | None, size: _Size) -> _Size:
    if anchor:
        anchors[anchor] = size
    return size


def _add(open_: list[tuple[str | None, _Size]], size: _Size) -> None:
    anchor, so_far = open_[-1]
    total = so_far.plus(size)
    if total.values > MOST_VALUES or total.characters > MOST_CHARACTERS:
        raise ManifestError(
            f"it stands for more than {MOST_VALUES} values or {MOST_CHARACTERS} characters: split it, or write aliases out"
        )
    open_[-1] = (anchor, total)


# --- what it says ----------------------------------------------------------------------------------------------------------------

_TAG = "tag:yaml.org,2002:"
_IMPLICIT = {f"{_TAG}{name}" for name in ("bool", "float", "merge", "null")}
_TAGS = {f"{_TAG}{name}" for name in ("bool", "float", "int", "map", "null", "seq", "str")}


class _Loader(_BASE):  # type: ignore[misc]
    """YAML as kubectl reads it: no times, no numbers of base 60, no key twice, and only what JSON has."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        entries: list[tuple[yaml.Node, yaml.Node]] = node.value if node.id == "mapping" else []  # a tag may say so of another
        for key, _ in entries:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is no text", key.start_mark)
            if key.value in seen and key.value != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, "a key stands here twice: remove one of the two", key.start_mark
                )
            seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return {str(key) if not isinstance(key, bool) else str(key).lower(): value for key, value in found.items()}


_Loader.yaml_constructors = {tag: make for tag, make in _BASE.yaml_constructors.items() if tag is None or tag in _TAGS}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _IMPLICIT]
    for first, resolvers in _BASE.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    f"{_TAG}int", re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18}|0x[0-9a-fA-F]{1,16}|0[0-7]{1,22})\Z"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]{1,3}\Z"), list("-+.0123456789")
)


def _objects(number: int, document: Any) -> Iterator[Manifest]:
    if document is None:
        return
    if not isinstance(document, dict):
        raise ManifestError(f"document {number} is no object: begin it with apiVersion and kind")
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ManifestError(f"document {number} has a value that JSON does not know: write it in quotes") from None
    if document.get("apiVersion") == "v1" and document.get("kind") == "List":
        items = document.get("items") or []
        if not isinstance(items, list):
            raise ManifestError(f"document {number}: items is no list: correct it")
        for item in items:
            yield _object(f"document {number}, an item of its List", number, item)
        return
    yield _object(f"document {number}", number, document)


def _object(place: str, number: int, value: Any) -> Manifest:
    obj: JsonObject = value if isinstance(value, dict) else {}
    metadata = part(obj, "metadata")
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if not isinstance(obj.get("apiVersion"), str) or not API_VERSION.fullmatch(obj["apiVersion"]):
        raise ManifestError(f"{place} has no apiVersion, or one that cannot be: write one such as v1 or apps/v1")
    if not isinstance(obj.get("kind"), str) or not KIND.fullmatch(obj["kind"]):
        raise ManifestError(f"{place} has no kind, or one that cannot be: write one such as Deployment")
    if not isinstance(name, str) or not _can_be_a_name(name):
        raise ManifestError(f"{place} ({obj['kind']}) has no metadata.name, or one that cannot be: generateName is not taken")
    if namespace is not None and (not isinstance(namespace, str) or (namespace and not NAMESPACE.fullmatch(namespace))):
        raise ManifestError(f"{place} ({obj['kind']} {name}): metadata.namespace cannot be one: correct it")
    for field in ("labels", "annotations"):
        held = metadata.get(field)
        if held is not None and (not isinstance(held, dict) or not all(isinstance(one, str) for one in held.values())):
            raise ManifestError(f"{place} ({obj['kind']} {name}): metadata.{field} is no map of texts: write values in quotes")
    return Manifest(number, {**obj, "metadata": {key: held for key, held in metadata.items() if key not in SERVER_OWNED}})


def can_be(reference: Reference, api_version: str) -> bool:
    """Whether an object can be called that: what is read back from a cluster becomes a path again."""
    namespace = not reference.namespace or NAMESPACE.fullmatch(reference.namespace)
    kinds = API_VERSION.fullmatch(api_version) and KIND.fullmatch(reference.kind)
    return bool(namespace and kinds) and _can_be_a_name(reference.name)


def _can_be_a_name(text: str) -> bool:
    """Whether it is one segment of a path: as a path, "../.." would lead to other objects."""
    return 0 < len(text) <= LONGEST_NAME and text not in (".", "..") and not set(text) & set("/%") and text.isprintable()


def _once(manifests: Sequence[Manifest]) -> None:
    seen: dict[Reference, int] = {}
    for one in manifests:
        if one.reference in seen:
            first = seen[one.reference]
            raise ManifestError(f"documents {first} and {one.document} are the same object, {one.reference}: remove one of them")
        seen[one.reference] = one.document
