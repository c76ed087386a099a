"""What a failed engine command means: the words of docker, podman and nerdctl, and of the host beneath them.

The engines have few exit codes, so their words are all there is. A new engine quirk is a new row in one of the groups below;
provider.adapters.kind.errors puts these groups between kind's own rows, because kind passes the engine's words on. What was found only
decides what to tell and whether trying again can help; what exists is observed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from provider.adapters.process.command import CommandMissing, CommandTimeout, RunError, redact
from provider.api.conditions import Reason
from provider.errors import ProviderError, Terminal, Transient

MAX_EXCERPT = 400
"""Characters of another program's output that go into a message."""
LONG_COMMAND = re.compile(r'command "[^"]*" failed with error: exit status \d+')
"""How kind quotes a command that failed: with all of its arguments (kind pkg/exec)."""
NOISE = re.compile(
    r"Command Output: |docker: |Error response from daemon: |(?: on endpoint \S+)? \([0-9a-f]{64}\)| by container \"[0-9a-f]{64}\""
)
SECRETS = re.compile(
    r"((?:certificate-key|token|client-key-data|password)[:=] ?|--(?:token|certificate-key)[ =])\S+", re.IGNORECASE
)
TELLING = re.compile(r"error|fail|cannot|could not|fatal|refused|denied|not found", re.IGNORECASE)
"""Words of a line that explains something."""

MISSING_HELP = {
    "docker": "Install Docker Engine (https://docs.docker.com/engine/install/)",
    "podman": "Install podman (https://podman.io/docs/installation)",
    "nerdctl": "Install nerdctl (https://github.com/containerd/nerdctl)",
    "kind": "Install kind 0.30 or newer (https://kind.sigs.k8s.io/docs/user/quick-start/#installation)",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """If `pattern` is found, this is what happened. `says` may use the pattern's named groups."""

    pattern: re.Pattern[str]
    reason: Reason
    says: str
    terminal: bool = False

    def error(self, match: re.Match[str]) -> ProviderError:
        return (Terminal if self.terminal else Transient)(self.reason, self.message(match))

    def message(self, match: re.Match[str]) -> str:
        """What happened, with the line that shows it."""
        groups = {name: value or "?" for name, value in match.groupdict().items()}
        return with_excerpt(self.says.format(**groups), _line_of(match))


def rule(pattern: str, reason: Reason, says: str, *, terminal: bool = False) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE), reason, says, terminal)


INOTIFY = "sysctl -w fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=1048576"

HOST = (
    rule(
        r"too many open files|Failed to create control group inotify object",
        Reason.HOST_LIMITS,
        f"The host's inotify limits are exhausted. Raise them on the engine's host: {INOTIFY}.",
    ),
    rule(
        r"no space left on device",
        Reason.DISK_FULL,
        "The engine's disk is full. Free space on it (docker system df shows what uses it).",
    ),
    rule(r"cannot allocate memory", Reason.OUT_OF_MEMORY, "The host has no memory left for another node."),
)
"""The engine's host, whatever step it shows in."""
ENGINE = (
    rule(
        r"permission denied while trying to connect|dial unix \S+: connect: permission denied",
        Reason.ENGINE_UNREACHABLE,
        "This user may not talk to the container engine. Add it to the engine's group, or use a rootless engine.",
    ),
    rule(
        r"Cannot connect to the Docker daemon|Cannot connect to Podman|error during connect|failed to dial.*containerd"
        r"|failed to get docker info|failed to list (?:nodes|clusters)|error listing nodes"  # kind's words for the same
        r"|connect: connection refused.*docker\.sock",
        Reason.ENGINE_UNREACHABLE,
        "The container engine does not answer. Start it; this goes on by itself.",
    ),
)
NAMES_AND_PORTS = (
    rule(
        r'container name "/?(?P<name>[^"]+)" is already in use',
        Reason.CONTAINER_NAME_IN_USE,
        "A container named {name} exists that does not belong to a kind cluster. Remove or rename it.",
    ),
    rule(
        r"listen (?:tcp|udp|sctp)\d? (?P<where>\S+): bind: address already in use",
        Reason.PORT_IN_USE,
        "Host port {where} is in use. Stop what listens there, or choose another port in a new object.",
    ),
    rule(
        r"Bind for (?P<where>\S+) failed: port is already allocated|port is already allocated|address already in use"
        r"|failed to bind host port|Ports are not available",
        Reason.PORT_IN_USE,
        "A host port of the spec is in use. Stop what listens there, or choose another port in a new object.",
    ),
    rule(
        r"cannot assign requested address|address family not supported",
        Reason.ADDRESS_UNAVAILABLE,
        "The engine's host does not have an address of the spec (apiServerAddress or listenAddress).",
        terminal=True,
    ),
)
IMAGES = (
    rule(
        r'failed to pull image "(?P<image>[^"]+)"(?s:.*)(?:manifest unknown|manifest for \S+ not found|pull access denied'
        r"|repository does not exist|invalid reference format|: not found)",
        Reason.IMAGE_NOT_FOUND,
        "Image {image} is not on the engine, and its registry does not have it (or does not give it). Correct spec.image or spec.version.",
        terminal=True,
    ),
    rule(
        r'failed to pull image "(?P<image>[^"]+)"',
        Reason.IMAGE_PULL_FAILED,
        "Image {image} is not on the engine and cannot be pulled. Check the name, or load the image into the engine beforehand.",
    ),
    rule(
        r"Unable to find image '(?P<image>[^']+)' locally",
        Reason.IMAGE_PULL_FAILED,
        "Image {image} (kind's load balancer, if it is none of yours) is not on the engine and cannot be pulled. Load it beforehand.",
    ),
)
"""Pulls. kind's words are before the engine's; `pull_failure` puts the same ones there, so that one row serves both."""
MOUNTS = (
    rule(
        r"error while creating mount source path '(?P<path>[^']+)'|invalid mount config|is not a shared (?:or slave )?mount"
        r"|statfs \S+: no such file or directory|trying to mount a directory onto a file|error mounting \"(?P<other>[^\"]+)\"",
        Reason.MOUNT_FAILED,
        "A path of spec.nodes[].extraMounts cannot be mounted. Create it on the engine's host, or correct the spec.",
    ),
)
RULES = (*HOST, *ENGINE, *NAMES_AND_PORTS, *IMAGES, *MOUNTS)
"""First match wins."""
COMMAND_REASONS = frozenset({Reason.ENGINE_UNREACHABLE, Reason.PORT_IN_USE, Reason.DISK_FULL, Reason.MOUNT_FAILED})
"""What a command about existing containers can fail with; everything else is told in the engine's own words."""


