"""What is kept of a failed create, from nodes that may be hostile: names are ours, sizes are bounded, nothing acts on a terminal."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from provider.adapters.kind import logs
from provider.adapters.kind.runtime import KindRuntime
from provider.api.kind import NodeRole
from provider.errors import Transient
from provider.ports.runtime import ClusterRequest, Identity, Step
from tests.fakes.engine_cli import FakeBinaries

RequestFor = Callable[..., ClusterRequest]
MakeRuntime = Callable[..., KindRuntime]


def silent(_: Step) -> None: ...


def written(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def sizes(folder: Path) -> list[int]:
    return [(folder / name).stat().st_size for name in written(folder)]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "demo"


@pytest.fixture
async def message(
    make_runtime: MakeRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor, tmp_path: Path
) -> str:
    """Of a create that failed with one node standing, whose programs all say what a hostile one would."""
    (fake.folder / "node.log").write_text("\x1b[31mbooting\x1b[0m\x1b]0;title\x07 http://user:secret@proxy\n")
    (fake.folder / "exec.out").write_text("x" * (3 << 20) + "the end")
    fake.fault("kind create", made=1, code=1, stderr="ERROR: failed to create cluster: x\n")
    with pytest.raises(Transient) as caught:
        await make_runtime(log_dir=tmp_path / "logs").create(identity, request_for(), silent)
    return caught.value.message


async def test_the_failure_says_where_its_logs_are(message: str, kept: Path) -> None:
    """Collected before the containers went; what an earlier failure left is not among them."""
    assert message.endswith(f"Logs: {kept}.")
    assert "demo-control-plane.log" in written(kept)


async def test_the_names_of_files_are_ours_alone(message: str, kept: Path) -> None:
    """A node fills in content; it names nothing and unpacks nothing."""
    answers = {f"demo-control-plane/{name}" for name in logs.questions(NodeRole.CONTROL_PLANE)}
    assert {"demo-control-plane.log", "demo-control-plane.json"} | answers == written(kept)


async def test_kinds_own_collection_is_not_run(message: str, fake: FakeBinaries) -> None:
    """`kind export logs` unpacks an archive that the node makes, names of files included."""
    assert not fake.calls("kind export")


async def test_a_node_that_says_too_much_is_cut(message: str, kept: Path) -> None:
    """Per file, keeping the end; and all of one collection together."""
    assert logs.MAX_FILE == max(sizes(kept))
    assert logs.MAX_TOTAL >= sum(sizes(kept))
    assert (kept / "demo-control-plane/kubelet.log").read_text().endswith("the end\n")


async def test_a_collection_is_bounded_as_a_whole(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many files and nodes there are."""
    monkeypatch.setattr(logs, "MAX_TOTAL", 100)
    (fake.folder / "exec.out").write_text("x" * 200)
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    await runtime.collect_logs(identity, kept)
    assert 100 == sum(sizes(kept))


async def test_nothing_that_is_kept_acts_on_a_terminal_or_is_secret(message: str, kept: Path) -> None:
    """Colours and titles are left out, passwords in URLs too."""
    text = (kept / "demo-control-plane.log").read_text()
    assert "booting" in text
    assert "\x1b" not in text
    assert "secret" not in text


async def test_everything_that_is_kept_is_private(message: str, kept: Path) -> None:
    """Folders 0700, files 0600, whatever the umask."""
    assert {0o600} == {stat.S_IMODE((kept / name).stat().st_mode) for name in written(kept)}
    assert {0o700} == {stat.S_IMODE(folder.stat().st_mode) for folder in (kept, kept / "demo-control-plane")}


async def test_a_node_that_never_answers_costs_a_bounded_time(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was collected until then stays."""
    monkeypatch.setattr(logs, "DEADLINE", 1.5)
    for _ in logs.questions(NodeRole.CONTROL_PLANE):
        fake.fault("docker exec", hang=True)
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    await runtime.collect_logs(identity, kept)
    assert {"demo-control-plane.log", "demo-control-plane.json"} == written(kept)


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "..", "", "a/b", "a\0b", "x" * 300, ".hidden"])
def test_a_container_name_that_leads_elsewhere_is_replaced(name: str) -> None:
    """Engines refuse such names; we do not rely on that."""
    assert "node-3" == logs.file_name(name, 3)


@pytest.mark.parametrize("link", ["demo-control-plane.log", "demo-control-plane/kubelet.log"])
async def test_nothing_is_written_through_a_link(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, kept: Path, tmp_path: Path, link: str
) -> None:
    """A file of that name is replaced."""
    (fake.folder / "exec.out").write_text("said")
    fake.add("demo", mounts=[f"/kind/owner/{identity.marker}"])
    (kept / link).parent.mkdir(parents=True)
    (tmp_path / "precious").write_text("precious")
    (kept / link).symlink_to(tmp_path / "precious")
    await runtime.collect_logs(identity, kept)
    assert "precious" == (tmp_path / "precious").read_text()
    assert (kept / link).is_file()
