"""Every container engine as the contract suite sees it: scripts that stand in for each, and the real ones that answer on this host.

A real one needs no registry: what runs in its containers is a handful of this host's own programs. A subject makes containers and volumes
under names nobody else uses and removes them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Protocol

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.dialects import DIALECTS
from provider.adapters.process.command import MAX_OUTPUT
from tests.fakes.engine_cli import FakeBinaries

ENGINES = ("docker", "podman", "nerdctl")
GREETING = "/etc/greeting"
LABELS = ("io.x-k8s.kind.cluster", "io.x-k8s.kind.role")
PROGRAMS = ("/bin/sleep", "/bin/cat", "/bin/tar")
ULIMITS = '["nofile=1024:1024", "nproc=4096:4096"]'


class Subject(Protocol):
    """One engine under test."""

    engine: Engine
    image: str
    """One that the engine has."""

    def node(self, cluster: str, marker: str) -> str:
        """A control plane as kind makes it; the name of its volume."""
        ...

    def user_of(self, volume: str) -> None:
        """A container of somebody else that has a volume, and does not run."""
        ...

    def volume(self, label: str) -> str:
        """A named volume of somebody else with a label."""
        ...

    def volumes(self) -> set[str]: ...

    def pause(self, node: str) -> None: ...

    def stop(self, node: str) -> None: ...


class StubSubject:
    """Our own idea of an engine, which the rest of the tests run against."""

    def __init__(self, name: str, folder: Path) -> None:
        self._fake = FakeBinaries(folder, engine=name)
        self.image = "localhost/stub:v1"
        self._fake.edit(images=[self.image])
        self.engine = Engine(DIALECTS[name], self._fake.env, 20.0)

    def node(self, cluster: str, marker: str) -> str:
        name = secrets.token_hex(8)
        self._fake.add_volume(name, f"{cluster}-control-plane", anonymous=not self.engine.dialect.named_volumes)
        self._fake.add(cluster, mounts=[f"/kind/owner/{marker}"], volume=name)
        return name

    def user_of(self, volume: str) -> None:
        self._fake.add("", "other", volume=volume, status="created")

    def volume(self, label: str) -> str:
        name = secrets.token_hex(8)
        self._fake.add_volume(name, label)
        return name

    def volumes(self) -> set[str]:
        return set(self._fake.volumes)

    def pause(self, node: str) -> None:
        self._fake.change(node, "paused")

    def stop(self, node: str) -> None:
        self._fake.change(node, "exited")


class RealSubject:
    """An engine of this host."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._mine = name, f"capk-contract-{secrets.token_hex(3)}"
        self.environment = _environment(name, folder)
        self.engine = self.new_engine()
        archive = folder / "image.tar"
        self.image = f"localhost/{self._mine}:v1"
        _write_image(archive, self.image)
        self._run("load", "-i", str(archive))

    def new_engine(self) -> Engine:
        return Engine(DIALECTS[self._name], self.environment, 30.0)

    @staticmethod
    def missing(name: str, folder: Path) -> str:
        """Why it cannot be tested here; empty when it can."""
        if shutil.which(name) is None:
            return f"{name} is not on PATH"
        try:
            subprocess.run([name, "info"], env=_environment(name, folder), check=True, capture_output=True, timeout=20)
        except (subprocess.SubprocessError, OSError):
            return f"{name} does not answer ({name} info failed)"
        return ""

    def node(self, cluster: str, marker: str) -> str:
        name = f"{cluster}-control-plane"
        place = "/var"
        if self.engine.dialect.named_volumes:
            place = f"{self.volume(name)}:/var:suid,exec,dev"
        labels = [f"--label={key}={value}" for key, value in zip(LABELS, (cluster, "control-plane"), strict=True)]
        mounts = [f"--volume={place}", f"--volume=/dev/null:/kind/owner/{marker}:ro"]
        ports = ["--publish=127.0.0.1::6443/tcp"]
        self._run("run", "-d", "--name", name, *labels, *self._ours(), *mounts, *ports, "--stop-signal=SIGKILL", self.image)
        mounted = json.loads(self._run("inspect", name))[0]["Mounts"]
        return next(str(mount["Name"]) for mount in mounted if mount["Type"] == "volume")

    def user_of(self, volume: str) -> None:
        self._run("create", f"--volume={volume}:/data", *self._ours(), self.image)

    def volume(self, label: str) -> str:
        return self._run("volume", "create", "--label", f"{label}=true", *self._ours(), f"{self._mine}-{secrets.token_hex(4)}")

    def volumes(self) -> set[str]:
        return set(self._run("volume", "ls", "-q").split())

    def labelled(self, label: str) -> set[str]:
        """Volumes with a label."""
        return set(self._run("volume", "ls", "-q", "--filter", f"label={label}").split())

    def pause(self, node: str) -> None:
        self._run("pause", node)

    def stop(self, node: str) -> None:
        self._run("kill", node)

    def clean(self) -> None:
        for listed, remove in ((["ps", "-aq"], ["rm", "-f", "-v"]), (["volume", "ls", "-q"], ["volume", "rm"])):
            if found := self._run(*listed, "--filter", f"label={self._mine}").split():
                self._run(*remove, *found)
        self._run("rmi", self.image)

    def _ours(self) -> list[str]:
        return ["--label", f"{self._mine}=true"]

    def _run(self, *args: str) -> str:
        done = subprocess.run([self._name, *args], env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{self._name} {' '.join(args)}: {done.stderr[-MAX_OUTPUT:]}"
        return done.stdout.strip()


def _environment(name: str, folder: Path) -> dict[str, str]:
    """podman gets a configuration with which it runs on hosts with cgroup v1 (crun refuses them), and where limits may not be raised."""
    env = dict(os.environ)
    if name == "podman" and "CONTAINERS_CONF" not in env:
        v1 = not Path("/sys/fs/cgroup/cgroup.controllers").exists()
        runtime = '[engine]\nruntime = "runc"\n' if v1 and shutil.which("runc") else ""
        (folder / "containers.conf").write_text(f"[containers]\ndefault_ulimits = {ULIMITS}\n{runtime}")
        env["CONTAINERS_CONF"] = str(folder / "containers.conf")
    return env


def _write_image(archive: Path, name: str) -> None:
    """In the format of `docker save`, which all engines load. It sleeps; that is all."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        _add(tar, GREETING, b"hello\n")
        for program in PROGRAMS:
            listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
            for path in {program, *re.findall(r"(/\S+) \(0x", listed)}:
                with contextlib.suppress(KeyError):
                    tar.getmember(path.lstrip("/"))
                    continue
                _add(tar, path, Path(path).read_bytes())
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = {
        "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
        "os": "linux",
        "config": {"Cmd": [*PROGRAMS[:1], "600"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, mode="w") as tar:
        _add(tar, "layer.tar", layer.getvalue())
        _add(tar, "config.json", json.dumps(config).encode())
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def _add(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    member = tarfile.TarInfo(path.lstrip("/"))
    member.size, member.mode = len(content), 0o755
    tar.addfile(member, io.BytesIO(content))
