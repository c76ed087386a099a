"""Registries in a node's containerd: which files it should have below certs.d, how far those that it has are that, and writing them.

containerd reads certs.d/HOST/hosts.toml anew for each pull, if its own settings say that the folder is there: node images since kind 0.27
say so, others are told here. A file that does not begin with MARK is not ours: it is never written to.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jinja2

from provider.adapters.engine.cli import Engine
from provider.ports.registries import Mirror, Registries

FOLDER = "/etc/containerd"
CERTS = "certs.d"
SETTINGS = "config.toml"
NEW_SETTINGS = f"{SETTINGS}.new"
HOSTS = "hosts.toml"
MARK = "# Written by cluster-api-provider-kind, and written again when it is changed."
REGISTRY_TABLES = {False: ("io.containerd.grpc.v1.cri", "registry"), True: ("io.containerd.cri.v1.images", "registry")}
"""Where containerd before 2.0, and since, has its registries: names of plugin and table."""
NEW_VERSION = 3
"""`version` of settings since containerd 2.0."""
RESTART = ("systemctl", "restart", "containerd")

_templates = jinja2.Environment(
    loader=jinja2.PackageLoader(__name__, "."),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - TOML, whose strings are quoted by the filter
)
_templates.filters["toml"] = json.dumps  # a JSON string of ASCII letters is a basic string of TOML


@dataclass(frozen=True, slots=True)
class Lack:
    """What of a node is not as it should be."""

    files: Mapping[str, str]
    """Path below FOLDER to content, of what is to be written."""
    stale: tuple[str, ...]
    """Registries that a file of ours is about, and nobody wants any more."""
    foreign: tuple[str, ...]
    """Registries that somebody else's file is about."""
    settings: str = ""
    """containerd's settings as they should be; empty: as they are."""
    settable: bool = True
    """Whether the settings can be brought to look for such files."""
    restart: bool = False
    """The settings were changed by us, and containerd may not have read them since."""

    @property
    def conflict(self) -> str:
        """For people; empty: there is none."""
        if self.foreign:
            return (
                f"has files of others for {', '.join(self.foreign)} below {FOLDER}/{CERTS}; remove them, or do not ask for these"
            )
        return (
            ""
            if self.settable
            else f"has registries in {FOLDER}/{SETTINGS} that exclude others: remove them (containerdConfigPatches)"
        )

    def __bool__(self) -> bool:
        return bool(self.files or self.stale)


def wanted_files(registries: Registries, shared: Mirror) -> dict[str, str]:
    """Registry to the content of its file. `shared`: how nodes reach the shared one."""
    mirrors = (*registries.mirrors, shared) if registries.shared else registries.mirrors
    return {mirror.host: render(mirror) for mirror in mirrors}


def render(mirror: Mirror) -> str:
    """The endpoints have been checked by the API server (provider.api.patterns.REGISTRY_URL)."""
    return _templates.get_template(f"{HOSTS}.j2").render(mark=MARK, endpoints=mirror.endpoints)


def compare(found: Mapping[str, str], wanted: Mapping[str, str]) -> Lack:
    """`found`: the files below FOLDER. `wanted`: see `wanted_files`."""
    has = dict(_hosts(found))
    ours = {host for host, text in has.items() if text.startswith(MARK)}
    write = {_path(host): text for host, text in wanted.items() if has.get(host) != text}
    stale = tuple(sorted(ours - wanted.keys()))
    foreign = tuple(sorted((has.keys() - ours) & wanted.keys()))
    before = found.get(SETTINGS, "")
    after = settings(before) if wanted else before
    return Lack(
        write,
        stale,
        foreign,
        settings=after if after not in (None, before) else "",
        settable=after is not None,
        restart=bool(write) and after is not None and MARK in after,
    )


def mentions(found: Mapping[str, str], name: str) -> bool:
    """Whether a node's files lead to a server of that name, whoever wrote them."""
    return any(f"//{name}:" in text for _, text in _hosts(found))


def settings(text: str) -> str | None:
    """containerd's settings, so that it looks for files; None: they cannot be brought to. Added to, never written anew."""
    try:
        now = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    if any(
        f"{FOLDER}/{CERTS}" in str(_registry(now, table).get("config_path", "")).split(":") for table in REGISTRY_TABLES.values()
    ):
        return text
    plugin, table = REGISTRY_TABLES[now.get("version", 1) >= NEW_VERSION]
    more = f'\n{MARK}\n[plugins.{json.dumps(plugin)}.{table}]\n  config_path = "{FOLDER}/{CERTS}"\n'
    try:
        tomllib.loads(text + more)
    except tomllib.TOMLDecodeError:
        return None  # the table is there: containerd refuses registries in it beside a config_path
    return text + more


async def look(engine: Engine, container: str, wanted: Mapping[str, str]) -> Lack:
    """Raises Transient."""
    return compare(await engine.files(container, FOLDER), wanted)


async def tell(engine: Engine, container: str, lack: Lack) -> None:
    """The files come last: a node that has them is known to look for them. Raises Transient."""
    if lack.settings:
        # Moved into place: a node with half of its settings would not come up again.
        await engine.put(container, FOLDER, {NEW_SETTINGS: lack.settings})
        await engine.execute(container, "mv", f"{FOLDER}/{NEW_SETTINGS}", f"{FOLDER}/{SETTINGS}")
    if lack.restart:
        await engine.execute(container, *RESTART)
    if lack.stale:
        # The file alone: beside it may be a person's, such as a ca.crt, and the folder be a mount of theirs. One without it says nothing.
        await engine.execute(container, "rm", "-f", "--", *(f"{FOLDER}/{_path(host)}" for host in lack.stale))
    if lack.files:
        await engine.put(container, FOLDER, lack.files)


def _path(host: str) -> str:
    return f"{CERTS}/{host}/{HOSTS}"


def _hosts(found: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for path, text in found.items():
        if path.startswith(f"{CERTS}/") and path.endswith(f"/{HOSTS}"):
            yield path.removeprefix(f"{CERTS}/").removesuffix(f"/{HOSTS}"), text


def _registry(settings: Mapping[str, Any], path: tuple[str, str]) -> Mapping[str, Any]:
    """The table of one plugin; empty where there is none."""
    found: Any = settings
    for name in ("plugins", *path):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
