"""What is found before minutes are lost, and what must not be a reason to refuse."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provider.adapters.engine.listing import Container, Listing, PortBinding
from provider.adapters.kind import preflight
from provider.api.kind import NodeRole
from provider.ports.runtime import ClusterRequest, Identity, NodeRunState, Problem
from tests.component.conftest import MakeRuntime

IDENTITY = Identity("demo", "a" * 32, "default/demo")


def problems(
    *nodes: dict[str, Any],
    image: str | None = None,
    listing: Listing | None = None,
    visible: bool = True,
    disk: str = "",
    **networking: Any,
) -> list[Problem]:
    config = {"nodes": [{"role": "control-plane", **node} for node in nodes or ({},)], "networking": networking}
    request = ClusterRequest(config=config, image=image, version=None, timeout=60)
    return preflight.problems(IDENTITY, request, listing or Listing(), shares_host=visible, disk=disk)


def mount(host: str = "/tmp", container: str = "/data") -> dict[str, Any]:
    return {"extraMounts": [{"hostPath": host, "containerPath": container}]}


def port(number: int, address: str = "127.0.0.1", protocol: str = "TCP") -> dict[str, Any]:
    return {"extraPortMappings": [{"containerPort": 80, "hostPort": number, "listenAddress": address, "protocol": protocol}]}


def neighbour(number: int, mark: str = "") -> Listing:
    container = Container(
        id="1",
        name="other-control-plane",
        cluster="other",
        role=NodeRole.CONTROL_PLANE,
        state=NodeRunState.STOPPED,
        image="",
        addresses=(),
        started_at="",
        exit_code=0,
        markers=frozenset({mark}),
        published=None,
        bindings=(PortBinding("127.0.0.1", number, "tcp"),),
    )
    return Listing({"other": (container,)})


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number: int = server.getsockname()[1]
    return number


def test_an_ordinary_request_has_no_problem(free: int) -> None:
    """Also with mounts, ports and an image by digest."""
    image = "registry.example.org:5000/kindest/node:v1.34.4@sha256:" + "0" * 64

    assert [] == problems(mount() | port(free), {"image": "kindest/node"}, image=image, disk="/")


@pytest.mark.fault(45, "image names that are options or lines", invariants="I3")
@pytest.mark.parametrize("image", ["-v", "--privileged", "a b", "a\nb", "x:", "../x", "$(id)", "x@sha256:1", "http://x/y"])
def test_an_image_name_that_is_none_is_refused(image: str) -> None:
    """It becomes an argument of the engine: nothing may pass for an option."""
    found = problems({"image": image})

    assert [("ImageInvalid", True)] == [(problem.reason, problem.terminal) for problem in found]
    assert "spec.nodes[0].image" in found[0].message


@pytest.mark.fault(44, "mounts over the mark of ownership", invariants="I3")
@pytest.mark.parametrize("path", ["/kind/owner/" + "b" * 32, "/kind/owner", "/kind//owner/../owner/x", "/kind", "/"])
def test_nobody_may_mount_over_the_mark(path: str) -> None:
    """A forged mark would let one object's deletion reach another's containers."""
    assert ["MountInvalid"] == [problem.reason for problem in problems(mount(container=path))]


def test_paths_beside_the_mark_are_free() -> None:
    """Only the place itself is reserved."""
    assert [] == problems(mount(container="/kind/ownership"))


def test_a_missing_path_is_named_and_can_be_made(tmp_path: Path) -> None:
    """The engine would silently make a folder for root there; the cure needs no new spec."""
    found = problems({}, mount(host=str(tmp_path / "absent")))

    assert [("HostPathMissing", False)] == [(problem.reason, problem.terminal) for problem in found]
    assert "spec.nodes[1].extraMounts[0].hostPath" in found[0].message


def test_what_needs_the_host_is_skipped_where_it_is_not_seen(taken: int, tmp_path: Path) -> None:
    """In a container, or with a remote engine, this host's files and ports say nothing."""
    assert [] == problems(mount(host=str(tmp_path / "absent")) | port(taken), visible=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_in_use_is_found(taken: int, address: str) -> None:
    """It may be given up by its owner: not terminal."""
    found = problems(port(taken, address))

    assert [("PortInUse", False)] == [(problem.reason, problem.terminal) for problem in found]


def test_the_api_servers_port_is_looked_at_too(taken: int) -> None:
    """Its default address is loopback."""
    assert ["PortInUse"] == [problem.reason for problem in problems(apiServerPort=taken)]


def test_an_udp_port_is_another_port(taken: int) -> None:
    """Protocols do not clash."""
    assert [] == problems(port(taken, protocol="UDP"))


@pytest.mark.parametrize("address", ["192.0.2.1", "not-an-address"])
def test_an_address_the_host_does_not_have_is_terminal(free: int, address: str) -> None:
    """No waiting will give the host that address."""
    assert [("AddressUnavailable", True)] == [(problem.reason, problem.terminal) for problem in problems(port(free, address))]


@pytest.mark.parametrize("number", [0, -1])
def test_ports_that_are_picked_later_are_not_looked_at(number: int) -> None:
    """0: kind picks; -1: the engine does."""
    assert [] == problems(port(number), port(number), apiServerPort=number)


def test_a_port_of_two_nodes_is_found(free: int) -> None:
    """kind looks within one node only, and the engine fails late."""
    found = problems(port(free), port(free, "0.0.0.0"), visible=False)

    assert [("PortDuplicate", True)] == [(problem.reason, problem.terminal) for problem in found]
    assert [] == problems(port(free), port(free, "127.0.0.2"), visible=False)


def test_a_port_is_found_twice_among_as_many_as_a_spec_may_have() -> None:
    """40 nodes of 128 mappings: more than the API server's rules can compare, and still a matter of milliseconds."""
    nodes = [
        {"extraPortMappings": [{"containerPort": 80, "hostPort": 1000 + 128 * node + count} for count in range(128)]}
        for node in range(40)
    ]
    nodes[39]["extraPortMappings"][127] = {"containerPort": 80, "hostPort": 1000}
    began = time.process_time()
    (found,) = problems(*nodes, visible=False)

    assert "spec.nodes[39].extraPortMappings[127].hostPort" in found.message
    assert "spec.nodes[0].extraPortMappings[0].hostPort" in found.message
    assert 1.0 > time.process_time() - began


def test_a_stopped_neighbours_port_counts(free: int) -> None:
    """It will want it back; and our own remains', which go before the create, do not."""
    assert ["PortInUse"] == [problem.reason for problem in problems(port(free), listing=neighbour(free))]
    assert [] == problems(port(free), listing=neighbour(free, IDENTITY.marker))


def test_the_port_of_our_own_remains_is_not_in_use(taken: int) -> None:
    """A retained failure still listens; it is removed before the next try."""
    assert [] == problems(port(taken), listing=neighbour(taken, IDENTITY.marker))


@pytest.mark.fault(23, "too little space where the engine keeps its data", invariants="I1")
def test_a_full_disk_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evictions are off in kind's nodes: a full disk breaks all clusters at once."""
    monkeypatch.setattr(preflight, "LEAST_DISK", 1 << 60)

    assert ["DiskFull"] == [problem.reason for problem in problems(disk="/")]
    assert [] == problems(disk="/no/such/folder")


@pytest.mark.fault(24, "inotify instances are used up", invariants="I1")
def test_exhausted_inotify_instances_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default of many distributions is 128 for all of root's processes; only sure exhaustion is refused."""
    limit = tmp_path / "limit"
    monkeypatch.setattr(preflight, "INOTIFY_LIMIT", limit)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    limit.write_text("5\n")
    small = problems()
    limit.write_text("8192\n")

    assert ["HostLimits"] == [problem.reason for problem in small]
    assert "sysctl" in small[0].message
    assert [] == problems()


async def test_links_are_followed_where_the_manager_is_on_the_engines_host(make_runtime: MakeRuntime, tmp_path: Path) -> None:
    """Through every folder of the path; in a pod, the paths that can be seen are another machine's."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    asked = [str(tmp_path / "link" / "data"), str(tmp_path / "none")]

    assert {asked[0]: str(tmp_path / "real" / "data"), asked[1]: asked[1]} == await make_runtime().real_paths(asked)
    assert {} == await make_runtime(in_pod=True).real_paths(asked)
