"""An edit of every field of a KINDCluster's spec and what it leads to. Unit tests ask the reconciler, the envtest tier the API server."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from provider.api.markers import UpdateClass
from tests.envtest.kind_configs import HEAD

Spec = dict[str, Any]


class Leads(Enum):
    """What an edit of a field leads to. Written down here by hand: what the markers say is compared with it."""

    DONE = "nothing differs afterwards"
    IN_PLACE = UpdateClass.IN_PLACE
    RECREATE = UpdateClass.RECREATE
    IMPOSSIBLE = UpdateClass.IMPOSSIBLE
    REFUSED = "the API server refuses it, whatever spec.updatePolicy says"

    @property
    def update_class(self) -> UpdateClass:
        match self:
            case Leads.DONE:
                return UpdateClass.IN_PLACE
            case Leads.REFUSED:
                return UpdateClass.IMPOSSIBLE
            case _:
                return UpdateClass(self.value)


@dataclass(frozen=True)
class Edit:
    """From a spec to another one."""

    before: Spec
    after: Spec
    leads: Leads
    always_accepted: bool = False
    """Also by an object that refuses edits which need other nodes."""


MIRROR = {"host": "docker.io", "endpoints": ["https://mirror.example.org"]}


def mirror(changed: Spec) -> Edit:
    return Edit({"registryMirrors": [MIRROR]}, {"registryMirrors": [MIRROR | changed]}, Leads.DONE, always_accepted=True)


def top(field: str, before: Any, after: Any, leads: Leads = Leads.RECREATE) -> tuple[str, Edit]:
    free = leads in (Leads.DONE, Leads.IN_PLACE)
    return field, Edit(
        {} if before is None else {field: before}, {} if after is None else {field: after}, leads, always_accepted=free
    )


def networking(field: str, before: Any, after: Any, leads: Leads = Leads.RECREATE) -> tuple[str, Edit]:
    return f"networking.{field}", Edit({"networking": {field: before}}, {"networking": {field: after}}, leads)


def node(field: str, before: Any, after: Any) -> tuple[str, Edit]:
    return f"nodes[].{field}", Edit({"nodes": [{field: before}]}, {"nodes": [{field: after}]}, Leads.RECREATE)


def entry(field: str, base: Spec, name: str, value: Any) -> tuple[str, Edit]:
    """A field of an entry of a list of a node."""
    before, after = {"nodes": [{field: [base]}]}, {"nodes": [{field: [{**base, name: value}]}]}
    return f"nodes[].{field}[].{name}", Edit(before, after, Leads.RECREATE)


def addon(name: str, before: Any, after: Any) -> tuple[str, Edit]:
    """A field of an add-on; whatever becomes of it, it comes in place."""
    base = {"name": "a"} | ({"manifests": ADDON} if name == "name" else {})
    old, new = ({"addons": [{**base, name.partition(".")[0]: value}]} for value in (before, after))
    return f"addons[].{name}", Edit(old, new, Leads.IN_PLACE, always_accepted=True)


def patch(name: str, value: Any, of: str = "") -> tuple[str, Edit]:
    """A field of a JSON 6902 patch, of all nodes or of one."""
    field, base = "kubeadmConfigPatchesJSON6902", PATCH
    if of:
        return entry(field, base, name, value)
    return f"{field}[].{name}", Edit({field: [base]}, {field: [{**base, name: value}]}, Leads.RECREATE)


def config_from(field: str, before: Spec, after: Spec) -> tuple[str, Edit]:
    """Another config with other nodes. The API server does not see these as fields, so it accepts them."""
    return field, Edit({"configFrom": before}, {"configFrom": after}, Leads.RECREATE, always_accepted=True)


ADDON = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"
CONFIG_MAP = {"a.yaml": f"{HEAD}featureGates: {{A: true}}\n", "b.yaml": f"{HEAD}featureGates: {{A: false}}\n"}
"""Keys of the ConfigMap `configs`; those of `others` are the other way round."""
PATCH = {"group": "kubeadm.k8s.io", "version": "v1beta3", "kind": "ClusterConfiguration", "patch": "[]"}
MOUNT = {"hostPath": "/a", "containerPath": "/a"}
PORT = {"containerPort": 80, "hostPort": 8080}
ENDPOINT = {"host": "127.0.0.1", "port": 6443}
IDENTITY = {"token": "a" * 32, "runtime": "kind"}

EDITS: dict[str, Edit] = dict(
    (
        top("version", "v1.34.3", "v1.34.4"),
        top("image", "kindest/node:v1.34.3", "kindest/node:v1.34.4"),
        (
            "imageRepository",
            Edit(
                {"version": "v1.34.4", "imageRepository": "a.example"},
                {"version": "v1.34.4", "imageRepository": "b.example"},
                Leads.RECREATE,
            ),
        ),
        top("images", None, ["localhost/shop:dev"], Leads.IN_PLACE),
        top("addons", None, [{"name": "a", "manifests": ADDON}], Leads.IN_PLACE),
        addon("name", "a", "b"),
        addon("manifests", ADDON, ADDON.replace("name: a", "name: b")),
        addon("configMapKeyRef", {"name": "configs", "key": "a.yaml"}, {"name": "others", "key": "b.yaml"}),
        addon("configMapKeyRef.name", {"name": "configs", "key": "a.yaml"}, {"name": "others", "key": "a.yaml"}),
        addon("configMapKeyRef.key", {"name": "configs", "key": "a.yaml"}, {"name": "configs", "key": "b.yaml"}),
        top("controlPlaneReplicas", 1, 3),
        top("workerReplicas", 1, 2, Leads.IN_PLACE),
        top("nodes", [{}], [{"labels": {"a": "b"}}]),
        top("networking", {"podSubnet": "10.1.0.0/16"}, None),
        top("featureGates", {"A": True}, {"A": False}),
        top("runtimeConfig", {"api/all": "true"}, {"api/all": "false"}),
        top("kubeadmConfigPatches", ["a: 1"], ["a: 2"]),
        top("kubeadmConfigPatchesJSON6902", None, [PATCH]),
        top("containerdConfigPatches", ["a = 1"], ["a = 2"]),
        top("containerdConfigPatchesJSON6902", ["[]"], None),
        top("runtime", "kind", "local", Leads.IMPOSSIBLE),
        top("deletionPolicy", "Delete", "Retain", Leads.DONE),
        top("healPolicy", "Repair", "Report", Leads.DONE),
        top("retainOnFailure", False, True, Leads.DONE),
        top("createTimeout", "5m", "6m", Leads.DONE),
        top("updatePolicy", "Report", "Refuse", Leads.DONE),
        top("standalone", None, True, Leads.DONE),
        top("powerState", "Running", "Stopped", Leads.IN_PLACE),
        top("ttl", None, "8h", Leads.DONE),
        top("expiresAt", None, "2100-01-31T18:00:00Z", Leads.DONE),
        top("expiryPolicy", None, "Delete", Leads.DONE),
        top("registry", None, "Shared", Leads.DONE),
        top("registryMirrors", None, [MIRROR], Leads.DONE),
        ("registryMirrors[].host", mirror({"host": "mirror.example.org"})),
        ("registryMirrors[].endpoints", mirror({"endpoints": ["https://other.example.org"]})),
        top("clusterName", None, "other", Leads.REFUSED),
        top("controlPlaneEndpoint", ENDPOINT, {"host": "127.0.0.2", "port": 6444}, Leads.REFUSED),
        ("controlPlaneEndpoint.host", Edit({}, {"controlPlaneEndpoint": ENDPOINT | {"host": "127.0.0.2"}}, Leads.REFUSED)),
        ("controlPlaneEndpoint.port", Edit({}, {"controlPlaneEndpoint": ENDPOINT | {"port": 6444}}, Leads.REFUSED)),
        top("identity", IDENTITY, {"token": "b" * 32, "runtime": "local"}, Leads.REFUSED),
        ("identity.token", Edit({}, {"identity": IDENTITY | {"token": "b" * 32}}, Leads.REFUSED)),
        ("identity.runtime", Edit({}, {"identity": IDENTITY | {"runtime": "local"}}, Leads.REFUSED)),
        config_from("configFrom", {"inline": CONFIG_MAP["a.yaml"]}, {"configMapKeyRef": {"name": "configs", "key": "b.yaml"}}),
        config_from("configFrom.inline", {"inline": CONFIG_MAP["a.yaml"]}, {"inline": CONFIG_MAP["b.yaml"]}),
        *(
            config_from(
                f"configFrom.configMapKeyRef{deeper}",
                {"configMapKeyRef": {"name": "configs", "key": "a.yaml"}},
                {"configMapKeyRef": {"name": name, "key": key}},
            )
            for deeper, name, key in (("", "configs", "b.yaml"), (".name", "others", "a.yaml"), (".key", "configs", "b.yaml"))
        ),
        networking("ipFamily", "ipv4", "ipv6", Leads.IMPOSSIBLE),
        networking("apiServerPort", 0, 7443, Leads.IMPOSSIBLE),
        networking("apiServerAddress", "127.0.0.1", "127.0.0.2", Leads.IMPOSSIBLE),
        networking("podSubnet", "10.1.0.0/16", "10.2.0.0/16"),
        networking("serviceSubnet", "10.3.0.0/16", "10.4.0.0/16"),
        networking("disableDefaultCNI", False, True),
        networking("kubeProxyMode", "iptables", "nftables"),
        networking("dnsSearch", ["a.example"], ["b.example"]),
        ("nodes[].role", Edit({"nodes": [{}, {"role": "control-plane"}]}, {"nodes": [{}, {"role": "worker"}]}, Leads.RECREATE)),
        node("image", "kindest/node:v1.34.3", "kindest/node:v1.34.4"),
        node("labels", {"a": "b"}, {"a": "c"}),
        node("extraMounts", [MOUNT], []),
        node("extraPortMappings", [PORT], []),
        node("kubeadmConfigPatches", ["a: 1"], ["a: 2"]),
        node("kubeadmConfigPatchesJSON6902", [PATCH], []),
        *(
            entry("extraMounts", MOUNT, name, value)
            for name, value in {
                "containerPath": "/b",
                "hostPath": "/b",
                "readOnly": True,
                "selinuxRelabel": True,
                "propagation": "HostToContainer",
            }.items()
        ),
        *(
            entry("extraPortMappings", PORT, name, value)
            for name, value in {"containerPort": 81, "hostPort": 81, "listenAddress": "127.0.0.1", "protocol": "UDP"}.items()
        ),
        *(
            patch(name, value, of)
            for name, value in {"group": "b", "version": "v1beta4", "kind": "b", "patch": "[{}]"}.items()
            for of in ("", "nodes")
        ),
    )
)
"""Path of the field, as provider.api.markers.below has it → an edit of it."""
