"""What several kinds share: the settings a cluster is made of, and the metadata of what is made from a template.

What a single field must be (pattern, range, length) stands on the field, with a marker of how it is treated (provider.api.markers); what
must hold between fields stands in provider.api.rules as CEL. Fields of kind's own configuration have kind's names (kind
pkg/apis/config/v1alpha4/types.go); an alias stands where camelCase would give another. Strings, lists and maps have upper bounds, because
the cost of a CEL rule is computed from them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from provider.api import patterns
from provider.api.markers import (
    FREE,
    IN_PLACE,
    KEPT,
    RECREATE,
    REFUSED,
    SAME,
    WITHOUT_EFFECT,
    MarkedField,
    Marker,
    marked_fields,
)
from provider.api.model import Model, validated_by
from provider.api.rules.cluster import ADDON, CONFIG_FROM
from provider.api.rules.networking import NETWORKING
from provider.api.rules.node import MOUNT, NODE, PORT_MAPPING


def _with_a_day(text: str) -> str:
    """Raises ValueError for a day that its month does not have."""
    datetime.fromisoformat(text)
    return text


ClusterName = Annotated[str, Field(min_length=1, max_length=49, pattern=patterns.LABEL)]
AddOnName = Annotated[str, Field(min_length=1, max_length=63, pattern=patterns.LABEL)]
Duration = Annotated[str, Field(min_length=2, max_length=16, pattern=patterns.DURATION)]
Time = Annotated[str, Field(max_length=40, pattern=patterns.TIME), AfterValidator(_with_a_day)]
"""Without the format date-time, because CEL sees no text then, and a refusal could not quote it."""
HostPort = Annotated[int, Field(ge=-1, le=65535)]
KubernetesVersion = Annotated[str, Field(max_length=64, pattern=patterns.VERSION)]
VersionOrMinor = Annotated[str, Field(max_length=64, pattern=patterns.VERSION_OR_MINOR)]
ImageTag = Annotated[str, Field(max_length=255, pattern=patterns.IMAGE_TAGGED)]
Path = Annotated[str, Field(pattern=patterns.PATH)]
Text = Annotated[str, Field(max_length=65536)]
LabelKey = Annotated[str, Field(max_length=317, pattern=patterns.LABEL_KEY)]
LabelValue = Annotated[str, Field(max_length=63, pattern=patterns.LABEL_VALUE)]
FeatureGate = Annotated[str, Field(max_length=128, pattern=patterns.FEATURE_GATE)]
RuntimeConfigKey = Annotated[str, Field(max_length=317, pattern=patterns.RUNTIME_CONFIG)]
RuntimeConfigValue = Annotated[str, Field(max_length=63, pattern=patterns.RUNTIME_CONFIG_VALUE)]
SearchDomain = Annotated[str, Field(max_length=253, pattern=patterns.DNS_SEARCH)]
Protocol = Annotated[str, Field(max_length=4, pattern=patterns.PROTOCOL), AfterValidator(str.upper)]
MirrorEndpoint = Annotated[str, Field(min_length=1, max_length=512, pattern=patterns.REGISTRY_URL)]
EmptyIsAbsent = AfterValidator(lambda entries: entries or None)
"""kind makes no difference between the two. One form here, so that an edit from one to the other changes nothing."""
AnnotationValue = Annotated[str, Field(max_length=4096)]


@validated_by(*MOUNT)
class Mount(Model):
    """A path of the host that the node sees."""

    container_path: Path = Field(max_length=255, description="containerPath is the absolute path inside the node.")
    host_path: Path = Field(
        max_length=512,
        description="hostPath is the absolute path on the engine's host. It must exist: a missing path is reported, not created.",
    )
    read_only: bool | None = Field(None, description="readOnly mounts the path read-only.")
    selinux_relabel: bool | None = Field(
        None, description="selinuxRelabel asks the engine to relabel the path for the container."
    )
    propagation: Literal["None", "HostToContainer", "Bidirectional"] | None = Field(
        None,
        description="propagation of mounts made below the path later: None (kind's default), HostToContainer or Bidirectional.",
    )


@validated_by(*PORT_MAPPING)
class PortMapping(Model):
    """A port of the host that leads to a port of the node."""

    container_port: int = Field(ge=1, le=65535, description="containerPort is the port inside the node.")
    host_port: HostPort | None = Field(
        None, description="hostPort on the engine's host; 0 or absent lets kind pick one, -1 lets the engine pick."
    )
    listen_address: str | None = Field(
        None, max_length=45, description="listenAddress is the host's IP address to listen on; kind's default is all addresses."
    )
    protocol: Protocol | None = Field(None, description="protocol: TCP (kind's default), UDP or SCTP, in upper or lower case.")


class PatchJSON6902(Model):
    """An RFC 6902 patch of one of the kubeadm config documents."""

    group: str | None = Field(
        None,
        max_length=253,
        description=(
            'group of the patched document, e.g. "kubeadm.k8s.io". Without group and version: of any version. kind ignores a patch '
            "of which only one of the two is given, as any that fits no document."
        ),
    )
    version: str | None = Field(None, max_length=63, description='version of the patched document, e.g. "v1beta3"; see group.')
    kind: str = Field(max_length=63, description='kind of the patched document, e.g. "ClusterConfiguration".')
    patch: Text = Field(description="patch is the JSON or YAML text of the RFC 6902 operations.")


@validated_by(*NODE)
class Node(Model):
    """One node container."""

    role: Annotated[Literal["control-plane", "worker"] | None, Marker(RECREATE, kind=SAME)] = Field(
        None, description="role: control-plane (kind's default) or worker."
    )
    image: Annotated[str | None, Marker(RECREATE, REFUSED, kind=SAME)] = Field(
        None, min_length=1, max_length=512, pattern=patterns.IMAGE, description="image of this node; overrides spec.image."
    )
    labels: Annotated[dict[LabelKey, LabelValue] | None, Marker(RECREATE, kind=SAME)] = Field(
        None, max_length=32, description="labels are Kubernetes labels of the Node, set when it joins."
    )
    extra_mounts: Annotated[list[Mount] | None, Marker(RECREATE, REFUSED, kind=SAME)] = Field(
        None, max_length=32, description="extraMounts are paths of the host that the node sees."
    )
    extra_port_mappings: Annotated[list[PortMapping] | None, Marker(RECREATE, REFUSED, kind=SAME)] = Field(
        None, max_length=128, description="extraPortMappings are ports of the host that lead to the node."
    )
    kubeadm_config_patches: Annotated[list[Text] | None, Marker(RECREATE, REFUSED, kind=SAME)] = Field(
        None, max_length=16, description="kubeadmConfigPatches are merge patches (RFC 7386) of this node's kubeadm config."
    )
    kubeadm_config_patches_json6902: Annotated[list[PatchJSON6902] | None, Marker(RECREATE, REFUSED, kind=SAME)] = Field(
        None,
        max_length=16,
        alias="kubeadmConfigPatchesJSON6902",
        description="kubeadmConfigPatchesJSON6902 are RFC 6902 patches of this node's kubeadm config.",
    )


@validated_by(*NETWORKING)
class Networking(Model):
    """Network settings of the cluster; kind's own defaults apply to what is absent."""

    ip_family: Annotated[Literal["ipv4", "ipv6", "dual"] | None, Marker(KEPT, kind=SAME)] = Field(
        None, description="ipFamily: ipv4 (kind's default), ipv6 or dual."
    )
    api_server_port: Annotated[HostPort | None, Marker(KEPT, kind=SAME)] = Field(
        None,
        description=(
            "apiServerPort on the host; 0 or absent picks a free one and keeps it, -1 lets the engine pick one at every start: then only "
            "the kubeconfig Secrets and status.endpoints follow, controlPlaneEndpoint does not."
        ),
    )
    api_server_address: Annotated[str | None, Marker(KEPT, kind=SAME)] = Field(
        None,
        max_length=45,
        description="apiServerAddress is the host's IP address the API server listens on; kind's default is the loopback address.",
    )
    pod_subnet: Annotated[str | None, Marker(RECREATE, kind=SAME)] = Field(
        None, max_length=87, description="podSubnet: a CIDR of the family, or one of each separated by a comma for dual."
    )
    service_subnet: Annotated[str | None, Marker(RECREATE, kind=SAME)] = Field(
        None, max_length=87, description="serviceSubnet: a CIDR of the family, or one of each separated by a comma for dual."
    )
    disable_default_cni: Annotated[bool | None, Marker(RECREATE, WITHOUT_EFFECT, kind=SAME)] = Field(
        None,
        alias="disableDefaultCNI",
        description="disableDefaultCNI leaves the CNI to you; Ready then waits for nodes to be registered, not for them to be Ready.",
    )
    kube_proxy_mode: Annotated[
        Literal["iptables", "ipvs", "nftables", "none"] | None, Marker(RECREATE, WITHOUT_EFFECT, kind=SAME)
    ] = Field(None, description="kubeProxyMode: iptables (kind's default), ipvs, nftables or none.")
    dns_search: Annotated[list[SearchDomain] | None, Marker(RECREATE, WITHOUT_EFFECT, kind=SAME)] = Field(
        None,
        max_length=32,
        description="dnsSearch replaces the nodes' DNS search domains; an empty list removes them, absent inherits the host's.",
    )


