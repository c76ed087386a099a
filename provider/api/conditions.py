"""Reasons, as an enum: one docstring each, from which docs/reference/conditions.md is made. The types can be had from here as well."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from provider.api.condition_types import ConditionType
from provider.api.faults import Fault, Severity

__all__ = ["ConditionType", "Reason"]


class Reason(StrEnum):
    """Every reason there is: of conditions, Events, history entries, errors and log lines. A member is its text."""

    fault: Fault

    def __new__(cls, text: str, fault: Fault = Fault.NONE) -> Self:
        member = str.__new__(cls, text)
        member._value_, member.fault = text, fault
        return member

    @classmethod
    def _missing_(cls, _value: object) -> Reason:
        """A stored status may hold a reason that another version of the provider wrote."""
        return cls.UNKNOWN

    @property
    def severity(self) -> Severity:
        """Type of an Event with this reason: a warning if something has to change first."""
        return Severity.NORMAL if self.fault is Fault.NONE else Severity.WARNING

    READY = "Ready"
    """All is well."""
    AVAILABLE = "Available"
    """The API server answers."""
    NOT_PAUSED = "NotPaused"
    """The object is reconciled."""
    PAUSED = "Paused"
    """Of the condition Paused: Cluster or object are paused, by spec.paused or annotation. Elsewhere: as spec.powerState asks, frozen."""
    REACHABLE = "Reachable"
    """The runtime answers."""
    VERIFIED = "Verified"
    """Every container carries our marker."""
    RUNNING = "Running"
    """All expected containers run."""
    PUBLISHED = "Published"
    """The Secret is up to date."""
    NODES_READY = "NodesReady"
    """All expected nodes are Ready."""
    ENDPOINT_CURRENT = "EndpointCurrent"
    """The API server answers where it was published."""
    CONFIG_RESOLVED = "ConfigResolved"
    """The config of spec.configFrom is part of what the spec asks for."""
    ALLOWED = "Allowed"
    """The policy allows what the spec asks for."""
    NODES_SIMULATED = "NodesSimulated"
    """Runtime `local` has no kubelets."""

    IMAGES_PRESENT = "ImagesPresent"
    """Nothing has to be pulled."""
    IMAGES_PRELOADED = "ImagesPreloaded"
    """Every node has what spec.images lists."""
    REGISTRY_READY = "RegistryReady"
    """Every node knows the registries that the spec asks for."""
    CONNECTING_REGISTRIES = "ConnectingRegistries"
    """The shared registry is being made, or nodes are being told of registries."""
    LOADING_IMAGES = "LoadingImages"
    """Images of spec.images are being loaded into nodes."""
    ADDONS_READY = "AddonsReady"
    """Every add-on is applied and ready."""
    APPLYING_ADDONS = "ApplyingAddons"
    """Objects of an add-on are being applied."""
    WAITING_FOR_ADDONS = "WaitingForAddons"
    """An add-on is applied, and its objects are not ready yet, or what it no longer contains is not gone yet."""
    REMOVING_ADDONS = "RemovingAddons"
    """What was taken off spec.addons is being deleted from the cluster."""
    ADDON_NOT_READY = "AddonNotReady", Fault.SPEC
    """An add-on was applied ten minutes ago, and its objects are still not ready; those after it wait. It is looked at all the same."""
    ADDON_NOT_FOUND = "AddonNotFound", Fault.MANAGEMENT
    """The ConfigMap with an add-on's manifests, or its key, does not exist; looked for every 15 seconds."""
    ADDON_INVALID = "AddonInvalid", Fault.SPEC
    """The text of an add-on is no YAML with Kubernetes objects, or too much of it."""
    ADDON_REFUSED = "AddonRefused", Fault.SPEC
    """The cluster's API server refuses an object of an add-on; tried again when the text changes, and every ten minutes."""
    ADDON_CONFLICT = "AddonConflict", Fault.SPEC
    """An object of an add-on exists in the cluster and was not made by it: it is left alone."""
    ADDON_FAILED = "AddonFailed", Fault.HOST
    """Applying or removing an add-on failed in a way that may pass: tried again."""
    IMAGES_TO_PULL = "ImagesToPull"
    """An image is pulled when the nodes are made; whether its registry has it shows then."""
    ROLLING_OUT = "RollingOut"
    """The cluster is being replaced."""
    NOT_ROLLING_OUT = "NotRollingOut"
    """No replacement is under way."""
    SCALING_UP = "ScalingUp"
    """Workers join, or control-plane nodes are being made."""
    NOT_SCALING_UP = "NotScalingUp"
    """No workers join, and no control-plane nodes are being made."""
    SCALING_DOWN = "ScalingDown"
    """Workers are drained and removed, or control-plane nodes are being removed."""
    NOT_SCALING_DOWN = "NotScalingDown"
    """No workers and no control-plane nodes are being removed."""
    UP_TO_DATE = "UpToDate"
    """The cluster is what the spec asks for."""
    UPDATE_NEEDED = "UpdateNeeded", Fault.SPEC
    """The spec asks for other nodes, and nobody has consented to replacing the cluster."""
    UPDATE_IMPOSSIBLE = "UpdateImpossible", Fault.SPEC
    """The spec asks for a change that replacing the cluster cannot make: another runtime or another endpoint."""
    PREPARING = "Preparing"
    """What a replacement needs is being fetched; the cluster runs on meanwhile."""
    WAITING_FOR_CONTROL_PLANE = "WaitingForControlPlane"
    """The Cluster names a KINDControlPlane that does not exist, so that the wanted version is not known."""
    CONTROL_PLANE_CONFLICT = "ControlPlaneConflict", Fault.SPEC
    """Spec and KINDControlPlane ask for different things."""
    NETWORK_CONFLICT = "NetworkConflict", Fault.SPEC
    """Spec and Cluster.spec.clusterNetwork ask for different networks."""

    WAITING_FOR_OWNER = "WaitingForOwner"
    """Cluster API is installed and no Cluster owns this object yet."""
    NOT_REFERENCED = "NotReferenced"
    """The owner Cluster's infrastructureRef names another object."""
    QUEUED = "Queued"
    """Waits for a free create slot, or for its turn to fetch images; the message has the position in the queue."""
    CREATING = "Creating"
    """The cluster is being made, or its images are being fetched."""
    CREATE_RETRYING = "CreateRetrying", Fault.HOST
    """The last try failed; another follows."""
    CREATE_FAILED = "CreateFailed", Fault.SPEC
    """The cluster could not be made. As the reason of Ready: not with this spec; any edit of it starts anew."""
    CLEANING_UP = "CleaningUp"
    """What an interrupted or failed create left is being removed."""
    WAITING_FOR_NODES = "WaitingForNodes"
    """The API server answers; not every expected node is Ready."""
    WAITING_FOR_API = "WaitingForAPI"
    """The API server does not answer /readyz yet."""
    API_UNREACHABLE = "APIUnreachable", Fault.HOST
    """The cluster's API server answered before and does not now."""
    DATA_LOST = "DataLost", Fault.HOST
    """The cluster's API server runs on an etcd that has lost its data, usually with a restart: all objects of the cluster are gone."""
    ENDPOINT_MOVED = "EndpointMoved", Fault.SPEC
    """The engine has given the API server another port than the published one; the kubeconfig Secrets have the new one."""
    CONTAINERS_STOPPED = "ContainersStopped", Fault.HOST
    """Node containers exist and do not run."""
    CONTAINERS_MISSING = "ContainersMissing", Fault.HOST
    """Fewer node containers exist than expected."""
    NOT_CREATED = "NotCreated"
    """Nothing has been made yet."""
    STARTING = "Starting"
    """Stopped node containers are being started."""
    STOPPING = "Stopping"
    """The nodes are being stopped, as spec.powerState asks."""
    STOPPED = "Stopped"
    """The nodes are stopped, as spec.powerState asks."""
    PAUSING = "Pausing"
    """The nodes are being frozen, as spec.powerState asks."""
    REPAIR_NEEDED = "RepairNeeded", Fault.SPEC
    """Only a new cluster can help, and spec.healPolicy does not allow it."""
    RECREATING = "Recreating"
    """The cluster is replaced, as spec.healPolicy or spec.updatePolicy: Recreate, or an approved plan, allows."""
    ENGINE_UNREACHABLE = "EngineUnreachable", Fault.HOST
    """The runtime does not answer: nothing is changed until it does."""
    OTHER_DAEMON = "OtherDaemon", Fault.HOST
    """Another engine daemon answers than the one the cluster was made on (another context, DOCKER_HOST or host): nothing is changed."""
    NAME_CONFLICT = "NameConflict", Fault.HOST
    """A cluster of this name exists that is not ours, or another KINDCluster claims the name."""
    NAME_LOCKED = "NameLocked"
    """Another process on this host works on a cluster of this name."""
    COPIED_IDENTITY = "CopiedIdentity", Fault.SPEC
    """The object is a copy of another one, with its identity and endpoint: nothing is made for it."""
    SECRET_CONFLICT = "SecretConflict", Fault.MANAGEMENT
    """A Secret of that name exists that is not ours."""
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    """The namespace is being deleted: nothing can be created in it any more, and this object will be deleted too."""
    KUBECONFIG_REFUSED = "KubeconfigRefused", Fault.HOST
    """The node handed out a kubeconfig that is not plain inline data."""
    KUBECONFIG_RENEWED = "KubeconfigRenewed"
    """The kubeconfig's client certificate would have expired soon, and was renewed."""
    KUBECONFIG_NOT_RENEWED = "KubeconfigNotRenewed", Fault.HOST
    """The kubeconfig's client certificate expires, and the node cannot renew it; tried again every hour."""
    KUBECONFIG_PENDING = "KubeconfigPending"
    """The kubeconfig cannot be read yet."""
    INVALID_SPEC = "InvalidSpec", Fault.SPEC
    """The stored spec cannot be read by this version of the provider."""
    INVALID_OWNER = "InvalidOwner", Fault.MANAGEMENT
    """The owner reference names a Cluster that does not exist or is another one."""
    DELETING = "Deleting"
    """The cluster is being removed."""
    DELETE_BLOCKED = "DeleteBlocked", Fault.HOST
    """Deletion waits; the message says for what."""
    KEPT = "Kept"
    """The object goes and its cluster stays, as spec.deletionPolicy: Retain or --cascade=orphan asked for."""
    OWNER_GONE = "OwnerGone", Fault.MANAGEMENT
    """The owner Cluster is gone without having been deleted first, or came after the deletion: the kind cluster is kept."""
    UNKNOWN = "Unknown"
    """Not observed yet, or a reason that this version of the provider does not know."""

    # --- the end of an object's time -----------------------------------------------------------------------------------------

    NOT_EXPIRING = "NotExpiring"
    """The object's time is not over soon; status.expiresAt has it."""
    EXPIRES_SOON = "ExpiresSoon", Fault.SPEC
    """The object is deleted at status.expiresAt unless somebody puts that off; the message says how."""
    EXPIRED = "Expired"
    """The object's time, as spec.ttl or spec.expiresAt has it, is over: it is deleted, and its cluster with it."""
    EXPIRY_HELD = "ExpiryHeld", Fault.SPEC
    """The object's time is over, and spec.expiryPolicy or spec.deletionPolicy keeps it."""
    EXPIRY_REFUSED = "ExpiryRefused", Fault.SPEC
    """The object does not expire: a Cluster owns it, or is to own it, or a time cannot be read."""

    # --- the management cluster's API ----------------------------------------------------------------------------------------

    CONFLICT = "Conflict"
    """The object was changed since it was read: it is read again at once."""
    ALREADY_EXISTS = "AlreadyExists"
    """What was to be created exists."""
    OBJECT_GONE = "ObjectGone"
    """The object was deleted while the provider worked on it."""
    NOT_FOUND = "NotFound", Fault.MANAGEMENT
    """An object cannot be created because its namespace or its type does not exist."""
    FORBIDDEN = "Forbidden", Fault.MANAGEMENT
    """The provider's RBAC rules, or an admission webhook, do not allow the request."""
    INVALID = "Invalid", Fault.MANAGEMENT
    """The API server refuses the object's content: the installed CRDs are of another version, or a policy forbids it."""
    BAD_REQUEST = "BadRequest", Fault.MANAGEMENT
    """The API server refuses the request for another reason."""
    API_ERROR = "APIError", Fault.MANAGEMENT
    """The API server is overloaded or fails (HTTP 401, 408, 429, 5xx)."""
    API_TIMEOUT = "APITimeout", Fault.MANAGEMENT
    """The API server did not answer in time."""
    MANAGEMENT_UNREACHABLE = "ManagementUnreachable", Fault.MANAGEMENT
    """The API server of the management cluster cannot be reached."""
    LOGIN_TIMEOUT = "LoginTimeout", Fault.MANAGEMENT
    """Credentials for the management cluster were not ready in time, e.g. an exec plugin hangs."""
    KUBECONFIG_UNUSABLE = "KubeconfigUnusable", Fault.MANAGEMENT
    """The manager's own kubeconfig cannot be read, or lacks the context."""
    NOT_INSTALLED = "NotInstalled", Fault.MANAGEMENT
    """The provider's CRDs are not installed."""

    # --- the manager itself --------------------------------------------------------------------------------------------------

    CANCELLED = "Cancelled"
    """The operation was stopped before its end: by a changed spec, a deletion, a pause, or the end of the manager."""
    RECONCILE_TIMEOUT = "ReconcileTimeout", Fault.HOST
    """One pass over the object took too long; another one follows."""
    ALREADY_RUNNING = "AlreadyRunning", Fault.HOST
    """Another manager uses the same state folder."""
    STATE_DIR_UNUSABLE = "StateDirUnusable", Fault.HOST
    """The manager's state folder cannot be made or written."""
    POLICY_UNUSABLE = "PolicyUnusable", Fault.HOST
    """The file of --policy-file cannot be read, or is no policy: the manager does not start."""
    ADDRESS_UNUSABLE = "AddressUnusable", Fault.HOST
    """The manager cannot listen on the address of a flag."""
    OPEN_FILES_LIMIT = "OpenFilesLimit", Fault.HOST
    """The manager, or its host, may open no more files."""
    READ_ONLY_FILESYSTEM = "ReadOnlyFilesystem", Fault.HOST
    """A folder that the manager writes to is on a filesystem that is read-only now."""
    HOST_ERROR = "HostError", Fault.HOST
    """The manager's host refuses something else; the message has its words."""
    COMMAND_MISSING = "CommandMissing", Fault.HOST
    """A program is not installed, or cannot be started."""
    COMMAND_FAILED = "CommandFailed", Fault.HOST
    """A program ended with an error."""
    COMMAND_TIMEOUT = "CommandTimeout", Fault.HOST
    """A program did not end in time."""

    # --- the runtimes --------------------------------------------------------------------------------------------------------

    ENGINE_MISSING = "EngineMissing", Fault.HOST
    """The container engine's command is not installed."""
    ENGINE_FAILED = "EngineFailed", Fault.HOST
    """A command of the container engine failed; the message quotes it."""
    KIND_MISSING = "KindMissing", Fault.HOST
    """kind is not installed."""
    KIND_UNUSABLE = "KindUnusable", Fault.HOST
    """kind is installed and cannot be run."""
    KIND_TOO_OLD = "KindTooOld", Fault.HOST
    """The installed kind is older than the provider supports."""
    TOOLS_MISSING = "ToolsMissing", Fault.HOST
    """A binary that runtime `local` needs is not installed, or cannot be run."""
    HOST_UNFIT = "HostUnfit", Fault.HOST
    """The host lacks what the runtime or this Kubernetes version needs: cgroup v2, rootless prerequisites, Linux."""
    HOST_LIMITS = "HostLimits", Fault.HOST
    """The host's inotify limits are exhausted."""
    OUT_OF_MEMORY = "OutOfMemory", Fault.HOST
    """The host has no memory left for another node, or the manager none for itself."""
    DISK_FULL = "DiskFull", Fault.HOST
    """The disk of the engine, or of the manager, is full."""
    PORT_IN_USE = "PortInUse", Fault.HOST
    """Another program or cluster listens on a port of the spec."""
    CONTAINER_NAME_IN_USE = "ContainerNameInUse", Fault.HOST
    """A container that is no kind node has the name of a node to be made."""
    HOST_PATH_MISSING = "HostPathMissing", Fault.HOST
    """A hostPath of spec.nodes[].extraMounts does not exist on the engine's host."""
    MOUNT_FAILED = "MountFailed", Fault.HOST
    """The engine cannot mount a path of spec.nodes[].extraMounts."""
    IMAGE_PULL_FAILED = "ImagePullFailed", Fault.HOST
    """An image is not on the engine and could not be pulled: no network, or a registry that does not answer."""
    IMAGE_MISSING = "ImageMissing", Fault.HOST
    """An image of spec.images is neither on the engine nor in the manager's folder of archives."""
    IMAGE_LOAD_FAILED = "ImageLoadFailed", Fault.HOST
    """An image of spec.images could not be loaded into a node; tried again every minute."""
    REGISTRY_CONFLICT = "RegistryConflict", Fault.HOST
    """What the shared registry or a mirror needs is there and not ours: a container, a file in a node, containerd's own settings."""
    REGISTRY_FAILED = "RegistryFailed", Fault.HOST
    """The shared registry was started and does not keep running, or nodes could not be told; tried again every minute."""
    NETWORK_FAILED = "NetworkFailed", Fault.HOST
    """The engine could not provide the clusters' network."""
    NODE_BOOT_FAILED = "NodeBootFailed", Fault.HOST
    """A node container started and did not boot."""
    CONTROL_PLANE_FAILED = "ControlPlaneFailed", Fault.HOST
    """kubeadm could not set up the control plane."""
    CONTROL_PLANE_TIMEOUT = "ControlPlaneTimeout", Fault.HOST
    """The control plane did not come up in the time that kubeadm gives it."""
    JOIN_FAILED = "JoinFailed", Fault.HOST
    """A node could not join the control plane."""
    DRAIN_FAILED = "DrainFailed", Fault.HOST
    """A worker that is to leave cannot be drained: the message names the pods that stay, and why; it is tried again."""
    ADDONS_FAILED = "AddonsFailed", Fault.HOST
    """The network plugin or the storage class could not be installed in the new cluster."""
    CREATE_TIMEOUT = "CreateTimeout", Fault.HOST
    """The cluster was not finished within spec.createTimeout."""
    START_FAILED = "StartFailed", Fault.HOST
    """Node containers were started and do not keep running."""
    STOP_FAILED = "StopFailed", Fault.HOST
    """Node containers were told to stop or to pause, and run on; it is tried again."""
    DELETE_FAILED = "DeleteFailed", Fault.HOST
    """Containers could not be removed; it is tried again."""
    FILE_UNREADABLE = "FileUnreadable", Fault.HOST
    """A file of a node container cannot be read."""
    FOLDER_MISSING = "FolderMissing", Fault.HOST
    """Processes of a local cluster run, and its folder is gone."""
    LOCAL_FOLDER_FAILED = "LocalFolderFailed", Fault.HOST
    """The folder of a local cluster cannot be read or written."""
    LOCAL_COMPONENT_FAILED = "LocalComponentFailed", Fault.HOST
    """A process of a local cluster ended, or was not ready in time."""
    LOCAL_NODE_FAILED = "LocalNodeFailed", Fault.HOST
    """A simulated node could not be registered."""
    LOCAL_REMOVAL_FAILED = "LocalRemovalFailed", Fault.HOST
    """Processes or files of a local cluster could not be removed; it is tried again."""

    # --- what the spec asks for ----------------------------------------------------------------------------------------------

    CONFIG_REJECTED = "ConfigRejected", Fault.SPEC
    """kind or kubeadm refuses the config: usually one of the patches, or a feature gate."""
    IMAGE_INVALID = "ImageInvalid", Fault.SPEC
    """spec.image or spec.nodes[].image is not the name of an image."""
    IMAGE_UNKNOWN = "ImageUnknown", Fault.SPEC
    """No node image is known for the Kubernetes version that the spec asks for, and none is on the engine."""
    IMAGE_NOT_FOUND = "ImageNotFound", Fault.SPEC
    """The registry does not have the image, or refuses it."""
    MOUNT_INVALID = "MountInvalid", Fault.SPEC
    """A mount uses the container path that is reserved for the mark of ownership."""
    PORT_DUPLICATE = "PortDuplicate", Fault.SPEC
    """The spec asks for the same host port twice."""
    ADDRESS_UNAVAILABLE = "AddressUnavailable", Fault.SPEC
    """The engine's host does not have an address of the spec (apiServerAddress or listenAddress)."""
    NOT_SUPPORTED = "NotSupported", Fault.SPEC
    """Runtime `local` cannot do what a field of the spec asks for."""
    CONFIG_NOT_FOUND = "ConfigNotFound", Fault.SPEC
    """The ConfigMap that spec.configFrom names does not exist, or has not the key."""
    CONFIG_INVALID = "ConfigInvalid", Fault.SPEC
    """The config of spec.configFrom is none that kind would take, or one that a KINDCluster cannot have."""
    CONFIG_CONFLICT = "ConfigConflict", Fault.SPEC
    """A field of the spec and the config of spec.configFrom say different things."""
    POLICY_REFUSED = "PolicyRefused", Fault.SPEC
    """The manager's policy (--policy-file) does not allow this namespace something that the spec asks of the host; it is not made."""
    VERSION_NOT_AVAILABLE = "VersionNotAvailable", Fault.SPEC
    """Runtime `local` has another Kubernetes version than spec.version."""
