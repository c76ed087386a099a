"""The only module that imports kopf: what happens in the management cluster is passed on, object by object.

kopf lists, watches, lists again after an error and notices new CRDs. It decides nothing, writes nothing and remembers nothing that we
use: every pass reads its objects anew. It runs in a thread and an event loop of its own, because it cancels every task it does not know
in the loop it runs in, and it is started again when it ends by itself. Facts about kopf are those of kopf 1.45, with their source file.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakSet

import aiohttp
import kopf

from provider.api import names
from provider.api.meta import Resource
from provider.api.rbac import Permission
from provider.backoff import API_REQUEST, WATCH_RESTART
from provider.controller.sources import Handle, WatchedResource

log = logging.getLogger(__name__)

PERMISSIONS = (
    Permission(names.CUSTOM_RESOURCE_DEFINITIONS, ("list", "watch"), "Kinds that are installed later, Cluster API's among them."),
)
SERVER_TIMEOUT = 300
"""Seconds. Sent as timeoutSeconds, which the API server takes as a whole number only."""
INACTIVITY_TIMEOUT, REQUEST_TIMEOUT, CONNECT_TIMEOUT = 70.0, 30.0, 5.0
"""Seconds. The API server sends bookmarks every minute: 70 s of silence mean a dead stream."""
FORBIDDEN = 403
MAX_RESTARTS, RESTART_WINDOW = 5, 600.0
"""After more restarts than this in so many seconds kopf is not restarted: the process ends, and its restarts are counted outside."""
STOP_DEADLINE = 3.0
"""Seconds after which a thread that does not stop is left to end with the process."""
END_SECONDS, END_ROUNDS = 0.5, 20
"""Seconds that kopf's tasks get to end before they are cancelled, in each round; rounds after which kopf counts as stuck."""
CLOSING_ROUNDS = 5
"""Rounds of the event loop that a transport needs to close its socket."""


class Credentials(Protocol):
    """How to reach the API server (adapters.kube.login.Login)."""

    @property
    def server(self) -> str: ...
    @property
    def tls(self) -> ssl.SSLContext: ...
    @property
    def authorization(self) -> str: ...
    @property
    def proxy(self) -> str | None: ...


# --- how kopf is set up ------------------------------------------------------------------------------------------------------------


