"""The command `convert`: kind's own config files → KINDClusters, on standard output.

    python -m provider convert [--name NAME] [--namespace NAMESPACE] FILE...

Needs no cluster, no engine and no kind. What people have to know besides is said on standard error: what could not be carried over, and
what was written in another way. Nothing is printed where anything is refused.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import yaml

from provider.api import kindfile
from provider.api.checking import violations
from provider.api.meta import JsonObject
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS

UNREADABLE, REFUSED = 1, 2
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of one text."""

    objects: Sequence[JsonObject]
    """KINDClusters; those of refused documents are among them."""
    refusals: Sequence[str]
    """"LINE: FIELD: what must be"; empty: the objects are what an API server takes."""
    notes: Sequence[str]
    """What the objects do not say, or say in another way than the text."""


def main(arguments: Sequence[str], stdin: TextIO = sys.stdin, stdout: TextIO = sys.stdout, stderr: TextIO = sys.stderr) -> int:
    """Exit codes: 0 converted, 1 a file cannot be read, 2 a config is refused (or wrong usage, as SystemExit)."""
    chosen = parser().parse_args(arguments)
    objects: list[JsonObject] = []
    refused = False
    for name in chosen.files:
        try:
            text = stdin.read() if name == STDIN else Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            stderr.write(f"{name}: cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}\n")
            return UNREADABLE
        found = convert(text, folder=Path.cwd(), name=chosen.name, namespace=chosen.namespace)
        stderr.writelines(f"{_shown(name)}:{refusal}\n" for refusal in found.refusals)
        stderr.writelines(f"{_shown(name)}: {note}\n" for note in found.notes)
        refused = refused or bool(found.refusals)
        objects += found.objects
    for twice in _twice(objects):
        stderr.write(f"two configs have the name {twice}: give them names of their own (field name)\n")
        refused = True
    if refused:
        return REFUSED
    yaml.dump_all(objects, stdout, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return 0


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m provider convert",
        description="Print the KINDClusters of kind's own config files (kind.x-k8s.io/v1alpha4), one for each document.",
        epilog="Exit codes: 0 converted, 1 a file cannot be read, 2 a config is refused: field and cure are on standard error.",
        allow_abbrev=False,
    )
    result.add_argument("files", nargs="+", metavar="FILE", help='A config file, or "-" for standard input.')
    result.add_argument("--name", default="", help="Name of the object instead of the config's, as kind's own --name.")
    result.add_argument("--namespace", default="", help="Namespace of the object. Default: none is written.")
    return result


def convert(text: str, *, folder: Path, name: str = "", namespace: str = "") -> Converted:
    """`folder`: where relative paths begin, as kind starts them from the folder it is started in."""
    objects: list[JsonObject] = []
    refusals: list[str] = []
    notes: list[str] = []
    documents = kindfile.read(text)
    if not documents:
        refusals.append(f"1: there is no config: it begins with kind: {kindfile.KIND} and apiVersion: {kindfile.API_VERSION}")
    for document in documents:
        called = name or document.name or kindfile.DEFAULT_NAME
        notes += [f"{path}: made absolute, as kind does: {whole}" for path, whole in _make_absolute(document.fields, folder)]
        refusals += [f"{complaint.line}: {complaint}" for complaint in document.complaints]
        if not document.complaints:
            found = violations({**document.fields, "clusterName": called}, called)
            refusals += [f"{document.line(_of_kind(one.path))}: {_of_kind(one.path)}: {one.message}" for one in found]
        objects.append(_object(document.fields, called, namespace))
    if not refusals and (lines := kindfile.comments(text)):
        notes.append(f"comments are not carried over: line {', '.join(map(str, lines))}")
    return Converted(objects, refusals, notes)


def _object(fields: JsonObject, name: str, namespace: str) -> JsonObject:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": KINDCLUSTERS.api_version, "kind": KINDCLUSTERS.kind, "metadata": metadata, "spec": fields}


def _of_kind(path: str) -> str:
    """The field in kind's document that a field of the object was made from."""
    return "name" if path in ("", "clusterName", "metadata.name") else path


def _make_absolute(fields: JsonObject, folder: Path) -> Iterator[tuple[str, str]]:
    """(path of the field, the path it is now) of each relative hostPath; changes `fields`."""
    for index, node in enumerate(fields.get("nodes") or []):
        for number, mount in enumerate(node.get("extraMounts") or []):
            host = mount.get("hostPath")
            if host and not host.startswith("/"):
                mount["hostPath"] = os.path.normpath(folder / host)
                yield f"nodes[{index}].extraMounts[{number}].hostPath", mount["hostPath"]


def _twice(objects: Sequence[JsonObject]) -> list[str]:
    names = [obj["metadata"]["name"] for obj in objects]
    return sorted({name for name in names if names.count(name) > 1})


def _shown(name: str) -> str:
    return "<stdin>" if name == STDIN else name


class _Dumper(yaml.SafeDumper):
    """Patches stay readable: text of several lines is written as lines."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


UNUSUAL_BREAKS = re.compile("[\x85\u2028\u2029]")
"""Line breaks of YAML that are lost unless they are escaped, which PyYAML does in double quotes only."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = '"' if UNUSUAL_BREAKS.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
