"""A local cluster's state, and which of its processes run, as the port's observation. Reads /proc, changes nothing."""

from __future__ import annotations

from pathlib import Path

from provider.adapters.local import certificates, components, daemons, logs
from provider.adapters.local.loopback import HOST
from provider.adapters.local.state import NodeSpec, State
from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.ports.runtime import Endpoint, Identity, NodeObservation, NodeRunState, Ownership, Presence, RuntimeObservation

ID_LENGTH = 12
"""Letters of the marker in a node's id."""


def cluster(identity: Identity, folder: Path, current: State) -> RuntimeObservation:
    """The identity's own cluster. An ended process is drift like a stopped container, and so is a certificate about to expire."""
    server = current.daemons.get(components.API_SERVER)
    answers = server is not None and not daemons.frozen(server)
    endpoint = Endpoint(HOST, port) if answers and (port := port_in_use(current)) else None
    overdue = certificates.overdue(folder)
    nodes = tuple(_node(identity, node, current, overdue=overdue) for node in current.nodes)
    return RuntimeObservation(
        Presence.PRESENT, Ownership.OURS, nodes, endpoint, endpoint, detail=_ended_components(folder, current)
    )


def orphans(identity: Identity, root: Path) -> RuntimeObservation:
    """Processes that carry the identity's mark but whose folder was removed."""
    if not (found := daemons.find(identity.marker)):
        return RuntimeObservation(Presence.ABSENT)
    detail = f"The folder of {identity.cluster_name} below {root} is gone; {', '.join(sorted(found))} still run."
    return RuntimeObservation(Presence.PRESENT, Ownership.OURS, reason=Reason.FOLDER_MISSING, detail=detail)


def port_in_use(current: State | None) -> int:
    """The port that the cluster's own API server listens on; 0 while it does not run."""
    return current.port if current is not None and daemons.alive(current.daemons.get(components.API_SERVER)) else 0


def _ended_components(folder: Path, current: State) -> str:
    """Which components have ended, and the end of the first one's log; empty when all run."""
    if not (ended := [name for name, daemon in current.daemons.items() if not daemons.alive(daemon)]):
        return ""
    return f"Ended: {', '.join(ended)}.{logs.last_lines(folder, ended[0])}"


def _node(identity: Identity, node: NodeSpec, current: State, *, overdue: bool) -> NodeObservation:
    """A simulated node runs while its processes do: for a control plane all components, for a worker kwok."""
    control_plane = node.role == NodeRole.CONTROL_PLANE
    parts = [current.daemons.get(name) for name in (components.ALL if control_plane else (components.KWOK,))]
    state = _state(parts)
    if control_plane and overdue and state.running:
        state = NodeRunState.STOPPED
    first = current.daemons.get(components.API_SERVER if control_plane else components.KWOK)
    return NodeObservation(
        name=node.name,
        role=NodeRole(node.role),
        id=f"{identity.marker[:ID_LENGTH]}-{node.name}",
        state=state,
        addresses=(HOST,),
        started_at=first.at if first else "",
    )


def _state(parts: list[daemons.Daemon | None]) -> NodeRunState:
    if None in parts:
        return NodeRunState.CREATED
    if not all(daemons.alive(part) for part in parts):
        return NodeRunState.STOPPED
    return NodeRunState.PAUSED if any(part and daemons.frozen(part) for part in parts) else NodeRunState.RUNNING
