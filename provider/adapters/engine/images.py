"""What docker, podman and nerdctl say about images: their lists of names, and how far a pull has come. Pure: text in, values out."""

from __future__ import annotations

import re
from collections.abc import Callable

from provider.api import image

ROW = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}"
NONE = "<none>"
LOCAL = "localhost/"
"""Where podman keeps what it built or loaded without a registry's name, and looks first when a name has none."""

LAYER = re.compile(r"^(?P<id>[0-9a-f]{12}): (?P<state>Pulling fs layer|Already exists|Download complete|Pull complete)")
"""docker's lines without a terminal (moby pkg/jsonmessage)."""
BLOB = re.compile(r"^Copying (?P<what>blob|config) (?:sha256:)?(?P<id>[0-9a-f]{12})")
"""podman's (containers/image copy): one line when a blob begins; blobs that are there already have one, too."""


def listed(text: str) -> frozenset[str]:
    """Names of a list printed by ROW, each as image.Name.wanted. A line of another shape names nothing."""
    found = set[str]()
    for line in text.splitlines():
        repository, tag, digest = [*line.split("\t"), "", "", ""][:3]
        if repository in ("", NONE):
            continue
        for one in (repository, repository.removeprefix(LOCAL)):
            if tag not in ("", NONE):
                found.add(image.parse(f"{one}:{tag}").wanted)
            if digest not in ("", NONE):
                found.add(image.parse(f"{one}@{digest}").wanted)
    return frozenset(found)


class Layers:
    """Reads the lines of a pull, and tells whenever another layer is there."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._done: dict[str, bool] = {}
        self._told = ""

    def feed(self, line: str) -> None:
        if match := LAYER.match(line):
            self._done[match["id"]] = match["state"] in ("Already exists", "Pull complete")
        elif match := BLOB.match(line):
            self._done[match["id"]] = True
        else:
            return
        # podman does not say how many there are: its last line is about the config, when all are there.
        text = f"{sum(self._done.values())} of {len(self._done)} layers" if LAYER.match(line) else f"{len(self._done)} layers"
        if text != self._told:
            self._told = text
            self._tell(text)
