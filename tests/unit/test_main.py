"""provider.main: what settings mean before anything runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provider.api.conditions import Reason
from provider.errors import Terminal
from provider.main import read_policy
from provider.policy.decide import refusals
from provider.policy.file import DEFAULT, ROOTS_HOME
from provider.settings import Settings, load


def settings(*arguments: str) -> Settings:
    return load(arguments, {"HOME": "/home/Me", "KUBECONFIG": "/home/Me/one:/home/Me/two"})


def test_without_a_policy_file_the_default_holds_and_the_managers_own_files_are_its_own() -> None:
    """Its state, and its credentials for the management cluster."""
    policy = read_policy(settings())

    assert DEFAULT.rules == policy.rules
    assert ("/home/Me/.local/state/cluster-api-provider-kind", "/home/Me/one", "/home/Me/two") == tuple(policy.own)


def test_a_policy_file_is_read(tmp_path: Path) -> None:
    """Its rules stand in the place of the default."""
    (tmp_path / "policy.yaml").write_text("rules: []")

    assert () == tuple(read_policy(settings(f"--policy-file={tmp_path}/policy.yaml")).rules)


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), ("rules: [{}]", "rules.0.namespaces"), (b"\xff", "utf-8")])
def test_a_policy_file_that_cannot_be_used_keeps_the_manager_from_starting(
    tmp_path: Path, content: str | bytes | None, said: str
) -> None:
    """To go on without it would allow what it forbids."""
    path = tmp_path / "policy.yaml"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(Terminal) as error:
        read_policy(settings(f"--policy-file={path}"))
    assert Reason.POLICY_UNUSABLE is error.value.reason
    assert str(path) in error.value.message
    assert said in error.value.message


def test_the_projects_of_root_may_be_mounted_where_root_runs_the_manager() -> None:
    """And neither the home as a whole nor credentials in it; to everybody else, and in a pod, /root is a folder of the system."""

    def mountable(path: str, **environ: str) -> bool:
        policy = read_policy(load((), environ))
        config = {"nodes": [{"extraMounts": [{"hostPath": path, "containerPath": "/data"}]}]}
        return not refusals(policy, "default", config, None, {})

    assert mountable(f"{ROOTS_HOME}/project", HOME=ROOTS_HOME)
    below = [f"{ROOTS_HOME}/{path}" for path in (".ssh", ".kube/config", ".local/state/cluster-api-provider-kind/locks")]
    for path in [ROOTS_HOME, "/", "/etc", *below]:
        assert not mountable(path, HOME=ROOTS_HOME), path
    assert not mountable(f"{ROOTS_HOME}/project", HOME="/home/Me")
    assert not mountable(f"{ROOTS_HOME}/project", HOME=ROOTS_HOME, KUBERNETES_SERVICE_HOST="10.0.0.1")


def test_the_managers_own_files_are_its_own_under_their_real_name_too(tmp_path: Path) -> None:
    """Where its folder is reached through a link, a mount names what the link leads to."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    own = read_policy(settings(f"--state-dir={tmp_path}/link")).own

    assert {str(tmp_path / "link"), os.path.realpath(tmp_path / "real")} <= set(own)
