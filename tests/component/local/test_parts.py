"""The smaller parts of the local runtime: flags, nodes, preflight, folders, ports, lock, logs."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.adapters.local import components, logs, loopback, nodes, preflight, state
from provider.adapters.local.daemons import Daemon
from provider.adapters.local.state import NodeSpec, State, Unreadable
from provider.api.kind import NodeRole, node_names
from provider.ports.runtime import ClusterRequest

STATE = State(
    marker="0123456789abcdef" * 2,
    holder="default/one",
    nodes=(NodeSpec("one-control-plane", "control-plane", {"tier": "x"}),),
    networking={"podSubnet": "10.1.0.0/16", "serviceSubnet": "10.2.0.0/16"},
    feature_gates={"B": False, "A": True},
    runtime_config={"api/beta": "true"},
    port=20001,
    kwok_port=20002,
    sockets="/somewhere",
    daemons={"etcd": Daemon(7, 8, "m/etcd", "2026-01-01T00:00:00+00:00")},
)
FOLDER = Path("/folder")


# --- flags ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.fault(47, "addresses of all components (local)", invariants="I15")
@pytest.mark.parametrize("component", components.ALL)
def test_nothing_listens_beyond_loopback(component: str) -> None:
    """Every address in the flags is loopback or a unix socket; nothing listens by default."""
    argv = components.argv(component, "/bin/x", FOLDER, STATE, fsync=True)
    listening = [word for word in argv if re.match(r"--(bind|server|advertise|listen)[a-z-]*-(address|urls)=", word)]
    assert all(re.search(r"=(127\.0\.0\.1(:\d+)?|unix://.*)$", word) for word in listening)
    assert listening
    if component in (components.CONTROLLER_MANAGER, components.SCHEDULER):
        assert "--secure-port=0" in argv


def test_what_the_spec_says_reaches_the_flags() -> None:
    """Subnets, feature gates and runtime config, in a fixed order."""
    server = components.argv(components.API_SERVER, "x", FOLDER, STATE, fsync=True)
    manager = components.argv(components.CONTROLLER_MANAGER, "x", FOLDER, STATE, fsync=True)
    assert {"--service-cluster-ip-range=10.2.0.0/16", "--feature-gates=A=true,B=false", "--runtime-config=api/beta=true"} <= set(
        server
    )
    assert {"--cluster-cidr=10.1.0.0/16", "--service-cluster-ip-range=10.2.0.0/16", "--feature-gates=A=true,B=false"} <= set(
        manager
    )


def test_what_the_spec_leaves_out_is_as_with_kind() -> None:
    """Default subnets; no empty flags."""
    server = components.argv(components.API_SERVER, "x", FOLDER, State("m", "h", ()), fsync=True)
    assert "--service-cluster-ip-range=10.96.0.0/16" in server
    assert not [word for word in server if word.startswith(("--feature-gates", "--runtime-config"))]


def test_data_is_safe_unless_asked_otherwise() -> None:
    """fsync is given up for tests alone."""
    assert "--unsafe-no-fsync" not in components.argv(components.ETCD, "x", FOLDER, STATE, fsync=True)
    assert "--unsafe-no-fsync" in components.argv(components.ETCD, "x", FOLDER, STATE, fsync=False)


# --- nodes ----------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([NodeRole.CONTROL_PLANE, NodeRole.WORKER]), max_size=12))
def test_nodes_are_named_as_the_reconciler_expects(roles: list[NodeRole]) -> None:
    """Both follow kind; a name that differs would be a node missing for ever."""
    config = {"name": "one", "nodes": [{"role": str(role)} for role in roles]}
    assert tuple((node.name, NodeRole(node.role)) for node in nodes.specs(config)) == node_names(config)


def test_a_single_node_takes_workloads_and_several_keep_the_control_plane_free() -> None:
    """Taint and label as kind leaves them; labels of the spec win nothing over kind's but are all there."""
    alone = nodes.manifest(STATE.nodes[0], "one", "v1", alone=True)
    among = nodes.manifest(STATE.nodes[0], "one", "v1", alone=False)
    worker = nodes.manifest(NodeSpec("one-worker", "worker"), "one", "v1", alone=False)

    assert "taints" not in alone["spec"]
    assert nodes.NO_BALANCER_LABEL not in alone["metadata"]["labels"]
    assert among["spec"]["taints"] == [{"key": nodes.CONTROL_PLANE_LABEL, "effect": "NoSchedule"}]
    assert (
        among["metadata"]["labels"].items() >= {nodes.CONTROL_PLANE_LABEL: "", nodes.NO_BALANCER_LABEL: "", "tier": "x"}.items()
    )
    assert "taints" not in worker["spec"]
    assert nodes.CONTROL_PLANE_LABEL not in worker["metadata"]["labels"]


