"""What the operating system refuses, as the error tree says it: the host's fault, with path and cure, never the spec's."""

from __future__ import annotations

import errno
import inspect
import os
from typing import Any

import pytest

from provider.adapters import oserrors
from provider.adapters.process import strays
from provider.api.faults import Fault
from provider.errors import Transient
from provider.ports.runtime import Runtime
from tests.fakes.limits import open_files


def test_everything_is_transient_and_the_hosts_fault() -> None:
    """For every errno that there is: a reason, the path, and what to do."""
    for number in errno.errorcode:
        error = oserrors.transient(OSError(number, os.strerror(number), "/state/x"))
        assert isinstance(error, Transient)
        assert error.reason.fault is Fault.HOST
        assert "(/state/x)" in error.message
        assert error.message.startswith("The manager's host: ")
        assert 200 > len(error.message)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "DiskFull"),
        (errno.EDQUOT, "DiskFull"),
        (errno.EFBIG, "DiskFull"),
        (errno.EMFILE, "OpenFilesLimit"),
        (errno.ENFILE, "OpenFilesLimit"),
        (errno.ENOMEM, "OutOfMemory"),
        (errno.EAGAIN, "OutOfMemory"),
        (errno.EROFS, "ReadOnlyFilesystem"),
        (errno.EACCES, "HostError"),
    ],
)
def test_each_lack_has_a_reason_of_its_own(number: int, reason: str) -> None:
    """So that it can be told from a spec's mistake and from the engine's."""
    with pytest.raises(Transient) as caught, oserrors.translated():
        raise OSError(number, os.strerror(number))
    assert reason == caught.value.reason


def test_a_deadline_is_no_lack() -> None:
    """TimeoutError is an OSError in Python; what it means is its catcher's to say."""
    with pytest.raises(TimeoutError), oserrors.translated():
        raise TimeoutError
    assert oserrors.lack(TimeoutError()) is None


def test_what_an_answer_says_is_no_lack() -> None:
    """ "No such file" is about the file."""
    assert oserrors.lack(FileNotFoundError(errno.ENOENT, "no such file")) is None
    assert oserrors.lack(ConnectionRefusedError(errno.ECONNREFUSED, "refused")) is None
    assert oserrors.lack(ValueError()) is None


def test_a_process_is_not_dead_because_no_file_can_be_opened() -> None:
    """A lock would be taken from its living holder, and a running cluster be started again."""
    with open_files(), pytest.raises(OSError, match="Too many open files"):
        strays.start_time(os.getpid())
    with open_files(), pytest.raises(OSError, match="Too many open files"):
        strays.of_session(os.getsid(0))
    assert strays.start_time(os.getpid()) is not None


@pytest.mark.parametrize("method", ["create", "delete", "kubeconfig", "prepare", "preflight", "renew_kubeconfig", "start"])
async def test_no_method_of_the_port_lets_an_os_error_out(method: str) -> None:
    """Of whichever the port has: one that is added is translated without being named."""

    async def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/state")

    async def events(_: object) -> None: ...

    members = {name: full for name, member in vars(Runtime).items() if inspect.iscoroutinefunction(member)}
    full_disk: type[Any] = type("FullDisk", (), members | {"events": events})
    runtime = oserrors.at_the_edge(full_disk)()

    with pytest.raises(Transient, match="No space left"):
        await getattr(runtime, method)()
