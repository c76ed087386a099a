"""From a listing of containers to what the port promises: whose they are, what runs, where the API server answers. Pure.

Ownership is decided here and nowhere else: a container is ours if it has kind's cluster label and our marker, as the mount
/kind/owner/<marker> or (the load balancer, which kind gives no mounts) as an entry of its NO_PROXY variable. One container under the name
that is not ours makes the whole name foreign.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from provider.adapters.engine.daemon import same_daemon
from provider.adapters.engine.listing import Container, Listing
from provider.api import kind, names
from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.errors import NotOurs, Transient
from provider.ports.runtime import Endpoint, Identity, NodeObservation, Ownership, Presence, RuntimeObservation

API_PORT = 6443
SHOWN = 3
LONGEST_DAEMON = 100
"""Characters of a recorded daemon in a message: anybody may have written it."""


def observation(listing: Listing, identity: Identity) -> RuntimeObservation:
    """Three-valued: an engine that did not answer, or not in a way that can be read, is UNKNOWN."""
    name = identity.cluster_name
    if listing.reason:
        return RuntimeObservation(Presence.UNKNOWN, reason=listing.reason, detail=listing.detail)
    if identity.daemon and not same_daemon(identity.daemon, listing.daemon):
        detail = _other_daemon_detail(identity.daemon, listing.daemon)
        return RuntimeObservation(Presence.UNKNOWN, reason=Reason.OTHER_DAEMON, detail=detail, daemon=listing.daemon)
    if name in listing.unreadable:
        detail = f"What the engine says about the containers of {name} cannot be read ({listing.unreadable[name]})."
        return RuntimeObservation(Presence.UNKNOWN, reason=Reason.ENGINE_UNREACHABLE, detail=detail)
    found = listing.clusters.get(name, ())
    if not found and listing.unplaced:
        detail = f"The engine lists a kind container without saying of which cluster it is ({listing.unplaced})."
        return RuntimeObservation(Presence.UNKNOWN, reason=Reason.ENGINE_UNREACHABLE, detail=detail)
    if not found:
        return RuntimeObservation(Presence.ABSENT, daemon=listing.daemon)
    own = owned(found, identity)
    nodes = tuple(_node(container) for container in own)
    if len(own) != len(found):
        detail = _foreign_detail(found, own, identity)
        return RuntimeObservation(
            Presence.PRESENT, Ownership.FOREIGN, nodes, reason=Reason.NAME_CONFLICT, detail=detail, daemon=listing.daemon
        )
    front = _front(own)
    return RuntimeObservation(
        Presence.PRESENT,
        Ownership.OURS,
        nodes,
        endpoint=front.published if front is not None else None,
        internal_endpoint=Endpoint(front.name, API_PORT) if front is not None else None,
        daemon=listing.daemon,
    )


def owned(found: Sequence[Container], identity: Identity) -> list[Container]:
    return [container for container in found if container.owned_by(identity.marker)]


def containers_of(listing: Listing, identity: Identity, *, mixed: bool = False) -> list[Container]:
    """Our containers, for a method that is about to change them.

    Raises Transient when the engine's answer is unknown, NotOurs when a foreign one is among them (with `mixed`: when none is ours).
    """
    seen = observation(listing, identity)
    if seen.presence is Presence.UNKNOWN:
        raise Transient(seen.reason or Reason.ENGINE_UNREACHABLE, seen.detail)
    if seen.ownership is Ownership.FOREIGN and not (mixed and seen.nodes):
        raise NotOurs(Reason.NAME_CONFLICT, seen.detail)
    return owned(listing.clusters.get(identity.cluster_name, ()), identity)


def complete(own: Sequence[Container], roles: Mapping[NodeRole, int]) -> bool:
    """Whether there is a container for every node that was asked for."""
    return Counter(container.role for container in own) == Counter(roles)


def wanted_roles(config: Mapping[str, Any]) -> Counter[NodeRole]:
    """Number of containers that kind makes for a config, by role."""
    return Counter(role for _, role in kind.node_names(config, load_balancer=True))


def control_plane(own: Sequence[Container]) -> Container | None:
    """A running control plane; kind's first one if it runs."""
    running = [one for one in own if one.role is NodeRole.CONTROL_PLANE and one.state.running]
    return min(running, key=lambda container: container.name, default=None)


def _front(own: Sequence[Container]) -> Container | None:
    """The container behind the API server's address: the load balancer, else kind's first control plane."""
    for role in (NodeRole.LOAD_BALANCER, NodeRole.CONTROL_PLANE):
        if found := [container for container in own if container.role is role]:
            return min(found, key=lambda container: container.name)
    return None


def _node(container: Container) -> NodeObservation:
    assert container.role is not None
    return NodeObservation(
        name=container.name,
        role=container.role,
        id=container.id,
        state=container.state,
        image=container.image,
        addresses=container.addresses,
        started_at=container.started_at,
        exit_code=container.exit_code,
    )


def _other_daemon_detail(made_on: str, answers: str) -> str:
    return (
        f"Made on {made_on[:LONGEST_DAEMON]}, and {answers} answers. Switch back (context, DOCKER_HOST); "
        f"if the first is gone for good, annotate {names.DAEMON_ANNOTATION}={answers}"
    )


def _foreign_detail(found: Sequence[Container], own: Sequence[Container], identity: Identity) -> str:
    foreign = [container.name for container in found if container not in own]
    shown = ", ".join(foreign[:SHOWN]) + (f" and {len(foreign) - SHOWN} more" if len(foreign) > SHOWN else "")
    return (
        f"A kind cluster named {identity.cluster_name} exists that {identity.holder} did not make ({shown}); it is left alone. "
        f"Remove it (kind delete cluster --name {identity.cluster_name}), or use another spec.clusterName in a new object."
    )
