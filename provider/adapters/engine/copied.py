"""Tar streams, by which small text files come out of containers (`cp CONTAINER:PATH -`) and go into them. The container is not ours to
trust. Pure.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import PurePosixPath

from provider.api.conditions import Reason
from provider.errors import Transient

MAX_FILE = 1 << 20
"""Bytes."""
MAX_FILES = 4 << 20
"""Bytes of a folder's files together."""
MODE = 0o644
NO_FILE = ("could not find the file", "no such container:path", "could not be found on container", "no such file or directory")
"""Said by `cp` (docker, docker before 20.10, podman) and by tar where there is no such file or folder."""
PACK, UNPACK = ("tar", "-cf", "-", "-C"), ("tar", "--no-same-owner", "-xf", "-", "-C")
"""To be run in a container, followed by the folder."""


def only_member(archive: bytes) -> str:
    """The one regular file in a tar stream; a link or a folder is no answer."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            member = tar.next()
            content = tar.extractfile(member) if member is not None and member.isreg() else None
            if content is not None:
                return content.read(MAX_FILE).decode()
    except (tarfile.TarError, UnicodeDecodeError) as error:
        raise Transient(Reason.FILE_UNREADABLE, "The node's file cannot be read.") from error
    raise Transient(Reason.FILE_UNREADABLE, "The node's file is not a regular file.")


def text_members(archive: bytes) -> dict[str, str]:
    """The regular text files in a tar stream of one folder, by their paths from there; links and what is no text are left out."""
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is not None:
                    with contextlib.suppress(UnicodeDecodeError):
                        found["/".join(PurePosixPath(member.name).parts[1:])] = content.read(MAX_FILES).decode()
    except tarfile.TarError as error:
        raise Transient(Reason.FILE_UNREADABLE, "The node's files cannot be read.") from error
    return found


def archive_of(files: Mapping[str, str]) -> str:
    """A tar stream of text files, itself text."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), MODE
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue().decode()
