"""For each CEL rule of the CRD: objects that it lets pass, objects that it refuses, and what it must say then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from provider.api.rules.ports import COMPARED, MAPPED_NODES
from provider.api.v1alpha1 import common
from provider.api.v1alpha1.kindcluster import KINDCluster, KINDClusterSpec
from tests.envtest.crd import JsonObject, kindcluster

Change = tuple[JsonObject, JsonObject]
"""An object and what it shall become."""

TOKEN = "0123456789abcdef0123456789abcdef"
ENDPOINT = {"host": "127.0.0.1", "port": 6443}


@dataclass(frozen=True)
class Case:
    """`rule`: how the rule's own message begins. `says`: field and words that a refusal has to contain."""

    model: type[BaseModel]
    rule: str
    accept: Sequence[JsonObject | Change]
    reject: Sequence[JsonObject | Change]
    says: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.model.__name__}: {self.rule}"


def change(before: dict[str, Any], after: dict[str, Any]) -> Change:
    """A change of the spec; None removes a field."""
    merged = {key: value for key, value in {**before, **after}.items() if value is not None}
    return kindcluster(**before), kindcluster(**merged)


def ports(*nodes: list[dict[str, Any]]) -> JsonObject:
    """A cluster whose nodes have these port mappings."""
    return kindcluster(nodes=[{"extraPortMappings": [{"containerPort": 80, **port} for port in node]} for node in nodes])


def many_ports(first: int, address: str = "") -> list[dict[str, Any]]:
    """As many port mappings as a node may have."""
    return [{"hostPort": first + count, "listenAddress": address, "protocol": "udp"} for count in range(128)]


def node(**fields: Any) -> JsonObject:
    return kindcluster(nodes=[fields])


def mount(host: str = "/srv", inside: str = "/data") -> JsonObject:
    return node(extraMounts=[{"hostPath": host, "containerPath": inside}])


def net(**fields: Any) -> JsonObject:
    return kindcluster(networking=fields)


def without_spec() -> JsonObject:
    return {key: value for key, value in kindcluster().items() if key != "spec"}


OBJECT = [
    Case(
        KINDCluster,
        "spec cannot be removed",
        accept=[without_spec(), (without_spec(), kindcluster(healPolicy="Report"))],
        reject=[(kindcluster(), without_spec())],
        says=("spec cannot be removed",),
    ),
    Case(
        KINDCluster,
        "the name of the kind cluster",
        accept=[change({"clusterName": "one"}, {}), change({}, {"clusterName": "example"}), (without_spec(), kindcluster())],
        reject=[
            change({"clusterName": "one"}, {"clusterName": "two"}),
            change({"clusterName": "one"}, {"clusterName": None}),
            change({}, {"clusterName": "one"}),
            (without_spec(), kindcluster(clusterName="one")),
        ],
        says=("spec: ", "cannot become", "create a new KINDCluster"),
    ),
    Case(
        KINDCluster,
        "metadata.name cannot name a kind cluster",
        accept=[
            kindcluster("a" * 49),
            kindcluster("7"),
            kindcluster("a.b", clusterName="a-b"),
            kindcluster("a" * 63, clusterName="a"),
            {**without_spec(), "metadata": {"generateName": "a-"}},
        ],
        reject=[kindcluster("a" * 50), kindcluster("a.b"), {**without_spec(), "metadata": {"name": "a.b"}}],
        says=("metadata.name: ", "set spec.clusterName"),
    ),
    Case(
        KINDCluster,
        "with several control planes",
        accept=[
            kindcluster("a" * 40, controlPlaneReplicas=3),
            kindcluster("a" * 49, controlPlaneReplicas=1, workerReplicas=5),
            kindcluster("a" * 63, clusterName="a" * 40, nodes=[{}, {}]),
            kindcluster("a" * 41, nodes=[{}, {"role": "worker"}]),
            kindcluster("a" * 41, nodes=[]),
        ],
        reject=[
            kindcluster("a" * 41, controlPlaneReplicas=2),
            kindcluster("a", clusterName="a" * 41, controlPlaneReplicas=3),
            kindcluster("a" * 41, nodes=[{}, {"role": "control-plane"}, {"role": "worker"}]),
        ],
        says=("spec: ", "too long", "at most 40 characters"),
    ),
]