def make_registry(
    watched: Sequence[WatchedResource], handle: Handle, login: Callable[..., Awaitable[kopf.AiohttpSession]]
) -> kopf.OperatorRegistry:
    """One handler per resource, of kopf's raw events only: all other handlers write to the object. Both functions run in kopf's thread."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(login)
    for one in watched:
        kopf.on.event(*selector(one.resource), registry=registry, id=one.resource.plural)(
            functools.partial(_event, one.resource, handle)
        )
    return registry


async def _event(watched: Resource, handle: Handle, *, body: kopf.Body, **_: Any) -> None:
    handle(watched, dict(body))


def selector(resource: Resource) -> tuple[str, ...]:
    """A resource as kopf takes it. Without a version kopf watches the one the API server prefers."""
    return (resource.group, resource.version, resource.plural) if resource.version else (resource.group, resource.plural)


def make_settings(watched: Sequence[WatchedResource]) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.process.ultimate_exiting_timeout = None  # our shutdown has its own deadline; kopf would kill the process
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{names.GROUP}/unused-by-kopf"  # kopf strips its own finalizer: never name ours here
    # Endless, or kopf ends when the tries of one request do; iterated anew for each request (_cogs/clients/api.py, request).
    settings.networking.error_backoffs = API_REQUEST
    settings.networking.request_timeout = REQUEST_TIMEOUT
    settings.networking.connect_timeout = CONNECT_TIMEOUT
    settings.watching.reconnect_backoff = 1.0
    settings.watching.server_timeout = SERVER_TIMEOUT
    settings.watching.connect_timeout = CONNECT_TIMEOUT
    settings.watching.inactivity_timeout = INACTIVITY_TIMEOUT
    settings.watching.chunk_size = 500
    for one in watched:
        if one.selector:
            # The key must be this tuple: "v1/secrets" matches nothing, without an error, and every Secret of the cluster would be read
            # (_cogs/configs/arrays.py: a string of two parts is group and name, and the core group has no name).
            settings.watching.label_selectors[selector(one.resource)] = one.selector  # type: ignore[index]
    return settings


def open_session(
    credentials: Credentials, watch_opened: Callable[[str], None], sockets: WeakSet[socket.socket]
) -> kopf.AiohttpSession:
    """`watch_opened` is called with the path of each watch that the API server has begun to answer: from then on no event is missed."""
    refused: set[str] = set()

    async def ended(_: object, __: object, end: aiohttp.TraceRequestEndParams) -> None:
        if end.response.status == FORBIDDEN and end.url.path not in refused:
            refused.add(end.url.path)  # kopf tries for ever; one message per path and login is enough
            log.error("Listening is forbidden: grant list and watch (config/rbac)", extra={"path": end.url.path})
        if end.url.query.get("watch") == "true" and end.response.ok:
            watch_opened(end.url.path)

    def make_socket(address: aiohttp.AddrInfoType) -> socket.socket:
        made = socket.socket(*address[:3])
        sockets.add(made)
        return made

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(ended)
    headers = {"Authorization": credentials.authorization} if credentials.authorization else {}
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=16, ssl=credentials.tls, socket_factory=make_socket),
        headers=headers | {"User-Agent": "cluster-api-provider-kind/watch"},
        proxy=credentials.proxy,
        trust_env=False,
        trace_configs=[trace],
        read_bufsize=2**21,  # one line per event, and objects are up to 1.5 MB
    )
    return kopf.AiohttpSession(server=credentials.server, aiohttp_session=session)


# --- the thread --------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class RestartGuard:
    """When to restart kopf, and when not to any more."""

    recent: list[float] = field(default_factory=list)
    """Times of the restarts within RESTART_WINDOW."""

    def next_delay(self, now: float) -> float | None:
        """Seconds to wait before the restart that is due now; None: too many."""
        self.recent = [at for at in self.recent if now - at <= RESTART_WINDOW]
        if len(self.recent) >= MAX_RESTARTS:
            return None
        self.recent.append(now)
        return WATCH_RESTART.delay(len(self.recent) - 1)


class KopfWatcher:
    """Runs kopf in a thread. Made and used in the manager's loop."""

    def __init__(
        self,
        login: Callable[[], Awaitable[Credentials]],
        watched: Sequence[WatchedResource],
        handle: Handle,
        gave_up: Callable[[], None],
        restarted: Callable[[], None] = lambda: None,
    ) -> None:
        """`handle`, `gave_up` and `restarted` are called in the manager's loop, `login` in kopf's.

        `gave_up`: kopf is not restarted any more, and nothing is watched from now on.
        """
        self._login, self._watched = login, watched
        self._handle, self._gave_up, self._restarted = handle, gave_up, restarted
        self._awaited = {one.resource for one in watched if one.reconciled}
        self._open: set[Resource] = set()
        self._manager_loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._stop = asyncio.Event()
        """Set in kopf's loop only."""
        self._heartbeat = 0.0

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def ready(self) -> bool:
        """Whether the streams of all reconciled resources are open, and what exists has been listed."""
        return self.alive and self._open == self._awaited

    def silence(self) -> float:
        """Seconds since the thread's loop last ran."""
        return self._manager_loop.time() - self._heartbeat

    def start(self) -> None:
        self._heartbeat = self._manager_loop.time()
        self._kopf_loop = asyncio.new_event_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Returns when the thread has ended, or after STOP_DEADLINE (a daemon thread cannot keep the process from ending)."""
        if self.alive:
            with contextlib.suppress(RuntimeError):  # its loop is closed already
                self._kopf_loop.call_soon_threadsafe(self._stop.set)
            await asyncio.to_thread(self._thread.join, STOP_DEADLINE)

    # --- in the thread ---------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._kopf_loop) as runner:
                runner.run(self._supervise())
        except Exception:
            log.exception("Watching failed for good")
            self._call(self._gave_up)

    async def _supervise(self) -> None:
        guard = RestartGuard()
        self._kopf_loop.set_exception_handler(_log_unhandled)
        heartbeat = asyncio.create_task(self._beat(), name="watch heartbeat")
        while not self._stop.is_set():
            ended = await self._run_kopf()
            if self._stop.is_set():
                break
            delay = guard.next_delay(self._kopf_loop.time()) if ended else None
            if delay is None:
                why = "Watching ended too often" if ended else "Watching failed and does not end"
                log.error(why, extra={"restarts": len(guard.recent)})
                self._call(self._gave_up)
                break
            log.warning("Restarting watching", extra={"seconds": delay})
            self._call(self._restarted)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), delay)
        heartbeat.cancel()

    async def _run_kopf(self) -> bool:
        """Run kopf until it is told to stop or fails. False: it does not end. Raises only what keeps kopf from starting."""
        sessions: list[aiohttp.ClientSession] = []
        sockets: WeakSet[socket.socket] = WeakSet()

        async def login(**_: Any) -> kopf.AiohttpSession:
            opened = open_session(await self._login(), self._watch_opened, sockets)
            sessions.append(opened.aiohttp_session)
            return opened

        registry = make_registry(self._watched, lambda resource, obj: self._call(self._handle, resource, obj), login)
        ours = asyncio.all_tasks()
        parts = await kopf.spawn_tasks(
            registry=registry, settings=make_settings(self._watched), clusterwide=True, stop_flag=self._stop
        )
        operator = asyncio.create_task(kopf.run_tasks(parts, ignored=ours), name="kopf")
        await asyncio.wait({operator, *parts}, return_when=asyncio.FIRST_COMPLETED)
        self._open = set()
        ended = await _end(operator, ours)
        await close_sessions(sessions, sockets)
        if ended and not self._stop.is_set():
            error = None if operator.cancelled() else operator.exception()  # kopf raises whatever ended one of its tasks
            log.warning("Watching ended", extra={"error": f"{type(error).__name__}: {error}"})
        return ended

    def _watch_opened(self, path: str) -> None:
        # A new set each time: the manager's thread reads it.
        self._open = self._open | {one for one in self._awaited if path.endswith(f"/{one.api_version}/{one.plural}")}

    async def _beat(self) -> None:
        while True:
            self._heartbeat = asyncio.get_running_loop().time()  # all loops of a process share the monotonic clock
            await asyncio.sleep(1.0)

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        """Call a function in the manager's loop: nothing of the manager is safe to touch from this thread."""
        with contextlib.suppress(RuntimeError):  # the manager's loop has ended
            self._manager_loop.call_soon_threadsafe(function, *args)


