"""The manager's folder of image archives (docker save, uncompressed): which image is in which file. Files are read, never written.

An archive is found by the names that it gives its images, so a spec never names a file of the manager's host. What is in the folder is the
choice of whoever runs the manager.
"""

from __future__ import annotations

import hashlib
import json
import stat
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provider.adapters.oserrors import raise_lack
from provider.api import image

SUFFIX = ".tar"
MANIFEST = "manifest.json"
"""Where docker and podman save list the images of an archive, with their names (moby image/spec)."""
MAX_MANIFEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """An image in an archive."""

    path: Path
    id: str
    """Of its content: another one after the file was written anew with another image of that name."""


@dataclass(frozen=True, slots=True)
class Archived:
    """What one look has found."""

    files: Mapping[str, Entry] = field(default_factory=dict)
    """Name, as image.Name.wanted, to the archive it is in; of two files the one with the last name."""
    unreadable: tuple[str, ...] = ()
    """File names with the reason, for people."""


_Known = tuple[tuple[int, int], Mapping[str, Entry] | str]
"""Size and time of a file, and what was in it then."""


class Archives:
    """Looks are cheap: a file is opened again only when its size or time has changed. Blocking; several threads may look at once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: Mapping[Path, _Known] = {}

    def look(self) -> Archived:
        """Raises Transient where the host refuses to open anything. A folder that is not there is empty."""
        files, unreadable = dict[str, Entry](), list[str]()
        before, known = self._known, dict[Path, _Known]()  # never changed, only replaced: another thread may be reading it
        for path in sorted(self._folder.glob(f"*{SUFFIX}")) if self._folder is not None else ():
            held = _held(path, before, known)
            if isinstance(held, str):
                unreadable.append(f"{path.name} ({held})")
            else:
                files |= held
        self._known = known
        return Archived(files, tuple(unreadable))


def _held(path: Path, before: Mapping[Path, _Known], known: dict[Path, _Known]) -> Mapping[str, Entry] | str:
    """What a file holds, by name; a text says why it cannot be read. What is found goes into `known`."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return "not a file"  # opening a named pipe would wait for whoever writes to it
        mark = (found.st_size, found.st_mtime_ns)
        known[path] = before[path] if path in before and before[path][0] == mark else (mark, read(path))
    except OSError as error:
        raise_lack(error)
        return error.strerror or type(error).__name__
    return known[path][1]


def read(path: Path) -> Mapping[str, Entry] | str:
    """Raises OSError."""
    try:
        with tarfile.open(path, "r:") as tar:
            content = tar.extractfile(MANIFEST)
            entries = json.loads(content.read(MAX_MANIFEST)) if content is not None else []
        return {image.parse(name).wanted: Entry(path, _id(entry)) for entry in entries for name in entry.get("RepoTags") or []}
    except (tarfile.TarError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return "not an uncompressed archive of docker save"


def _id(entry: Mapping[str, object]) -> str:
    """The entry names its config and its layers by their digests, so it stands for the content."""
    return "sha256:" + hashlib.sha256(json.dumps([entry.get("Config"), entry.get("Layers")]).encode()).hexdigest()
