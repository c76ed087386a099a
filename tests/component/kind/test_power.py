"""Stopping, pausing and making a cluster survive restarts, on an engine that is a script: order, idempotence, what is said on failure."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from provider.adapters.kind.restarts import ENVOY, KEEP_BALANCER, LEADS_THERE, unnamed
from provider.adapters.kind.runtime import KindRuntime
from provider.errors import NotOurs, Transient
from provider.ports.runtime import ClusterRequest, Identity, NodeRunState, Step, StepState
from tests.fakes.engine_cli import FakeBinaries

RequestFor = Callable[..., ClusterRequest]


def silent(_: Step) -> None: ...


def changes(fake: FakeBinaries, *verbs: str) -> list[tuple[str, list[str]]]:
    """The calls that change containers, with names in place of ids."""
    names = {one["Id"]: one["Name"].lstrip("/") for one in fake.containers}
    return [(call[1], [names[one] for one in call[2:]]) for call in fake.calls("docker") if call[1] in verbs]


async def states(runtime: KindRuntime, identity: Identity) -> set[NodeRunState]:
    return {node.state for node in (await runtime.observe(identity)).nodes}


async def test_workers_stop_first_and_the_load_balancer_last(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """A worker that goes down tells its control plane, a control plane is reached through the load balancer. Stopping again is nothing."""
    await runtime.create(identity, request_for(control_planes=2, workers=1), silent)
    await runtime.stop(identity, silent)
    await runtime.stop(identity, silent)

    assert {NodeRunState.STOPPED} == await states(runtime, identity)
    assert changes(fake, "stop") == [
        ("stop", ["demo-worker"]),
        ("stop", ["demo-control-plane", "demo-control-plane1"]),
        ("stop", ["demo-external-load-balancer"]),
    ]


async def test_what_is_paused_is_resumed_to_be_stopped(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """A frozen process cannot end. What is stopped already is left alone."""
    await runtime.create(identity, request_for(workers=1), silent)
    fake.change("demo-worker", "exited")
    await runtime.pause(identity, silent)
    assert {NodeRunState.STOPPED, NodeRunState.PAUSED} == await states(runtime, identity)
    await runtime.stop(identity, silent)

    assert {NodeRunState.STOPPED} == await states(runtime, identity)
    assert changes(fake, "pause", "unpause", "stop", "start") == [
        (verb, ["demo-control-plane"]) for verb in ("pause", "unpause", "stop")
    ]


@pytest.mark.parametrize("verb", ["stop", "pause"])
async def test_what_does_not_come_to_rest_is_an_error(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor, verb: str
) -> None:
    """The engine's exit code 0 is not believed; nothing to stop is for the reconciler to decide about; others' nodes are left alone."""
    with pytest.raises(Transient) as caught:
        await getattr(runtime, verb)(identity, silent)
    assert "ContainersMissing" == caught.value.reason

    await runtime.create(identity, request_for(), silent)
    fake.fault(f"docker {verb}", stdout="done\n")
    with pytest.raises(Transient) as caught:
        await getattr(runtime, verb)(identity, silent)
    assert "StopFailed" == caught.value.reason
    assert "demo-control-plane (Running)" in caught.value.message

    with pytest.raises(NotOurs):
        await getattr(runtime, verb)(Identity("demo", "b" * 32, "default/other"), silent)


def etcd_knows(fake: FakeBinaries, **urls: str) -> None:
    """What etcd's list of members says."""
    members = [{"ID": str(100 + at), "name": name, "peerURLs": [url]} for at, (name, url) in enumerate(sorted(urls.items()))]
    (fake.folder / "exec.out").write_text(json.dumps({"header": {}, "members": members}))


def updates(fake: FakeBinaries) -> list[object]:
    return [json.loads(call[-1]) for call in fake.calls("docker exec") if "/v3/cluster/member/update" in call]


async def test_members_of_etcd_are_known_by_name_after_a_create(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor, steps: list[Step]
) -> None:
    """Addresses change with a restart, names do not. One that has a name already, and one that is not on our nodes, is left as it is."""
    cluster = {
        "demo-control-plane": "https://172.18.0.3:2380",
        "demo-control-plane1": "https://[fc00::4]:2380",
        "demo-control-plane2": "https://demo-control-plane2:2380",
        "somebody": "https://10.0.0.1:2380",
    }
    etcd_knows(fake, **cluster)
    await runtime.create(identity, request_for(control_planes=3), steps.append)

    assert updates(fake) == [
        {"ID": "100", "peerURLs": ["https://demo-control-plane:2380"]},
        {"ID": "101", "peerURLs": ["https://demo-control-plane1:2380"]},
    ]
    assert ("Making it survive restarts", StepState.SUCCEEDED) == (steps[-1].name, steps[-1].state)