# --- preflight ------------------------------------------------------------------------------------------------------------------


def ask(config: dict[str, Any]) -> ClusterRequest:
    return ClusterRequest({"name": "one", "nodes": [{"role": "control-plane"}], **config}, None, None, 1.0)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"kubeadmConfigPatches": ["a"]}, "spec.kubeadmConfigPatches "),
        ({"kubeadmConfigPatchesJSON6902": [{}]}, "spec.kubeadmConfigPatchesJSON6902 "),
        ({"containerdConfigPatches": ["a"]}, "spec.containerdConfigPatches "),
        ({"containerdConfigPatchesJSON6902": ["a"]}, "spec.containerdConfigPatchesJSON6902 "),
        ({"nodes": [{}, {"extraMounts": [{}]}]}, "spec.nodes[1].extraMounts "),
        ({"nodes": [{"extraPortMappings": [{}]}]}, "spec.nodes[0].extraPortMappings "),
        ({"nodes": [{"image": "x"}]}, "spec.nodes[0].image "),
        ({"nodes": [{"kubeadmConfigPatches": ["a"]}]}, "spec.nodes[0].kubeadmConfigPatches "),
        ({"networking": {"ipFamily": "dual"}}, "spec.networking.ipFamily: dual"),
        ({"networking": {"apiServerAddress": "0.0.0.0"}}, "spec.networking.apiServerAddress: 0.0.0.0"),
        ({"networking": {"podSubnet": "10.1.0.0"}}, "spec.networking.podSubnet: 10.1.0.0"),
        ({"networking": {"podSubnet": "10.1.0.0/x"}}, "spec.networking.podSubnet: 10.1.0.0/x"),
        ({"networking": {"podSubnet": "fd00::/48"}}, "spec.networking.podSubnet: fd00::/48"),
        ({"networking": {"serviceSubnet": "10.0.0.0/16,fd00::/112"}}, "spec.networking.serviceSubnet: 10.0.0.0/16,fd00::/112"),
    ],
)
def test_what_needs_containers_is_refused_by_name(config: dict[str, Any], field: str) -> None:
    """Field, value where it says more, and the cure; only a changed spec helps."""
    (problem,) = preflight.problems(ask(config), "v1.34.4")
    assert field in problem.message
    assert re.search("spec.runtime: kind|make it that large", problem.message)
    assert problem.terminal


def test_what_can_be_given_passes() -> None:
    """Also what has no meaning without containers and does no harm."""
    networking = {"podSubnet": "10.1.0.0/16", "apiServerAddress": "127.0.0.1", "disableDefaultCNI": True, "kubeProxyMode": "ipvs"}
    config = {"networking": networking, "featureGates": {"A": True}, "nodes": [{"role": "worker", "labels": {"a": "b"}}]}
    assert preflight.problems(ask(config), "v1.34.4") == []
    assert preflight.problems(replace(ask(config), version="v1.34.4"), "v1.34.4") == []


@pytest.mark.parametrize(
    ("given", "port"), [({}, 0), ({"apiServerPort": 0}, 0), ({"apiServerPort": -1}, 0), ({"apiServerPort": 7}, 7)]
)
def test_a_port_below_one_means_any(given: dict[str, int], port: int) -> None:
    """kind's -1 leaves the choice to the engine."""
    assert preflight.wanted_port(ask({"networking": given})) == port


# --- folders --------------------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """All of it, whenever the manager comes back."""
    state.write(tmp_path, STATE)
    assert state.read(tmp_path) == STATE


def test_a_folder_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    """A creator that ends while it fills leaves no cluster, and the next one is not in its way."""
    folder = tmp_path / "one"

    def torn(fresh: Path) -> None:
        (fresh / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        state.make(folder, STATE, torn)
    assert state.read(folder) is None
    assert state.names_of_leftovers(tmp_path) == {"one"}
    assert list(state.clusters(tmp_path)) == []

    state.make(folder, STATE, lambda fresh: None)
    assert state.read(folder) == STATE
    assert [path.name for path in folder.iterdir()] == [state.STATE]
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.fault(2, "a remover ends half way (local)", invariants="I2")
def test_a_remover_that_ends_half_way_leaves_no_cluster(tmp_path: Path) -> None:
    """From the rename on there is nothing under the name; the rest is swept later."""
    (tmp_path / "one.del").mkdir()
    state.make(tmp_path / "one", STATE, lambda fresh: None)
    state.remove(tmp_path / "one", STATE)
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "one.del" / "etcd").mkdir(parents=True)
    state.clean(tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"nodes": [], "daemons": {}, "more": 1}', '{"nodes": 3, "daemons": {}}'])