def engine_failure(error: RunError, engine: str) -> Transient:
    """An engine command that failed, as what a person can do about it. Never Terminal: no spec is wrong because of it."""
    if isinstance(error, CommandMissing):
        return Transient(Reason.ENGINE_MISSING, f"{error.message} {missing_help(engine)}.")
    if isinstance(error, CommandTimeout):
        return Transient(Reason.ENGINE_UNREACHABLE, f"The container engine does not answer: {error.message}")
    for row in RULES:
        if row.reason in COMMAND_REASONS and (match := row.pattern.search(error.tail)):
            return Transient(row.reason, row.message(match))
    return Transient(Reason.ENGINE_FAILED, with_excerpt(f"A {engine} command failed.", error.tail or error.message))


def pull_failure(image: str, output: str) -> ProviderError:
    """Why an image could not be pulled: Terminal(ImageNotFound), or Transient."""
    text = f'failed to pull image "{image}": {output}'
    found = ((row, row.pattern.search(text)) for row in RULES)
    return next(row.error(match) for row, match in found if match)  # the last of IMAGES matches every pull


def run_failure(name: str, output: str) -> Transient:
    """Why a container of that name could not be made."""
    for row in RULES:
        if match := row.pattern.search(output):
            return Transient(row.reason, row.message(match))
    return Transient(Reason.NODE_BOOT_FAILED, with_excerpt(f"{name} could not be made.", output))


def missing_help(program: str) -> str:
    """How to get a program that is not on the PATH."""
    return MISSING_HELP.get(program, f"Install {program}") + ", and make sure that the manager's PATH finds it"


def with_excerpt(says: str, output: str) -> str:
    """`says`, and in parentheses the part of `output` that matters, without kind's long command lines and without secrets."""
    text = SECRETS.sub(r"\1***", redact(NOISE.sub("", LONG_COMMAND.sub("a command failed", output))))
    text = " ".join(text.split())
    excerpt = text if len(text) <= MAX_EXCERPT else text[:MAX_EXCERPT] + "…"
    return f"{says} ({excerpt})" if excerpt else says


def _line_of(match: re.Match[str]) -> str:
    """The line in which the match ends: in a pattern over many lines that is the deciding one.

    In a text's first line, which is kind's own and says little, the last line that explains something is added.
    """
    start = match.string.rfind("\n", 0, match.end() - 1) + 1
    end = match.string.find("\n", match.end())
    if start > 0 or end < 0:
        return match.string[start : end if end >= 0 else len(match.string)]
    rest = [line for line in match.string[end:].splitlines() if line.strip()]
    telling = [line for line in rest if TELLING.search(line)] or rest
    return " ".join([match.string[:end], *telling[-1:]])