class RegistryMirror(Model):
    """Where nodes ask first for the images of one registry."""

    host: str = Field(
        min_length=1,
        max_length=253,
        pattern=patterns.REGISTRY,
        description='host of the registry, as names of images begin, e.g. "docker.io" or "registry.example.org:5000".',
    )
    endpoints: list[MirrorEndpoint] = Field(
        min_length=1,
        max_length=8,
        description=(
            'endpoints are URLs of its mirrors, e.g. "https://mirror.example.org", asked in this order; the registry itself comes last. '
            "Nodes have to reach them; a path goes before /v2."
        ),
    )


class ConfigMapKey(Model):
    """A key of a ConfigMap in the object's namespace."""

    name: str = Field(min_length=1, max_length=253, description="name of the ConfigMap.")
    key: str = Field(min_length=1, max_length=253, description="key in its data.")


@validated_by(*CONFIG_FROM)
class ConfigFrom(Model):
    """kind's own config, as it is."""

    config_map_key_ref: ConfigMapKey | None = Field(None, description="configMapKeyRef names where the config stands.")
    inline: Text | None = Field(None, description="inline is the config itself, as text.")


@validated_by(*ADDON)
class AddOn(Model):
    """Kubernetes objects that every cluster made from the spec has."""

    name: AddOnName = Field(description="name of the add-on, once in the list: a label value of every object of it.")
    manifests: Annotated[str, Field(max_length=262144)] | None = Field(
        None, description='manifests are the objects as YAML text, documents separated by "---".'
    )
    config_map_key_ref: ConfigMapKey | None = Field(
        None,
        description="configMapKeyRef names where that text stands instead. A change of it is noticed with the next look at the object.",
    )


