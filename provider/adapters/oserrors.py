"""One mapping from what the operating system refuses (OSError) to the error tree, applied where an adapter meets its callers.

A full disk, a limit that is reached, a filesystem that went read-only: none of them is a defect of the provider or of a spec, and none says
anything about a cluster. They are Transient, their message names the path and the cure, and an observation during them is unknown.
"""

from __future__ import annotations

import errno
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from provider.api.conditions import Reason
from provider.errors import Transient
from provider.ports.runtime import Presence, Runtime, RuntimeHealth, RuntimeObservation

T = TypeVar("T")

DISK = "Free some space there"
FILES = "Raise the manager's limit of open files (ulimit -n), or end what holds them"
MEMORY = "Free memory, or raise the limits of memory and processes that the manager runs with"
LACKS = {
    errno.ENOSPC: (Reason.DISK_FULL, DISK),
    errno.EDQUOT: (Reason.DISK_FULL, DISK),
    errno.EFBIG: (Reason.DISK_FULL, "Raise the limit of file sizes that the manager runs with (ulimit -f)"),
    errno.EMFILE: (Reason.OPEN_FILES_LIMIT, FILES),
    errno.ENFILE: (Reason.OPEN_FILES_LIMIT, FILES),
    errno.ENOMEM: (Reason.OUT_OF_MEMORY, MEMORY),
    errno.EAGAIN: (Reason.OUT_OF_MEMORY, MEMORY),
    errno.ENOBUFS: (Reason.OUT_OF_MEMORY, MEMORY),
    errno.EROFS: (
        Reason.READ_ONLY_FILESYSTEM,
        "Make it writable again (mount -o remount,rw), or give --state-dir another folder",
    ),
    errno.EIO: (Reason.HOST_ERROR, "Check the host's disk"),
}
"""What the host lacks, whatever was asked of it."""
ANYTHING_ELSE = "Look at the path's owner and mode, and at the host"


def lack(error: BaseException) -> Transient | None:
    """The error for a resource that the host lacks; None when it says something about what was asked for, e.g. "no such file"."""
    known = LACKS.get(error.errno or 0) if isinstance(error, OSError) and not isinstance(error, TimeoutError) else None
    return _transient(error, *known) if isinstance(error, OSError) and known else None


def transient(error: OSError) -> Transient:
    """The error for an OSError that nobody nearer to its cause had an answer to."""
    return lack(error) or _transient(error, Reason.HOST_ERROR, ANYTHING_ELSE)


def raise_lack(error: BaseException) -> None:
    """For a place that takes "it cannot be read" as an answer: raise Transient where it is none."""
    if (found := lack(error)) is not None:
        raise found from error


@contextmanager
def translated() -> Iterator[None]:
    """Raise Transient for every OSError that comes out of the block; TimeoutError, which is one, is a deadline and passes."""
    try:
        yield
    except TimeoutError:
        raise
    except OSError as error:
        raise transient(error) from error


def at_the_edge(runtime: type[T]) -> type[T]:
    """Decorates an implementation of ports.Runtime: an OSError that leaves it is Transient, or "unknown" where the port has that word."""
    answers: dict[str, Callable[[Transient], Any]] = {
        "observe": lambda error: RuntimeObservation(Presence.UNKNOWN, reason=error.reason, detail=error.message),
        "health": lambda error: RuntimeHealth(None, error.reason, error.message),
        "collect_logs": lambda _: None,
    }
    for name in (name for name, method in vars(Runtime).items() if inspect.iscoroutinefunction(method)):
        setattr(runtime, name, _translated(getattr(runtime, name), answers.get(name)))
    runtime.events = _translated_stream(runtime.events)  # type: ignore[attr-defined]
    return runtime


def _translated(
    method: Callable[..., Awaitable[Any]], answer: Callable[[Transient], Any] | None
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            with translated():
                return await method(*args, **kwargs)
        except Transient as error:
            if answer is None or not isinstance(error.__cause__, OSError):
                raise
            return answer(error)

    return call


def _translated_stream(method: Callable[..., AsyncIterator[T]]) -> Callable[..., AsyncIterator[T]]:
    @functools.wraps(method)
    async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[T]:
        with translated():
            async for one in method(*args, **kwargs):
                yield one

    return stream


def _transient(error: OSError, reason: Reason, cure: str) -> Transient:
    what = error.strerror or str(error) or type(error).__name__
    where = f" ({error.filename})" if isinstance(error.filename, str) else ""
    return Transient(reason, f"The manager's host: {what}{where}. {cure}.")
