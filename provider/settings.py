"""Every setting of the manager: documented here, read from flags and CAPKIND_* variables here, and nowhere else.

A flag wins over its variable, the variable over the default. The command line and docs/reference/settings.md are generated from
the fields of `Settings`; this module is the only reader of the environment.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

from provider.api import image, patterns
from provider.api.duration import parse_duration
from provider.capi_flags import TRANSLATED, WITHOUT_EFFECT
from provider.ports.runtime import Endpoint

ENV_PREFIX = "CAPKIND_"
FOLDER = "cluster-api-provider-kind"
IN_POD = "KUBERNETES_SERVICE_HOST"
"""Every pod has this variable, and nothing else does."""
MAX_PORT = 65535
HEALTH, DIAGNOSTICS = Endpoint("127.0.0.1", 9440), Endpoint("127.0.0.1", 8443)


class SettingsError(ValueError):
    """A value cannot be used; the message names the flag and says what would be right."""


# --- parsers: text from a flag or a variable → value; ValueError with the rule when it does not fit ---


def parse_bool(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError("must be true or false")
    return text.lower() in ("true", "1", "yes")


def parse_count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError("must be a whole number, 1 or more")
    return int(text)


def parse_port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_PORT:
        raise ValueError(f"must be a port, 1 to {MAX_PORT}")
    return int(text)


def parse_image(text: str) -> str:
    named = image.parse(text)
    if not re.fullmatch(patterns.IMAGE, text) or (named.tag in ("", "latest") and not named.digest):
        raise ValueError('must be an image with a tag other than latest, or a digest, e.g. "registry.example.org/registry:2.8.3"')
    return text


def parse_address(text: str) -> Endpoint | None:
    """ "host:port", ":port" (every address) or "[v6]:port"; "0" or "" means: do not listen."""
    if text in ("", "0"):
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > MAX_PORT:
        raise ValueError('must be HOST:PORT, e.g. "127.0.0.1:9440" (port 0: any free port), or "0" to disable it')
    return Endpoint(host.strip("[]") or "0.0.0.0", int(port))


def parse_path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def parse_optional(text: str) -> str | None:
    return text or None


def parse_optional_path(text: str) -> Path | None:
    return parse_path(text) if text else None


@dataclass(frozen=True, slots=True)
class Flag:
    """A setting besides its type and default."""

    parse: Callable[[str], Any]
    help: str
    choices: tuple[str, ...] = ()
    shown: str = ""
    """The default in words, where it depends on the machine."""
    former: str = ""
    """Name of the setting in older versions: its flag and its variable are still accepted."""
    also: tuple[str, ...] = ()
    """Names that Cluster API's other managers have for it: their flags are accepted."""

    @property
    def text(self) -> str:
        also = f" Also: {', '.join(flag_of(name) for name in self.also)}." if self.also else ""
        return self.help + also + (f" Deprecated: {flag_of(self.former)}." if self.former else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All there is to set. Field `create_slots` is flag --create-slots and variable CAPKIND_CREATE_SLOTS.

    Flags that other controllers have, too, bear the names that Cluster API's managers and CAPD give them.
    """

    kubeconfig: Annotated[
        str, Flag(str, "Kubeconfig of the management cluster.", shown="$KUBECONFIG, the pod's service account, ~/.kube/config")
    ] = ""
    context: Annotated[str, Flag(str, "Context of the kubeconfig to use.", shown="its current-context")] = ""
    namespace: Annotated[str | None, Flag(parse_optional, "Reconcile only objects of this namespace.", shown="all")] = None
    watch_filter: Annotated[
        str, Flag(str, "Reconcile only objects whose label cluster.x-k8s.io/watch-filter has this value.", shown="all")
    ] = ""

    runtime: Annotated[
        str, Flag(str, "Runtime of objects without spec.runtime; auto: kind where an engine answers.", ("auto", "kind", "local"))
    ] = "auto"
    engine: Annotated[
        str, Flag(str, "Container engine for kind; auto: the first that answers.", ("auto", "docker", "podman", "nerdctl"))
    ] = "auto"
    kind_binary: Annotated[str, Flag(str, "The kind command: a name to look up in PATH, or a path.")] = "kind"
    default_image: Annotated[
        str | None, Flag(parse_optional, "Node image of objects that name neither image nor version.", shown="kind's own")
    ] = None
    inside_network: Annotated[
        bool,
        Flag(
            parse_bool,
            "The manager runs on the clusters' own network (in a pod of a kind cluster) and reaches them by their containers' names.",
            shown="true in a pod",
        ),
    ] = False

    registry_image: Annotated[
        str,
        Flag(parse_image, "Image of the registry that clusters with spec.registry: Shared share; with a tag or a digest."),
    ] = "docker.io/library/registry:2.8.3"
    registry_port: Annotated[
        int, Flag(parse_port, "Port on the loopback address of the engine's host where that registry answers, once it is made.")
    ] = 5001

    create_slots: Annotated[
        int, Flag(parse_count, "Clusters created at the same time; others wait.", shown="half the CPUs, at least 1")
    ] = 1
    pull_slots: Annotated[
        int,
        Flag(
            parse_count,
            "Clusters whose images are fetched at the same time, which takes none of the create slots; into as many, images are loaded, "
            "and as many are told of registries, or get add-ons.",
        ),
    ] = 4
    delete_slots: Annotated[int, Flag(parse_count, "Clusters deleted at the same time.")] = 4
    start_slots: Annotated[
        int,
        Flag(parse_count, "Clusters started again at the same time; as many are stopped, as many paused, and as many scaled."),
    ] = 4
    create_timeout: Annotated[
        timedelta, Flag(parse_duration, "How long a create may take where spec.createTimeout is not set.")
    ] = timedelta(minutes=10)

    concurrency: Annotated[
        int,
        Flag(
            parse_count,
            "Objects reconciled at the same time.",
            former="workers",
            also=("kindcluster_concurrency", "max_concurrent_reconciles"),
        ),
    ] = 8
    sync_period: Annotated[
        timedelta, Flag(parse_duration, "Every object is reconciled this often even if nothing happens.", former="resync")
    ] = timedelta(minutes=5)
    reconcile_timeout: Annotated[timedelta, Flag(parse_duration, "Longest that one reconcile of an object may take.")] = (
        timedelta(minutes=1)
    )

    leader_elect: Annotated[
        bool, Flag(parse_bool, "Work only while holding the Lease, so that two managers never work on the same objects.")
    ] = True
    leader_elect_namespace: Annotated[str, Flag(str, "Namespace of the Lease.", shown="the pod's own, else default")] = ""

    health_addr: Annotated[Endpoint | None, Flag(parse_address, 'Where /healthz and /readyz answer; "0": nowhere.')] = HEALTH
    diagnostics_address: Annotated[
        Endpoint | None,
        Flag(parse_address, 'Where /metrics answers, in plain HTTP; "0": nowhere.', also=("metrics_bind_addr",)),
    ] = DIAGNOSTICS
    log_format: Annotated[str, Flag(str, "console for people, json for machines.", ("console", "json"))] = "console"
    log_level: Annotated[str, Flag(str, "Least severe messages to log.", ("debug", "info", "warning", "error"))] = "info"

    state_dir: Annotated[
        Path,
        Flag(parse_path, "Private folder: locks, local clusters, logs of failed creates.", shown=f"$XDG_STATE_HOME/{FOLDER}"),
    ] = Path(FOLDER)
    archives: Annotated[
        Path,
        Flag(
            parse_path,
            "Folder of image archives (docker save, *.tar): what is in them is not pulled.",
            shown=f"$XDG_STATE_HOME/{FOLDER}/archives",
        ),
    ] = Path("archives")
    policy_file: Annotated[
        Path | None,
        Flag(
            parse_optional_path,
            "What objects of which namespaces may mount, use and patch (docs/howto/policy.md). Read when the manager starts.",
            shown="ordinary folders, every image, port and patch",
        ),
    ] = None
    tools_dir: Annotated[
        Path,
        Flag(
            parse_path,
            "Where the local runtime's programs are looked for, before PATH.",
            shown=f"$XDG_CACHE_HOME/{FOLDER}/tools",
        ),
    ] = Path("tools")

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The process's environment, for adapters that start other programs. Not a setting; never logged."""
    without_effect: tuple[str, ...] = ()
    """Flags that were given and have no effect (provider.capi_flags). Not a setting."""

    @property
    def in_pod(self) -> bool:
        return IN_POD in self.environment


def flags() -> dict[str, tuple[Flag, Any]]:
    """Name of each setting to its Flag and default, in the order of the fields."""
    hints = get_type_hints(Settings, include_extras=True)
    arguments = {one.name: (get_args(hints[one.name]), one.default) for one in fields(Settings)}
    return {name: (args[1], default) for name, (args, default) in arguments.items() if isinstance(args[1], Flag)}


def load(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Flags and variables → settings. Raises SettingsError for a bad value, SystemExit for --help and unknown flags."""
    given = vars(parser().parse_args(arguments))
    values: dict[str, Any] = {}
    for name, (flag, _) in flags().items():
        variables = [ENV_PREFIX + known.upper() for known in (name, flag.former) if known]
        if given[name] is not None:
            values[name] = _parse(flag, given[name], flag_of(name))
        elif variable := next((one for one in variables if one in environ), None):
            values[name] = _parse(flag, environ[variable], variable)
    values = _translated(given) | values
    ignored = tuple(flag_of(name) for name in WITHOUT_EFFECT if given[name] is not None)
    return Settings(**(_machine_defaults(environ) | values | {"without_effect": ignored}))


def _translated(given: Mapping[str, Any]) -> dict[str, str]:
    """Settings that were given in the words of Cluster API's other managers; a setting's own name and variable win."""
    found = {}
    for name, other in TRANSLATED.items():
        if given[name] is not None:
            try:
                found[other.setting] = other.translate(given[name])
            except ValueError as error:
                raise SettingsError(f"{flag_of(name)}: {error}, not {given[name]!r}") from error
    return found


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m provider",
        description="Cluster API infrastructure provider: one KINDCluster object is one whole kind cluster.",
        epilog=(
            f"Every flag may also be given as a variable: --create-slots is {ENV_PREFIX}CREATE_SLOTS. "
            "Flags of Cluster API's other managers are accepted, too; those without effect are named in the log."
        ),
        allow_abbrev=False,
    )
    for name, (flag, default) in flags().items():
        names = [flag_of(known) for known in (name, flag.former, *flag.also) if known]
        result.add_argument(*names, dest=name, **_argument(name, flag, default))
    for name in (*TRANSLATED, *WITHOUT_EFFECT):
        names = [flag_of(name)] if len(name) > 1 else [f"-{name}", flag_of(name)]
        result.add_argument(*names, dest=name, nargs="?", const="true", help=argparse.SUPPRESS)
    return result


def _argument(name: str, flag: Flag, default: Any) -> dict[str, Any]:
    shown = flag.shown or ("" if default in (None, "") else show(default))
    text = flag.text + (f" Default: {shown}." if shown else "")
    choices = "{" + ",".join(flag.choices) + "}" if flag.choices else name.upper()
    argument = {"help": text.replace("%", "%%"), "default": None, "metavar": choices}
    return argument | ({"nargs": "?", "const": "true"} if flag.parse is parse_bool else {})


def show(value: Any) -> str:
    """A value as it would be given on the command line."""
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parse(flag: Flag, text: str, source: str) -> Any:
    if flag.choices and text not in flag.choices:
        raise SettingsError(f"{source}: must be one of {', '.join(flag.choices)}, not {text!r}")
    try:
        return flag.parse(text)
    except ValueError as error:
        raise SettingsError(f"{source}: {error}, not {text!r}") from error


def _machine_defaults(environ: Mapping[str, str]) -> dict[str, Any]:
    """Defaults that depend on the machine and its user."""
    home = Path(environ.get("HOME") or Path.home())
    return {
        "kubeconfig": environ.get("KUBECONFIG", ""),
        "inside_network": IN_POD in environ,
        "create_slots": max(1, (os.cpu_count() or 1) // 2),
        "state_dir": Path(environ.get("XDG_STATE_HOME") or home / ".local/state") / FOLDER,
        "archives": Path(environ.get("XDG_STATE_HOME") or home / ".local/state") / FOLDER / "archives",
        "tools_dir": Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / FOLDER / "tools",
        "environment": dict(environ),
    }