CONFIG_FROM = [
    Case(
        common.ConfigFrom,
        "configFrom takes one",
        accept=[
            kindcluster(configFrom={"inline": "kind: Cluster"}),
            kindcluster(configFrom={"configMapKeyRef": {"name": "a", "key": "kind.yaml"}}),
        ],
        reject=[
            kindcluster(configFrom={}),
            kindcluster(configFrom={"inline": "", "configMapKeyRef": {"name": "a", "key": "b"}}),
        ],
        says=("spec.configFrom", "give exactly one"),
    ),
]


def addon(**fields: Any) -> JsonObject:
    return kindcluster(addons=[{"name": "a", "manifests": "", **fields}])


ADDON = [
    Case(
        common.AddOn,
        "an add-on takes one",
        accept=[addon(), kindcluster(addons=[{"name": "a", "configMapKeyRef": {"name": "b", "key": "c"}}])],
        reject=[kindcluster(addons=[{"name": "a"}]), addon(configMapKeyRef={"name": "b", "key": "c"})],
        says=("spec.addons[0]", "give exactly one"),
    ),
    Case(
        common.AddOn,
        "name must",
        accept=[addon(name="a-1")],
        reject=[addon(name=name) for name in ("A", "a_b", "-a", "a-", "a.b")],
        says=("spec.addons[0].name: ", "lower-case letters"),
    ),
]

