"""Which paths are ordinary: by their parts, whatever is done to their text."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.policy.paths import HOMES, SYSTEM, exposed, parts_of, text_of

NAMES = st.sampled_from(
    ["etc", "srv", "data", "var", "lib", "docker", "home", "me", "project", "run", ".ssh", "dev", "null", "a b"]
)
PATHS = st.lists(NAMES, max_size=5)
NOISE = st.lists(st.sampled_from(["/", "//", "/./", "///."]), min_size=6, max_size=6)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/etc",
        "/etc/passwd",
        "/var",
        "/var/lib",
        "/var/lib/docker/volumes",
        "/var/run/docker.sock",
        "/run/user/1000/docker.sock",
        "/home",
        "/home/Me/.ssh",
        "/home/Me/.kube/config",
        "/home/Me/.colima/default/docker.sock",
        "/root",
        "/proc/1/root",
        "/dev",
        "/dev/sda",
        "/usr/local",
    ],
)
def test_the_systems_folders_engines_and_credentials_are_not_ordinary(path: str) -> None:
    """Neither they, nor what is in them, nor what they are in."""
    assert list(exposed(parts_of(path) or ()))


@pytest.mark.parametrize(
    "path",
    [
        "/srv",
        "/tmp",
        "/data/etc",
        "/etcetera",
        "/home/Me",
        "/home/Me/project",
        "/home/Me/.docker/config.json",
        "/mnt/disk",
        "/opt/cni",
        "/var/lib/my-app",
        "/var/log",
        "/dev/null",
        "/srv/docker.sock.d",
        "/workspaces/app",
    ],
)
def test_what_people_mount_is_ordinary(path: str) -> None:
    """A laptop needs no policy file for it."""
    assert [] == list(exposed(parts_of(path) or ()))


def test_the_managers_own_folders_are_not_ordinary_with_what_is_in_them() -> None:
    """The folder around them is: it is the user's home."""
    own = [("home", "Me", ".local", "state", "manager")]

    assert own == list(exposed((*own[0], "locks"), own)) == list(exposed(own[0], own))
    assert [] == list(exposed(("home", "Me"), own))


@given(parts=PATHS, noise=NOISE)
def test_slashes_and_dots_change_nothing(parts: list[str], noise: list[str]) -> None:
    """However a path is written, it is judged as what it names; the kernel reads it in the same way."""
    text = "".join(f"{between}{'/' if between.endswith('.') else ''}{part}" for between, part in zip(noise, parts, strict=False))
    text = (text or "/") + noise[-1]

    assert tuple(parts) == parts_of(text)
    assert posixpath.normpath(text.replace("//", "/").replace("//", "/")) == text_of(tuple(parts))


@given(before=PATHS, after=PATHS)
def test_a_path_with_two_dots_is_none(before: list[str], after: list[str]) -> None:
    """Where it leads depends on symbolic links: it is never judged by its text."""
    assert parts_of("/" + "/".join([*before, "..", *after])) is None


@given(tree=st.sampled_from([tree for tree in SYSTEM if tree != HOMES]), more=PATHS, cut=st.integers(0, 3))
def test_what_is_in_the_system_and_what_it_is_in_is_not_ordinary(tree: tuple[str, ...], more: list[str], cut: int) -> None:
    """From any folder of the system, up to the root and down to any depth."""
    below, above = (*tree, *more), tree[: max(len(tree) - cut, 0)]

    assert tree in exposed(below) or below == ("dev", "null")
    assert list(exposed(above))


@pytest.mark.parametrize("path", ["etc", "", "./etc", "/srv/../etc", "/srv/\0"])
def test_what_is_no_absolute_path_has_no_parts(path: str) -> None:
    """It is refused before anybody compares it."""
    assert parts_of(path) is None
