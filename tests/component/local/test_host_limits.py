"""The local runtime on a host that has nothing left: what runs is not taken for ended, and all goes on afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider.adapters.local.runtime import LocalRuntime
from provider.errors import Transient
from provider.ports.runtime import ClusterRequest, Identity, Presence, Step
from tests.fakes.limits import fill, open_files, small_disk
from tests.fakes.local_components import FakeComponents

REQUEST = ClusterRequest({"name": "one", "nodes": [{"role": "control-plane"}]}, None, None, 20.0)


def quiet(_: Step) -> None: ...


async def test_without_files_left_a_running_cluster_is_unknown(runtime: LocalRuntime, identity: Identity) -> None:
    """Its processes cannot be looked at: "stopped" would start them a second time."""
    await runtime.create(identity, REQUEST, quiet)
    before = await runtime.observe(identity)
    with open_files():
        seen = await runtime.observe(identity)
        with pytest.raises(Transient) as caught:
            await runtime.delete(identity, quiet)
    assert (Presence.UNKNOWN, "OpenFilesLimit") == (seen.presence, seen.reason)
    assert "OpenFilesLimit" == caught.value.reason
    assert before == await runtime.observe(identity)
    await runtime.delete(identity, quiet)


async def test_on_a_full_disk_nothing_is_made_and_what_there_is_can_be_removed(
    fake: FakeComponents, identity: Identity, tmp_path: Path
) -> None:
    """No half-made cluster is left; there is no need of space to remove one."""
    with small_disk(tmp_path / "disk") as disk:
        runtime = LocalRuntime(disk / "local", fake.find, fsync=False, short_root=tmp_path)
        fill(disk)
        with pytest.raises(Transient, match="Free some space") as caught:
            await runtime.create(identity, REQUEST, quiet)
        assert "DiskFull" == caught.value.reason
        assert Presence.ABSENT is (await runtime.observe(identity)).presence
