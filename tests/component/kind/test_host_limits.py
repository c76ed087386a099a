"""The kind runtime on a host that has nothing left: what it saw stays true, nothing is leaked, and all goes on afterwards."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from provider.adapters import state_dir
from provider.adapters.filelock import FileLock
from provider.adapters.kind.runtime import KindRuntime
from provider.errors import Transient
from provider.ports.runtime import ClusterRequest, Identity, Presence, Step
from tests.fakes.engine_cli import FakeBinaries
from tests.fakes.limits import fill, open_files, small_disk

RequestFor = Callable[..., ClusterRequest]
MakeRuntime = Callable[..., KindRuntime]


def silent(_: Step) -> None: ...


@pytest.mark.parametrize("spare", range(10))
async def test_without_files_left_nothing_is_known(
    runtime: KindRuntime, identity: Identity, request_for: RequestFor, spare: int
) -> None:
    """At whichever file the limit is reached: neither absent, nor "docker is not installed"."""
    await runtime.create(identity, request_for(), silent)
    with open_files(spare):
        seen, health = await runtime.observe(identity), await runtime.health()
    assert (seen.presence, seen.reason) in ((Presence.UNKNOWN, "OpenFilesLimit"), (Presence.PRESENT, None))
    assert (health.available, health.reason) in ((None, "OpenFilesLimit"), (True, None))
    assert spare or seen.presence is Presence.UNKNOWN
    assert Presence.PRESENT is (await runtime.observe(identity)).presence


@pytest.mark.parametrize("verb", ["create", "delete", "start", "kubeconfig", "preflight", "prepare"])
async def test_every_method_says_so_and_works_again_afterwards(
    runtime: KindRuntime, identity: Identity, request_for: RequestFor, verb: str
) -> None:
    """Transient, with the cure."""
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "create": lambda: runtime.create(identity, request_for(), silent),
        "delete": lambda: runtime.delete(identity, silent),
        "start": lambda: runtime.start(identity, silent),
        "kubeconfig": lambda: runtime.kubeconfig(identity),
        "preflight": lambda: runtime.preflight(identity, request_for()),
        "prepare": lambda: runtime.prepare(request_for(), silent),
    }
    with open_files(), pytest.raises(Transient, match="ulimit -n") as caught:
        await calls[verb]()
    assert "OpenFilesLimit" == caught.value.reason
    await runtime.create(identity, request_for(), silent)


async def test_a_full_disk_fails_a_create_and_nothing_else(
    make_runtime: MakeRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor, tmp_path: Path
) -> None:
    """The name is free at once when there is space again."""
    with small_disk(tmp_path / "disk") as disk:
        runtime = make_runtime(state_dir=disk, log_dir=disk / state_dir.LOGS)
        ballast = fill(disk)
        with pytest.raises(Transient, match="Free some space") as caught:
            await runtime.create(identity, request_for(), silent)
        assert "DiskFull" == caught.value.reason
        assert Presence.ABSENT is (await runtime.observe(identity)).presence
        ballast.unlink()
        await runtime.create(identity, request_for(), silent)
        fill(disk)
        assert Presence.PRESENT is (await runtime.observe(identity)).presence
        await runtime.delete(identity, silent)
    assert [] == fake.names()


async def test_a_failed_create_is_told_although_its_logs_do_not_fit(
    make_runtime: MakeRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor, tmp_path: Path
) -> None:
    """What went wrong first matters, and what it made is removed."""
    (fake.folder / "exec.out").write_text("x" * (1 << 20))
    fake.fault("kind create", made=1, code=1, stderr="ERROR: failed to create cluster: x\n")
    with small_disk(tmp_path / "disk") as disk, pytest.raises(Transient) as caught:
        await make_runtime(state_dir=disk, log_dir=disk / state_dir.LOGS).create(identity, request_for(), silent)
    assert "CreateFailed" == caught.value.reason
    assert [] == fake.names()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOMEM, errno.EIO, errno.EACCES])
async def test_whatever_the_host_refuses_is_transient(
    runtime: KindRuntime, identity: Identity, request_for: RequestFor, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never a defect of the provider."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number), "/state/locks/demo.lock")

    monkeypatch.setattr(FileLock, "write_record", refuse)
    with pytest.raises(Transient, match=r"/state/locks/demo\.lock"):
        await runtime.create(identity, request_for(), silent)
    monkeypatch.undo()
    await runtime.create(identity, request_for(), silent)
