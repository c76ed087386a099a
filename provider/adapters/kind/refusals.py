"""What a component of Kubernetes said before it ended at once: the reason of many a "the control plane did not come up in time".

kubeadm only sees that nobody answers, and waits its four minutes for it. The kubelet's journal and the API server's log name what they
cannot work with; then the spec is wrong, and another try would end the same way. Both are the words of a node, which anybody's image
may have written: they decide what is told, never what exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.errors import rule
from provider.adapters.engine.listing import Container
from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.errors import ProviderError

UNEXPLAINED = frozenset({Reason.CONTROL_PLANE_TIMEOUT, Reason.CONTROL_PLANE_FAILED})
"""With these, kind's words say nothing of why."""
LINES = "300"
"""Of each log. A kubelet that panics over its configuration writes some 70 lines of stack after the one that says why."""
COMMANDS = (
    ("journalctl", "--unit", "kubelet", "--no-pager", "--output", "cat", "--lines", LINES),
    ("find", "/var/log/pods", "-path", "*kube-apiserver*", "-name", "*.log", "-exec", "tail", "-n", LINES, "{}", "+"),
)
OUTPUT = 1 << 18
"""Bytes that are read of each."""
ASK = 20.0
"""Seconds that one command in a node may take."""

REFUSALS = (
    rule(
        r"unrecognized feature gate: (?P<gate>\w+)",
        Reason.CONFIG_REJECTED,
        "This Kubernetes version does not know the feature gate {gate}: remove it from spec.featureGates (or from the patches).",
        terminal=True,
    ),
    rule(
        r"cannot set feature gate (?P<gate>\w+) to \w+, feature is locked to (?P<locked>\w+)",
        Reason.CONFIG_REJECTED,
        "The feature gate {gate} is locked to {locked} in this Kubernetes version: remove it from spec.featureGates (or from the patches).",
        terminal=True,
    ),
    rule(
        r"unknown api groups (?P<groups>[\w.,-]+)",
        Reason.CONFIG_REJECTED,
        "This Kubernetes version does not have the API group {groups}: remove it from spec.runtimeConfig.",
        terminal=True,
    ),
    rule(
        r"invalid value (?P<value>[\w./-]+=\w+)",
        Reason.CONFIG_REJECTED,
        'The API server cannot read {value} of spec.runtimeConfig: write "true" or "false".',
        terminal=True,
    ),
)
"""Words of k8s.io/component-base/featuregate, which all components share, and of the API server's --runtime-config."""


def refusal(logs: str) -> ProviderError | None:
    """What was refused, of the words of a component; None where they name no mistake of the spec."""
    found = ((row, row.pattern.search(logs)) for row in REFUSALS)
    return next((row.error(match) for row, match in found if match), None)


async def component_logs(engine: Engine, own: Sequence[Container]) -> str:
    """The ends of both logs of the first control plane, the only one that kubeadm starts alone; "" where they cannot be had."""
    with suppress(ProviderError, StopIteration):
        node = next(one for one in own if one.role is NodeRole.CONTROL_PLANE)
        return "\n".join([await engine.tail(node.id, command, limit=OUTPUT, timeout=ASK) for command in COMMANDS])
    return ""
