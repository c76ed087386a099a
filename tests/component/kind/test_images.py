"""The kind runtime choosing and fetching node images: against a fake engine that has them, gets them or does not."""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from provider.adapters.engine.images import ROW, Layers, listed
from provider.adapters.kind import releases
from provider.adapters.kind.archives import Archived, Archives
from provider.adapters.kind.runtime import KindRuntime
from provider.api import image
from provider.errors import ProviderError, Terminal, Transient
from provider.ports.runtime import ClusterRequest, Identity, Step, StepState
from tests.fakes.engine_cli import FakeBinaries

RequestFor = Callable[..., ClusterRequest]
MakeRuntime = Callable[..., KindRuntime]
HUB = "docker.io/kindest/node"
DIGEST = "sha256:" + "a" * 64


def save(path: Path, *names: str) -> Path:
    """An archive as docker save writes it, without layers."""
    path.parent.mkdir(exist_ok=True)
    content = json.dumps([{"Config": "blobs/sha256/0", "RepoTags": list(names), "Layers": []}]).encode()
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return path


async def test_what_is_there_is_not_pulled(runtime: KindRuntime, fake: FakeBinaries, request_for: RequestFor) -> None:
    """An image that was built or loaded locally has no registry."""
    fake.edit(images=["kindest/node:v1.34.4"])

    await runtime.prepare(request_for(), lambda _: None)

    assert fake.calls("docker pull") == []


async def test_each_missing_image_is_pulled_once(
    runtime: KindRuntime, fake: FakeBinaries, request_for: RequestFor, steps: list[Step]
) -> None:
    """With progress. A node's own image counts; an image that nobody names is kind's business."""
    request = request_for(workers=2)
    nodes = [*request.config["nodes"], {"role": "worker", "image": "other/node:v2"}]

    await runtime.prepare(request_for(config={**request.config, "nodes": nodes}), steps.append)
    await runtime.prepare(request_for(image=None), steps.append)

    assert [call[-1] for call in fake.calls("docker pull")] == ["kindest/node:v1.34.4", "other/node:v2"]
    assert [step.name for step in steps if step.state is StepState.SUCCEEDED] == [
        "Pulling kindest/node:v1.34.4",
        "Pulling other/node:v2",
    ]


@pytest.mark.fault(25, "the image is missing or refused (stub)", invariants="I1")
@pytest.mark.parametrize(
    ("stderr", "kind", "reason"),
    [
        ("manifest for kindest/node:v1.34.4 not found: manifest unknown", Terminal, "ImageNotFound"),
        ("dial tcp: lookup registry.example: no such host", Transient, "ImagePullFailed"),
    ],
)
async def test_an_image_that_cannot_be_had_is_named(
    runtime: KindRuntime, fake: FakeBinaries, request_for: RequestFor, stderr: str, kind: type[ProviderError], reason: str
) -> None:
    """Terminal only where the registry says that it does not exist."""
    fake.fault("docker pull", code=1, stderr=stderr + "\n")

    with pytest.raises(kind) as raised:
        await runtime.prepare(request_for(), lambda _: None)

    assert (raised.value.reason, "kindest/node:v1.34.4" in raised.value.message) == (reason, True)


@pytest.mark.fault(25, "the engine is silent when asked for the image (stub)", invariants="I7")
async def test_an_engine_that_does_not_answer_is_no_missing_image(
    runtime: KindRuntime, fake: FakeBinaries, request_for: RequestFor
) -> None:
    """Nothing is pulled then."""
    fake.fault("docker image", code=1, stderr="Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\n")

    with pytest.raises(Transient, match="does not answer"):
        await runtime.prepare(request_for(), lambda _: None)
    assert fake.calls("docker pull") == []


# --- what there is -----------------------------------------------------------------------------------------------------------------


async def test_the_runtime_tells_what_nodes_can_be_made_from(
    fake: FakeBinaries, make_runtime: MakeRuntime, tmp_path: Path
) -> None:
    """What its kind was published with, what is on the engine by tag and digest, what is in the folder of archives, and what is broken."""
    fake.edit(images=["kindest/node:v1.34.4", f"kindest/node@{DIGEST}"])
    save(tmp_path / "archives" / "node.tar", "kindest/node:v1.33.1")
    (tmp_path / "archives" / "cut.tar").write_bytes(b"no archive")

    found = await make_runtime(archives=tmp_path / "archives").node_images()

    assert ("kind v0.30.0", releases.known("v0.30.0")) == (found.release, found.known)
    assert {f"{HUB}:v1.34.4", f"{HUB}@{DIGEST}"} == found.present
    assert {f"{HUB}:v1.33.1"} == found.archived
    assert ["cut.tar"] == [text.partition(" ")[0] for text in found.unreadable]


def test_every_known_image_is_pinned() -> None:
    """One line of each release, as kind's source has it; a release that is not listed has none."""
    names = [image.parse(text) for text in releases.NODE_IMAGES.values()]

    assert all(name.repository == HUB and image.release(name.tag) and len(name.digest) == len(DIGEST) for name in names)
    assert () == releases.known("v0.33.0-alpha")


