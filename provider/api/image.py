"""Names of images: the one form that the several ways to write a name stand for. Pure; which images exist is never known here.

A name is REPOSITORY[:TAG][@DIGEST]. Docker Hub's part may be left out ("kindest/node" is "docker.io/kindest/node", "busybox" is
"docker.io/library/busybox"), and so may the tag "latest" (distribution/reference).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from provider.api import patterns

HUB = "docker.io"
RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
VERSION = re.compile(patterns.VERSION)


@dataclass(frozen=True, slots=True)
class Name:
    """An image's name in parts."""

    repository: str
    """With its registry: "docker.io/kindest/node"."""
    tag: str
    """Empty where only a digest is given."""
    digest: str = ""
    """ "sha256:…", or empty."""

    @property
    def tagged(self) -> str:
        """Without the digest; empty where there is no tag."""
        return f"{self.repository}:{self.tag}" if self.tag else ""

    @property
    def pinned(self) -> str:
        """What the engine looks for when a digest is given: the tag says nothing then. Empty without a digest."""
        return f"{self.repository}@{self.digest}" if self.digest else ""

    @property
    def wanted(self) -> str:
        """The form that decides whether an image is there."""
        return self.pinned or self.tagged


def parse(text: str) -> Name:
    """Of a name that is one (whether it is, is checked where it comes in)."""
    named, _, digest = text.partition("@")
    head, slash, last = named.rpartition("/")
    last, _, tag = last.partition(":")
    repository = head + slash + last
    first = repository.partition("/")[0]
    if not slash:
        repository = f"{HUB}/library/{repository}"
    elif not ("." in first or ":" in first or first == "localhost"):
        repository = f"{HUB}/{repository}"
    return Name(repository, tag or ("" if digest else "latest"), digest)


def is_minor(version: str) -> bool:
    """Whether a version of spec.version names no patch release."""
    return VERSION.match(version) is None


def release(tag: str) -> tuple[int, int, int] | None:
    """The numbers of a tag such as "v1.34.4"; None for every other one, also of a release candidate."""
    found = RELEASE.fullmatch(tag)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))