SPEC = [
    Case(
        KINDClusterSpec,
        "clusterName must",
        accept=[kindcluster(clusterName="a-1")],
        reject=[kindcluster(clusterName=name) for name in ("A", "a_b", "-a", "a-", "a.b")],
        says=("spec.clusterName: ", "lower-case letters"),
    ),
    Case(
        KINDClusterSpec,
        "version must",
        accept=[
            kindcluster(version=version) for version in ("v1.34.4", "1.34.4", "v1.34", "1.34", "v1.35.0-rc.1", "v1.33.1+build.2")
        ],
        reject=[kindcluster(version=version) for version in ("v1", "1.34.", "v1.34-rc.1", "latest", "v1.34.4 ")],
        says=("spec.version: ", 'such as "v1.34.4"'),
    ),
    Case(
        KINDClusterSpec,
        "imageRepository must",
        accept=[
            kindcluster(imageRepository=place) for place in ("registry.example", "localhost:5000", "registry.example:5000/a/b-c")
        ],
        reject=[kindcluster(imageRepository=place) for place in ("https://x", "x/", "-x", "x:tag", "x y", "x/Y")],
        says=("spec.imageRepository: ", "must be a registry"),
    ),
    Case(
        KINDClusterSpec,
        "image must",
        accept=[kindcluster(image=f"registry.example:5000/kindest/node:v1.34.4@sha256:{'0' * 64}")],
        reject=[kindcluster(image=image) for image in ("--privileged", "a b", "a;b", "$(id)")],
        says=("spec.image: ", "must be an image name"),
    ),
    Case(
        KINDClusterSpec,
        "createTimeout must",
        accept=[kindcluster(createTimeout=duration) for duration in ("30s", "10m", "1h30m", "2h", "0h90s")],
        reject=[kindcluster(createTimeout=duration) for duration in ("29s", "2h1s", "10", "1.5h", "-5m", "10 m", "9999h")],
        says=("spec.createTimeout: ", "between 30s and 2h"),
    ),
    Case(
        KINDClusterSpec,
        "ttl must",
        accept=[kindcluster(ttl=duration) for duration in ("1s", "8h", "1h30m", "8760h", "0h90s")],
        reject=[kindcluster(ttl=duration) for duration in ("0s", "8760h1s", "10", "1.5h", "-5m", "8 h", "1d", "9999h")],
        says=("spec.ttl: ", "between 1s and 8760h"),
    ),
    Case(
        KINDClusterSpec,
        "expiresAt must",
        accept=[
            kindcluster(expiresAt=time)
            for time in (
                "2030-01-31T18:00:00Z",
                "2030-01-31T18:00:00.5+02:00",
                "2028-02-29T00:00:00-11:30",
                "2000-01-01T00:00:00Z",
            )
        ],
        reject=[
            kindcluster(expiresAt=time)
            for time in ("2030-01-31T18:00:00", "2030-01-31T18:00:00z", "1999-01-01T00:00:00Z", "2030-01-31T18:00:00+15:00")
        ],
        says=("spec.expiresAt: ", "with its zone"),
    ),
    Case(
        KINDClusterSpec,
        "nodes lists every node",
        accept=[
            kindcluster(nodes=[{}]),
            kindcluster(controlPlaneReplicas=1, workerReplicas=0),
            kindcluster(nodes=[], controlPlaneReplicas=3, workerReplicas=2),
        ],
        reject=[kindcluster(nodes=[{}], workerReplicas=1), kindcluster(nodes=[{}], controlPlaneReplicas=1)],
        says=("spec.nodes: ", "remove controlPlaneReplicas and workerReplicas"),
    ),
    Case(
        KINDClusterSpec,
        "nodes has no control plane",
        accept=[
            kindcluster(nodes=[]),
            kindcluster(nodes=[{}]),
            kindcluster(nodes=[{"role": "worker"}, {"role": "control-plane"}]),
        ],
        reject=[kindcluster(nodes=[{"role": "worker"}])],
        says=("spec.nodes: ", "role control-plane"),
    ),
    Case(
        KINDClusterSpec,
        "nodes: two nodes map the same hostPort of the same",
        accept=[
            ports([{"hostPort": 80, "listenAddress": "127.0.0.1"}], [{"hostPort": 80, "listenAddress": "127.0.0.2"}]),
            ports([{"hostPort": 80, "listenAddress": "127.0.0.1"}], [{"hostPort": 81, "listenAddress": "127.0.0.1"}]),
            ports(
                [{"hostPort": 80, "listenAddress": "::1"}],
                [{"hostPort": 80, "listenAddress": "::1", "protocol": "UDP"}],
                [{"hostPort": 0, "listenAddress": "::1"}, {"hostPort": -1, "listenAddress": "::1"}, {"listenAddress": "::1"}],
                [{"hostPort": 0, "listenAddress": "::1"}, {"hostPort": -1, "listenAddress": "::1"}, {"listenAddress": "::1"}],
            ),
        ],
        reject=[
            ports([{"hostPort": 80, "listenAddress": "127.0.0.1"}], [{"hostPort": 80, "listenAddress": "127.0.0.1"}]),
            ports([{"hostPort": 80, "listenAddress": "::1"}], [], [{"hostPort": 80, "listenAddress": "::1", "protocol": "TCP"}]),
        ],
        says=("spec.nodes: ", "same listenAddress", "another hostPort"),
    ),
    Case(
        KINDClusterSpec,
        "nodes: two nodes map the same hostPort, and one",
        accept=[
            ports([{"hostPort": 80}], [{"hostPort": 81}], [{}], []),
            ports([{"hostPort": 80}], [{"hostPort": 80, "protocol": "UDP"}], [{"hostPort": 80, "protocol": "SCTP"}]),
            ports([{"hostPort": 0}, {"hostPort": -1}], [{"hostPort": 0}, {"hostPort": -1}]),
            ports(*(many_ports(1000 + 128 * node) for node in range(40))),
            *(
                ports(
                    *(many_ports(1000 + 128 * node, address) for node in range(MAPPED_NODES)),
                    *[[] for _ in range(MAPPED_NODES, 40)],
                )
                for address in ("", "127.0.0.1")
            ),
        ],
        reject=[
            ports([{"hostPort": 80}], [{"hostPort": 80}]),
            ports([{"hostPort": 80, "listenAddress": "0.0.0.0"}], [{"hostPort": 80, "listenAddress": "127.0.0.1"}]),
            ports([{"hostPort": 80, "listenAddress": "127.0.0.1"}], [{"hostPort": 80, "listenAddress": "::"}]),
            ports([{"hostPort": 80, "listenAddress": ""}], [{"hostPort": 80, "protocol": "TCP"}]),
            ports([{"hostPort": 80, "protocol": "udp"}], [{"hostPort": 80, "protocol": "UDP"}]),
            ports(*[[{}] * (COMPARED - 1) + [{"hostPort": 80}]] * 2),
        ],
        says=("spec.nodes: ", "listens on all addresses", "another hostPort"),
    ),
    Case(
        KINDClusterSpec,
        "every key of featureGates",
        accept=[kindcluster(featureGates={"MemoryQoS": True, "AllAlpha": False})],
        reject=[kindcluster(featureGates={"A,B": True}), kindcluster(featureGates={"A=true": True})],
        says=("spec.featureGates: ", "name of a feature gate"),
    ),
    Case(
        KINDClusterSpec,
        "every key of runtimeConfig",
        accept=[kindcluster(runtimeConfig={"api/alpha": "false", "batch/v2alpha1": "true", "apps/v1/deployments": "true"})],
        reject=[kindcluster(runtimeConfig={"api/all=true,x": "true"}), kindcluster(runtimeConfig={"--x": "true"})],
        says=("spec.runtimeConfig: ", "API group, version or resource"),
    ),
    Case(
        KINDClusterSpec,
        "runtime local runs no containers",
        accept=[
            kindcluster(runtime="local", workerReplicas=3, version="v1.34.4", featureGates={"A": True}),
            kindcluster(runtime="local", nodes=[{"labels": {"a": "b"}}]),
            kindcluster(runtime="kind", image="a", kubeadmConfigPatches=["kind: ClusterConfiguration"]),
        ],
        reject=[
            kindcluster(runtime="local", image="a"),
            kindcluster(runtime="local", kubeadmConfigPatches=["kind: ClusterConfiguration"]),
            kindcluster(runtime="local", containerdConfigPatches=["[debug]"]),
            kindcluster(runtime="local", nodes=[{}, {"extraMounts": [{"hostPath": "/a", "containerPath": "/a"}]}]),
            kindcluster(runtime="local", nodes=[{"extraPortMappings": [{"containerPort": 1}]}]),
        ],
        says=("spec.runtime: ", "cannot honour", "use runtime kind"),
    ),
    Case(
        KINDClusterSpec,
        "identity is written by the provider",
        accept=[
            change({}, {"identity": {"token": TOKEN, "runtime": "kind"}}),
            change({"identity": {"token": TOKEN, "runtime": "kind"}}, {"healPolicy": "Report"}),
        ],
        reject=[
            change({"identity": {"token": TOKEN, "runtime": "kind"}}, {"identity": None}),
            change({"identity": {"token": TOKEN, "runtime": "kind"}}, {"identity": {"token": TOKEN, "runtime": "local"}}),
            change({"identity": {"token": TOKEN, "runtime": "kind"}}, {"identity": {"token": TOKEN[::-1], "runtime": "kind"}}),
        ],
        says=("spec.identity: ", "written by the provider"),
    ),
    Case(
        KINDClusterSpec,
        "controlPlaneEndpoint is written by the provider",
        accept=[
            change({}, {"controlPlaneEndpoint": ENDPOINT}),
            change({"controlPlaneEndpoint": ENDPOINT}, {"deletionPolicy": "Retain"}),
        ],
        reject=[
            change({"controlPlaneEndpoint": ENDPOINT}, {"controlPlaneEndpoint": None}),
            change({"controlPlaneEndpoint": ENDPOINT}, {"controlPlaneEndpoint": {**ENDPOINT, "port": 6444}}),
        ],
        says=("spec.controlPlaneEndpoint: ", "written by the provider"),
    ),
]

