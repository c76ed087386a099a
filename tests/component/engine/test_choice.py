"""Choosing an engine, talking to each in its dialect, and hearing of changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from provider.adapters.engine.answers import event_cluster
from provider.adapters.engine.choice import EngineChoice, child_environment
from provider.adapters.engine.cli import Engine
from provider.adapters.engine.dialects import DIALECTS
from provider.adapters.kind import events as kind_events
from provider.backoff import Backoff
from provider.errors import Transient
from tests.fakes.engine_cli import FakeBinaries

PODMAN_INFO = {
    "host": {"cgroupVersion": "v2", "security": {"rootless": True}},
    "version": {"Version": "4.3.1"},
    "store": {"graphRoot": "/somebody/.local/share/containers/storage"},
}


def event_of(cluster: str) -> str:
    return json.dumps({"Actor": {"Attributes": {"io.x-k8s.kind.cluster": cluster}}}) + "\n"


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)


def choice(fake: FakeBinaries, wanted: str = "auto") -> EngineChoice:
    return EngineChoice(wanted, fake.env, fake.folder / "engine", 10.0)


async def test_auto_takes_the_one_that_answers(tmp_path: Path) -> None:
    """Here only podman is installed."""
    fake = FakeBinaries(tmp_path / "fake", engine="podman")
    fake.edit(info=PODMAN_INFO)

    assert "podman" == (await choice(fake).get()).name


async def test_auto_stays_with_the_engine_that_holds_clusters(fake: FakeBinaries, tmp_path: Path) -> None:
    """Its daemon is stopped and another engine answers: the clusters are not made again over there."""
    first = choice(fake)
    await first.get()
    first.pin()
    fake.fault("docker info", code=1, stderr="Cannot connect to the Docker daemon")
    podman = FakeBinaries(tmp_path / "podman", engine="podman")
    podman.edit(info=PODMAN_INFO)
    env = {"PATH": f"{fake.bin}:{podman.bin}", "HOME": "/"}

    assert "docker" == (await EngineChoice("auto", env, fake.folder / "engine", 10.0).get()).name


async def test_no_engine_at_all_is_said_with_a_cure(fake: FakeBinaries) -> None:
    """The first of the list is the one to install."""
    (fake.bin / "docker").unlink()
    with pytest.raises(Transient) as caught:
        await choice(fake).get()

    assert "EngineMissing" == caught.value.reason
    assert "Install Docker Engine" in caught.value.message


async def test_an_installed_engine_that_is_down_is_the_better_hint(fake: FakeBinaries) -> None:
    """Rather than that two others are not installed; and it is asked again."""
    fake.fault("docker info", code=1, stderr="Cannot connect to the Docker daemon")
    engines = choice(fake)
    with pytest.raises(Transient) as caught:
        await engines.get()

    assert "EngineUnreachable" == caught.value.reason
    assert "docker" == (await engines.get()).name


@pytest.mark.parametrize(
    ("engine", "info", "words"),
    [
        ("docker", {"ServerVersion": "20.10", "CgroupVersion": "1", "SecurityOptions": None}, "docker 20.10 (cgroup v1)"),
        (
            "docker",
            {"ServerVersion": "29", "CgroupVersion": "2", "SecurityOptions": ["name=rootless"]},
            "docker 29 (cgroup v2, rootless)",
        ),
        ("podman", PODMAN_INFO, "podman 4.3.1 (cgroup v2, rootless)"),
        ("nerdctl", {"ServerVersion": "v2.1", "CgroupVersion": "2"}, "nerdctl v2.1 (cgroup v2)"),
    ],
)
async def test_every_engine_says_what_it_is(tmp_path: Path, engine: str, info: dict[str, Any], words: str) -> None:
    """Two shapes for three engines."""
    fake = FakeBinaries(tmp_path / "fake", engine=engine)
    fake.edit(info=info)

    assert words == (await Engine(DIALECTS[engine], fake.env, 10.0).info()).description


@pytest.mark.parametrize(
    ("engine", "env", "shared"),
    [
        ("docker", {}, True),
        ("docker", {"DOCKER_HOST": "unix:///run/docker.sock"}, True),
        ("docker", {"DOCKER_HOST": "tcp://elsewhere:2376"}, False),
        ("docker", {"DOCKER_HOST": "https://elsewhere"}, False),
        ("docker", {"CONTAINER_HOST": "ssh://elsewhere"}, True),
        ("podman", {"CONTAINER_HOST": "ssh://elsewhere"}, False),
        ("podman", {"DOCKER_HOST": "tcp://elsewhere:2376"}, True),
        ("nerdctl", {"CONTAINERD_ADDRESS": "/run/containerd/containerd.sock"}, True),
        ("nerdctl", {"DOCKER_HOST": "tcp://elsewhere:2376"}, True),
    ],
)
def test_each_engine_has_its_own_word_for_where_it_is(engine: str, env: dict[str, str], shared: bool) -> None:
    """Another engine's variable does not matter; paths and ports of this machine are looked at only where they are the engine's."""
    assert shared is Engine(DIALECTS[engine], env, 10.0).shares_host


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("kindest/node:v1.34.4", "docker.io/kindest/node:v1.34.4"),
        ("node:v1.34.4", "docker.io/library/node:v1.34.4"),
        ("localhost/node:v1", "localhost/node:v1"),
        ("registry:5000/node:v1", "registry:5000/node:v1"),
        ("ghcr.io/some/node:v1", "ghcr.io/some/node:v1"),
        ("registry:5000/node:v1@sha256:0f", "registry:5000/node@sha256:0f"),
        ("node:v1@sha256:0f", "docker.io/library/node@sha256:0f"),
    ],
)
async def test_podman_is_asked_for_images_as_kind_asks_for_them(tmp_path: Path, name: str, asked: str) -> None:
    """Without a registry it would ask those of its own configuration, of which there are none by default; docker knows one alone."""
    for engine, wanted in (("podman", asked), ("docker", name)):
        fake = FakeBinaries(tmp_path / engine, engine=engine)
        one = Engine(DIALECTS[engine], fake.env, 5.0)
        await one.has_image(name)
        await one.pull(name, timeout=5.0)

        assert [[engine, "image", "inspect", wanted]] == fake.calls(f"{engine} image")
        assert [[engine, "pull", wanted]] == fake.calls(f"{engine} pull")


def test_only_what_engines_need_is_passed_on() -> None:
    """Tokens, kubeconfigs and kind's own switches stay with the manager."""
    base = {
        "PATH": "/bin",
        "DOCKER_HOST": "x",
        "https_proxy": "p",
        "KUBECONFIG": "k",
        "GITHUB_TOKEN": "t",
        "KIND_CLUSTER_NAME": "n",
    }

    assert {"HOME": "/state", "PATH": "/bin", "DOCKER_HOST": "x", "https_proxy": "p"} == child_environment(base, Path("/state"))


