"""How the command lines of docker, podman and nerdctl differ, as data. tests/contract/test_engine.py holds the real ones against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provider.api import kind

EVENTS = ("create", "start", "die", "pause", "unpause", "destroy")
"""docker's container events that change what is observed. Its exec_* events are left out: our own probes would cause them."""
PODMAN_EVENTS = ("create", "start", "died", "pause", "unpause", "remove")
"""The same of podman, which calls some by other names."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one engine's command line differs from docker's."""

    name: str
    host_variable: str
    """Environment variable that names the engine's address."""
    info: tuple[str, ...] = ("info", "--format", "{{json .}}")
    events: tuple[str, ...] = ()
    """Arguments after `events`."""
    copies_out: bool = True
    """`cp CONTAINER:PATH -` writes a tar stream to standard output."""
    named_volumes: bool = False
    """kind makes a node's volume before the node, so it is not anonymous."""
    short_names: bool = True
    """An image without a registry is docker.io's, and may have a tag beside a digest. Of podman neither is true, and kind writes the name
    anew (providers/podman/images.go)."""
    children_exit: bool = True
    """No process started by `run -d` outlives it, so file descriptors may be inherited. podman's conmon lives as long as the container."""


def _events(names: Sequence[str], *filters: str) -> tuple[str, ...]:
    wanted = ("type=container", *(f"event={name}" for name in names), *filters)
    return (*(word for one in wanted for word in ("--filter", one)), "--format", "{{json .}}")


DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect("docker", "DOCKER_HOST", events=_events(EVENTS, f"label={kind.KIND_CLUSTER_LABEL}")),
        Dialect(
            "podman",
            "CONTAINER_HOST",
            info=("info", "--format", "json"),
            # Not by label: podman (seen with 4.3) takes none without a value, and then shows no event at all.
            events=_events(PODMAN_EVENTS),
            named_volumes=True,
            short_names=False,
            children_exit=False,
        ),
        Dialect("nerdctl", "CONTAINERD_ADDRESS", events=("--format", "{{json .}}"), copies_out=False, children_exit=False),
    )
}