async def _end(operator: asyncio.Task[None], ours: set[asyncio.Task[Any]]) -> bool:
    """Once one of kopf's tasks has ended, end all others; False when they do not end.

    kopf cancels each of its tasks once and then waits without a limit. A watcher that is cancelled in the moment in which its stream
    breaks swallows the cancellation (_cogs/clients/watching.py, streaming_block) and goes on; as the others are gone by then, nothing
    would be watched any more. So whatever is left is cancelled in each round.
    """
    for _ in range(END_ROUNDS):
        await asyncio.wait({operator}, timeout=END_SECONDS)
        if operator.done():
            return True
        for task in asyncio.all_tasks() - ours - {operator}:
            task.cancel()
    return False


async def close_sessions(sessions: list[aiohttp.ClientSession], sockets: WeakSet[socket.socket]) -> None:
    """kopf does not close its session when it is cancelled while it does; its streams would stay open until the process ends.

    A connection whose request was cancelled belongs to no session any more (aiohttp/connector.py, _release), and stays open until the
    API server has answered the end of TLS: its socket is shut down.
    """
    for session in sessions:
        if session.connector is not None:
            await session.connector.close(abort_ssl=True)
        await session.close()
    for one in sockets:
        with contextlib.suppress(OSError):  # closed, or not connected yet
            one.shutdown(socket.SHUT_RDWR)
    for _ in range(CLOSING_ROUNDS):
        await asyncio.sleep(0)


def _log_unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """kopf leaves failed tasks behind when it ends; asyncio would print each with its traceback when it is collected."""
    log.debug("Unhandled error of watching", extra={"what": str(context.get("message")), "error": repr(context.get("exception"))})
