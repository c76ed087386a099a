"""Whether a cluster may be made as it is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.policy.decide import paths_of_interest, refusals
from provider.policy.file import DEFAULT, Policy, parse
from provider.policy.paths import exposed, parts_of

FILE = """
rules:
- namespaces: [team-a, "ci-*"]
  hostPaths:
  - /srv/shared
  - {path: /etc/ssl/certs, readOnly: true}
  - {path: /var/lib/kubelet, bidirectional: true}
  - /data/*
  images: ["kindest/node:*", "registry.example:5000/nodes/*"]
  hostPorts: ["80", "30000-32767"]
  patches: [kubeadm]
- namespaces: [root]
  hostPaths: [/, /etc, /var/run/docker.sock, /var/lib/docker/*]
- namespaces: [open]
- namespaces: [closed]
  hostPaths: []
  images: []
  hostPorts: []
  patches: []
"""
POLICY = parse(FILE)


def config(*mounts: dict[str, Any], **node: Any) -> dict[str, Any]:
    return {"name": "demo", "nodes": [{"role": "control-plane"}, {"role": "worker", "extraMounts": list(mounts), **node}]}


def mount(path: str, **more: Any) -> dict[str, Any]:
    return {"hostPath": path, "containerPath": "/data", **more}


def why(path: str, namespace: str = "team-a", policy: Policy = POLICY, real: dict[str, str] | None = None, **more: Any) -> str:
    return " ".join(refusals(policy, namespace, config(mount(path, **more)), None, real or {}))


@pytest.mark.parametrize(
    "path", ["/srv/shared", "/srv/shared/", "/srv//shared/x", "/data/x", "/srv/shared/docs/etc", "/srv/./shared"]
)
def test_what_is_in_an_allowed_folder_may_be_mounted(path: str) -> None:
    """The folder itself, and all below; "/*" leaves the folder itself out."""
    assert "" == why(path)


@pytest.mark.parametrize(
    "path", ["/srv", "/srv/sharedx", "/data", "/data/", "/", "/etc", "/home/Me", "/srv/shared/../../etc", "srv/shared"]
)
def test_what_is_outside_is_refused_with_field_and_cure(path: str) -> None:
    """Whatever it begins with."""
    said = why(path)

    assert said.startswith(f"spec.nodes[1].extraMounts[0].hostPath: {path} ")
    assert "choose another path" in said or "write the whole path" in said


def test_what_the_system_has_is_named_or_refused() -> None:
    """A folder that holds it, or "/" itself, does not allow it; the own name does, with what is below."""
    assert (
        ""
        == why("/", "root")
        == why("/etc/ssl", "root")
        == why("/var/run/docker.sock", "root")
        == why("/var/lib/docker/x", "root")
    )
    for path in ("/root", "/var", "/run/docker.sock", "/home/Me/.ssh", "/var/lib/docker", "/usr"):
        assert "system or credentials" in why(path, "root"), path
    assert "" == why("/srv", "root")


def test_a_condition_of_an_entry_holds() -> None:
    """Read-only, and no mounts from inside of a node."""
    assert "readOnly: true: set it" in why("/etc/ssl/certs")
    assert "" == why("/etc/ssl/certs", readOnly=True)
    assert "choose HostToContainer" in why("/srv/shared", propagation="Bidirectional")
    assert "" == why("/srv/shared", propagation="HostToContainer") == why("/var/lib/kubelet", propagation="Bidirectional")


def test_a_symbolic_link_is_judged_by_where_it_leads() -> None:
    """And told of; an allowed folder may be a link itself."""
    assert "/srv/shared/link (it leads to /etc) is not among" in why("/srv/shared/link", real={"/srv/shared/link": "/etc"})
    assert "(it leads to /sbin/x) shows" in why("/srv/x", "open", real={"/srv/x": "/sbin/x"})
    moved = {"/srv/shared": "/disk/shared", "/srv/shared/x": "/disk/shared/x"}
    assert "" == why("/srv/shared/x", real=moved)
    assert "is not among" in why("/srv/shared/x", real={**moved, "/srv/shared/x": "/disk/other"})


def test_what_is_named_may_be_reached_through_a_link_that_every_system_has() -> None:
    """/var/run is /run, and /lib is /usr/lib; it is the operator's entry that allows both names."""
    assert "" == why("/var/run/docker.sock", "root", real={"/var/run/docker.sock": "/run/docker.sock"})
    modules = parse("rules: [{namespaces: [a], hostPaths: [/lib/modules]}]")
    assert "" == why("/lib/modules", "a", modules, {"/lib/modules": "/usr/lib/modules"})
    assert "is not among" in why("/lib/x", "a", modules, {"/lib/x": "/usr/lib/x"})


@pytest.mark.parametrize("leads", ["/", "/var", "/etc", "/home"])
def test_an_allowed_folder_that_is_turned_into_a_link_to_the_system_allows_none_of_it(leads: str) -> None:
    """Whoever owns what it is in may turn it: it was allowed as an ordinary folder."""
    assert f"/srv/shared (it leads to {leads}) shows" in why("/srv/shared", real={"/srv/shared": leads})


def test_it_is_asked_where_mounts_and_allowed_folders_lead() -> None:
    """Nothing is asked for a cluster without mounts."""
    assert ["/data", "/etc/ssl/certs", "/srv/shared", "/srv/x", "/var/lib/kubelet"] == paths_of_interest(
        POLICY, "ci-1", config(mount("/srv/x"))
    )
    assert [] == paths_of_interest(POLICY, "team-a", config())


@pytest.mark.parametrize("path", ["/srv/data", "/tmp", "/home/Me/project", "/dev/null", "/home/Me/.docker/config.json"])
def test_without_a_file_ordinary_folders_may_be_mounted(path: str) -> None:
    """A laptop needs none."""
    assert "" == why(path, "default", DEFAULT)


@pytest.mark.parametrize("path", ["/etc", "/var/run/docker.sock", "/home/Me/docker.sock", "/sbin/x", "/home/Me/.kube", "/var"])
def test_without_a_file_the_system_is_refused_with_the_cure(path: str) -> None:
    """The file is named, and what to write otherwise."""
    said = why(path, "default", DEFAULT)

    assert "mount an ordinary folder, or have it allowed in the manager's policy file (--policy-file)." in said
    assert "is not among what namespace default may mount (/*)" in why("/", "default", DEFAULT)


def test_the_managers_own_folder_is_never_mounted_unless_named() -> None:
    """It holds the locks and keys of other people's clusters."""
    assert "system or credentials" in why("/srv/state/locks", "open", Policy(POLICY.rules, own=("/srv/state/",)))


def test_images_are_compared_with_their_registry() -> None:
    """A short name is one of docker.io; a pattern for it admits no other registry's."""

    def said(image: str | None, namespace: str = "team-a", node: str | None = None) -> str:
        return " ".join(refusals(POLICY, namespace, config(**({"image": node} if node else {})), image, {}))

    for allowed in ("kindest/node:v1.34.0", "docker.io/kindest/node:v1@sha256:0", "registry.example:5000/nodes/a:b", None):
        assert "" == said(allowed)
    for other in ("kindest/nodex:v1", "evil.example/kindest/node:v1", "node:v1", "registry.example:5000/other"):
        assert f"spec.image: namespace team-a may not use image {other} (only kindest/node:*" in said(other)
        assert "spec.nodes[1].image: " in said(None, node=other)
    hub = parse("rules: [{namespaces: [a], images: ['docker.io/*']}]")
    assert [] == refusals(hub, "a", config(), "some/image", {})
    assert refusals(hub, "a", config(), "Evil/image", {})  # engines take what has upper case for a registry
    assert "" == said("whatever/it:is", "open")
    assert "(only none)" in said("kindest/node:v1", "closed")


def test_ports_that_nobody_names_are_free() -> None:
    """Those that are named have to be in a range."""

    def said(namespace: str, *ports: int, api: int | None = None) -> str:
        mappings = [{"containerPort": 80, "hostPort": port} for port in ports]
        wanted = config(extraPortMappings=mappings) | {"networking": {"apiServerPort": api}}
        return " ".join(refusals(POLICY, namespace, wanted, None, {}))

    assert "" == said("team-a", 80, 0, -1, 30000, 32767) == said("open", 1, 65535, api=6443) == said("closed", 0, -1)
    assert "spec.nodes[1].extraPortMappings[1].hostPort: namespace team-a may not use host port 81 " in said("team-a", 80, 81)
    assert "spec.networking.apiServerPort: namespace team-a may not use host port 6443 " in said("team-a", api=6443)


def test_patches_are_told_by_what_they_patch() -> None:
    """Of the cluster and of a node."""
    wanted = config(kubeadmConfigPatchesJSON6902=[{"kind": "X", "patch": "[]"}]) | {"containerdConfigPatches": ["a = 1"]}

    assert [] == refusals(POLICY, "open", wanted, None, {})
    (said,) = refusals(POLICY, "team-a", wanted, None, {})
    assert said.startswith(
        "spec.containerdConfigPatches: namespace team-a may not patch the configuration of containerd: remove it"
    )
    assert 2 == len(refusals(POLICY, "closed", wanted, None, {}))


def test_a_namespace_without_a_rule_may_ask_for_a_plain_cluster() -> None:
    """And for nothing else; the first rule that matches decides alone."""
    assert [] == refusals(POLICY, "other", config(), None, {})
    assert 2 == len(refusals(POLICY, "other", config(mount("/srv/shared")), "kindest/node:v1", {}))


NAMES = st.sampled_from(["srv", "shared", "data", "etc", "var", "run", "..", ".", "", "link"])


@given(parts=st.lists(NAMES, max_size=6), leads=st.lists(NAMES.filter(lambda name: name not in ("..", ".", "")), max_size=4))
def test_nothing_outside_of_the_allowed_folders_is_ever_mounted(parts: list[str], leads: list[str]) -> None:
    """Whatever a path is made of and wherever it leads: what may be mounted is, in the end, below an allowed folder."""
    path, real = "/" + "/".join(parts), "/" + "/".join(leads)
    allowed = why(path, real={path: real}) == ""
    if (
        path == "/srv/shared"
    ):  # an allowed folder that is a link itself: wherever it leads is allowed, unless it is no ordinary place
        assert allowed is not bool(list(exposed(parts_of(real) or ())))
        return

    for end in (path, real):
        resolved = [part for part in end.split("/") if part not in ("", ".")]
        inside = resolved[:2] == ["srv", "shared"] or (resolved[:1] == ["data"] and len(resolved) > 1)
        assert not allowed or (inside and ".." not in resolved)
