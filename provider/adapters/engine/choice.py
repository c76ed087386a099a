"""Which container engine is used, and what of the manager's environment its command line (and kind) get to see.

With several engines installed the choice must not change behind the user's back: clusters made on one are invisible on another, and
would be made again. So `auto` takes the first that answers and remembers it in the state folder once a cluster was made on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.dialects import DIALECTS
from provider.api.conditions import Reason
from provider.errors import Transient

AUTO_ORDER = ("docker", "podman", "nerdctl")
PASSED_ON = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "TMPDIR",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "DBUS_SESSION_BUS_ADDRESS",
        "SSH_AUTH_SOCK",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "KIND_EXPERIMENTAL_DOCKER_NETWORK",
        "KIND_EXPERIMENTAL_PODMAN_NETWORK",
        "KIND_EXPERIMENTAL_CONTAINERD_SNAPSHOTTER",
    }
)
PASSED_ON_PREFIXES = ("DOCKER_", "CONTAINER_", "CONTAINERS_", "CONTAINERD_", "PODMAN_", "NERDCTL_")
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"})


def child_environment(base: Mapping[str, str], home: Path) -> dict[str, str]:
    """What engines and kind need of the manager's environment, and no more: tokens and kubeconfigs stay here.

    Proxies are passed on as they are; kind writes them into every node it makes.
    """
    chosen = {
        name: value
        for name, value in base.items()
        if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES) or name.upper() in PROXIES
    }
    return {"HOME": str(home)} | chosen


class EngineChoice:
    """Finds the engine once and keeps it."""

    def __init__(self, wanted: str, env: Mapping[str, str], record: Path, timeout: float) -> None:
        if wanted != "auto" and wanted not in DIALECTS:
            raise ValueError(f"no such engine: {wanted}")
        self._wanted = wanted
        self._env = env
        self._record = record
        self._timeout = timeout
        self._chosen: Engine | None = None
        self._asking = asyncio.Lock()

    async def get(self) -> Engine:
        """Raises Transient (EngineMissing, EngineUnreachable) when none can be chosen yet."""
        if self._chosen is None:
            async with self._asking:
                if self._chosen is None:
                    self._chosen = await self._choose()
        return self._chosen

    def pin(self) -> None:
        """Remember the choice beyond this process: something is about to be made on it."""
        if self._wanted == "auto" and self._chosen is not None and self._recorded() != self._chosen.name:
            self._record.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._record.write_text(self._chosen.name + "\n")

    async def _choose(self) -> Engine:
        name = self._wanted if self._wanted != "auto" else self._recorded()
        if name:
            return Engine(DIALECTS[name], self._env, self._timeout)
        problems: list[Transient] = []
        for candidate in AUTO_ORDER:
            engine = Engine(DIALECTS[candidate], self._env, self._timeout)
            try:
                await engine.info()
            except Transient as error:
                problems.append(error)
            else:
                return engine
        installed = [error for error in problems if error.reason is not Reason.ENGINE_MISSING]
        raise (installed or problems)[0]

    def _recorded(self) -> str:
        try:
            name = self._record.read_text().strip()
        except FileNotFoundError:
            return ""
        return name if name in DIALECTS else ""
