"""What `cp CONTAINER:PATH -` writes: a tar stream with one small text file. The container is not ours to trust. Pure."""

from __future__ import annotations

import io
import tarfile

from provider.api.conditions import Reason
from provider.errors import Transient

MAX_FILE = 1 << 20
"""Bytes."""


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
