"""The `kind` command: its version, the config it is given, and the one long run that makes a cluster.

Always `--retain` (kind's own clean-up deletes by name, and would take the winner's nodes when two creates race; kind
pkg/cluster/internal/create/create.go), always a private kubeconfig file that is thrown away, never the user's.
"""

from __future__ import annotations

import copy
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.errors import missing_help
from provider.adapters.engine.listing import owner_entry
from provider.adapters.kind.ownership import wanted_roles
from provider.adapters.kind.proxies import for_nodes
from provider.adapters.locks import Held
from provider.adapters.process.command import Command, CommandMissing, Completed, Job, RunError, run_command, run_long_command
from provider.api import kind
from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.errors import Transient
from provider.ports.runtime import ClusterRequest, Identity

OLDEST, NEWEST = (0, 30), (0, 33)
"""Versions the tests run with; a newer one is accepted, and the runtime's description says that it is newer than tested."""
VERSION_TIMEOUT = 15.0
MAKING_VERBS = ("run", "create", "network", "volume")


@dataclass(frozen=True, slots=True)
class KindVersion:
    text: str
    """ "v0.30.0" """
    numbers: tuple[int, int]

    @property
    def too_old(self) -> bool:
        return self.numbers < OLDEST

    def __str__(self) -> str:
        return f"kind {self.text}" + (" (newer than tested)" if self.numbers > NEWEST else "")


@dataclass(frozen=True, slots=True)
class Listener:
    """What a running create calls back."""

    on_line: Callable[[str], None]
    """Every line kind says."""
    on_interrupted: Callable[[], None]
    """An engine command that makes something had to be killed: its effect may show up later."""


def compose(request: ClusterRequest, identity: Identity) -> str:
    """The config as text: name, images of nodes that name none, and the ownership mount on every node."""
    config = copy.deepcopy(dict(request.config))
    config["name"] = identity.cluster_name
    config["nodes"] = [_node(node, request.image, identity.marker) for node in config["nodes"]]
    return yaml.safe_dump(config, sort_keys=False)


def owner_mount(marker: str) -> dict[str, Any]:
    """Needs nothing on the host, does nothing in the node, and is set by the very command that makes the container."""
    return {"hostPath": "/dev/null", "containerPath": f"{kind.OWNER_MOUNT}{marker}", "readOnly": True}


def environment(base: Mapping[str, str], engine: str, identity: Identity, request: ClusterRequest) -> dict[str, str]:
    """What kind runs with. With several control planes NO_PROXY gains an entry that marks the load balancer as ours: kind copies the
    proxy variables into every container it makes (docs/adr/0030). No host has that name, so no connection changes its way."""
    env = for_nodes(base, engine) | {"KIND_EXPERIMENTAL_PROVIDER": engine}
    if NodeRole.LOAD_BALANCER in wanted_roles(request.config):
        given = env.get("NO_PROXY") or env.get("no_proxy") or ""
        env["NO_PROXY"] = env["no_proxy"] = ",".join(filter(None, (given, owner_entry(identity.marker))))
    return env


def must_finish(engine: str) -> Callable[[Sequence[str]], bool]:
    """Whether a process is an engine command that makes something: killed half-way, its effect might show up only later."""

    def judge(argv: Sequence[str]) -> bool:
        words = [Path(word).name for word in argv[:5]]  # the engine's command may be a script: sh, docker, run
        return any(program == engine and verb in MAKING_VERBS for program, verb in pairwise(words))

    return judge


def making_job(
    engine: Engine,
    held: Held,
    finish_timeout: float,
    on_interrupted: Callable[[], None],
    on_line: Callable[[str], None] = lambda _: None,
) -> Job:
    """For a command that makes containers: how it is found, and waited for, should this process die."""
    return Job(
        on_line=on_line,
        on_interrupted=on_interrupted,
        name=held.job,
        pass_fds=(held.fd,) if engine.dialect.children_exit else (),
        must_finish=must_finish(engine.name),
        finish_timeout=finish_timeout,
    )


class KindCommand:
    """The kind binary. `env` is the environment of every call."""

    def __init__(self, binary: str, env: Mapping[str, str], scratch: Path, finish_timeout: float) -> None:
        self._binary = binary
        self._env = env
        self._scratch = scratch
        self._finish_timeout = finish_timeout
        self._version: tuple[tuple[str, int, int], KindVersion] | None = None

    async def version(self) -> KindVersion:
        """Asked once per binary: a replaced file is asked again. Raises Transient(KindMissing, KindUnusable)."""
        key = self._fingerprint()
        if self._version is None or self._version[0] != key:
            self._version = (key, await self._ask_version())
        return self._version[1]

    async def create(
        self, engine: Engine, identity: Identity, request: ClusterRequest, *, held: Held, timeout: float, listener: Listener
    ) -> Completed:
        """Run `kind create cluster`; the exit code is not judged. Raises RunError."""
        folder = self._scratch / identity.cluster_name
        shutil.rmtree(folder, ignore_errors=True)  # what a killed manager left; nobody uses it, because the name's lock is held
        folder.mkdir(parents=True, mode=0o700)
        argv = [self._binary, "create", "cluster", "--name", identity.cluster_name, "--config", "-", "--retain"]
        command = Command(
            argv=[*argv, "--kubeconfig", str(folder / "kubeconfig")],
            env=environment(self._env, engine.name, identity, request),
            timeout=timeout,
            stdin=compose(request, identity),
        )
        job = making_job(engine, held, self._finish_timeout, listener.on_interrupted, listener.on_line)
        try:
            return await run_long_command(command, job)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _ask_version(self) -> KindVersion:
        try:
            done = await run_command(Command(argv=[self._binary, "version"], env=self._env, timeout=VERSION_TIMEOUT))
        except CommandMissing as error:
            raise Transient(Reason.KIND_MISSING, f"{error.message} {missing_help('kind')}.") from error
        except RunError as error:
            raise Transient(Reason.KIND_UNUSABLE, f"kind cannot be used: {error.message}") from error
        match = re.search(r"v(\d+)\.(\d+)\.\S+", done.stdout)
        if match is None:
            raise Transient(Reason.KIND_UNUSABLE, f"{self._binary} version gave an answer that is not kind's.")
        return KindVersion(match[0], (int(match[1]), int(match[2])))

    def _fingerprint(self) -> tuple[str, int, int]:
        path = shutil.which(self._binary, path=self._env.get("PATH"))
        if path is None:
            return ("", 0, 0)
        found = Path(path).stat()
        return (path, found.st_mtime_ns, found.st_size)


def _node(node: Mapping[str, Any], image: str | None, marker: str) -> dict[str, Any]:
    marked = {**node, "extraMounts": [*(node.get("extraMounts") or []), owner_mount(marker)]}
    return {"image": image} | marked if image else marked
