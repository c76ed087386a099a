"""Hypothesis strategies for KINDCluster specs, as JSON: valid ones of every shape, and the same with one value spoilt."""

from __future__ import annotations

import copy
import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from provider.api import patterns
from provider.api.v1alpha1 import kindcluster

Spec = dict[str, Any]


def matching(pattern: str, most: int) -> st.SearchStrategy[str]:
    """Strings of a pattern, no longer than `most`."""
    return st.from_regex(pattern, fullmatch=True).filter(lambda text: len(text) <= most)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Spec]:
    """An object with any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


NAMES = matching(patterns.LABEL, 40)
IMAGES = matching(patterns.IMAGE, 512)
LONGEST_PATH = 255
PATHS = matching(patterns.PATH, LONGEST_PATH)
TEXTS = st.lists(st.text(max_size=30), max_size=3)
LABELS = st.dictionaries(
    matching(patterns.LABEL_KEY, 317).filter(lambda key: "kubernetes.io/" not in key and "k8s.io/" not in key),
    matching(patterns.LABEL_VALUE, 63),
    max_size=3,
)
JSON6902 = st.lists(
    st.fixed_dictionaries(
        {"kind": st.text(min_size=1, max_size=9), "patch": st.text(max_size=30)},
        optional={key: st.text(max_size=9) for key in ("group", "version")},
    ),
    max_size=2,
)
MOUNTS = st.lists(
    st.builds(
        lambda required, optional: required | optional,
        st.fixed_dictionaries(
            {"hostPath": PATHS, "containerPath": PATHS.map(lambda path: ("/mnt" + path)[:LONGEST_PATH].rstrip("/."))}
        ),
        some(
            readOnly=st.booleans(),
            selinuxRelabel=st.booleans(),
            propagation=st.sampled_from(["None", "HostToContainer", "Bidirectional"]),
        ),
    ),
    max_size=3,
    unique_by=lambda mount: mount["containerPath"],
)
PROTOCOLS = st.sampled_from(["TCP", "UDP", "SCTP", "tcp", "udp", "Sctp", ""])
ADDRESSES = st.ip_addresses(v=4).map(str) | st.sampled_from(["", "0.0.0.0", "::", "::1"])


def subnets(family: int) -> st.SearchStrategy[tuple[str, str]]:
    """A pod and a service CIDR that do not overlap: the two halves of a private range, cut down."""
    pods, services = ("10.0.0.0/9", "10.128.0.0/9") if family == 4 else ("fd00::/9", "fd80::/9")
    pod_masks, service_masks = ((9, 30), (12, 28)) if family == 4 else ((9, 126), (108, 124))

    def inside(whole: str, masks: tuple[int, int]) -> st.SearchStrategy[str]:
        network = ipaddress.ip_network(whole)
        hosts = st.integers(int(network.network_address), int(network.broadcast_address))
        return st.builds(
            lambda host, mask: str(ipaddress.ip_network((host, mask), strict=False)), hosts, st.integers(masks[0], masks[1])
        )

    return st.tuples(inside(pods, pod_masks), inside(services, service_masks))


@st.composite
def networking(draw: st.DrawFn) -> Spec:
    family = draw(st.sampled_from([None, "ipv4", "ipv6", "dual"]))
    four, six = draw(subnets(4)), draw(subnets(6))
    pairs = {"ipv6": six, "dual": (f"{four[0]},{six[0]}", f"{six[1]},{four[1]}")}.get(family or "", four)
    rest = draw(
        some(
            podSubnet=st.just(pairs[0]),
            serviceSubnet=st.just(pairs[1]),
            apiServerPort=st.integers(-1, 65535),
            apiServerAddress=st.ip_addresses().map(str).filter(lambda address: "%" not in address and "::ffff:" not in address),
            disableDefaultCNI=st.booleans(),
            kubeProxyMode=st.sampled_from(["iptables", "ipvs", "nftables", "none"]),
            dnsSearch=st.lists(matching(patterns.DNS_SEARCH, 253), max_size=3),
        )
    )
    return rest | ({"ipFamily": family} if family else {})


@st.composite
def nodes(draw: st.DrawFn) -> list[Spec]:
    """At least one control plane; every fixed host port is used once in the whole cluster."""
    free = iter(draw(st.lists(st.integers(1, 65535), min_size=12, max_size=12, unique=True)))
    listed = [draw(node(free, role)) for role in draw(st.lists(st.sampled_from(["worker", "control-plane", None]), max_size=3))]
    return [*listed, draw(node(free, draw(st.sampled_from(["control-plane", None]))))]


@st.composite
def node(draw: st.DrawFn, free: Iterator[int], role: str | None) -> Spec:
    made = draw(
        some(
            image=IMAGES,
            labels=LABELS,
            extraMounts=MOUNTS,
            kubeadmConfigPatches=TEXTS,
            kubeadmConfigPatchesJSON6902=JSON6902,
            extraPortMappings=st.lists(port_mapping(free), max_size=3),
        )
    )
    return made | ({"role": role} if role else {})


@st.composite
def port_mapping(draw: st.DrawFn, free: Iterator[int]) -> Spec:
    mapping = {"containerPort": draw(st.integers(1, 65535))} | draw(some(listenAddress=ADDRESSES, protocol=PROTOCOLS))
    host = draw(st.sampled_from([None, 0, -1, "fixed"]))
    return mapping | ({} if host is None else {"hostPort": next(free) if host == "fixed" else host})


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Valid specs of a KINDCluster."""
    common = draw(
        some(
            clusterName=NAMES,
            version=matching(patterns.VERSION_OR_MINOR, 64),
            networking=networking(),
            featureGates=st.dictionaries(matching(patterns.FEATURE_GATE, 128), st.booleans(), max_size=3),
            runtimeConfig=st.dictionaries(
                matching(patterns.RUNTIME_CONFIG, 317), matching(patterns.RUNTIME_CONFIG_VALUE, 63), max_size=3
            ),
            deletionPolicy=st.sampled_from(["Delete", "Retain"]),
            healPolicy=st.sampled_from(["Repair", "Recreate", "Report"]),
            retainOnFailure=st.booleans(),
            createTimeout=st.integers(30, 7200).map(lambda seconds: f"{seconds // 60}m{seconds % 60}s"),
            ttl=st.integers(1, 8760 * 3600).map(lambda seconds: f"{seconds // 3600}h{seconds % 3600}s"),
            expiresAt=st.integers(946684800, 32503679999).map(lambda seconds: datetime.fromtimestamp(seconds, UTC).isoformat()),
            expiryPolicy=st.sampled_from(["Delete", "KeepUnready"]),
            standalone=st.booleans(),
            identity=st.fixed_dictionaries(
                {"token": matching(r"^[0-9a-f]{32}$", 32), "runtime": st.sampled_from(["kind", "local"])}
            ),
            controlPlaneEndpoint=st.fixed_dictionaries({"host": st.text(min_size=1, max_size=20), "port": st.integers(1, 65535)}),
        )
    )
    short = some(controlPlaneReplicas=st.integers(1, 9), workerReplicas=st.integers(0, 50))
    if draw(st.booleans()):
        return common | draw(short) | {"runtime": "local"}
    containers = draw(
        some(
            image=IMAGES,
            imageRepository=matching(patterns.IMAGE_PREFIX, 255),
            runtime=st.sampled_from(["auto", "kind"]),
            kubeadmConfigPatches=TEXTS,
            kubeadmConfigPatchesJSON6902=JSON6902,
            containerdConfigPatches=TEXTS,
            containerdConfigPatchesJSON6902=TEXTS,
        )
    )
    return common | containers | draw(short | st.fixed_dictionaries({"nodes": nodes()}) | some(nodes=st.just([])))


ODD = (
    st.none()
    | st.booleans()
    | st.integers(-2, 70000)
    | st.text(max_size=20)
    | st.sampled_from(
        [
            "",
            " ",
            "\n",
            "v1.34.4\n",
            "a\n",
            "/a\n",
            "0",
            "\u0661",
            "10.0.0.0/8",
            "true",
            "1",
            1.0,
            [],
            {},
            [{}],
            {"a": "b"},
            {"": ""},
        ]
    )
)


@st.composite
def spoilt(draw: st.DrawFn) -> Spec:
    """A valid spec in which one value has been replaced by something odd, which may still be valid."""
    spec = copy.deepcopy(draw(specs()))
    known = [str(field.alias) for field in kindcluster.KINDClusterSpec.model_fields.values()]
    places: list[tuple[Any, Any]] = [(spec, key) for key in known] + list(_places(spec))
    container, key = draw(st.sampled_from(places))
    container[key] = draw(ODD)
    return spec


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield value, key
        yield from _places(child)
