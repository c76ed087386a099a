"""The components of one local cluster, in starting order, and their flags. Pure: paths and numbers in, argument lists out.

Everything listens on loopback or on a unix socket in a private folder. Defaults are those of kind's clusters where they are visible to
a user: pod subnet 10.244.0.0/16, service subnet 10.96.0.0/16 (kind pkg/internal/apis/config/default.go).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from provider.adapters.local.state import SOCKET, State

ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER, KWOK = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
)
ALL = (ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER, KWOK)
WITHOUT_NODES = (ETCD, API_SERVER, CONTROLLER_MANAGER)
"""A cluster without nodes (e.g. a management API) has nothing to schedule and no kubelets to simulate."""
POD_SUBNET, SERVICE_SUBNET = "10.244.0.0/16", "10.96.0.0/16"
LEASE_SECONDS = 40
STAGES = Path(__file__).parent / "stages.yaml"
"""What kwok does to nodes and pods."""


def argv(component: str, binary: str, folder: Path, state: State, *, fsync: bool) -> list[str]:
    """Complete argument list of a component."""
    flags = {
        ETCD: _etcd,
        API_SERVER: _api_server,
        CONTROLLER_MANAGER: _controller_manager,
        SCHEDULER: _scheduler,
        KWOK: _kwok,
    }[component](folder, state)
    if component == ETCD and not fsync:
        flags = [*flags, "--unsafe-no-fsync"]
    return [binary, *flags]


def needed(state: State) -> tuple[str, ...]:
    """The components of this cluster, in starting order."""
    return ALL if state.nodes else WITHOUT_NODES


def service_subnet(state: State) -> str:
    return str(state.networking.get("serviceSubnet") or SERVICE_SUBNET)


def _etcd(folder: Path, state: State) -> list[str]:
    return [
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls=unix://{state.sockets}/{SOCKET}",
        "--advertise-client-urls=unix://client:1",  # never dialled; etcd insists on host:port here and below
        "--listen-peer-urls=unix://peer:1",
        "--initial-advertise-peer-urls=unix://peer:1",
        "--initial-cluster=default=unix://peer:1",
        "--log-level=warn",
    ]


def _api_server(folder: Path, state: State) -> list[str]:
    return [
        f"--etcd-servers=unix://{state.sockets}/{SOCKET}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={state.port}",
        f"--client-ca-file={folder}/ca.crt",
        f"--tls-cert-file={folder}/kube-apiserver.crt",
        f"--tls-private-key-file={folder}/kube-apiserver.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={folder}/sa.crt",
        f"--service-account-signing-key-file={folder}/sa.key",
        f"--service-cluster-ip-range={service_subnet(state)}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--profiling=false",
        *_gates(state.feature_gates),
        *([f"--runtime-config={_joined(state.runtime_config)}"] if state.runtime_config else []),
    ]


def _controller_manager(folder: Path, state: State) -> list[str]:
    return [
        f"--kubeconfig={folder}/kube-controller-manager.kubeconfig",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        f"--root-ca-file={folder}/ca.crt",
        f"--service-account-private-key-file={folder}/sa.key",
        f"--cluster-signing-cert-file={folder}/ca.crt",
        f"--cluster-signing-key-file={folder}/ca.key",
        "--use-service-account-credentials=true",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={state.networking.get('podSubnet') or POD_SUBNET}",
        f"--service-cluster-ip-range={service_subnet(state)}",
        # Its default (20 requests a second) delays the ServiceAccounts of its controllers, and so users' default one, by four seconds.
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        *_gates(state.feature_gates),
    ]


def _scheduler(folder: Path, state: State) -> list[str]:
    return [
        f"--kubeconfig={folder}/kube-scheduler.kubeconfig",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        *_gates(state.feature_gates),
    ]


def _kwok(folder: Path, state: State) -> list[str]:
    return [
        f"--kubeconfig={folder}/kwok.kubeconfig",
        f"--config={STAGES}",
        "--manage-all-nodes=true",
        f"--node-lease-duration-seconds={LEASE_SECONDS}",
        f"--server-address=127.0.0.1:{state.kwok_port}",
        "--node-ip=127.0.0.1",
    ]


def _gates(gates: Mapping[str, bool]) -> Sequence[str]:
    if not gates:
        return ()
    return (f"--feature-gates={_joined({name: str(value).lower() for name, value in gates.items()})}",)


def _joined(pairs: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(pairs.items()))