SETTLED: dict[str, tuple[Any, Any]] = {
    "version": ("v1.34.4", "v1.34.5"),
    "image": ("a", "b"),
    "controlPlaneReplicas": (1, 3),
    "nodes": ([{}], [{"labels": {"a": "b"}}]),
    "networking": ({"apiServerPort": 0}, {"apiServerPort": 6443}),
    "featureGates": ({"A": True}, {"A": False}),
    "runtimeConfig": ({"api/all": "true"}, {"api/all": "false"}),
    "imageRepository": ("a.example", "b.example"),
    "kubeadmConfigPatches": (["a"], ["b"]),
    "kubeadmConfigPatchesJSON6902": (
        [{"group": "a", "version": "b", "kind": "c", "patch": "d"}],
        [{"group": "a", "version": "b", "kind": "c", "patch": "e"}],
    ),
    "containerdConfigPatches": (["a"], ["b"]),
    "containerdConfigPatchesJSON6902": (["a"], ["b"]),
    "runtime": ("auto", "kind"),
}
"""Fields fixed once the cluster is made → two different values."""


def settled(field: str, one: Any, other: Any) -> Case:
    made = {"controlPlaneEndpoint": ENDPOINT}
    return Case(
        KINDClusterSpec,
        f"{field} cannot change",
        accept=[
            change({field: one}, {field: other}),
            change({field: one}, {field: None}),
            change({field: one}, {field: other, **made}),
            change({field: one, **made}, {"retainOnFailure": True}),
            change({field: one, **made, "updatePolicy": "Report"}, {field: other}),
            change({field: one, **made}, {field: other, "updatePolicy": "Recreate"}),
        ],
        reject=[
            change({field: one, **made}, {field: other}),
            change({field: one, **made}, {field: None}),
            change(made, {field: one}),
            change({field: one, **made}, {field: other, "updatePolicy": "Refuse"}),
            change({field: one, **made, "updatePolicy": "Report"}, {field: other, "updatePolicy": None}),
        ],
        says=(f"spec.{field}: ", "create a new KINDCluster", "updatePolicy: Recreate"),
    )


