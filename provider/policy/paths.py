"""Which paths of a host are ordinary, and which are not: folders of the system, of credentials, of container engines. Pure.

Paths are compared part by part, never as text: `/etcetera` is not below `/etc`. A path with ".." is no path here: where it leads depends on
symbolic links.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

Parts = tuple[str, ...]
"""("srv", "data") for /srv/data, and for //srv/./data/ as well; empty for /."""

SYSTEM: Sequence[Parts] = (
    *((name,) for name in ("bin", "boot", "dev", "efi", "etc", "home", "lib", "lib32", "lib64", "libx32", "proc", "root", "run")),
    *((name,) for name in ("sbin", "sys", "usr")),
    *(("var", "lib", name) for name in ("buildkit", "cni", "containerd", "containers", "docker", "dpkg", "etcd", "kubelet")),
    *(("var", "lib", name) for name in ("nerdctl", "rpm", "systemd")),
    ("var", "run"),
    ("var", "spool", "cron"),
)
"""With what is in them, and with what they are in: / and /var hold some of them. Of /home, only itself (HOMES)."""
HOMES = ("home",)
CREDENTIALS = frozenset({".ssh", ".gnupg", ".kube", ".aws", ".azure", ".password-store"})
"""Folders of these names, wherever they are. Not ~/.docker: kind's own documentation mounts the registries' logins that are in it."""
SOCKETS = frozenset({"docker.sock", "podman.sock", "containerd.sock", "crio.sock", "buildkitd.sock"})
"""Sockets of these names, wherever they are: whoever has one is root on the host."""
ALIASES: Mapping[Parts, Parts] = {
    ("var", "run"): ("run",),
    **{(name,): ("usr", name) for name in ("bin", "lib", "lib32", "lib64", "libx32", "sbin")},
}
"""Links that are part of most Linux systems: whoever names what is on the left means what is on the right."""
HARMLESS: Sequence[Parts] = (("dev", "null"),)
"""Exceptions: mounts of it are how features are switched on inside of nodes."""


def parts_of(path: str) -> Parts | None:
    """None for what is no absolute path, or has ".."."""
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    return None if not path.startswith("/") or ".." in parts or "\0" in path else parts


def text_of(parts: Parts) -> str:
    return "/" + "/".join(parts)


def is_within(inner: Parts, outer: Parts) -> bool:
    """Whether it is the same, or below it."""
    return inner[: len(outer)] == outer


def without_alias(place: Parts) -> Parts:
    return next((real + place[len(alias) :] for alias, real in ALIASES.items() if is_within(place, alias)), place)


def exposed(place: Parts, own: Sequence[Parts] = ()) -> Iterator[Parts]:
    """What a mount of `place` shows that is not ordinary: each time the folder that has to be allowed by name.

    `own`: more such folders, which count with what is in them, but not with what they are in.
    """
    if place in HARMLESS:
        return
    for tree in SYSTEM:
        if tree == HOMES:
            if is_within(HOMES, place):
                yield place
        elif is_within(place, tree):
            yield tree
        elif is_within(tree, place):
            yield place
    yield from (tree for tree in own if is_within(place, tree))
    for number, name in enumerate(place, 1):
        if name in CREDENTIALS or (name in SOCKETS and number == len(place)):
            yield place[:number]
