"""Reading `inspect`: whose a container is, how it runs, where its API server answers; and what is not understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.adapters.engine.listing import Container, Listing, UnknownShape, entries_of, read_entries, unread_clusters
from provider.api.kind import NodeRole
from provider.ports.runtime import Endpoint, NodeRunState

FIXTURES = Path(__file__).parent / "fixtures"
MARK = "a" * 32


def entry(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIXTURES / "inspect-docker-20.10.json").read_text())[0]
    for path, value in changes.items():
        part = found
        *parents, last = path.split("__")
        for parent in parents:
            part = part[parent]
        part[last] = value
    return found


def parse_listing(text: str) -> Listing:
    return read_entries(entries_of(text))[0]


def one(**changes: Any) -> Container:
    listing = parse_listing(json.dumps([entry(**changes)]))
    return listing.clusters["demo"][0]


@pytest.mark.parametrize(("name", "port"), [("docker-20.10", 38895), ("podman-4.3", 33527)])
def test_real_output_is_understood(name: str, port: int) -> None:
    """Docker 20.10 and podman 4.3 as recorded of nodes that kind made; podman has names without slash."""
    listing = parse_listing((FIXTURES / f"inspect-{name}.json").read_text())
    container = listing.clusters["demo"][0]

    assert ("demo-control-plane", NodeRole.CONTROL_PLANE, NodeRunState.RUNNING) == (
        container.name,
        container.role,
        container.state,
    )
    assert container.image.endswith("kindest/node:v1.34.4")
    assert Endpoint("127.0.0.1", port) == container.published
    assert container.owned_by(MARK)
    assert not container.owned_by("b" * 32)
    assert 1 == len(container.volumes)
    assert container.started_at


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("created", NodeRunState.CREATED),
        ("paused", NodeRunState.PAUSED),
        ("exited", NodeRunState.STOPPED),
        ("dead", NodeRunState.STOPPED),
        ("restarting", NodeRunState.RESTARTING),
    ],
)
def test_what_does_not_run_has_no_endpoint(status: str, state: NodeRunState) -> None:
    """Docker forgets published ports of stopped containers; podman does not: neither is believed."""
    container = one(State__Status=status)

    assert (state, None, ()) == (container.state, container.published, container.addresses)


@pytest.mark.parametrize(
    ("host", "seen"),
    [("0.0.0.0", "localhost"), ("", "localhost"), ("::", "localhost"), ("192.0.2.1", "192.0.2.1"), ("::1", "::1")],
)
def test_a_wildcard_address_is_localhost(host: str, seen: str) -> None:
    """kind has localhost and the listen address in the certificate, and 127.0.0.1 only if it is the latter."""
    container = one(NetworkSettings__Ports={"6443/tcp": [{"HostIp": host, "HostPort": "6443"}]})

    assert Endpoint(seen, 6443) == container.published


def test_docker_desktop_knows_better_where_a_port_is() -> None:
    """As kind reads it."""
    labels = entry()["Config"]["Labels"] | {"desktop.docker.io/ports/6443/tcp": "127.0.0.1:7000"}

    assert Endpoint("127.0.0.1", 7000) == one(Config__Labels=labels).published


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_the_proxy_variable_is_a_mark(variable: str) -> None:
    """In the middle of a list, with blanks; in no other variable."""
    env = [f"{variable}=10.0.0.0/8, {MARK}.owner.capk.invalid ,.svc"]

    assert one(Mounts=[], Config__Env=env).owned_by(MARK)
    assert not one(Mounts=[], Config__Env=[f"OTHER={MARK}.owner.capk.invalid"]).owned_by(MARK)
    assert not one(Mounts=[], Config__Env=[]).owned_by(MARK)


def test_an_unknown_role_is_nobody_of_ours() -> None:
    """Other programs use kind's labels, too."""
    labels = entry()["Config"]["Labels"] | {"io.x-k8s.kind.role": "bastion"}

    assert not one(Config__Labels=labels).owned_by(MARK)


