"""Reading kind's own config files (`kind.x-k8s.io/v1alpha4`): text → the fields of a spec, as strictly as kind reads them. Pure.

Which fields there are, under which names and of which types, comes from the models (provider.api.markers). A value is taken as Go's decoder
takes it (go.yaml.in/yaml/v3 with KnownFields): what is written as a number or a boolean where kind has text is text here as well, and an
empty text is an absent one. What the fields must be beyond that is provider.api.checking's to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

import yaml

from provider.api.markers import MarkedField, marked_fields
from provider.api.meta import JsonObject
from provider.api.v1alpha1.kindcluster import KINDClusterSpec

API_VERSION, KIND = "kind.x-k8s.io/v1alpha4", "Cluster"
HEAD = ("apiVersion", "kind")
DEFAULT_NAME = "kind"
"""What kind calls a cluster whose config has no name."""
MOST_VALUES, MOST_CHARACTERS = 100_000, 1_500_000
"""Of one text, repeated ones counted each time: an alias costs nothing to write, and may stand for any number of values, and for more
text than the API server stores in one object."""
TRUE = frozenset({"true", "True", "TRUE"})
FALSE = frozenset({"false", "False", "FALSE"})
OLD_TRUE = frozenset({"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"})
OLD_FALSE = frozenset({"n", "N", "no", "No", "NO", "off", "Off", "OFF"})
"""Words of YAML 1.1, which Go's decoder takes where a boolean is wanted, also in quotes."""
INTEGER = re.compile(r"([-+]?)(?:0b([01]{1,64})|0o?([0-7]{1,22})|0x([0-9a-fA-F]{1,16})|(0|[1-9][0-9]{0,18}))(?:\.0+)?", re.ASCII)
BASES = (2, 8, 16, 10)
MERGE = "tag:yaml.org,2002:merge"
NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why kind would not read a document."""

    path: str
    """Of the field, as "nodes[0].extraMounts[1].readOnly"; empty: the document as a whole."""
    line: int
    """In the text, from 1."""
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file."""

    fields: JsonObject
    """What of a spec it gives, `clusterName` excepted."""
    name: str
    """Empty: it has none."""
    complaints: tuple[Complaint, ...]
    """Empty: kind can read it."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Path of each value → its line."""

    def line(self, path: str) -> int:
        """Of this field, or of the nearest one around it that stands in the text."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)


def read(text: str) -> list[Document]:
    """The documents of a text that are not empty. Never raises: what cannot be read is a document with a complaint, the last one then."""
    found: list[Document] = []
    try:
        budget = _Budget()
        # Extended one by one: the documents before one that is not YAML are kept.
        found.extend(
            _Reader(budget).document(node) for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if not _is_null(node)
        )
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        found.append(Document({}, "", (Complaint("", line, f"this is not YAML: {error.problem or error.context}"),)))
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:  # of numbers in escapes and directives, too
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        found.append(Document({}, "", (Complaint("", 1, f"this is not YAML: {why}"),)))
    return found


def comments(text: str) -> list[int]:
    """Lines with a comment. Raises yaml.YAMLError for what is not YAML."""
    found, end = set[int](), 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        found |= set(_comments_between(text, end, token.start_mark.index))
        end = max(end, token.end_mark.index)
    return sorted(found | set(_comments_between(text, end, len(text))))


def _comments_between(text: str, start: int, end: int) -> Iterator[int]:
    for match in re.finditer(r"(?:^|(?<=\s))#", text[start:end], re.MULTILINE):
        yield text.count("\n", 0, start + match.start()) + 1


def _is_null(node: yaml.Node | None) -> bool:
    return node is None or (isinstance(node, yaml.ScalarNode) and node.tag == NULL)


class _Unreadable(Exception):
    pass


class _Budget:
    """What a text may still stand for."""

    def __init__(self) -> None:
        self._values, self._characters = MOST_VALUES, MOST_CHARACTERS

    def spend(self, node: yaml.Node) -> bool:
        """Whether it was enough."""
        self._values -= 1
        self._characters -= len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        return self._values >= 0 and self._characters >= 0


class _Reader:
    """Reads one document, and keeps what is wrong with it."""

    def __init__(self, budget: _Budget) -> None:
        self.complaints: list[Complaint] = []
        self.lines: dict[str, int] = {}
        self._budget = budget

    def document(self, node: yaml.Node) -> Document:
        try:
            fields = self._document(node)
        except _Unreadable:
            fields = {}
        name = str(fields.pop("name", ""))
        return Document(fields, name, tuple(self.complaints), self.lines)

    def _document(self, node: yaml.Node) -> JsonObject:
        self.lines[""] = node.start_mark.line + 1
        pairs = dict(self._pairs(node, ""))
        head = {name: self._text(pairs.pop(name), name) if name in pairs else "" for name in HEAD}
        if head["apiVersion"] != API_VERSION:
            self._complain("apiVersion", node, f'is "{head["apiVersion"]}", and kind reads {API_VERSION}: write that')
            raise _Unreadable
        if head["kind"] != KIND:
            self._complain("kind", node, f'is "{head["kind"]}": write {KIND}')
            raise _Unreadable
        known = {str(one.kind_name): one for one in marked_fields(KINDClusterSpec) if one.kind_name is not None}
        return self._fields(pairs, known, "")

    # --- objects ---------------------------------------------------------------------------------------------------------------

    def _fields(self, pairs: Mapping[str, yaml.Node], known: Mapping[str, MarkedField], path: str) -> JsonObject:
        found: JsonObject = {}
        for name, node in pairs.items():
            place = f"{path}.{name}".removeprefix(".")
            self.lines[place] = node.start_mark.line + 1
            if name not in known:
                self._complain(place, node, f"unknown field; kind knows {', '.join(sorted(known))} here")
            elif not _is_null(node) and (value := self._value(node, known[name], place)) is not None:
                found[name] = value
        return found

    def _value(self, node: yaml.Node, marked: MarkedField, path: str) -> Any:
        """None: it says nothing, as an absent field."""
        if not marked.fields:
            value = self._plain(node, marked.info.annotation, path)
            return None if value == "" and not marked.info.is_required() else value
        known = {one.name: one for one in marked.fields}
        if not marked.is_list:
            return self._fields(dict(self._pairs(node, path)), known, path)
        places = []
        for index, entry in enumerate(self._entries(node, path)):
            self._count(entry)
            places.append((entry, f"{path}[{index}]"))
        self.lines |= {place: entry.start_mark.line + 1 for entry, place in places}
        return [{} if _is_null(entry) else self._fields(dict(self._pairs(entry, place)), known, place) for entry, place in places]

    def _pairs(self, node: yaml.Node, path: str) -> Iterator[tuple[str, yaml.Node]]:
        """The entries of a mapping; an own one wins over one that is merged in (`<<`)."""
        if not isinstance(node, yaml.MappingNode):
            self._complain(path, node, "must be a mapping: fields with their values")
            return
        own: dict[str, yaml.Node] = {}
        merged: dict[str, yaml.Node] = {}
        for key, value in node.value:
            self._count(key)
            if key.tag == MERGE:
                for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    self._count(part)
                    for name, entry in self._pairs(part, path):
                        merged.setdefault(name, entry)
                continue
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name in own:
                self._complain(f"{path}.{name}".removeprefix("."), key, "stands here twice: remove one of the two")
            own[name] = value
        yield from {**merged, **own}.items()

    def _entries(self, node: yaml.Node, path: str) -> Sequence[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self._complain(path, node, 'must be a list: each entry begins with "- "')
        return []

    # --- plain values ----------------------------------------------------------------------------------------------------------

    def _plain(self, node: yaml.Node, annotation: Any, path: str) -> Any:
        kind, inner = _kind(annotation)
        self._count(node)
        if kind is list:
            return [self._plain(entry, inner, f"{path}[{index}]") for index, entry in enumerate(self._entries(node, path))]
        if kind is dict:
            return {key: self._plain(value, inner, f"{path}.{key}") for key, value in self._pairs(node, path)}
        if kind is bool:
            return self._boolean(node, path)
        return self._integer(node, path) if kind is int else self._text(node, path)

    def _text(self, node: yaml.Node, path: str) -> str:
        if isinstance(node, yaml.ScalarNode):
            return "" if _is_null(node) else str(node.value)
        self._complain(path, node, 'must be text: write "|" before it, and the text indented below')
        return ""

    def _boolean(self, node: yaml.Node, path: str) -> bool:
        if isinstance(node, yaml.ScalarNode):
            if (node.style is None and node.value in FALSE) or node.value in OLD_FALSE or _is_null(node):
                return False
            if (node.style is None and node.value in TRUE) or node.value in OLD_TRUE:
                return True
        self._complain(path, node, "must be true or false, without quotes")
        return False

    def _integer(self, node: yaml.Node, path: str) -> int:
        if isinstance(node, yaml.ScalarNode) and node.style is None:
            if _is_null(node):
                return 0
            if match := INTEGER.fullmatch(node.value.replace("_", "")):
                sign, *digits = match.groups()
                number = next(int(text, base) for text, base in zip(digits, BASES, strict=True) if text is not None)
                return -number if sign == "-" else number
        self._complain(path, node, "must be a whole number, without quotes")
        return 0

    def _count(self, node: yaml.Node) -> None:
        if not self._budget.spend(node):
            most = f"{MOST_VALUES} values or {MOST_CHARACTERS} characters"
            self._complain("", node, f"more than {most}: aliases stand for too much")
            raise _Unreadable

    def _complain(self, path: str, node: yaml.Node, message: str) -> None:
        self.complaints.append(Complaint(path, node.start_mark.line + 1, message))


def _kind(annotation: Any) -> tuple[type, Any]:
    """(list, dict, bool, int or str; the type of what a list or a map holds) of a field's annotation."""
    origin, parts = get_origin(annotation), [part for part in get_args(annotation) if part is not type(None)]
    if origin in (list, dict):
        return origin, parts[-1]
    if isinstance(annotation, type) and annotation in (bool, int, str):
        return annotation, None
    if not parts or isinstance(parts[0], str):
        return str, None  # of a Literal
    return _kind(parts[0])