NODE = [
    Case(
        common.Node,
        "image must",
        accept=[node(image="kindest/node:v1.34.4")],
        reject=[node(image="-v")],
        says=("spec.nodes[0].image: ", "must be an image name"),
    ),
    Case(
        common.Node,
        "every key of labels",
        accept=[node(labels={"tier": "a", "example.com/tier": "", "a_b.c-d": "x.y_z-1"})],
        reject=[node(labels={key: "a"}) for key in ("a b", "-a", "/a", "a/", "A.example/a", "a/b/c", "a" * 64)],
        says=("spec.nodes[0].labels: ", "must be a label key"),
    ),
    Case(
        common.Node,
        "labels: a kubelet may not",
        accept=[
            node(labels={"topology.kubernetes.io/zone": "a", "kubernetes.io/os": "linux"}),
            node(labels={"node.kubernetes.io/x": "a", "example.node.kubernetes.io/x": "a", "kubelet.kubernetes.io/x": "a"}),
            node(labels={"notkubernetes.io/x": "a"}),
        ],
        reject=[
            node(labels={key: ""})
            for key in (
                "node-role.kubernetes.io/worker",
                "kubernetes.io/x",
                "k8s.io/x",
                "example.k8s.io/x",
                "notnode.kubernetes.io/x",
            )
        ],
        says=("spec.nodes[0].labels: ", "would not start", "use a key of your own"),
    ),
    Case(
        common.Node,
        "extraPortMappings: a hostPort is mapped twice",
        accept=[
            ports([{"hostPort": 80}, {"hostPort": 80, "protocol": "UDP"}, {"hostPort": 81}]),
            ports([{"hostPort": 80, "listenAddress": "127.0.0.1"}, {"hostPort": 80, "listenAddress": "127.0.0.2"}]),
            ports([{"hostPort": 0}, {"hostPort": 0}, {"hostPort": -1}, {"hostPort": -1}, {}, {}]),
        ],
        reject=[
            ports([{"hostPort": 80}, {"hostPort": 80, "protocol": "TCP"}]),
            ports([{"hostPort": 80, "protocol": "sctp"}, {"hostPort": 80, "protocol": "SCTP"}]),
            ports([{"hostPort": 80, "listenAddress": "127.0.0.1"}, {"hostPort": 80}]),
            ports([{"hostPort": 80}, *[{}] * 126, {"hostPort": 80, "protocol": ""}]),
            ports([{"hostPort": 80, "listenAddress": "::1"}, {"hostPort": 80, "listenAddress": "::"}]),
            ports(
                [{"hostPort": 80, "listenAddress": "127.0.0.1"}, {"hostPort": 1}, {"hostPort": 80, "listenAddress": "127.0.0.1"}]
            ),
        ],
        says=("spec.nodes[0].extraPortMappings: ", "mapped twice", "another hostPort"),
    ),
    Case(
        common.Node,
        "extraMounts: two mounts",
        accept=[node(extraMounts=[{"hostPath": "/a", "containerPath": path} for path in ("/a", "/b")])],
        reject=[node(extraMounts=[{"hostPath": path, "containerPath": "/a"} for path in ("/a", "/b")])],
        says=("spec.nodes[0].extraMounts: ", "same containerPath"),
    ),
    *(
        Case(
            common.Mount,
            f"{field} must be an absolute",
            accept=[mount(**{argument: path}) for path in ("/a", "/a/.b/..c/...", "/a b/ü/", "/a.d/b")],
            reject=[mount(**{argument: path}) for path in ("/a/../b", "/..", "/a/./b", "//a", "/a//b", "/a:b", "/a\nb")],
            says=(f"spec.nodes[0].extraMounts[0].{field}: ", "must be an absolute path"),
        )
        for field, argument in (("hostPath", "host"), ("containerPath", "inside"))
    ),
    *(
        Case(
            common.Mount,
            f"{field} is relative",
            accept=[mount(**{argument: "/a"})],
            reject=[mount(**{argument: path}) for path in ("a", "./a", "../a", "~/a", "${PWD}/a", "C:/a")],
            says=(f"spec.nodes[0].extraMounts[0].{field}: ", "is relative", "write the whole path"),
        )
        for field, argument in (("hostPath", "host"), ("containerPath", "inside"))
    ),
    Case(
        common.Mount,
        "containerPath must not hide",
        accept=[mount(inside="/kind/ownership"), mount(inside="/kindly"), mount(host="/", inside="/host")],
        reject=[mount(inside=path) for path in ("/", "/kind", "/kind/", "/kind/owner", "/kind/owner/", "/kind/owner/x")],
        says=("spec.nodes[0].extraMounts[0].containerPath: ", "choose another path"),
    ),
    Case(
        common.PortMapping,
        "protocol must",
        accept=[ports([{"protocol": protocol}]) for protocol in ("TCP", "tcp", "Udp", "sctp", "")],
        reject=[ports([{"protocol": protocol}]) for protocol in ("ICMP", "tcp4", " tcp")],
        says=("spec.nodes[0].extraPortMappings[0].protocol: ", "must be TCP, UDP or SCTP"),
    ),
    Case(
        common.PortMapping,
        "listenAddress must",
        accept=[ports([{"listenAddress": address}]) for address in ("", "127.0.0.1", "::1", "0.0.0.0")],
        reject=[ports([{"listenAddress": address}]) for address in ("localhost", "127.0.0.1:80", "256.0.0.1")],
        says=("spec.nodes[0].extraPortMappings[0].listenAddress: ", "must be an IP address"),
    ),
]

