"""What a failed `kind create cluster` means. kind has two exit codes, so its words are all there is (kind cmd/kind/app/main.go).

One table, first match wins: kind's own rows, and between them those of provider.adapters.engine.errors, whose words kind passes on.
tests/component/kind/fixtures holds real output for its rows. A quirk of an engine belongs there, never here.
"""

from __future__ import annotations

import re

from provider.adapters.engine.errors import ENGINE, HOST, IMAGES, LONG_COMMAND, MOUNTS, NAMES_AND_PORTS, rule, with_excerpt
from provider.adapters.kind.network import DEFAULT, NO_ADDRESS, lacks_ipv6
from provider.api.conditions import Reason
from provider.errors import ProviderError, Terminal, Transient

ERROR_LINE = re.compile(r"^ERROR: (?:failed to create cluster: )?", re.MULTILINE)
VALIDATED = 'Creating cluster "'
"""Said after kind has accepted its config (kind pkg/cluster/internal/create/create.go)."""
PATCHES = "Correct the patches in the spec"
NODE_LOG_REASONS = frozenset({Reason.HOST_LIMITS, Reason.DISK_FULL})
"""What is looked for in the nodes' own output: it is too long and too varied for the other rows."""

RULES = (
    *HOST,
    rule(
        r"running kind with rootless provider requires",
        Reason.HOST_UNFIT,
        "The rootless engine lacks what kind needs; see https://kind.sigs.k8s.io/docs/user/rootless/.",
    ),
    *ENGINE,
    rule(
        r"node\(s\) already exist for a cluster", Reason.NAME_CONFLICT, "A cluster of this name came into being at the same time."
    ),
    *NAMES_AND_PORTS,
    *IMAGES,
    # what the spec says
    rule(
        r"unable to decode config|could not determine kind / apiVersion|unknown apiVersion|unknown kind \S+ for apiVersion",
        Reason.CONFIG_REJECTED,
        "kind does not know a field of the config: it may be too old for it.",
        terminal=True,
    ),
    rule(
        r"failed to generate kubeadm config content|failed to patch containerd config|failed to apply patch|failed to parse patch",
        Reason.CONFIG_REJECTED,
        f"{PATCHES}: one of them cannot be applied.",
        terminal=True,
    ),
    rule(
        r"failed to (?:init|join) node with kubeadm(?s:.*)(?:strict decoding error|unknown field|unknown feature gate"
        r"|not a valid feature name|unrecognized feature gate|^error: \S+: Invalid value)",
        Reason.CONFIG_REJECTED,
        f"{PATCHES} or spec.featureGates: kubeadm refuses them.",
        terminal=True,
    ),
    *MOUNTS,
    # the nodes
    rule(
        r"could not find a log line that matches|cat /kind/version.*failed|Container \S+ is not running",
        Reason.NODE_BOOT_FAILED,
        "A node did not boot. The image may not be a kind node image, or the host lacks something (inotify limits, cgroups).",
    ),
    rule(
        r"cgroup v1 is (?:no longer|not) supported|configured to not run on a host using cgroup v1",
        Reason.HOST_UNFIT,
        "This Kubernetes version refuses hosts with cgroup v1. Use v1.34 or older, or patch KubeletConfiguration with failCgroupV1: false.",
    ),
    rule(
        r"failed to init node with kubeadm(?s:.*)(?:timed out waiting|context deadline exceeded|couldn't initialize a Kubernetes cluster"
        r"|kubelet is not (?:running|healthy))",
        Reason.CONTROL_PLANE_TIMEOUT,
        "The control plane did not come up in time. The host may be too busy or too small, or a patch of the spec breaks a component.",
    ),
    rule(r"failed to init node with kubeadm", Reason.CONTROL_PLANE_FAILED, "kubeadm could not set up the control plane."),
    rule(r"failed to join node with kubeadm", Reason.JOIN_FAILED, "A node could not join the control plane."),
    rule(
        r"failed to ensure docker network|non-overlapping|network kind is ambiguous|failed to get subnets",
        Reason.NETWORK_FAILED,
        "The engine could not provide the network. Remove unused networks (docker network prune).",
    ),
    rule(
        r"failed to apply overlay network|failed to read CNI manifest|failed to add default storage class"
        r"|failed to remove control plane taint",
        Reason.ADDONS_FAILED,
        "The API server answered, then stopped, before the network plugin and the storage class were in.",
    ),
)
KUBECONFIG_ONLY = re.compile(
    r"failed to lock config file|failed to write KUBECONFIG|failed to get kubeconfig to merge|failed to ensure minimum kubeconfig dir"
)


def create_failure(output: str, node_logs: str = "", *, network: str = DEFAULT) -> ProviderError:
    """Terminal or Transient for the output of a failed create. `node_logs`: what nodes that did not boot said themselves; `network`: of the
    engine, which kind's words do not name.
    """
    error = _error_part(output)
    if no_address := NO_ADDRESS.search(error):
        return Transient(Reason.NETWORK_FAILED, with_excerpt(lacks_ipv6(no_address["engine"], network), no_address[0]))
    for row in RULES:
        if match := row.pattern.search(error) or (row.reason in NODE_LOG_REASONS and row.pattern.search(node_logs)):
            return row.error(match)
    if error and _before_any_work(output):
        return Terminal(Reason.CONFIG_REJECTED, with_excerpt("kind refuses the config.", error))
    return Transient(Reason.CREATE_FAILED, with_excerpt("kind could not make the cluster.", error or output))


def only_kubeconfig_failed(output: str) -> bool:
    """The cluster is up, and nothing but writing the (throw-away) kubeconfig failed (kind pkg/cluster/internal/create/create.go)."""
    return KUBECONFIG_ONLY.search(_error_part(output)) is not None


def _before_any_work(output: str) -> bool:
    """kind gave up by itself, before the first step and not because a command failed: then it is the config."""
    return not (VALIDATED in output or "•" in output or LONG_COMMAND.search(output))


def _error_part(output: str) -> str:
    """From kind's ERROR on; all of it where that line was cut off with the beginning."""
    match = ERROR_LINE.search(output)
    return output[match.end() :] if match else output
