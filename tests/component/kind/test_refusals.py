"""What a component said before it ended: words of Kubernetes v1.34.4 in nodes of kind 0.30."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from provider.adapters.engine.answers import listed_subnets
from provider.adapters.kind.refusals import COMMANDS, refusal
from provider.adapters.kind.runtime import KindRuntime
from provider.errors import ProviderError, Terminal, Transient
from provider.ports.runtime import ClusterRequest, Identity
from tests.fakes.engine_cli import FakeBinaries

RequestFor = Callable[..., ClusterRequest]
TIMEOUT = (Path(__file__).parent / "fixtures" / "kubeadm-timeout.txt").read_text()
PANIC = "panic: failed to merge global and in-flight KubeletConfiguration while setting defaults, error:"
LOCKED = f"{PANIC} cannot set feature gate SidecarContainers to false, feature is locked to true"
UNKNOWN = f"{PANIC} unrecognized feature gate: NotAGate"
STACK = (
    "goroutine 1 [running]:\nk8s.io/kubernetes/cmd/kubelet/app.loadConfigFile({0x3351ec0, 0x5437ae0}, {0x7ffd7d4e1d56, 0x1c})\n"
)
GROUP = (
    '2026-11-26T19:47:14.1Z stderr F E1126 19:47:14.111945       1 run.go:72] "command failed" err="unknown api groups nonsense"'
)
VALUE = (
    '2026-11-26T19:48:29.8Z stderr F E1126 19:48:29.838491       1 run.go:72] "command failed" err="invalid value api/all=maybe"'
)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (UNKNOWN, "does not know the feature gate NotAGate"),
        (LOCKED, "SidecarContainers is locked to true"),
        (GROUP, "API group nonsense"),
        (VALUE, "cannot read api/all=maybe"),
    ],
)
def test_a_mistake_of_the_spec_is_named_and_final(words: str, says: str) -> None:
    """Another try would end the same way, minutes later."""
    error = refusal(f"{words}\n{STACK}" * 3)

    assert isinstance(error, Terminal)
    assert "ConfigRejected" == error.reason
    assert says in error.message


def test_words_that_name_no_mistake_explain_nothing() -> None:
    """A slow host writes the same lines without end."""
    assert refusal('E1126 controller.go:145] "Failed to ensure lease exists, will retry" err="connection refused"') is None


async def test_a_failed_control_plane_is_asked_why_in_one_try(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """kind's words are those of any timeout; the kubelet's name the gate. The node is asked before it is removed."""
    fake.fault("kind create", made=1, code=1, stderr=TIMEOUT)
    fake.fault("docker exec", stdout=UNKNOWN)

    error = await failure(runtime, identity, request_for())

    assert (Terminal, "ConfigRejected") == (type(error), error.reason)
    assert "NotAGate" in error.message
    assert list(COMMANDS) == [tuple(call[3:]) for call in fake.calls("docker exec")]
    assert not fake.containers


async def test_a_node_that_says_nothing_leaves_the_first_word(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """What cannot be had explains nothing, and hides nothing."""
    fake.fault("kind create", made=1, code=1, stderr=TIMEOUT)
    fake.fault("docker exec", code=1, stderr="no such file")

    error = await failure(runtime, identity, request_for())

    assert (Transient, "ControlPlaneTimeout") == (type(error), error.reason)


async def failure(runtime: KindRuntime, identity: Identity, request: ClusterRequest) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await runtime.create(identity, request, lambda _step: None)
    return caught.value


@pytest.mark.parametrize("family", ["dual", "ipv6"])
async def test_a_network_without_ipv6_is_found_before_anything_is_made(
    make_runtime: Callable[..., KindRuntime], fake: FakeBinaries, identity: Identity, request_for: RequestFor, family: str
) -> None:
    """kind finds out once all nodes run, and does not make a network anew that exists."""
    fake.fault("docker network", stdout=json.dumps([{"EnableIPv6": False, "IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]}}]))
    runtime = make_runtime(environment=fake.env | {"KIND_EXPERIMENTAL_DOCKER_NETWORK": "mine"})
    config = {**request_for().config, "networking": {"ipFamily": family}}

    (problem,) = await runtime.preflight(identity, request_for(config=config))

    assert ("NetworkFailed", False) == (problem.reason, problem.terminal)
    assert "docker network rm mine" in problem.message


async def test_an_ipv4_cluster_asks_for_no_network(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor
) -> None:
    """Nothing is missing for it."""
    assert [] == await runtime.preflight(identity, request_for())
    assert not fake.calls("docker network")


async def test_a_network_that_is_not_there_yet_is_no_problem(
    runtime: KindRuntime, identity: Identity, fake: FakeBinaries, request_for: RequestFor
) -> None:
    """kind makes it, with IPv6 where it can."""
    fake.fault("docker network", code=1, stdout="[]", stderr="Error: No such network: kind")

    assert [] == await runtime.preflight(
        identity, request_for(config={**request_for().config, "networking": {"ipFamily": "dual"}})
    )


@pytest.mark.parametrize(
    ("answer", "subnets"),
    [
        (
            [{"IPAM": {"Config": [{"Subnet": "fc00:f853::/64"}, {"Subnet": "172.18.0.0/16"}]}}],
            ["fc00:f853::/64", "172.18.0.0/16"],
        ),
        ([{"name": "kind", "subnets": [{"subnet": "10.89.0.0/24", "gateway": "10.89.0.1"}]}], ["10.89.0.0/24"]),
        ([{"IPAM": {"Config": None}}], []),
        ([{"IPAM": {"Config": [{}]}}], []),
        ([], []),
        ({}, []),
        ("x", []),
    ],
)
def test_subnets_are_read_of_each_engines_answer(answer: object, subnets: list[str]) -> None:
    """And of no answer, none."""
    assert subnets == listed_subnets(json.dumps(answer))