NETWORKING = [
    Case(
        common.Networking,
        "apiServerAddress must",
        accept=[net(apiServerAddress="0.0.0.0"), net(apiServerAddress="::1", ipFamily="ipv6")],
        reject=[net(apiServerAddress="localhost"), net(apiServerAddress="")],
        says=("spec.networking.apiServerAddress: ", "must be an IP address"),
    ),
    *(
        case
        for field, four, six in (
            ("podSubnet", "10.20.0.0/16", "fd00:10:20::/56"),
            ("serviceSubnet", "10.21.0.0/16", "fd00:10:21::/112"),
        )
        for case in (
            Case(
                common.Networking,
                f"{field} must be a CIDR",
                accept=[net(**{field: four}), net(**{field: six, "ipFamily": "ipv6"})],
                reject=[net(**{field: value}) for value in ("10.20.0.0", "10.20.0.0/33", "", "a", f"{four},", f"{four}, {six}")],
                says=(f"spec.networking.{field}: ", "must be a CIDR such as"),
            ),
            Case(
                common.Networking,
                f"{field} does not fit",
                accept=[
                    net(**{field: f"{four},{six}", "ipFamily": "dual"}),
                    net(**{field: f"{six},{four}", "ipFamily": "dual"}),
                    net(**{field: six, "ipFamily": "dual"}),
                    net(**{field: four, "ipFamily": "ipv4"}),
                ],
                reject=[
                    net(**{field: six}),
                    net(**{field: four, "ipFamily": "ipv6"}),
                    net(**{field: f"{four},{six}"}),
                    net(**{field: f"{four},{four}", "ipFamily": "dual"}),
                    net(**{field: f"{four},{six},{six}", "ipFamily": "dual"}),
                ],
                says=(f"spec.networking.{field}: ", "does not fit ipFamily"),
            ),
        )
    ),
    Case(
        common.Networking,
        "podSubnet and serviceSubnet overlap",
        accept=[
            net(podSubnet="10.0.0.0/17", serviceSubnet="10.0.128.0/17"),
            net(podSubnet="10.20.0.0/16,fd00::/56", serviceSubnet="fd01::/112,10.21.0.0/16", ipFamily="dual"),
        ],
        reject=[
            net(podSubnet="10.0.0.0/8", serviceSubnet="10.96.0.0/16"),
            net(podSubnet="10.96.1.0/24", serviceSubnet="10.96.0.0/16"),
            net(podSubnet="10.96.0.0/16", serviceSubnet="10.96.0.0/16"),
            net(podSubnet="10.20.0.0/16,fd00::/56", serviceSubnet="fd00::/112,10.21.0.0/16", ipFamily="dual"),
        ],
        says=("spec.networking.serviceSubnet: ", "overlap", "choose separate ranges"),
    ),
    Case(
        common.Networking,
        "serviceSubnet must have a mask",
        accept=[net(serviceSubnet=subnet) for subnet in ("10.0.0.0/12", "10.0.0.0/28")]
        + [net(serviceSubnet=subnet, ipFamily="ipv6") for subnet in ("fd00::/108", "fd00::/124")],
        reject=[net(serviceSubnet=subnet) for subnet in ("10.0.0.0/11", "10.0.0.0/29")]
        + [net(serviceSubnet=subnet, ipFamily="ipv6") for subnet in ("fd00::/107", "fd00::/125")],
        says=("spec.networking.serviceSubnet: ", "must have a mask"),
    ),
]

KINDCLUSTER_CASES = [
    *CONFIG_FROM,
    *ADDON,
    *OBJECT,
    *SPEC,
    *(settled(field, *values) for field, values in SETTLED.items()),
    *NODE,
    *NETWORKING,
]