def test_a_mark_that_cannot_be_understood_is_nobodys(tmp_path: Path, content: str) -> None:
    """Never "absent"."""
    (tmp_path / state.STATE).write_text(content)
    with pytest.raises(Unreadable):
        state.read(tmp_path)


def test_only_a_folder_we_named_is_removed_with_the_sockets(tmp_path: Path) -> None:
    """Whatever state.json says."""
    precious = tmp_path / "precious"
    precious.mkdir()
    for sockets in (str(precious), "", ".", "relative/capkind-0123456789abcdef", str(tmp_path / "capkind-another")):
        kept = replace(STATE, sockets=sockets)
        state.make(tmp_path / "one", kept, lambda fresh: None)
        state.ensure_sockets(kept)
        state.remove(tmp_path / "one", kept)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_a_long_path_gets_a_short_folder_for_sockets(tmp_path: Path) -> None:
    """The length is that of the bytes; the short folder must be ours alone."""
    assert state.socket_folder(Path("/x"), STATE.marker, tmp_path) == Path("/x")
    limit = state.MAX_SOCKET_PATH - len("/") - len("/etcd.sock")
    assert state.socket_folder(Path("/" + "x" * limit), STATE.marker, tmp_path) == Path("/" + "x" * limit)
    short = state.socket_folder(Path("/" + "é" * limit), STATE.marker, tmp_path)
    assert short.parent == tmp_path
    wanted = replace(STATE, sockets=str(short))
    state.ensure_sockets(wanted)
    state.ensure_sockets(wanted)
    short.chmod(0o755)
    with pytest.raises(PermissionError):
        state.ensure_sockets(wanted)
    short.rmdir()
    short.symlink_to(tmp_path)
    with pytest.raises(OSError, match="capkind"):
        state.ensure_sockets(wanted)


# --- ports ----------------------------------------------------------------------------------------------------------------------


def test_a_held_port_is_nobody_elses_but_its_programs() -> None:
    """The kernel gives it to no other holder; a program that binds as Go does gets it; that is then seen, and whose it is."""
    with loopback.held() as port:
        assert not loopback.taken(port)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((loopback.HOST, port))
        assert not loopback.listens(os.getpid(), port)
        with socket.create_server((loopback.HOST, port)):
            assert loopback.taken(port)
            assert loopback.listens(os.getpid(), port)
            assert not loopback.listens(os.getppid(), port)
        assert not loopback.taken(port)


def test_held_ports_differ_and_avoid_those_of_outgoing_connections() -> None:
    """What is free today must be free when the cluster is started again."""
    low, high = map(int, loopback.EPHEMERAL_RANGE.read_text().split())
    with loopback.held() as first, loopback.held() as second:
        assert first != second
        assert all(not low <= port <= high for port in (first, second)) or (low <= loopback.FIRST and loopback.LAST <= high)


def test_a_process_that_is_gone_listens_nowhere() -> None:
    """An answer, not an error."""
    with loopback.held() as port, socket.create_server((loopback.HOST, port)):
        assert not loopback.listens(2**22 + 1, port)


# --- logs -----------------------------------------------------------------------------------------------------------------------


def test_a_log_is_bounded_while_its_writer_goes_on(tmp_path: Path) -> None:
    """Its end is kept; what is appended afterwards starts a short file."""
    path = tmp_path / "etcd.log"
    with path.open("ab") as writer:
        writer.write(b"x" * logs.LIMIT + b"\nlast\n")
        writer.flush()
        logs.bound(tmp_path)
        writer.write(b"more\n")
    assert path.read_bytes() == b"more\n"
    kept = tmp_path / "etcd.log.1"
    assert kept.stat().st_size == logs.KEPT
    assert kept.read_bytes().endswith(b"\nlast\n")
    logs.bound(tmp_path)
    assert path.read_bytes() == b"more\n"


def test_the_quoted_end_of_a_log_is_short(tmp_path: Path) -> None:
    """It ends an error message; an empty log adds nothing."""
    assert logs.last_lines(tmp_path, "etcd") == ""
    (tmp_path / "etcd.log").write_text("\n \n")
    assert logs.last_lines(tmp_path, "etcd") == ""
    (tmp_path / "etcd.log").write_text("first\na\n\n b \nc" + "!" * 1000 + "\n")
    assert logs.last_lines(tmp_path, "etcd").startswith(" It said: ")
    assert len(logs.last_lines(tmp_path, "etcd")) <= logs.LETTERS + len(" It said: ")
