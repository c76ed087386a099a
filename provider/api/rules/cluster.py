"""Rules of a KINDCluster, its spec and its template as wholes: its name, what cannot change any more, what excludes what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from provider.api import patterns
from provider.api.duration import parse_duration
from provider.api.markers import Local, MarkedField, Mutability, marked_fields
from provider.api.rules.ports import ports_across_nodes
from provider.api.rules.rule import FORBIDDEN, NEW, Held, Rule, keys, matches


def _cluster_name(of: str) -> str:
    """The name of the kind cluster that an object (self, oldSelf) asks for."""
    return f"(has({of}.spec) && has({of}.spec.clusterName) ? {of}.spec.clusterName : {of}.metadata.name)"


NAMED = "has(self.spec) && has(self.spec.clusterName)"
CONTROL_PLANES = (
    "(!has(self.spec) ? 1 : has(self.spec.controlPlaneReplicas) ? self.spec.controlPlaneReplicas : "
    "has(self.spec.nodes) && self.spec.nodes.size() > 0 ? self.spec.nodes.filter(n, !has(n.role) || n.role == 'control-plane').size() : 1)"
)

LONGEST_NAME, LONGEST_WITH_LOAD_BALANCER = 49, 40
"""Characters of the name of a kind cluster; the second: with several control planes."""


def _name_of(held: Held) -> str:
    return str((held.get("spec") or {}).get("clusterName") or held["metadata"]["name"])


def _names_a_cluster(held: Held) -> bool:
    if (held.get("spec") or {}).get("clusterName"):
        return True
    name = held["metadata"]["name"]
    return re.fullmatch(patterns.LABEL, name) is not None and len(name) <= LONGEST_NAME


def _control_planes(spec: Held) -> int:
    if "controlPlaneReplicas" in spec:
        return int(spec["controlPlaneReplicas"])
    return sum(1 for node in spec.get("nodes") or [{}] if node.get("role", "control-plane") == "control-plane")


def _leaves_room(held: Held) -> bool:
    return _control_planes(held.get("spec") or {}) <= 1 or len(_name_of(held)) <= LONGEST_WITH_LOAD_BALANCER


OBJECT = (
    Rule(
        rule="!has(oldSelf.spec) || has(self.spec)",
        message="spec cannot be removed: it ties the object to its cluster",
        reason=FORBIDDEN,
    ),
    Rule(
        rule=f"{_cluster_name('self')} == {_cluster_name('oldSelf')}",
        message=f"the name of the kind cluster (spec.clusterName, or metadata.name where that is absent) cannot change: {NEW}",
        expression=(
            f"'the name of the kind cluster is \"' + {_cluster_name('oldSelf')} + '\" (spec.clusterName, or metadata.name where that "
            f"is absent) and cannot become \"' + {_cluster_name('self')} + '\": {NEW}'"
        ),
        path=".spec",
        reason=FORBIDDEN,
    ),
    Rule(
        rule=f"({NAMED}) || (self.metadata.name.matches(r'{patterns.LABEL}') && self.metadata.name.size() <= 49)",
        message="metadata.name cannot name a kind cluster (RFC 1123 label, at most 49 characters): set spec.clusterName",
        expression=(
            "'metadata.name \"' + self.metadata.name + '\" cannot name a kind cluster: set spec.clusterName to a name of at most 49 "
            'lower-case letters, digits and "-", or choose such a metadata.name\''
        ),
        path=".metadata.name",
        holds=_names_a_cluster,
        told=lambda held: (
            f'metadata.name "{held["metadata"]["name"]}" cannot name a kind cluster: set spec.clusterName to a name of at most 49 '
            'lower-case letters, digits and "-", or choose such a metadata.name'
        ),
    ),
    Rule(
        rule=f"{CONTROL_PLANES} <= 1 || {_cluster_name('self')}.size() <= 40",
        message="with several control planes the name of the kind cluster has at most 40 characters: set a shorter spec.clusterName",
        expression=(
            f"'\"' + {_cluster_name('self')} + '\" is too long for the name of a kind cluster with several control planes (its load "
            "balancer is called NAME-external-load-balancer): set spec.clusterName to at most 40 characters'"
        ),
        path=".spec",
        holds=_leaves_room,
        told=lambda held: (
            f'"{_name_of(held)}" is too long for the name of a kind cluster with several control planes (its load balancer is called '
            "NAME-external-load-balancer): set spec.clusterName to at most 40 characters"
        ),
    ),
)

ENTRIES = "nmp"
"""Names of the variables of nested lists in CEL."""
POLICY_TAKES_EDITS = "(has(self.updatePolicy) && self.updatePolicy != 'Refuse')"


def _unchanged(field: str) -> str:
    # oldSelf makes it a transition rule, which the API server evaluates on updates alone. has() comes first: to read an absent field is an
    # evaluation error, and a field that was added or removed shall be refused with the rule's own message.
    return f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"


def _once(field: str) -> Rule:
    return Rule(
        rule=f"!has(oldSelf.{field}) || ({_unchanged(field)})",
        message=f"{field} is written by the provider, once, and cannot be changed or removed: leave it out of what you apply",
        expression=(
            f"has(self.{field}) ? '{field} is written by the provider, once, and cannot change: leave it out of what you apply' : "
            f"'{field} is written by the provider, once, and cannot be removed: copy it from the stored object, or use kubectl apply "
            "instead of replace (Argo CD: without Replace=true)'"
        ),
        path=f".{field}",
        reason=FORBIDDEN,
    )


def _settled(field: str) -> Rule:
    """The endpoint is written when the API server has answered: from then on, updatePolicy decides."""
    return Rule(
        rule=f"{POLICY_TAKES_EDITS} || !has(oldSelf.controlPlaneEndpoint) || ({_unchanged(field)})",
        message=(
            f"{field} cannot change once the cluster has been made: create a new KINDCluster, or set updatePolicy: Recreate "
            "to have this one replaced (its content is lost), or Report to see its plan and approve that alone"
        ),
        path=f".{field}",
        reason=FORBIDDEN,
    )


def _immutable(field: str) -> Rule:
    return Rule(rule=_unchanged(field), message=f"{field} cannot change: {NEW}", path=f".{field}", reason=FORBIDDEN)


def changes(spec: type[BaseModel]) -> Iterator[Rule]:
    """One rule for each field that may not change at any time."""
    for field in marked_fields(spec):
        match field.marker.mutability:
            case Mutability.RECREATE | Mutability.KEPT:
                yield _settled(field.name)
            case Mutability.ONCE:
                yield _once(field.name)
            case Mutability.IMMUTABLE if field.kind_name != "name":  # OBJECT compares that: metadata.name may give it as well
                yield _immutable(field.name)


def refused_by_local(settings: type[BaseModel]) -> Iterator[Rule]:
    """One rule for all fields that runtime local refuses, so that its message can name those that are set."""
    fields = marked_fields(settings)
    used = dict(_refused(fields))
    listed = " + ".join(f"({condition} ? ' {field}' : '')" for field, condition in used.items())
    yield Rule(
        rule=f"!has(self.runtime) || self.runtime != 'local' || !({' || '.join(f'({condition})' for condition in used.values())})",
        message="runtime local runs no containers and cannot honour images, mounts, ports and patches: remove them or use runtime kind",
        expression=f"'runtime local runs no containers and cannot honour' + {listed} + ': remove what is named or use runtime kind'",
        path=".runtime",
        reason=FORBIDDEN,
        holds=lambda held: held.get("runtime") != "local" or not list(_refused_in(held, fields)),
        told=lambda held: (
            f"runtime local runs no containers and cannot honour {' '.join(dict.fromkeys(_refused_in(held, fields)))}: "
            "remove what is named or use runtime kind"
        ),
    )


def _refused_in(held: Held, fields: Sequence[MarkedField], path: str = "") -> Iterator[str]:
    """The paths of the refused fields that are set; the same twice for two entries of a list."""
    for field in fields:
        if field.name not in held:
            continue
        if field.marker.local is Local.REFUSED:
            yield f"{path}{field.name}"
            continue
        value = held[field.name]
        for entry in (value if field.is_list else [value]) if field.fields else []:
            yield from _refused_in(entry, field.fields, f"{path}{field.name}{'[]' if field.is_list else ''}.")


def _refused(fields: Sequence[MarkedField], of: str = "self", path: str = "") -> Iterator[tuple[str, str]]:
    """(path, CEL for "it is set") of each refused field. What is below a refused field need not be looked at."""
    for field in fields:
        if field.marker.local is Local.REFUSED:
            yield f"{path}{field.name}", f"has({of}.{field.name})"
    for field in fields:
        if field.marker.local is Local.REFUSED:
            continue
        held = f"{of}.{field.name}"
        if not field.is_list:
            for inner, condition in _refused(field.fields, held, f"{path}{field.name}."):
                yield inner, f"has({held}) && {condition}"
            continue
        entry = ENTRIES[path.count("[]")]
        for inner, condition in _refused(field.fields, entry, f"{path}{field.name}[]."):
            yield inner, f"has({held}) && {held}.exists({entry}, {condition})"


VERSION = matches("version", patterns.VERSION, 'must be a full Kubernetes version, such as "v1.34.4"')
VERSION_OR_MINOR = matches(
    "version", patterns.VERSION_OR_MINOR, 'must be a Kubernetes version, such as "v1.34.4", or a minor one, such as "1.34"'
)

SHORTEST, LONGEST = timedelta(seconds=30), timedelta(hours=2)
"""Of createTimeout."""
SHORTEST_LIFE, LONGEST_LIFE = timedelta(seconds=1), timedelta(hours=8760)
"""Of ttl."""


def _has_control_plane(held: Held) -> bool:
    nodes = held.get("nodes") or []
    return not nodes or any(node.get("role", "control-plane") == "control-plane" for node in nodes)


def _is_a_day(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _without_beside_nodes(*others: str) -> Callable[[Held], bool]:
    return lambda held: not held.get("nodes") or not any(other in held for other in others)


SETTINGS = (
    matches("image", patterns.IMAGE, 'must be an image name such as "kindest/node:v1.34.4", without spaces and leading "-"'),
    matches(
        "imageRepository",
        patterns.IMAGE_PREFIX,
        'must be a registry, with or without a path, such as "registry.example.org:5000/mirror", without scheme, tag and final "/"',
    ),
    matches(
        "createTimeout",
        patterns.DURATION,
        'must be a duration between 30s and 2h, such as "10m" or "1h30m"',
        also="duration(self.createTimeout) >= duration('30s') && duration(self.createTimeout) <= duration('2h')",
        also_holds=lambda text: bool(text) and SHORTEST <= parse_duration(text) <= LONGEST,
    ),
    Rule(
        rule="!has(self.nodes) || self.nodes.size() == 0 || self.nodes.exists(n, !has(n.role) || n.role == 'control-plane')",
        message="nodes has no control plane: give at least one node the role control-plane",
        path=".nodes",
        holds=_has_control_plane,
    ),
    *ports_across_nodes(),
    keys("featureGates", patterns.FEATURE_GATE, 'must be the name of a feature gate, such as "MemoryQoS"'),
    keys(
        "runtimeConfig",
        patterns.RUNTIME_CONFIG,
        'must be an API group, version or resource, such as "api/alpha" or "batch/v2alpha1"',
    ),
    refused_by_local,
)
"""Of a KINDCluster and of a template alike."""

CONFIG_FROM = (
    Rule(
        rule="has(self.configMapKeyRef) != has(self.inline)",
        message="configFrom takes one of configMapKeyRef and inline: give exactly one",
        path=".inline",
        holds=lambda held: ("configMapKeyRef" in held) != ("inline" in held),
    ),
)

ADDON = (
    Rule(
        rule="has(self.manifests) != has(self.configMapKeyRef)",
        message="an add-on takes one of manifests and configMapKeyRef: give exactly one",
        path=".manifests",
        holds=lambda held: ("manifests" in held) != ("configMapKeyRef" in held),
    ),
    matches(
        "name",
        patterns.LABEL,
        'must consist of lower-case letters, digits and "-" and start and end with a letter or digit',
    ),
)

TEMPLATE = (
    *SETTINGS,
    Rule(
        rule="!has(self.nodes) || self.nodes.size() == 0 || !has(self.workerReplicas)",
        message="nodes lists every node: remove workerReplicas, or remove nodes",
        path=".nodes",
        reason=FORBIDDEN,
        holds=_without_beside_nodes("workerReplicas"),
    ),
)

SPEC = (
    matches(
        "clusterName",
        patterns.LABEL,
        'must consist of lower-case letters, digits and "-" and start and end with a letter or digit: write "-" for "."',
    ),
    VERSION_OR_MINOR,
    matches(
        "ttl",
        patterns.DURATION,
        'must be a duration between 1s and 8760h, such as "8h" or "1h30m"',
        also="duration(self.ttl) >= duration('1s') && duration(self.ttl) <= duration('8760h')",
        also_holds=lambda text: bool(text) and SHORTEST_LIFE <= parse_duration(text) <= LONGEST_LIFE,
    ),
    matches(
        "expiresAt",
        patterns.TIME,
        'must be a time with its zone (RFC 3339), such as "2030-01-31T18:00:00Z"',
        also="timestamp(self.expiresAt) > timestamp('1999-12-31T00:00:00Z')",  # an error for a day that its month does not have
        also_holds=_is_a_day,
    ),
    *SETTINGS,
    Rule(
        rule="!has(self.nodes) || self.nodes.size() == 0 || (!has(self.controlPlaneReplicas) && !has(self.workerReplicas))",
        message="nodes lists every node: remove controlPlaneReplicas and workerReplicas, or remove nodes",
        path=".nodes",
        reason=FORBIDDEN,
        holds=_without_beside_nodes("controlPlaneReplicas", "workerReplicas"),
    ),
    changes,
)