@pytest.mark.parametrize(
    ("line", "cluster"),
    [
        ('{"Type":"container","Action":"die","Actor":{"ID":"1","Attributes":{"io.x-k8s.kind.cluster":"demo"}}}', "demo"),
        ('{"Type":"container","Status":"died","Attributes":{"io.x-k8s.kind.cluster":"demo"}}', "demo"),
        ('{"Type":"container","Status":"died","Attributes":{}}', ""),
        ('{"Type":"container","Status":"died","Attributes":null}', ""),
        ('{"Type":"container","Status":"died","Attributes":7}', None),
        ('{"Topic":"/tasks/exit","Namespace":"default","Event":"{}"}', None),
        ("not json", None),
        ("[]", None),
    ],
)
def test_events_are_read_in_every_dialect(line: str, cluster: str | None) -> None:
    """docker, podman, nerdctl; what is not understood means: look at everything."""
    assert cluster == event_cluster(line)


async def test_containers_of_others_are_no_events(tmp_path: Path) -> None:
    """podman tells of all containers; a host with many must not have every object looked at for each of them."""
    fake = FakeBinaries(tmp_path / "fake", engine="podman")
    other = json.dumps({"Type": "container", "Status": "died", "Attributes": {}})
    ours = json.dumps({"Type": "container", "Status": "died", "Attributes": {"io.x-k8s.kind.cluster": "demo"}})
    (fake.folder / "events.log").write_text(f"{other}\n{ours}\n")

    async with aclosing(Engine(DIALECTS["podman"], fake.env, 10.0).events()) as events:
        assert "demo" == await anext(events)


async def test_an_interrupted_stream_asks_for_a_look_and_comes_back(fake: FakeBinaries) -> None:
    """None when the engine is lost, for a new reason why, and after every connection; in between clusters by name."""
    seen: list[str | None] = []
    log, stop = fake.folder / "events.log", fake.folder / "events.stop"

    async def listen() -> None:
        async with aclosing(kind_events.watch(choice(fake, "docker"), Backoff(0.05, 0.1), opening=0.3)) as events:
            async for event in events:
                seen.append(event.cluster_name)  # noqa: PERF401 - they are looked at while it listens

    listening = asyncio.create_task(listen())
    await until(lambda: seen == [None])
    log.write_text(event_of("demo"))
    await until(lambda: seen == [None, "demo"])
    for _ in range(2):
        fake.fault("docker events", code=1, stderr="Cannot connect to the Docker daemon")
    log.write_text("")
    stop.touch()
    await until(lambda: len(fake.calls("docker events")) > 3)
    stop.unlink()
    log.write_text(event_of("other"))
    await until(lambda: seen[-1] == "other")
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)

    between = seen[2:-1]
    assert {None} == set(between)
    assert 3 <= len(between), "lost, cannot connect, connected again"
