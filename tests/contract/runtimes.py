"""Every Runtime implementation as the contract suite sees it: the runtime itself, and what a test does behind its back.

A subject makes clusters under names nobody else uses and removes what a failed test leaves.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from devenv import engine
from hack.tools import find
from provider.adapters.kind.options import KindOptions
from provider.adapters.kind.runtime import KindRuntime
from provider.adapters.local import components, state
from provider.adapters.local.runtime import LocalRuntime
from provider.adapters.locks import NameLocks
from provider.adapters.process import strays
from provider.api.conditions import Reason
from provider.errors import Terminal
from provider.ports.runtime import ClusterRequest, Identity, NodeRunState, Runtime
from tests.fakes.runtime import FakeRuntime

LABELS = ("io.x-k8s.kind.cluster", "io.x-k8s.kind.role")


class Subject(Protocol):
    """One implementation under test."""

    announces: bool
    """Its event stream begins with an event that says it is connected."""
    first_step: str
    """Name of the step of a create by which something has been made."""
    refusal: str
    """Reason that `refused_request` is refused with."""

    @property
    def runtime(self) -> Runtime: ...

    def refused_request(self, name: str) -> ClusterRequest:
        """One that can never be fulfilled."""
        ...

    def request(self, name: str, *, workers: int = 0) -> ClusterRequest: ...

    def loadable(self) -> str:
        """Name of an image that can be loaded into nodes; empty where nodes have no images."""
        ...

    def knows(self, image: str) -> bool:
        """Whether what makes the nodes bears the name of this image in itself."""
        ...

    def add_foreign(self, name: str) -> None:
        """A cluster of that name that somebody else made."""
        ...

    def fingerprint(self, name: str) -> object:
        """All that can be seen of what stands under a name: equal before and after if nobody touched it. Falsy: nothing."""
        ...

    def stop(self, node: str) -> None:
        """A node stops without the runtime's doing."""
        ...

    def lock(self, name: str) -> contextlib.AbstractAsyncContextManager[object]:
        """Somebody else works on the name."""
        ...

    def clean(self) -> None: ...


def identity(name: str) -> Identity:
    return Identity(name, secrets.token_hex(16), f"contract/{name}")


def config(name: str, workers: int) -> dict[str, Any]:
    nodes = [{"role": "control-plane"}, *[{"role": "worker"}] * workers]
    return {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "name": name, "nodes": nodes}


class FakeSubject:
    """The fake that the reconciler's tests run against."""

    announces = False
    first_step = "Preparing nodes"
    refusal = "ConfigRejected"

    def __init__(self) -> None:
        self.runtime = FakeRuntime()

    def refused_request(self, name: str) -> ClusterRequest:
        self.runtime.fail("create", Terminal(Reason.CONFIG_REJECTED, "The fake refuses the config."))
        return self.request(name)

    def request(self, name: str, *, workers: int = 0) -> ClusterRequest:
        return ClusterRequest(config(name, workers), None, None, 60.0)

    def loadable(self) -> str:
        self.runtime.loadable["localhost/c-contract:1"] = "content"
        return "localhost/c-contract:1"

    def knows(self, image: str) -> bool:
        return image in self.runtime.images.known

    def add_foreign(self, name: str) -> None:
        self.runtime.add_foreign(name)
        self.runtime.emit(name)

    def fingerprint(self, name: str) -> object:
        return repr(self.runtime.clusters[name]) if name in self.runtime.clusters else ""

    def stop(self, node: str) -> None:
        self.runtime.set_state(node, NodeRunState.STOPPED)

    @contextlib.asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[object]:
        self.runtime.locked.add(name)
        yield None
        self.runtime.locked.remove(name)

    def clean(self) -> None: ...


