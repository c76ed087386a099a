"""What helps to understand a failure, written to a private folder: what each node prints, its description, what its services say.

Everything a node says is untrusted: a hostile image answers our commands. So every file's name is ours, a node only fills in content,
and that is bounded per file, per collection and in time. `kind export logs` is not used, because it unpacks an archive that the node
makes (docs/adr/0091).

Best effort: every part may fail, none stops another, nothing secret of ours is written (proxies with passwords are in the environment).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.listing import Container
from provider.adapters.process.command import redact
from provider.api.kind import NodeRole
from provider.errors import ProviderError

LINES = 2000
"""Of what a node prints, and of each service's journal."""
MAX_FILE = 1 << 20
MAX_TOTAL = 24 << 20
"""Bytes of one collection; what comes after that is left out."""
DEADLINE = 60.0
"""Seconds of one collection."""
ASK = 8.0
"""Seconds that one command in a node may take."""
MAX_POD_LOG = 128 << 10
HIDDEN = "(not written)"
SECRET_KEYS = frozenset({"Env", "HttpProxy", "HttpsProxy"})
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}")
UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Colours and everything else that does something to the terminal of whoever reads the file; not tab and line feed."""

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""Static pods of a control plane, as kubeadm names them."""
ADDONS = ("kube-proxy", "kindnet")
FILES: dict[str, tuple[str, ...]] = {
    "kubernetes-version.txt": ("cat", "/kind/version"),
    "kubelet.log": ("journalctl", "--no-pager", "--lines", str(LINES), "--unit", "kubelet.service"),
    "containerd.log": ("journalctl", "--no-pager", "--lines", str(LINES), "--unit", "containerd.service"),
    "containers.txt": ("crictl", "ps", "--all"),
    "images.txt": ("crictl", "images"),
}
"""Our file name → what is asked of every running node."""


async def collect(engine: Engine, own: Sequence[Container], directory: Path) -> None:
    """Below `directory` (made, 0700): NODE.log, NODE.json, and NODE/ with what its services say."""
    with suppress(ProviderError, OSError, TimeoutError):
        async with asyncio.timeout(DEADLINE):
            await _Collection(engine, directory).all(own)


class _Collection:
    """One collection. Raises OSError when nothing can be written any more."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self._engine, self._directory, self._left = engine, directory, MAX_TOTAL

    async def all(self, own: Sequence[Container]) -> None:
        """What nodes print comes first: a node that did not boot answers nothing else."""
        names = {one.id: file_name(one.name, number) for number, one in enumerate(own)}
        for one in own:
            await self._describe(one, names[one.id])
        for one in own:
            if one.state.running and one.role is not NodeRole.LOAD_BALANCER:
                await self._ask(one, names[one.id])

    async def _describe(self, container: Container, name: str) -> None:
        try:
            self._write(Path(f"{name}.log"), await self._engine.logs(container.id, LINES))
            described = hide(await self._engine.inspect([container.id]))
            self._write(Path(f"{name}.json"), json.dumps(described, indent=1))
        except ProviderError as error:
            self._write(Path(f"{name}.log"), error.message)
        except (ValueError, RecursionError):
            return  # what the engine passes on of a node cannot be read

    async def _ask(self, container: Container, name: str) -> None:
        for file, argv in questions(container.role).items():
            with suppress(ProviderError):
                self._write(Path(name, file), await self._engine.tail(container.id, argv, limit=MAX_FILE, timeout=ASK))

    def _write(self, path: Path, text: str) -> None:
        """A private file, never through a link, cut at what is left of the collection."""
        content = clean(text).encode(errors="replace")[: min(MAX_FILE, self._left)]
        if not content:
            return
        self._left -= len(content)
        target = self._directory / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)


def questions(role: NodeRole | None) -> dict[str, tuple[str, ...]]:
    """Our file name → the command for it in a node of that role."""
    components = (*COMPONENTS, *ADDONS) if role is NodeRole.CONTROL_PLANE else ADDONS
    return FILES | {f"{component}.log": pod_logs(component) for component in components}


def pod_logs(component: str) -> tuple[str, ...]:
    """The end of every log file of a component's pods; `find` calls `tail` itself, so no shell is needed."""
    pods = f"/var/log/pods/kube-system_{component}-*"
    return ("find", "/var/log/pods", "-path", pods, "-name", "*.log", "-exec", "tail", "-v", "-c", str(MAX_POD_LOG), "{}", "+")


def file_name(container: str, number: int) -> str:
    """A container's name as a file name; one that could lead elsewhere is replaced."""
    return container if PLAIN_NAME.fullmatch(container) else f"node-{number}"


def clean(text: str) -> str:
    """What a node said, without what acts on terminals and without credentials of URLs."""
    return redact(UNPRINTABLE.sub("", text.replace("\r\n", "\n")))


def hide(value: Any) -> Any:
    """A decoded inspect output without environments."""
    if isinstance(value, dict):
        return {key: HIDDEN if key in SECRET_KEYS and part else hide(part) for key, part in value.items()}
    return [hide(part) for part in value] if isinstance(value, list) else value
