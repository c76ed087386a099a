"""The policy file: its models, and what holds without one.

One file, read when the manager starts (--policy-file). Its rules are looked through in order, and the first whose namespaces match decides
alone. A field that a rule leaves out is as it is without a file; a namespace that no rule matches may ask for nothing of the kind.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from provider.policy.paths import Parts, parts_of

BELOW = "/*"
"""End of a path that stands for what is below it, and not for itself."""
PORT_RANGE = r"^[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?$"


Patched = Literal["kubeadm", "containerd"]


class PolicyError(ValueError):
    """The file cannot be used; the message names the field."""


class _Strict(BaseModel):
    """Unknown fields are mistakes here: a misspelt restriction would restrict nothing."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, extra="forbid", strict=True, hide_input_in_errors=True)


def _folder(path: str) -> str:
    return path.removesuffix("*") if path.endswith(BELOW) else path


class HostPath(_Strict):
    """A folder of the engine's host that may be mounted."""

    path: str = Field(
        description="The folder with all below it; with `/*` at its end only what is below. Absolute, without `..`."
    )
    read_only: bool = Field(False, description="Only in mounts that have `readOnly: true`.")
    bidirectional: bool = Field(
        False, description="Also with `propagation: Bidirectional`, by which mounts made in a node appear on the host."
    )

    @property
    def base(self) -> Parts:
        return parts_of(_folder(self.path)) or ()

    @property
    def only_below(self) -> bool:
        return self.path.endswith(BELOW)


def _host_path(value: Any) -> Any:
    """A bare text is a path without conditions."""
    given = {"path": value} if isinstance(value, str) else value
    path = given.get("path") if isinstance(given, dict) else None
    if isinstance(path, str) and parts_of(_folder(path)) is None:
        raise ValueError('must be an absolute path without ".."')
    return given


class Rule(_Strict):
    """What objects of some namespaces may ask for."""

    namespaces: list[str] = Field(min_length=1, description="Names, with `*` for any characters.")
    host_paths: list[Annotated[HostPath, BeforeValidator(_host_path)]] = Field(
        default_factory=lambda: [HostPath(path=BELOW)],
        description="Folders that `extraMounts` may start from: a path, or an object. None: `[]`.",
    )
    images: list[str] = Field(
        default_factory=lambda: ["*"],
        description="Node images that may be named or follow from a version, with `*` for any characters.",
    )
    host_ports: list[Annotated[str, Field(pattern=PORT_RANGE)]] = Field(
        default_factory=lambda: ["1-65535"],
        description='Ports of the host that may be asked for: "80", "30000-32767". Ports that kind or the engine picks are always free.',
    )
    registry: bool = Field(True, description="Whether `registry: Shared` may be asked for.")
    mirrors: list[str] = Field(
        default_factory=lambda: ["*"], description="URLs of `registryMirrors` that may be named, with `*` for any characters."
    )
    patches: list[Patched] = Field(
        default_factory=lambda: list(get_args(Patched)), description="Whose configuration may be patched."
    )

    def covers(self, namespace: str) -> bool:
        return any(fnmatch.fnmatchcase(namespace, pattern) for pattern in self.namespaces)


class _File(_Strict):
    rules: list[Rule]


NOTHING = Rule.model_validate(
    {"namespaces": ["*"], "hostPaths": [], "images": [], "hostPorts": [], "patches": [], "registry": False, "mirrors": []}
)
"""Of a namespace that no rule matches: plain clusters."""


@dataclass(frozen=True, slots=True)
class Policy:
    rules: Sequence[Rule]
    own: Sequence[str] = ()
    """Folders of the manager itself: neither they nor what is in them is ever mounted but by name."""

    def rule_for(self, namespace: str) -> Rule:
        return next((rule for rule in self.rules if rule.covers(namespace)), NOTHING)


DEFAULT = Policy((Rule(namespaces=["*"]),))
"""Without a file: every image, port and patch, and ordinary folders; those of the system and credentials are refused (.paths)."""
ROOTS_HOME = "/root"


def without_file(home: str) -> Policy:
    """DEFAULT for a manager whose user has this home on the engine's host (empty: none). Root's projects are in /root, which is no ordinary
    folder to anybody else."""
    if parts_of(home) != parts_of(ROOTS_HOME):
        return DEFAULT
    return Policy((Rule.model_validate({"namespaces": ["*"], "hostPaths": [BELOW, ROOTS_HOME + BELOW]}),))


def parse(text: str) -> Policy:
    """Raises PolicyError."""
    try:
        return Policy(tuple(_File.model_validate(yaml.safe_load(text)).rules))
    except ValidationError as error:
        found = [f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in error.errors(include_input=False)]
        raise PolicyError("; ".join(found)) from error
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:  # the latter of dates and escapes that are none
        raise PolicyError(f"this is not YAML: {error}") from error
