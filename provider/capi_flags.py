"""Flags of Cluster API's other managers that this one has no setting for: accepted, because tools pass the same flags to every provider.

Cluster API Operator turns a provider's `spec.manager` into flags (kubernetes-sigs/cluster-api-operator, component_customizer.go); a manager
that ends at an unknown flag could not be installed with it. Each is either put into a setting's words (TRANSLATED) or has no effect, which
the manager's log says at every start (WITHOUT_EFFECT). Only data and pure functions; the settings themselves are in provider.settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

DEBUG_FROM = 4
"""klog's verbosity from which on Cluster API's managers log what is only of use for debugging (its book, "Logging")."""


def level_of_verbosity(text: str) -> str:
    """klog's --v → --log-level. Raises ValueError."""
    if not text.isascii() or not text.isdigit():
        raise ValueError("must be a whole number, 0 or more")
    return "debug" if int(text) >= DEBUG_FROM else "info"


def format_of_klog(text: str) -> str:
    """--logging-format → --log-format. Raises ValueError."""
    formats = {"text": "console", "json": "json"}
    if text not in formats:
        raise ValueError("must be text or json")
    return formats[text]


@dataclass(frozen=True, slots=True)
class Translated:
    setting: str
    translate: Callable[[str], str]
    """Its value → the setting's, as text; ValueError with the rule when it does not fit."""
    help: str


TRANSLATED: Mapping[str, Translated] = {
    "v": Translated("log_level", level_of_verbosity, f"--log-level=debug from {DEBUG_FROM} on, else info."),
    "logging_format": Translated("log_format", format_of_klog, "--log-format: console for text, json for json."),
}

_WEBHOOKS = "There are no webhooks: rules are part of the CRDs."
_LEASE = "The times of the Lease are fixed: the ends of long operations are fitted to them."
_GO = "Go's profiler; this is Python."
_TLS = "Nothing is served by TLS."
_CLIENT = "Requests are limited by the number of objects reconciled at the same time."

WITHOUT_EFFECT: Mapping[str, str] = {
    "webhook_host": _WEBHOOKS,
    "webhook_port": _WEBHOOKS,
    "webhook_cert_dir": _WEBHOOKS,
    "webhook_cert_name": _WEBHOOKS,
    "webhook_key_name": _WEBHOOKS,
    "leader_elect_lease_duration": _LEASE,
    "leader_elect_renew_deadline": _LEASE,
    "leader_elect_retry_period": _LEASE,
    "leader_election_id": "The Lease has one name; its namespace is set by --leader-elect-namespace.",
    "profiler_address": _GO,
    "contention_profiling": _GO,
    "feature_gates": "There are no feature gates of the manager; those of a cluster are spec.featureGates.",
    "kindcontrolplane_concurrency": "KINDControlPlanes are reconciled one after the other: a pass only copies a status.",
    "tls_min_version": _TLS,
    "tls_cipher_suites": _TLS,
    "insecure_diagnostics": "Metrics are always served in plain HTTP: --diagnostics-address says where.",
    "kube_api_qps": _CLIENT,
    "kube_api_burst": _CLIENT,
}
"""Name of the flag, as a setting would be called → why it has no effect."""