async def test_a_cluster_of_an_earlier_version_gets_its_names_when_it_is_stopped(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """The last moment at which etcd can be told."""
    await runtime.create(identity, request_for(control_planes=2), silent)
    assert [] == updates(fake)
    etcd_knows(fake, **{"demo-control-plane": "https://172.18.0.3:2380"})
    await runtime.stop(identity, silent)

    assert 1 == len(updates(fake))
    assert {NodeRunState.STOPPED} == await states(runtime, identity)


async def test_a_member_whose_name_leads_elsewhere_keeps_its_address(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """Under such a name the others would lose it while all is well. The cluster is made all the same, with a load balancer that survives,
    and the next stop tries again.
    """
    etcd_knows(fake, **{"demo-control-plane": "https://172.18.0.3:2380", "demo-control-plane1": "https://172.18.0.4:2380"})
    for _ in ("the load balancer", "the list of members"):
        fake.fault("docker exec")
    fake.fault("docker exec", code=1, stderr="demo-control-plane does not lead to 172.18.0.3\n")
    await runtime.create(identity, request_for(control_planes=2), silent)
    assert [] == updates(fake)
    assert [KEEP_BALANCER] == [call[-1] for call in fake.calls("docker exec") if KEEP_BALANCER in call]

    await runtime.stop(identity, silent)
    assert 2 == len(updates(fake))


@pytest.mark.parametrize(
    ("name", "addresses", "code"),
    [
        ("one", ["10.0.0.1"], 0),
        ("one", ["10.9.9.9", "fc00::1"], 0),
        ("one", ["10.0.0.10", "fc00::"], 1),
        ("one", [], 1),
        ("no", ["10.0.0.1"], 1),
    ],
)
def test_a_name_leads_to_a_node_if_one_of_its_addresses_is_there(
    tmp_path: Path, name: str, addresses: list[str], code: int
) -> None:
    """The whole address; getent has several lines for each."""
    lines = [f"{one} {kind}" for one in ("10.0.0.1", "fc00::1") for kind in ("STREAM one", "DGRAM", "RAW")]
    known = tmp_path / "getent"
    known.write_text('#!/bin/sh\n[ "$*" = "ahosts one" ] || exit 2\n' + "".join(f"echo '{line}'\n" for line in lines))
    known.chmod(0o755)
    script, env = ["sh", "-c", LEADS_THERE, "sh", name, *addresses], {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(script, check=False, env=env, capture_output=True, text=True, timeout=10)

    assert (code, f"{name} does not lead to {' '.join(addresses)}\n" if code else "") == (done.returncode, done.stderr)


async def test_an_etcd_that_does_not_answer_fails_no_create(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """The cluster is well. With one control plane, etcd is not even asked."""
    await runtime.create(identity, request_for(control_planes=2), silent)
    asked = len(fake.calls("docker exec"))
    assert asked
    await runtime.create(identity, request_for(), silent)

    assert asked == len(fake.calls("docker exec"))


@pytest.mark.parametrize(
    "answer", ["", "{}", "[]", "nonsense", '{"members": [{"name": []}]}', '{"members": {"a": 1}}', '{"members": 1}']
)
def test_what_etcd_says_is_not_trusted(answer: str) -> None:
    """It is a node's answer, and a node runs what users put there."""
    assert [] == unnamed(answer, {"demo-control-plane"})


class Balancer:
    """A container of kind's Envoy load balancer as a folder: the same command, with the folder in place of the container's root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.program, self.wrapper = root / "usr/local/bin/envoy", root / "usr/local/sbin/envoy"
        self.files = {name: root / f"home/envoy/{name}.yaml" for name in ("cds", "lds")}
        for folder in ("usr/local/bin", "usr/local/sbin", "home/envoy"):
            (root / folder).mkdir(parents=True)
        self.program.write_text(f'#!/bin/sh\necho "$@" >{root}/started\n')
        self.program.chmod(0o755)

    def start(self) -> None:
        """As kind's command does: both files empty, then whatever `envoy` is."""
        for path in self.files.values():
            path.write_text("resources: []")
        self._run("envoy -c envoy.yaml")

    def configure(self, text: str) -> None:
        for name, path in self.files.items():
            path.write_text(f"resources:\n- {name}: {text}\n")

    def keep(self) -> None:
        self._run(KEEP_BALANCER)

    def _run(self, script: str) -> None:
        text = script.replace(str(ENVOY), f"{self.root}/home/envoy").replace("/usr/local", f"{self.root}/usr/local")
        path = f"{self.root}/usr/local/sbin:{self.root}/usr/local/bin:{os.environ['PATH']}"
        subprocess.run(["sh", "-c", text], check=True, env={"PATH": path}, timeout=10)


def test_envoy_has_its_configuration_after_a_restart(tmp_path: Path) -> None:
    """However often it is kept and restarted; the newest one counts, and an empty one is never kept."""
    balancer = Balancer(tmp_path)
    balancer.start()
    balancer.keep()
    assert not balancer.wrapper.exists(), "there is nothing to keep yet"
    for text in ("first", "second"):
        balancer.configure(text)
        balancer.keep()
        balancer.keep()
        (tmp_path / "started").unlink(missing_ok=True)
        balancer.start()

        assert [f"resources:\n- {name}: {text}\n" for name in ("cds", "lds")] == [
            path.read_text() for path in balancer.files.values()
        ]
        assert "-c" in (tmp_path / "started").read_text()
        assert stat.S_IMODE(balancer.wrapper.stat().st_mode) == 0o755


def test_a_load_balancer_that_keeps_its_configuration_is_left_alone(tmp_path: Path) -> None:
    """haproxy, and whatever comes after Envoy."""
    balancer = Balancer(tmp_path)
    for path in balancer.files.values():
        path.unlink(missing_ok=True)
    balancer.keep()

    assert not balancer.wrapper.exists()
