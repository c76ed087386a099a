"""What the kit has to know of a provider: its kinds, how a cluster of it is generated, how long things may take. Read from YAML."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import yaml


class BadProfile(Exception):
    """The profile cannot be used; the message says what is wrong with it."""


@dataclass(frozen=True)
class GroupKind:
    """Written `Kind.group`, as kubectl does; a kind of the core group without a dot."""

    kind: str
    group: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        kind, _, group = text.partition(".")
        return cls(kind, group)

    def __str__(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind


@dataclass(frozen=True)
class Seconds:
    """How long the kit waits, and how long it watches nothing happen."""

    available: float = 300.0
    """From apply, or from the end of a pause, to a Cluster that is Available."""
    reacted: float = 30.0
    """A pause is reported, a lost Secret is back."""
    healed: float = 60.0
    """Owner references and finalizers are back."""
    deleted: float = 180.0
    quiet: float = 5.0
    """For this long nothing may happen where nothing may: while paused, without a Cluster."""
    settled: float = 60.0
    """By then the last write to a cluster that is Available has to be done."""
    stable: float = 120.0
    """From then on nothing may be written for this long."""


@dataclass(frozen=True)
class Profile:
    infrastructure: GroupKind
    control_plane: GroupKind
    """Of what Cluster.spec.controlPlaneRef names; the infrastructure's own when one object is both."""
    templates: tuple[GroupKind, ...] = ()
    """Kinds that a ClusterClass may refer to."""
    generate: tuple[str, ...] = ()
    """Arguments for `clusterctl generate cluster NAME`."""
    template: Path | None = None
    """A file with variables of clusterctl, instead of a flavor of the installed provider."""
    variables: dict[str, str] = field(default_factory=dict)
    host: str = ""
    """Python module that brings up management clusters (management.Host); without it those of the command line are used."""
    host_arguments: dict[str, str] = field(default_factory=dict)
    name: str = "conformance"
    """Clusters are called this and a number."""
    namespace: str = "conformance"
    """Made if it does not exist. Nothing else may use it."""
    seconds: Seconds = Seconds()

    @property
    def one_object(self) -> bool:
        """Infrastructure and control plane are the same object."""
        return self.infrastructure == self.control_plane

    @property
    def kinds(self) -> tuple[GroupKind, ...]:
        """What a cluster is made of, each once."""
        return (self.infrastructure,) if self.one_object else (self.infrastructure, self.control_plane)

    @classmethod
    def load(cls, path: Path) -> Profile:
        """Raises BadProfile."""
        try:
            given = yaml.safe_load(path.read_text())
        except (OSError, yaml.YAMLError) as error:
            raise BadProfile(f"{path}: {error}") from error
        try:
            return cls._from(given, path.parent)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadProfile(f"{path}: {error!r}") from error

    @classmethod
    def _from(cls, given: dict[str, Any], folder: Path) -> Profile:
        if unknown := set(given) - {_key(one.name) for one in fields(cls)}:
            raise ValueError(f"no such setting: {', '.join(sorted(unknown))}")
        infrastructure = GroupKind.parse(given["infrastructure"])
        seconds = {name: float(value) for name, value in (given.get("seconds") or {}).items()}
        return cls(
            infrastructure=infrastructure,
            control_plane=GroupKind.parse(given["controlPlane"]) if "controlPlane" in given else infrastructure,
            templates=tuple(GroupKind.parse(text) for text in given.get("templates") or ()),
            generate=tuple(str(one) for one in given.get("generate") or ()),
            template=folder / given["template"] if "template" in given else None,
            variables={name: str(value) for name, value in (given.get("variables") or {}).items()},
            host_arguments={name: str(value) for name, value in (given.get("hostArguments") or {}).items()},
            seconds=Seconds(**seconds),
            **{name: str(given[name]) for name in ("host", "name", "namespace") if name in given},
        )

    def with_stable(self, seconds: float) -> Profile:
        return replace(self, seconds=replace(self.seconds, stable=seconds))


def _key(name: str) -> str:
    """`control_plane` is `controlPlane` in YAML."""
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
