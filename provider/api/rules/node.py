"""Rules of one node: its labels, mounts and port mappings."""

from __future__ import annotations

import re
from collections.abc import Iterable

from provider.api import patterns
from provider.api.rules.addresses import is_ip
from provider.api.rules.ports import ports_of_a_node
from provider.api.rules.rule import FORBIDDEN, Held, Rule, keys, matches, quoting

KUBELET_LABELS = (
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
)
"""Labels of Kubernetes' own namespaces that a kubelet may set on its own node (IsKubeletLabel, `k8s.io/kubelet/pkg/apis`)."""

RESERVED = r"^([^/]*\.)?(kubernetes|k8s)\.io/"
OWN_PREFIXES = r"^([^/]*\.)?(kubelet|node)\.kubernetes\.io/"


def _refused_labels(held: Held) -> list[str]:
    return [
        key
        for key in held.get("labels") or {}
        if re.match(RESERVED, key) and not re.match(OWN_PREFIXES, key) and key not in KUBELET_LABELS
    ]


def _labels() -> tuple[Rule, ...]:
    refused = f"k.matches(r'{RESERVED}') && !k.matches(r'{OWN_PREFIXES}') && !(k in {list(KUBELET_LABELS)})"
    return (
        keys("labels", patterns.LABEL_KEY, 'must be a label key, such as "tier" or "example.com/tier"'),
        Rule(
            rule=f"!has(self.labels) || !self.labels.exists(k, {refused})",
            message="labels: a kubelet may not give itself this label of kubernetes.io or k8s.io",
            expression=(
                f"'labels: a kubelet may not give itself \"' + self.labels.filter(k, {refused})[0] + '\" and would not start: "
                "use a key of your own, or label the node once the cluster is ready'"
            ),
            path=".labels",
            reason=FORBIDDEN,
            holds=lambda held: not _refused_labels(held),
            told=lambda held: (
                f'labels: a kubelet may not give itself "{_refused_labels(held)[0]}" and would not start: use a key of your own, '
                "or label the node once the cluster is ready"
            ),
        ),
    )


def _different(values: Iterable[str]) -> bool:
    listed = list(values)
    return len(listed) == len(set(listed))


NODE = (
    matches("image", patterns.IMAGE, 'must be an image name such as "kindest/node:v1.34.4", without spaces and leading "-"'),
    *_labels(),
    ports_of_a_node(),
    Rule(
        rule="!has(self.extraMounts) || self.extraMounts.all(a, self.extraMounts.exists_one(b, a.containerPath == b.containerPath))",
        message="extraMounts: two mounts have the same containerPath: remove one of them",
        path=".extraMounts",
        holds=lambda held: _different(mount["containerPath"] for mount in held.get("extraMounts") or []),
    ),
)


def _absolute(field: str, cure: str) -> Rule:
    return quoting(
        field,
        f"self.{field}.startsWith('/')",
        "is relative",
        lambda held: str(held[field]).startswith("/"),
        example=f": {cure}",
    )


def _clean_path(field: str) -> Rule:
    """Of an absolute path: a relative one has a rule of its own, which says why kind takes it and this provider cannot."""
    must = 'must be an absolute path without ":", "//", "." and ".."'

    def holds(held: Held) -> bool:
        return not held[field].startswith("/") or re.fullmatch(patterns.PATH, held[field]) is not None

    return quoting(field, f"!self.{field}.startsWith('/') || self.{field}.matches(r'{patterns.PATH}')", must, holds)


def _hides_nothing(held: Held) -> bool:
    place = held["containerPath"]
    return place not in ("/", "/kind", "/kind/", "/kind/owner") and not place.startswith("/kind/owner/")


MOUNT = (
    _absolute(
        "hostPath",
        'kind would start from its own folder, the manager has none of yours: write the whole path, such as "/srv/data"',
    ),
    _absolute("containerPath", 'write the whole path inside the node, such as "/data"'),
    _clean_path("hostPath"),
    _clean_path("containerPath"),
    Rule(
        rule=(
            "!(self.containerPath in ['/', '/kind', '/kind/']) && self.containerPath != '/kind/owner' && "
            "!self.containerPath.startsWith('/kind/owner/')"
        ),
        message="containerPath must not hide the node's own files: choose another path than /, /kind and what is below /kind/owner",
        path=".containerPath",
        reason=FORBIDDEN,
        holds=_hides_nothing,
    ),
)

PORT_MAPPING = (
    matches("protocol", patterns.PROTOCOL, "must be TCP, UDP or SCTP"),
    quoting(
        "listenAddress",
        "!has(self.listenAddress) || self.listenAddress == '' || isIP(self.listenAddress)",
        "must be an IP address of the host",
        lambda held: not held.get("listenAddress") or is_ip(held["listenAddress"]),
        example=', such as "127.0.0.1"',
    ),
)