class ClusterSettings(Model):
    """What a cluster is made of, whichever object asks for it. Field names of kind's config are kind's own."""

    @property
    def marked(self) -> tuple[MarkedField, ...]:
        return marked_fields(type(self))

    image: Annotated[str | None, Marker(RECREATE, REFUSED)] = Field(
        None, min_length=1, max_length=512, pattern=patterns.IMAGE, description="image of all nodes that name none of their own."
    )
    image_repository: Annotated[str | None, Marker(RECREATE, REFUSED)] = Field(
        None,
        min_length=1,
        max_length=255,
        pattern=patterns.IMAGE_PREFIX,
        description=(
            'imageRepository is a registry that mirrors Docker Hub, e.g. "registry.example.org:5000/mirror": node images that spec.image '
            "and nodes do not name are taken from kindest/node below it. kind's load balancer is not."
        ),
    )
    images: Annotated[list[ImageTag] | None, Marker(FREE, REFUSED)] = Field(
        None,
        max_length=32,
        description=(
            'images are loaded into every node, e.g. "localhost/shop:dev": from the engine, else from the manager\'s folder of archives; '
            "again when they are built anew, and into nodes that are. Taking one off the list unloads nothing."
        ),
    )
    registry: Annotated[Literal["Shared", "None"] | None, Marker(FREE, REFUSED)] = Field(
        None,
        description=(
            "registry: Shared lets every node pull from a registry that all such clusters of the engine share: push to what "
            "status.registry.host says. It is made for the first of them and goes after the last, with all that was pushed. Default: None."
        ),
    )
    registry_mirrors: Annotated[list[RegistryMirror] | None, Marker(FREE, REFUSED)] = Field(
        None,
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["host"]},
        description="registryMirrors are asked by every node before the registries themselves; one entry for each registry.",
    )
    addons: Annotated[list[AddOn] | None, Marker(FREE)] = Field(
        None,
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        description=(
            "addons are applied to the cluster one after the other, each when the one before it is ready; what an add-on no longer "
            "contains, and an add-on that is taken off the list, is deleted from the cluster."
        ),
    )
    worker_replicas: Annotated[int | None, Marker(IN_PLACE)] = Field(
        None,
        ge=0,
        le=50,
        description=(
            "workerReplicas: short form of nodes; absent: 0. What kubectl scale sets. Of a cluster that runs, workers join, or are drained "
            "and removed, highest number first."
        ),
    )
    nodes: Annotated[list[Node] | None, EmptyIsAbsent, Marker(RECREATE, kind=SAME)] = Field(
        None,
        max_length=40,
        description="nodes one by one; excludes controlPlaneReplicas and workerReplicas. An empty list counts as absent.",
    )
    networking: Annotated[Networking | None, Marker(RECREATE, kind=SAME)] = Field(None, description="networking of the cluster.")
    feature_gates: Annotated[dict[FeatureGate, bool] | None, Marker(RECREATE, kind=SAME)] = Field(
        None, max_length=64, description="featureGates of all Kubernetes components; true or false, without quotes."
    )
    runtime_config: Annotated[dict[RuntimeConfigKey, RuntimeConfigValue] | None, Marker(RECREATE, kind=SAME)] = Field(
        None,
        max_length=64,
        description='runtimeConfig of the API server (its --runtime-config); values are text: quote them, such as "true".',
    )
    kubeadm_config_patches: Annotated[list[Text] | None, Marker(RECREATE, REFUSED, kind=SAME)] = Field(
        None, max_length=16, description="kubeadmConfigPatches are merge patches (RFC 7386) of every node's kubeadm config."
    )
    kubeadm_config_patches_json6902: Annotated[list[PatchJSON6902] | None, Marker(RECREATE, REFUSED, kind=SAME)] = Field(
        None,
        max_length=16,
        alias="kubeadmConfigPatchesJSON6902",
        description="kubeadmConfigPatchesJSON6902 are RFC 6902 patches of every node's kubeadm config.",
    )
    containerd_config_patches: Annotated[list[Text] | None, Marker(RECREATE, REFUSED, kind=SAME)] = Field(
        None, max_length=16, description="containerdConfigPatches are TOML merge patches of every node's containerd config."
    )
    containerd_config_patches_json6902: Annotated[list[Text] | None, Marker(RECREATE, REFUSED, kind=SAME)] = Field(
        None,
        max_length=16,
        alias="containerdConfigPatchesJSON6902",
        description="containerdConfigPatchesJSON6902 are RFC 6902 patches of every node's containerd config.",
    )
    config_from: Annotated[ConfigFrom | None, Marker(FREE)] = Field(
        None,
        description=(
            "configFrom gives kind's own config (kind.x-k8s.io/v1alpha4) for the fields that are absent here; a field that both give must "
            "be the same in both. A change of it is treated as an edit of the fields, and accepted."
        ),
    )
    runtime: Annotated[Literal["auto", "kind", "local"] | None, Marker(KEPT)] = Field(
        None,
        description=(
            "runtime: kind (containers), local (control plane as processes, nodes simulated) or auto (kind where a container "
            "engine answers, else local); absent: the manager's default."
        ),
    )
    deletion_policy: Annotated[Literal["Delete", "Retain"] | None, Marker(FREE)] = Field(
        None, description="deletionPolicy: Delete (default) removes the cluster with the object, Retain keeps it running."
    )
    heal_policy: Annotated[Literal["Repair", "Recreate", "Report"] | None, Marker(FREE)] = Field(
        None,
        description=(
            "healPolicy: Repair (default) starts stopped nodes; Recreate also replaces a cluster that lost a node (its content is "
            "lost) or its content; Report changes nothing."
        ),
    )
    retain_on_failure: Annotated[bool | None, Marker(FREE)] = Field(
        None,
        description="retainOnFailure keeps the containers of a failed create for inspection, until the next try or the deletion.",
    )
    create_timeout: Annotated[Duration | None, Marker(FREE)] = Field(
        None, description='createTimeout of one try, e.g. "10m"; 30s to 2h.'
    )
    update_policy: Annotated[Literal["Refuse", "Report", "Recreate"] | None, Marker(FREE)] = Field(
        None,
        description=(
            "updatePolicy says what an edit does that needs a new cluster: Refuse (default) refuses it, Report accepts it and changes "
            "nothing until the plan in status.plan is approved, Recreate replaces the cluster (its content is lost)."
        ),
    )


class TemplateMetadata(Model):
    """What every object made from a template gets."""

    labels: dict[LabelKey, LabelValue] | None = Field(None, max_length=32, description="labels of the objects made from it.")
    annotations: dict[LabelKey, AnnotationValue] | None = Field(
        None, max_length=32, description="annotations of the objects made from it."
    )