@pytest.mark.parametrize(
    ("line", "names"),
    [
        (f"kindest/node\tv1.34.4\t{DIGEST}", {f"{HUB}:v1.34.4", f"{HUB}@{DIGEST}"}),
        ("busybox\t1\t<none>", {"docker.io/library/busybox:1"}),
        ("reg.io:5000/a/b\t<none>\t" + DIGEST, {f"reg.io:5000/a/b@{DIGEST}"}),
        ("localhost/kindest/node\tv1.34.4\t<none>", {"localhost/kindest/node:v1.34.4", f"{HUB}:v1.34.4"}),
        ("<none>\t<none>\t<none>", set()),
        ("Error: something else", set()),
        ("", set()),
    ],
)
def test_a_line_of_the_list_names_an_image(line: str, names: set[str]) -> None:
    """podman lists short names below localhost, and finds them without it."""
    assert names == listed(line)
    assert 3 == len(ROW.split("\t"))


# --- progress and archives -----------------------------------------------------------------------------------------------------------


def test_a_pull_tells_how_many_layers_are_there() -> None:
    """docker's lines; what is there already counts, an answer that did not change is not told twice."""
    told: list[str] = []
    layers = Layers(told.append)
    ids = [f"{number:012x}" for number in range(3)]
    lines = ["v1.34.4: Pulling from kindest/node", f"{ids[0]}: Already exists", *(f"{one}: Pulling fs layer" for one in ids[1:])]
    for line in [*lines, f"{ids[1]}: Download complete", f"{ids[2]}: Pull complete", f"{ids[1]}: Pull complete", "Digest: x"]:
        layers.feed(line)

    assert ["1 of 1 layers", "1 of 2 layers", "1 of 3 layers", "2 of 3 layers", "3 of 3 layers"] == told


def test_podman_tells_how_many_layers_it_has_begun() -> None:
    """It never says how many there will be."""
    told: list[str] = []
    layers = Layers(told.append)
    for number in range(2):
        layers.feed(f"Copying blob sha256:{number:012x}" + "0" * 52)

    assert ["1 layers", "2 layers"] == told


async def test_a_create_fetches_first_and_says_how_far_it_is(
    runtime: KindRuntime, fake: FakeBinaries, identity: Identity, request_for: RequestFor, steps: list[Step]
) -> None:
    """kind would pull without a word until it is over."""
    fake.fault("docker pull", stdout="000000000000: Pulling fs layer\n000000000000: Pull complete\n")

    await runtime.create(identity, request_for(), steps.append)

    pulling = [(step.detail, step.state) for step in steps if step.name == "Pulling kindest/node:v1.34.4"]
    assert ["", "0 of 1 layers", "1 of 1 layers", ""] == [detail for detail, _ in pulling]
    assert StepState.SUCCEEDED is pulling[-1][1]


async def test_an_image_in_an_archive_is_loaded_and_not_pulled(
    fake: FakeBinaries, make_runtime: MakeRuntime, request_for: RequestFor, tmp_path: Path, steps: list[Step]
) -> None:
    """Once: the second time the engine has it."""
    archive = save(tmp_path / "archives" / "node.tar", "kindest/node:v1.34.4")
    runtime = make_runtime(archives=archive.parent)

    await runtime.prepare(request_for(), steps.append)
    await runtime.prepare(request_for(), steps.append)

    assert ([], [["docker", "load", "--input", str(archive)]]) == (fake.calls("docker pull"), fake.calls("docker load"))
    assert ["Loading kindest/node:v1.34.4 from node.tar"] == [step.name for step in steps if step.state is StepState.SUCCEEDED]


def test_an_archive_that_was_written_anew_is_read_again(tmp_path: Path) -> None:
    """And one that is gone is forgotten. A folder that is not there is empty."""
    archives = Archives(tmp_path / "archives")
    assert {} == archives.look().files
    path = save(tmp_path / "archives" / "a.tar", "a:1")
    assert {"docker.io/library/a:1": path} == {name: entry.path for name, entry in archives.look().files.items()}

    save(path, "a:1", "b:22")
    assert {"docker.io/library/a:1", "docker.io/library/b:22"} == set(archives.look().files)
    path.unlink()
    assert {} == archives.look().files


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """A named pipe would keep whoever opens it until somebody writes to it."""
    save(tmp_path / "archives" / "a.tar", "a:1")
    os.mkfifo(tmp_path / "archives" / "pipe.tar")
    found: list[Archived] = []
    looking = threading.Thread(target=lambda: found.append(Archives(tmp_path / "archives").look()), daemon=True)
    looking.start()
    looking.join(10)

    assert [({"docker.io/library/a:1"}, ("pipe.tar (not a file)",))] == [(set(one.files), one.unreadable) for one in found]
