"""The composition root: settings become adapters, adapters become a running manager, a signal becomes an orderly end.

The one place that knows every adapter. No decision about any cluster is made here.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import shutil
import signal
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

from provider import __version__, controllers
from provider.adapters import oserrors, pruning, state_dir
from provider.api.conditions import Reason
from provider.capi_flags import WITHOUT_EFFECT
from provider.controller.leaderelection import Elector
from provider.errors import ProviderError, Terminal
from provider.manager import Manager, Parts
from provider.observability import logformat
from provider.policy.file import Policy, PolicyError, parse, without_file
from provider.ports.runtime import Runtime
from provider.settings import Settings

log = logging.getLogger(__name__)

LAST_RESORT = 9.5
"""Seconds after a signal when the process ends, whatever still runs: a thread that hangs would keep it alive for ever."""


LEASE_LOST = 1
"""Exit code when the Lease ran out before the manager had stopped."""


def run(settings: Settings) -> int:
    """Run a manager in this process until it ends; returns the exit code."""
    logformat.set_up(settings.log_format, settings.log_level)
    for flag in settings.without_effect:
        log.warning("Flag has no effect", extra={"flag": flag, "why": WITHOUT_EFFECT[flag.removeprefix("--").replace("-", "_")]})
    os.umask(0o077)
    try:
        state_dir.prepare(settings.state_dir)
        with state_dir.only_process(settings.state_dir):
            pruning.prune(settings.state_dir)
            return asyncio.run(_run(settings))
    except (ProviderError, OSError) as problem:
        error = problem if isinstance(problem, ProviderError) else oserrors.transient(problem)
        log.error("Cannot start", extra={"reason": error.reason, "error": error.message})  # noqa: TRY400 - no traceback for people
        return 1


async def _run(settings: Settings) -> int:
    log.info("Starting manager", extra={"version": __version__, "pid": os.getpid(), "stateDir": str(settings.state_dir)})
    async with connect(settings) as parts:
        manager = Manager(settings, parts, controllers.build)
        _obey_signals(manager)
        return await manager.run()


def _obey_signals(manager: Manager) -> None:
    """The first SIGTERM or SIGINT ends the manager in order; a second one, or LAST_RESORT, ends the process at once.

    No child outlives the process: each was started with a parent-death signal (adapters.process).
    """

    def obey(number: signal.Signals) -> None:
        if manager.ending:
            os._exit(128 + number)
        log.info("Received signal", extra={"signal": number.name})
        last_resort = threading.Timer(LAST_RESORT, os._exit, [128 + number])
        last_resort.daemon = True
        last_resort.start()
        manager.end(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, obey, number)


@contextlib.asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[Parts]:
    """The real adapters. Raises Terminal when the management cluster's credentials cannot be used."""
    from provider.adapters.clock import SystemClock
    from provider.adapters.kube.client import KubeClient
    from provider.adapters.kube.login import Login, login, pod_namespace
    from provider.adapters.kube.recorder import EventRecorder
    from provider.adapters.kube.workload import WorkloadProbe
    from provider.adapters.watchdog import Watchdog
    from provider.controller.watch import KopfWatcher

    scratch = settings.state_dir / state_dir.LOGIN_SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700, parents=True)

    async def enter() -> Login:
        return await login(settings.kubeconfig, settings.context, scratch, environment=settings.environment)

    clock, workload, kube = SystemClock(), WorkloadProbe(), KubeClient(enter)
    identity = state_dir.stable_identity(settings.state_dir)
    namespace = settings.leader_elect_namespace or pod_namespace() or "default"
    try:
        await kube.connect()
        yield Parts(
            kube=kube,
            workload=workload,
            recorder=EventRecorder(kube, clock, identity),
            runtimes=make_runtimes(settings),
            clock=clock,
            make_watcher=functools.partial(KopfWatcher, enter),
            policy=read_policy(settings),
            elector=Elector(kube, clock, namespace, identity, Watchdog(end_now).move) if settings.leader_elect else None,
        )
    finally:
        await workload.close()
        await kube.close()
        shutil.rmtree(scratch, ignore_errors=True)


def read_policy(settings: Settings) -> Policy:
    """Raises Terminal for a file that cannot be read or used: to go on without it would allow what it forbids."""
    named = [str(settings.state_dir), *filter(None, settings.kubeconfig.split(os.pathsep))]
    own = tuple(dict.fromkeys([*named, *map(os.path.realpath, named)]))  # mounts are judged by where they lead as well
    if settings.policy_file is None:
        return replace(without_file("" if settings.in_pod else settings.environment.get("HOME", "")), own=own)
    try:
        return replace(parse(settings.policy_file.read_text(encoding="utf-8")), own=own)
    except (OSError, UnicodeError, PolicyError) as error:
        message = f"--policy-file {settings.policy_file}: {error}. See docs/howto/policy.md."
        raise Terminal(Reason.POLICY_UNUSABLE, message) from error


def end_now() -> None:
    """End this process and every program it runs. For the watchdog's thread: nothing is waited for."""
    from provider.adapters.process.command import kill_all

    try:
        kill_all()
    finally:
        os._exit(LEASE_LOST)


def make_runtimes(settings: Settings) -> dict[str, Runtime]:
    from provider.adapters.kind.options import KindOptions
    from provider.adapters.kind.runtime import KindRuntime
    from provider.adapters.kind.shared_registry import RegistryOptions
    from provider.adapters.local.runtime import LocalRuntime

    tools = os.pathsep.join([str(settings.tools_dir), str(settings.tools_dir / "bin"), settings.environment.get("PATH", "")])
    kind = KindRuntime(
        KindOptions(
            state_dir=settings.state_dir,
            environment=settings.environment,
            engine=settings.engine,
            kind_binary=settings.kind_binary,
            in_pod=settings.in_pod,
            archives=settings.archives,
            registry=RegistryOptions(settings.registry_image, settings.registry_port),
            log_dir=settings.state_dir / state_dir.LOGS,
        )
    )
    local = LocalRuntime(settings.state_dir / state_dir.LOCAL, lambda tool: shutil.which(tool, path=tools))
    return {kind.name: kind, local.name: local}