class KindSubject:
    """Real kind on a real engine."""

    announces = True
    first_step = "Preparing nodes"
    refusal = "ConfigRejected"

    def __init__(self, state_dir: Path) -> None:
        self._locks = NameLocks(state_dir / "locks")
        self._names: set[str] = set()
        self.runtime = KindRuntime(
            KindOptions(state_dir=state_dir, environment=dict(os.environ), engine="docker", listing_age=0.0)
        )

    @staticmethod
    def missing() -> str:
        """Why it cannot be tested here; empty when it can."""
        return engine.missing() if shutil.which("kind") else find.missing("kind") or "kind is not on PATH"

    def request(self, name: str, *, workers: int = 0) -> ClusterRequest:
        self._names.add(name)
        return ClusterRequest(config(name, workers), engine.node_image(), None, 300.0)

    def loadable(self) -> str:
        return engine.make_image("localhost/c-contract:1", Path(__file__))

    def knows(self, image: str) -> bool:
        return image.encode() in Path(shutil.which("kind") or "").read_bytes()

    def refused_request(self, name: str) -> ClusterRequest:
        good = self.request(name)
        return replace(good, config={**good.config, "networking": {"podSubnet": "nonsense"}})

    def add_foreign(self, name: str) -> None:
        """Containers with kind's labels are a kind cluster to everybody; no Kubernetes is needed in them."""
        self._names.add(name)
        labels = [
            word for label, value in zip(LABELS, (name, "control-plane"), strict=True) for word in ("--label", f"{label}={value}")
        ]
        engine.docker(
            "run", "-d", "--name", f"{name}-control-plane", *labels, "--entrypoint", "sleep", engine.node_image(), "600"
        )

    def fingerprint(self, name: str) -> object:
        found = engine.inspect(*sorted(engine.containers(name)))
        return [(one["Id"], one["State"]["StartedAt"], one["State"]["Status"]) for one in found]

    def stop(self, node: str) -> None:
        engine.docker("kill", node)

    @contextlib.asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[object]:
        async with self._locks.hold(name, f"{name}/contract", lambda _: False) as held:
            yield held

    def clean(self) -> None:
        for name in self._names:
            engine.remove_cluster(name)


class LocalSubject:
    """Real Kubernetes binaries as local processes."""

    announces = True
    first_step = "Starting control-plane"
    refusal = "NotSupported"

    def __init__(self, root: Path) -> None:
        self._root = root
        self.runtime = LocalRuntime(root, find.path, fsync=False)

    @staticmethod
    def missing() -> str:
        """Why it cannot be tested here; empty when it can."""
        return find.missing(*components.ALL)

    def request(self, name: str, *, workers: int = 0) -> ClusterRequest:
        return ClusterRequest(config(name, workers), None, None, 120.0)

    def loadable(self) -> str:
        return ""

    def knows(self, image: str) -> bool:
        raise AssertionError(f"no node is made from {image}")

    def refused_request(self, name: str) -> ClusterRequest:
        return replace(self.request(name), config={**config(name, 0), "networking": {"podSubnet": "nonsense"}})

    def add_foreign(self, name: str) -> None:
        """A folder that names another owner is a local cluster to everybody; no processes are needed."""
        state.make(self._root / name, state.State(marker="somebody", holder="some/body", nodes=()), lambda _: None)

    def fingerprint(self, name: str) -> object:
        files = [(str(path), path.stat().st_mtime_ns) for path in sorted(self._root.glob(f"{name}*/*")) if path.suffix != ".log"]
        return [*files, *sorted(self._processes(name).items())]

    def stop(self, node: str) -> None:
        (pid,) = (
            pid for pid, argv in self._processes(node.removesuffix("-control-plane")).items() if "kube-apiserver" in argv[0]
        )
        os.kill(pid, signal.SIGKILL)
        while strays.start_time(pid) is not None:
            time.sleep(0.01)

    @contextlib.asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[object]:
        async with NameLocks(self._root, keep=lambda _: False).hold(name) as held:
            yield held

    def clean(self) -> None:
        for pid in self._processes(""):
            os.kill(pid, signal.SIGKILL)

    def _processes(self, name: str) -> dict[int, list[str]]:
        """Pid to arguments of all whose home is the cluster's folder, or below the root for an empty name. Not by their mark: that is
        what is being tested."""
        home, found = f"HOME={self._root / name}".encode(), {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                environ = (entry / "environ").read_bytes().split(b"\0")
                if any(word == home or (not name and word.startswith(home + b"/")) for word in environ):
                    found[int(entry.name)] = (entry / "cmdline").read_text().split("\0")
        return found