@pytest.mark.parametrize(
    "changes",
    [
        {"State__Status": "levitating"},
        {"State": None},
        {"Id": ""},
        {"Name": 7},
        {"Mounts": "all"},
        {"Mounts": [{"Type": "bind"}]},
        {"NetworkSettings": None},
        {"State__Status": "exited", "State__ExitCode": "many"},
        {"NetworkSettings__Ports": {"6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "x"}]}},
    ],
)
def test_an_odd_container_makes_its_cluster_unreadable(changes: dict[str, Any]) -> None:
    """Not absent, and not without a mark: unreadable."""
    listing = parse_listing(json.dumps([entry(**changes)]))

    assert "demo" in listing.unreadable


def test_a_container_of_no_cluster_hides_no_other() -> None:
    """Anybody may start a container with kind's label and nothing in it; every object would lose sight of its cluster."""
    nameless = {"Config": {"Labels": {"io.x-k8s.kind.cluster": ""}}}
    listing = parse_listing(json.dumps([entry(), nameless]))

    assert [MARK in container.markers for container in listing.clusters["demo"]] == [True]
    assert "demo" not in listing.unreadable


@pytest.mark.fault(18, "odd answers of inspect", invariants="I7")
@pytest.mark.parametrize("text", ["", "{}", "null", "[{", "[" * 100_000])
def test_an_odd_answer_is_no_listing(text: str) -> None:
    """When not even the containers can be told apart, nothing can be said about any."""
    with pytest.raises(UnknownShape):
        entries_of(text)


@pytest.mark.parametrize(
    "odd",
    [
        1,
        None,
        [],
        {},
        {"Id": "x", "Config": None},
        {"Id": "x", "Config": {"Labels": None}},
        {"Id": "x", "Config": {"Labels": {"io.x-k8s.kind.cluster": None}}},
        {"Id": "x", "Config": {"Labels": {"io.x-k8s.kind.cluster": 1}}},
    ],
)
def test_an_entry_without_a_cluster_costs_only_itself(odd: Any) -> None:
    """The others are read; it is not among those of which the cluster is known, so it is looked for elsewhere."""
    listing, placed = read_entries([odd, entry()])

    assert ["demo"] == list(listing.clusters)
    assert {entry()["Id"]} == placed
    assert not listing.unreadable


@pytest.mark.parametrize(
    "line",
    [
        '{"ID": "1", "Labels": "a=b,io.x-k8s.kind.cluster=demo,io.x-k8s.kind.role=worker"}',
        '{"Id": "1", "Labels": {"io.x-k8s.kind.cluster": "demo"}}',
    ],
)
def test_a_container_that_cannot_be_inspected_yet_names_its_cluster(line: str) -> None:
    """docker and nerdctl in one way, podman in another; containers that are gone are nothing."""
    assert (["demo"], "") == (list(unread_clusters(line + "\n", {"1"})[0]), unread_clusters(line, {"1"})[1])
    assert ({}, "") == unread_clusters(line + "\n", {"2"})


ODD_LINES = ["x", "[]", "{}", "null", '{"ID": "1"', '{"ID": "1"}', '{"ID": "1", "Labels": null}', '{"ID": "1", "Labels": "a=b"}']


@pytest.mark.parametrize("odd", ODD_LINES)
def test_an_odd_line_costs_only_itself(odd: str) -> None:
    """The other line is read; that one container's cluster is not known is said, and only if a container is looked for in vain."""
    good = '{"ID": "2", "Labels": "io.x-k8s.kind.cluster=demo"}'
    clusters, unplaced = unread_clusters(f"{odd}\n{good}\n", {"1", "2"})

    assert ["demo"] == list(clusters)
    assert unplaced
    assert not unread_clusters(f"{odd}\n{good}\n", {"2"})[1]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.mark.fault(18, "any JSON as the answer of inspect", invariants="I7 I14")
@given(st.sampled_from(sorted(entry())), json_values)
def test_no_shape_upsets_the_reader(field: str, value: Any) -> None:
    """Any part may be anything: it is read, or it is unreadable, or its cluster is not known; the next one is read all the same."""
    listing, placed = read_entries([entry() | {field: value}, entry(Id="another")])

    assert "another" in placed
    assert listing.clusters["demo"]
