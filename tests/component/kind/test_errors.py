"""What kind's real words mean: each fixture is what kind 0.30 said (or the engine said through it)."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider.adapters.kind import errors
from provider.errors import Terminal, Transient

FIXTURES = Path(__file__).parent / "fixtures"
VERDICTS = {
    "bad-address": (Terminal, "AddressUnavailable"),
    "bad-address-fixed": (Terminal, "AddressUnavailable"),
    "cni": (Transient, "AddonsFailed"),
    "containerd-patch": (Terminal, "ConfigRejected"),
    "disk": (Transient, "DiskFull"),
    "engine-down": (Transient, "EngineUnreachable"),
    "exists": (Transient, "NameConflict"),
    "feature-gate": (Terminal, "ConfigRejected"),
    "image-denied": (Terminal, "ImageNotFound"),
    "image-missing": (Terminal, "ImageNotFound"),
    "image-rate-limit": (Transient, "ImagePullFailed"),
    "image-unreachable": (Transient, "ImagePullFailed"),
    "join": (Transient, "JoinFailed"),
    "kubeadm-timeout": (Transient, "ControlPlaneTimeout"),
    "kubeconfig-lock": (Transient, "CreateFailed"),
    "load-balancer-image": (Transient, "ImagePullFailed"),
    "mount-dir": (Transient, "MountFailed"),
    "mount-podman": (Transient, "MountFailed"),
    "name-conflict": (Transient, "ContainerNameInUse"),
    "network-without-ipv6": (Transient, "NetworkFailed"),
    "not-a-node": (Transient, "NodeBootFailed"),
    "patch-not-yaml": (Terminal, "ConfigRejected"),
    "permission": (Transient, "EngineUnreachable"),
    "port-in-use": (Transient, "PortInUse"),
    "rootless": (Transient, "HostUnfit"),
    "subnets": (Transient, "NetworkFailed"),
    "two-validation": (Terminal, "ConfigRejected"),
    "unknown-field": (Terminal, "ConfigRejected"),
}
CURES = {
    "port-in-use": "Host port 127.0.0.1:18999 is in use",
    "image-missing": "Image kindest/node:v9.9.9",
    "name-conflict": "demo-control-plane",
    "mount-dir": "/proc/nonexistent/x",
    "mount-podman": "/nowhere/data",
    "permission": "may not talk to the container engine",
    "feature-gate": "Nonsense is not a valid feature name",
    "unknown-field": "field nonsense not found",
    "network-without-ipv6": "docker network rm kind",
    "load-balancer-image": "kindest/haproxy:v20230606-42a2262b",
}


def text(name: str) -> str:
    return (FIXTURES / f"{name}.txt").read_text()


def test_every_fixture_has_a_verdict() -> None:
    """A new piece of real output is judged, or it is no use."""
    assert {path.stem for path in FIXTURES.iterdir()} == set(VERDICTS)


@pytest.mark.fault(24, "kind's own words for inotify, memory and others", invariants="I1")
@pytest.mark.fault(23, "kind's own words for a full disk", invariants="I1")
@pytest.mark.fault(25, "kind's own words for missing, refused, unreachable images", invariants="I1")
@pytest.mark.parametrize("name", VERDICTS)
def test_words_become_a_verdict(name: str) -> None:
    """Whether trying again can help, why, and a message of a few lines that holds no command line of kind's."""
    error = errors.create_failure(text(name))

    assert VERDICTS[name] == (type(error), error.reason)
    assert CURES.get(name, "") in error.message
    assert "--security-opt" not in error.message
    assert 900 > len(error.message)


def test_a_silent_death_is_explained_by_the_nodes_own_words() -> None:
    """Only limits of the host are looked for there: a node's log is full of words."""
    logs = "Failed to create control group inotify object: Too many open files\nport is already allocated\n"
    error = errors.create_failure(text("not-a-node"), logs)

    assert "HostLimits" == error.reason
    assert "sysctl" in error.message


def test_a_failed_kubeconfig_is_told_apart() -> None:
    """The cluster is up then."""
    assert errors.only_kubeconfig_failed(text("kubeconfig-lock"))
    assert not any(errors.only_kubeconfig_failed(text(name)) for name in VERDICTS if name != "kubeconfig-lock")


def test_a_failure_nobody_has_seen_yet_can_be_tried_again() -> None:
    """Terminal is for what is known to be the spec's fault."""
    error = errors.create_failure('Creating cluster "x" ...\nERROR: failed to create cluster: unheard of\n')

    assert (Transient, "CreateFailed") == (type(error), error.reason)
    assert "unheard of" in error.message


@pytest.mark.fault(42, "kind prints a secret", invariants="I11")
def test_secrets_are_not_quoted() -> None:
    """kubeadm prints tokens, engines print proxies."""
    output = "ERROR: failed to create cluster: x http://u:hunter2@p --token abcdef.0123456789abcdef password=hunter2\n"

    assert not {"hunter2", "abcdef.0123456789abcdef"} & set(errors.create_failure(output).message.replace("=", " ").split())
    assert "hunter2" not in errors.create_failure(output).message
