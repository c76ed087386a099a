"""What a failed `kind create cluster` or engine command means: the only place where the text of other programs is judged.

kind and the engines have two exit codes, so their words are all there is (kind cmd/kind/app/main.go). One table, first match wins;
tests/component/kind/fixtures holds real output for its rows. Observation decides what exists; this only decides what to tell and whether
trying again can help.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from provider.adapters.process.command import CommandMissing, CommandTimeout, RunError, redact
from provider.api.conditions import Reason
from provider.errors import ProviderError, Terminal, Transient

MAX_EXCERPT = 400
ERROR_LINE = re.compile(r"^ERROR: (?:failed to create cluster: )?", re.MULTILINE)
LONG_COMMAND = re.compile(r'command "[^"]*" failed with error: exit status \d+')
NOISE = re.compile(
    r"Command Output: |docker: |Error response from daemon: |(?: on endpoint \S+)? \([0-9a-f]{64}\)| by container \"[0-9a-f]{64}\""
)
SECRETS = re.compile(
    r"((?:certificate-key|token|client-key-data|password)[:=] ?|--(?:token|certificate-key)[ =])\S+", re.IGNORECASE
)
TELLING = re.compile(r"error|fail|cannot|could not|fatal|refused|denied|not found", re.IGNORECASE)
VALIDATED = 'Creating cluster "'
"""Said after kind has accepted its config (kind pkg/cluster/internal/create/create.go)."""

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


def _rule(pattern: str, reason: Reason, says: str, *, terminal: bool = False) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE), reason, says, terminal)


INOTIFY = "sysctl -w fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=1048576"
PATCHES = "Correct the patches in the spec"

RULES = (
    # the host, whatever step it shows in
    _rule(
        r"too many open files|Failed to create control group inotify object",
        Reason.HOST_LIMITS,
        f"The host's inotify limits are exhausted. Raise them on the engine's host: {INOTIFY}.",
    ),
    _rule(
        r"no space left on device",
        Reason.DISK_FULL,
        "The engine's disk is full. Free space on it (docker system df shows what uses it).",
    ),
    _rule(r"cannot allocate memory", Reason.OUT_OF_MEMORY, "The host has no memory left for another node."),
    _rule(
        r"running kind with rootless provider requires",
        Reason.HOST_UNFIT,
        "The rootless engine lacks what kind needs; see https://kind.sigs.k8s.io/docs/user/rootless/.",
    ),
    # the engine
    _rule(
        r"permission denied while trying to connect|dial unix \S+: connect: permission denied",
        Reason.ENGINE_UNREACHABLE,
        "This user may not talk to the container engine. Add it to the engine's group, or use a rootless engine.",
    ),
    _rule(
        r"Cannot connect to the Docker daemon|Cannot connect to Podman|error during connect|failed to dial.*containerd"
        r"|failed to get docker info|failed to list (?:nodes|clusters)|error listing nodes|connect: connection refused.*docker\.sock",
        Reason.ENGINE_UNREACHABLE,
        "The container engine does not answer. Start it; this goes on by itself.",
    ),
    # names and ports
    _rule(
        r"node\(s\) already exist for a cluster", Reason.NAME_CONFLICT, "A cluster of this name came into being at the same time."
    ),
    _rule(
        r'container name "/?(?P<name>[^"]+)" is already in use',
        Reason.CONTAINER_NAME_IN_USE,
        "A container named {name} exists that does not belong to a kind cluster. Remove or rename it.",
    ),
    _rule(
        r"listen (?:tcp|udp|sctp)\d? (?P<where>\S+): bind: address already in use",
        Reason.PORT_IN_USE,
        "Host port {where} is in use. Stop what listens there, or choose another port in a new object.",
    ),
    _rule(
        r"Bind for (?P<where>\S+) failed: port is already allocated|port is already allocated|address already in use"
        r"|failed to bind host port|Ports are not available",
        Reason.PORT_IN_USE,
        "A host port of the spec is in use. Stop what listens there, or choose another port in a new object.",
    ),
    _rule(
        r"cannot assign requested address|address family not supported",
        Reason.ADDRESS_UNAVAILABLE,
        "The engine's host does not have an address of the spec (apiServerAddress or listenAddress).",
        terminal=True,
    ),
    # images
    _rule(
        r'failed to pull image "(?P<image>[^"]+)"(?s:.*)(?:manifest unknown|manifest for \S+ not found|pull access denied'
        r"|repository does not exist|invalid reference format|: not found)",
        Reason.IMAGE_NOT_FOUND,
        "Image {image} is not on the engine, and its registry does not have it (or does not give it). Correct spec.image or spec.version.",
        terminal=True,
    ),
    _rule(
        r'failed to pull image "(?P<image>[^"]+)"',
        Reason.IMAGE_PULL_FAILED,
        "Image {image} is not on the engine and cannot be pulled. Check the name, or load the image into the engine beforehand.",
    ),
    _rule(
        r"Unable to find image '(?P<image>[^']+)' locally",
        Reason.IMAGE_PULL_FAILED,
        "Image {image} (kind's load balancer, if it is none of yours) is not on the engine and cannot be pulled. Load it beforehand.",
    ),
    # what the spec says
    _rule(
        r"unable to decode config|could not determine kind / apiVersion|unknown apiVersion|unknown kind \S+ for apiVersion",
        Reason.CONFIG_REJECTED,
        "kind does not know a field of the config: it may be too old for it.",
        terminal=True,
    ),
    _rule(
        r"failed to generate kubeadm config content|failed to patch containerd config|failed to apply patch|failed to parse patch",
        Reason.CONFIG_REJECTED,
        f"{PATCHES}: one of them cannot be applied.",
        terminal=True,
    ),
    _rule(
        r"failed to (?:init|join) node with kubeadm(?s:.*)(?:strict decoding error|unknown field|unknown feature gate"
        r"|not a valid feature name|unrecognized feature gate|^error: \S+: Invalid value)",
        Reason.CONFIG_REJECTED,
        f"{PATCHES} or spec.featureGates: kubeadm refuses them.",
        terminal=True,
    ),
    _rule(
        r"error while creating mount source path '(?P<path>[^']+)'|invalid mount config|is not a shared (?:or slave )?mount"
        r"|trying to mount a directory onto a file|error mounting \"(?P<other>[^\"]+)\"",
        Reason.MOUNT_FAILED,
        "A path of spec.nodes[].extraMounts cannot be mounted. Create it on the engine's host, or correct the spec.",
    ),
    # the nodes
    _rule(
        r"could not find a log line that matches|cat /kind/version.*failed|Container \S+ is not running",
        Reason.NODE_BOOT_FAILED,
        "A node did not boot. The image may not be a kind node image, or the host lacks something (inotify limits, cgroups).",
    ),
    _rule(
        r"cgroup v1 is (?:no longer|not) supported|configured to not run on a host using cgroup v1",
        Reason.HOST_UNFIT,
        "This Kubernetes version refuses hosts with cgroup v1. Use v1.34 or older, or patch KubeletConfiguration with failCgroupV1: false.",
    ),
    _rule(
        r"failed to init node with kubeadm(?s:.*)(?:timed out waiting|context deadline exceeded|couldn't initialize a Kubernetes cluster"
        r"|kubelet is not (?:running|healthy))",
        Reason.CONTROL_PLANE_TIMEOUT,
        "The control plane did not come up in time. The host may be too busy or too small, or a patch of the spec breaks a component.",
    ),
    _rule(r"failed to init node with kubeadm", Reason.CONTROL_PLANE_FAILED, "kubeadm could not set up the control plane."),
    _rule(r"failed to join node with kubeadm", Reason.JOIN_FAILED, "A node could not join the control plane."),
    _rule(
        r"failed to ensure docker network|non-overlapping|network kind is ambiguous|failed to get subnets",
        Reason.NETWORK_FAILED,
        "The engine could not provide the network. Remove unused networks (docker network prune).",
    ),
    _rule(
        r"failed to apply overlay network|failed to read CNI manifest|failed to add default storage class"
        r"|failed to remove control plane taint",
        Reason.ADDONS_FAILED,
        "The API server answered, then stopped, before the network plugin and the storage class were in.",
    ),
)
SEEN_IN_NODE_LOGS = frozenset({Reason.HOST_LIMITS, Reason.DISK_FULL})
"""What a node that does not boot says itself; the other patterns would match harmless lines there."""
OF_ENGINE_COMMANDS = frozenset({Reason.ENGINE_UNREACHABLE, Reason.PORT_IN_USE, Reason.DISK_FULL, Reason.MOUNT_FAILED})
KUBECONFIG_ONLY = re.compile(
    r"failed to lock config file|failed to write KUBECONFIG|failed to get kubeconfig to merge|failed to ensure minimum kubeconfig dir"
)


def create_failure(output: str, node_logs: str = "") -> ProviderError:
    """Terminal or Transient for the output of a failed create. `node_logs`: what nodes that did not boot said themselves."""
    error = _error_part(output)
    for rule in RULES:
        if match := rule.pattern.search(error) or (rule.reason in SEEN_IN_NODE_LOGS and rule.pattern.search(node_logs)):
            groups = {name: value or "?" for name, value in match.groupdict().items()}
            return _verdict(rule, rule.says.format(**groups), _line_of(match))
    if error and _before_any_work(output):
        return Terminal(Reason.CONFIG_REJECTED, _said("kind refuses the config.", error))
    return Transient(Reason.CREATE_FAILED, _said("kind could not make the cluster.", error or output))


def pull_failure(image: str, output: str) -> ProviderError:
    """The same, for an image that we pulled ourselves."""
    return create_failure(f'ERROR: failed to pull image "{image}": {output}')


def only_kubeconfig_failed(output: str) -> bool:
    """The cluster is up, and nothing but writing the (throw-away) kubeconfig failed (kind pkg/cluster/internal/create/create.go)."""
    return KUBECONFIG_ONLY.search(_error_part(output)) is not None


def engine_failure(error: RunError, engine: str) -> Transient:
    """An engine command that failed, as what a person can do about it. Never Terminal: no spec is wrong because of it."""
    if isinstance(error, CommandMissing):
        return Transient(Reason.ENGINE_MISSING, f"{error.message} {missing_help(engine)}.")
    if isinstance(error, CommandTimeout):
        return Transient(Reason.ENGINE_UNREACHABLE, f"The container engine does not answer: {error.message}")
    for rule in RULES:
        if rule.reason in OF_ENGINE_COMMANDS and (match := rule.pattern.search(error.tail)):
            groups = {name: value or "?" for name, value in match.groupdict().items()}
            return Transient(rule.reason, _said(rule.says.format(**groups), _line_of(match)))
    return Transient(Reason.ENGINE_FAILED, _said(f"A {engine} command failed.", error.tail or error.message))


def missing_help(program: str) -> str:
    return MISSING_HELP.get(program, f"Install {program}") + ", and make sure that the manager's PATH finds it"


def _verdict(rule: Rule, says: str, line: str) -> ProviderError:
    return (Terminal if rule.terminal else Transient)(rule.reason, _said(says, line))


def _said(says: str, output: str) -> str:
    excerpt = _excerpt(output)
    return f"{says} ({excerpt})" if excerpt else says


def _before_any_work(output: str) -> bool:
    """kind gave up by itself, before the first step and not because a command failed: then it is the config."""
    return not (VALIDATED in output or "•" in output or LONG_COMMAND.search(output))


def _error_part(output: str) -> str:
    """From kind's ERROR on; all of it where that line was cut off with the beginning."""
    match = ERROR_LINE.search(output)
    return output[match.end() :] if match else output


def _line_of(match: re.Match[str]) -> str:
    """The line in which the match ends: in a pattern over many lines that is the deciding one. kind's own line says little
    of what the command behind it said, so the last telling line is added to it."""
    start = match.string.rfind("\n", 0, match.end() - 1) + 1
    end = match.string.find("\n", match.end())
    if start > 0 or end < 0:
        return match.string[start : end if end >= 0 else len(match.string)]
    rest = [line for line in match.string[end:].splitlines() if line.strip()]
    telling = [line for line in rest if TELLING.search(line)] or rest
    return " ".join([match.string[:end], *telling[-1:]])


def _excerpt(output: str) -> str:
    """The line or lines that matter, without kind's long command lines and without secrets."""
    text = SECRETS.sub(r"\1***", redact(NOISE.sub("", LONG_COMMAND.sub("a command failed", output))))
    text = " ".join(text.split())
    return text if len(text) <= MAX_EXCERPT else text[:MAX_EXCERPT] + "…"
