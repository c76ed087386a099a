"""Status of a KINDCluster v1alpha1: what the manager writes for people and for Cluster API. Shapes only, as in provider.api.v1alpha1."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from provider.api import patterns
from provider.api.model import Model

Message = Annotated[str, Field(max_length=32768)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
OptionalTime = Annotated[str | None, Field(json_schema_extra={"format": "date-time"})]

# What a KINDCluster and a KINDControlPlane count alike.
Replicas = Annotated[int | None, Field(ge=0, description="replicas: control-plane nodes that exist.")]
ReadyReplicas = Annotated[int | None, Field(ge=0, description="readyReplicas: control-plane nodes that are Ready.")]
AvailableReplicas = Annotated[
    int | None, Field(ge=0, description="availableReplicas: control-plane nodes that are Ready while the API server answers.")
]
UpToDateReplicas = Annotated[
    int | None, Field(ge=0, description="upToDateReplicas: control-plane nodes that are as the spec wants them.")
]
Selector = Annotated[
    str | None,
    Field(max_length=512, description="selector of the scale subresource; no object of the management cluster matches it."),
]


class Condition(Model):
    """A metav1.Condition."""

    type: str = Field(max_length=316, pattern=patterns.CONDITION_TYPE, description="type of the condition, in CamelCase.")
    status: Literal["True", "False", "Unknown"] = Field(description="status: True, False or Unknown.")
    reason: str = Field(
        min_length=1,
        max_length=1024,
        pattern=patterns.REASON,
        description="reason of the last transition, in CamelCase; for programs.",
    )
    message: Message = Field(description="message for people: what is wrong and what to do; empty when all is well.")
    observed_generation: int | None = Field(
        None, ge=0, description="observedGeneration is the generation of the spec that the condition speaks about."
    )
    last_transition_time: Time = Field(
        description="lastTransitionTime is when the status last changed from one value to another."
    )


Conditions = Annotated[
    list[Condition] | None,
    Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]


class HistoryEntry(Model):
    """Something that happened."""

    time: Time = Field(description="time of the newest of them.")
    phase: str = Field(max_length=63, description="phase that the object was in.")
    reason: str = Field(max_length=1024, description="reason in CamelCase, as in conditions and Events.")
    message: str | None = Field(None, max_length=1024, description="message for people.")
    count: int = Field(ge=1, description="count of the same thing in a row.")


class NodeStatus(Model):
    """One node, as the runtime and the cluster see it."""

    name: str = Field(max_length=253, description="name of the node and of its container.")
    role: str = Field(max_length=63, description="role: control-plane, worker or external-load-balancer.")
    state: str = Field(max_length=63, description="state of the container: Running, Stopped, Paused, Created or Restarting.")
    ready: bool | None = Field(None, description="ready is the Ready condition of the Kubernetes Node.")
    id: str | None = Field(None, max_length=128, description="id of the container.")
    image: str | None = Field(None, max_length=512, description="image that the container was made from.")
    version: str | None = Field(None, max_length=64, description="version of the node's kubelet.")


class Endpoints(Model):
    """URLs of the API server."""

    host: str | None = Field(None, max_length=600, description="host is the URL from the engine's host.")
    internal: str | None = Field(None, max_length=600, description="internal is the URL from the engine's kind network.")


class Initialization(Model):
    """One-way marks of the Cluster API contract."""

    provisioned: bool | None = Field(
        None, description="provisioned: the endpoint and the kubeconfig are published and have answered."
    )
    control_plane_initialized: bool | None = Field(None, description="controlPlaneInitialized: the API server has answered.")


class CreateStep(Model):
    """One step of creating."""

    name: str = Field(max_length=256, description='name of the step, as kind words it, e.g. "Starting control-plane".')
    state: str = Field(max_length=63, description="state: Started, Succeeded or Failed.")
    seconds: int | None = Field(None, ge=0, description="seconds it took.")


class LastCreate(Model):
    """The newest create and how far it got."""

    attempts: int | None = Field(None, ge=0, description="attempts made for this generation of the spec.")
    started_at: OptionalTime = Field(None, description="startedAt is the start of the newest attempt.")
    finished_at: OptionalTime = Field(None, description="finishedAt is set only by success.")
    next_attempt_at: OptionalTime = Field(None, description="nextAttemptAt is when a failed create is tried again.")
    reason: str | None = Field(None, max_length=256, description="reason in CamelCase why the newest attempt that ended failed.")
    message: Message | None = Field(None, description="message for people: what failed and what to do.")
    seconds: int | None = Field(None, ge=0, description="seconds the newest successful attempt took.")
    generation: int | None = Field(None, ge=0, description="generation of the spec that is being created.")
    config_hash: str | None = Field(None, max_length=128, description="configHash of the kind config that was used.")
    steps: list[CreateStep] | None = Field(None, max_length=32, description="steps of the newest attempt.")


class LastResume(Model):
    """The newest start of nodes that did not run: stopped or paused as spec.powerState asked, or by somebody else."""

    started_at: OptionalTime = Field(None, description="startedAt is when it began.")
    seconds: int | None = Field(None, ge=0, description="seconds until the cluster was Ready; absent until it is.")


class LastScale(Model):
    """The newest change of the number of workers of a cluster that runs."""

    started_at: OptionalTime = Field(None, description="startedAt is when it began.")
    from_: int | None = Field(None, ge=0, alias="from", description="from so many workers.")
    to: int | None = Field(None, ge=0, description="to so many.")
    seconds: int | None = Field(
        None, ge=0, description="seconds until all of them were Ready, and no others there; absent until then."
    )


class PreloadedImage(Model):
    """An image of spec.images."""

    name: str = Field(max_length=255, description="name as the spec has it.")
    id: str | None = Field(
        None, max_length=128, description="id of what was loaded; absent: it is neither on the engine nor archived."
    )
    nodes: str = Field(max_length=16, description='nodes that have it, and nodes there are, e.g. "2/3".')


class PlannedChange(Model):
    """A field of the spec that differs from what is there."""

    field: str = Field(max_length=128, description='field of the spec, e.g. "networking.podSubnet".')
    made: str | None = Field(
        None, max_length=128, alias="from", description="from: what is there; of a long value its fingerprint; absent: nothing."
    )
    wanted: str | None = Field(
        None, max_length=256, alias="to", description="to: what is wanted, cut where it is long; absent: nothing."
    )


class UpdatePlan(Model):
    """What an edit that has not been carried out leads to."""

    update_class: Literal["InPlace", "Recreate", "Impossible"] = Field(
        alias="class",
        description=(
            "class of the change that takes most: InPlace (the cluster goes on with all that it holds), Recreate (it is deleted and made "
            "anew; its content is lost) or Impossible (only a new object brings it)."
        ),
    )
    generation: int = Field(ge=0, description="generation of the spec that was compared.")
    changes: list[PlannedChange] = Field(max_length=64, description="changes: the fields that differ.")
    message: str | None = Field(None, max_length=4096, description="message for people: what happens, or what it takes.")
    approval: str | None = Field(
        None,
        max_length=64,
        description=(
            "approval is what the annotation infrastructure.cluster.x-k8s.io/approved-plan has to say to have this plan, and no other "
            "one, carried out; absent where nothing waits for that."
        ),
    )


class RegistryStatus(Model):
    """Registries that nodes know, as spec.registry and spec.registryMirrors ask."""

    host: str | None = Field(
        None,
        max_length=64,
        description="host of the shared registry: push to it from the engine's host, pull from it in the cluster.",
    )
    nodes: str = Field(max_length=16, description='nodes that know them, and nodes there are, e.g. "2/3".')


class AddOnStatus(Model):
    """An add-on of spec.addons, or one that was taken off the list and is being removed."""

    name: str = Field(max_length=63, description="name as the spec has it.")
    phase: Literal["Pending", "Applying", "Waiting", "Ready", "Failed", "Removing"] = Field(
        description=(
            "phase: Pending (waits for the one before it), Applying, Waiting (applied, and not ready yet), Ready, Failed (see message) or "
            "Removing."
        )
    )
    since: OptionalTime = Field(None, description="since when it has been in this phase.")
    objects: str | None = Field(
        None, max_length=16, description='objects that are ready, and objects there are to be, e.g. "3/4".'
    )
    applied: str | None = Field(None, max_length=64, description="applied is the digest of the manifests that were applied last.")
    message: str | None = Field(None, max_length=1024, description="message for people: what it waits for, or what failed.")


class VersionStatus(Model):
    """A Kubernetes version in use."""

    version: str = Field(max_length=64, description='version, e.g. "v1.34.4".')
    replicas: int | None = Field(None, ge=1, description="replicas: control-plane nodes of this version.")


class KINDClusterStatus(Model):
    """What is there. A cache: it is rebuilt from observation when it is lost."""

    ready: bool | None = Field(None, description="ready: the cluster is usable now (the Ready condition).")
    initialized: bool | None = Field(None, description="initialized: the control plane has answered (v1beta1 contract).")
    initialization: Initialization | None = Field(
        None, description="initialization: one-way marks of the Cluster API contract (v1beta2)."
    )
    phase: (
        Literal[
            "Pending",
            "Queued",
            "Creating",
            "Ready",
            "Degraded",
            "Repairing",
            "Stopping",
            "Stopped",
            "Paused",
            "Starting",
            "Deleting",
            "Failed",
        ]
        | None
    ) = Field(None, description="phase is one word for people; programs read the conditions.")
    conditions: Conditions = Field(None, description="conditions: what is true now, and where it is not, why and what to do.")
    history: list[HistoryEntry] | None = Field(None, max_length=32, description="history: what happened, newest last.")
    nodes: list[NodeStatus] | None = Field(None, max_length=64, description="nodes as the runtime and the cluster see them.")
    nodes_ready: str | None = Field(None, max_length=16, description='nodesReady: ready and expected nodes, e.g. "3/3".')
    endpoints: Endpoints | None = Field(None, description="endpoints: URLs of the API server.")
    cluster_name: str | None = Field(None, max_length=63, description="clusterName is the name of the kind cluster.")
    cluster_uid: str | None = Field(
        None,
        max_length=64,
        alias="clusterUID",
        description="clusterUID of the cluster: that of its namespace kube-system. Where it changes, etcd has lost its data.",
    )
    kubeconfig_expires_at: OptionalTime = Field(
        None, description="kubeconfigExpiresAt is when the published client certificate expires; it is renewed long before."
    )
    expires_at: OptionalTime = Field(
        None, description="expiresAt is when the object is deleted, as spec.ttl and spec.expiresAt ask; absent: never."
    )
    runtime: str | None = Field(None, max_length=63, description="runtime that runs the cluster: kind or local.")
    resolved_image: str | None = Field(
        None,
        max_length=512,
        description="resolvedImage is the image that nodes are, or will be, made from where they name none of their own.",
    )
    plan: UpdatePlan | None = Field(
        None, description="plan: what of the spec differs from what is there, and what comes of it; absent where nothing does."
    )
    images: list[PreloadedImage] | None = Field(None, max_length=32, description="images: where those of spec.images are.")
    registry: RegistryStatus | None = Field(None, description="registry: how far nodes know registries.")
    addons: list[AddOnStatus] | None = Field(None, max_length=32, description="addons: how far those of spec.addons are.")
    version: str | None = Field(None, max_length=64, description="version the API server reports.")
    versions: list[VersionStatus] | None = Field(
        None, max_length=16, description="versions of Kubernetes in use, oldest first (Cluster API control-plane contract)."
    )
    replicas: Replicas = None
    ready_replicas: ReadyReplicas = None
    available_replicas: AvailableReplicas = None
    up_to_date_replicas: UpToDateReplicas = None
    selector: Selector = None
    worker_replicas: int | None = Field(
        None, ge=0, description="workerReplicas: workers that exist; what kubectl scale compares."
    )
    ready_worker_replicas: int | None = Field(None, ge=0, description="readyWorkerReplicas: workers that are Ready.")
    failure_reason: str | None = Field(
        None,
        max_length=256,
        description="failureReason in CamelCase, while nothing more is tried because the spec has to be corrected.",
    )
    failure_message: Message | None = Field(None, description="failureMessage for people: what failed and what to do.")
    last_create: LastCreate | None = Field(None, description="lastCreate: the newest create and how far it got.")
    last_resume: LastResume | None = Field(None, description="lastResume: the newest start of its nodes and how long it took.")
    last_scale: LastScale | None = Field(
        None, description="lastScale: the newest change of the number of workers and how long it took."
    )
    observed_generation: int | None = Field(
        None,
        ge=-1,
        description="observedGeneration is the generation of the spec that this status speaks about; -1: of none yet.",
    )
