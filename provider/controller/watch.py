"""The only module that imports kopf: what happens in the management cluster becomes keys in the work queue.

kopf lists, watches, resumes, re-lists and notices new CRDs. It decides nothing, writes nothing and remembers nothing that we use:
handlers take two lines, and every pass reads its objects anew. It runs in a thread and an event loop of its own, because it cancels
every task it does not know in the loop it runs in, and it is started again when it ends by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
import kopf

from provider.api import contract, names
from provider.api.meta import ObjectKey, Resource
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.api.v1alpha1.kindcontrolplane import KINDCONTROLPLANES

log = logging.getLogger(__name__)

CONNECTIONS = 16
SERVER_TIMEOUT = 300
"""Seconds. Sent as timeoutSeconds, which the API server takes as a whole number only."""
INACTIVITY_TIMEOUT, REQUEST_TIMEOUT, CONNECT_TIMEOUT = 70.0, 30.0, 5.0
"""Seconds. The API server sends bookmarks every minute: 70 s of silence mean a dead stream."""
PAGE = 500
FORBIDDEN = 403
RESTART_FIRST, RESTART_LONGEST = 1.0, 30.0
"""Seconds before the first restart and before any further one: doubled each time."""
MAX_RESTARTS, RESTART_WINDOW = 5, 600.0
"""More restarts than this in so many seconds: give up, let the process end and be seen to end."""
STOP_DEADLINE = 3.0
"""Seconds after which a stopping thread is left to die with the process."""
ENDING_ROUND, ENDING_ROUNDS = 0.5, 20
"""Seconds that kopf's tasks get to end before they are cancelled, each time; rounds after which kopf is given up."""
BEAT = 1.0
CLOSING_ROUNDS = 5
"""Rounds of the loop that a transport needs to close its socket."""
SERVED = (KINDCLUSTERS, KINDCONTROLPLANES)

Add = Callable[[Resource, ObjectKey], None]
"""Told which object to look at, by its type and key."""


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


class Backoffs:
    """Seconds between tries of one request: for ever, or kopf ends after a minute of outage. Iterable any number of times."""

    def __iter__(self) -> Iterator[float]:
        delay = 0.2
        while True:
            yield delay * random.uniform(0.75, 1.25)  # noqa: S311 - spreads retries, guards nothing
            delay = min(delay * 2, 5.0)


# --- events → keys -----------------------------------------------------------------------------------------------------------------


def key_of(body: Mapping[str, Any]) -> ObjectKey:
    return ObjectKey(body["metadata"]["namespace"], body["metadata"]["name"])


def keys_of_cluster(body: Mapping[str, Any]) -> set[tuple[Resource, ObjectKey]]:
    """Objects of ours that a Cluster API Cluster names, in its own namespace (references across namespaces are not followed)."""
    spec = body.get("spec") or {}
    references = [spec.get(name) or {} for name in ("infrastructureRef", "controlPlaneRef")]
    namespace = body["metadata"]["namespace"]
    return {
        (resource, ObjectKey(namespace, reference["name"]))
        for reference in references
        for resource in SERVED
        if reference.get("name") and (reference.get("kind"), _group_of(reference)) == (resource.kind, resource.group)
    }


def keys_of_secret(body: Mapping[str, Any]) -> set[ObjectKey]:
    """The KINDCluster a Secret of ours belongs to, by its label."""
    owner = (body["metadata"].get("labels") or {}).get(names.KINDCLUSTER_LABEL)
    return {ObjectKey(body["metadata"]["namespace"], owner)} if owner else set()


def _group_of(reference: Mapping[str, Any]) -> str:
    """`apiGroup` (Cluster API v1beta2) or the group of `apiVersion` (v1beta1)."""
    return reference.get("apiGroup") or str(reference.get("apiVersion", "")).partition("/")[0]


def make_registry(add: Add, enter: Callable[[], Awaitable[kopf.AiohttpSession]]) -> kopf.OperatorRegistry:
    """Handlers that only name keys. Both functions are called in kopf's thread."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def log_in(**_: Any) -> kopf.AiohttpSession:
        return await enter()

    @kopf.on.event(names.GROUP, names.VERSION, KINDCLUSTERS.plural, registry=registry)
    async def kindcluster(body: kopf.Body, **_: Any) -> None:
        add(KINDCLUSTERS, key_of(body))

    @kopf.on.event(names.CONTROL_PLANE_GROUP, names.VERSION, KINDCONTROLPLANES.plural, registry=registry)
    async def kindcontrolplane(body: kopf.Body, **_: Any) -> None:
        add(KINDCONTROLPLANES, key_of(body))

    @kopf.on.event(contract.CAPI_GROUP, contract.CLUSTERS.plural, registry=registry)
    async def cluster(body: kopf.Body, **_: Any) -> None:
        for resource, key in keys_of_cluster(body):
            add(resource, key)

    @kopf.on.event("", "v1", "secrets", labels={names.KINDCLUSTER_LABEL: kopf.PRESENT}, registry=registry)
    async def secret(body: kopf.Body, **_: Any) -> None:
        for key in keys_of_secret(body):
            add(KINDCLUSTERS, key)

    return registry


def make_settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.process.ultimate_exiting_timeout = None  # our shutdown has its own deadline; kopf would kill the process
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{names.GROUP}/unused-by-kopf"  # kopf strips its own finalizer: never name ours here
    settings.networking.error_backoffs = Backoffs()
    settings.networking.request_timeout = REQUEST_TIMEOUT
    settings.networking.connect_timeout = CONNECT_TIMEOUT
    settings.watching.reconnect_backoff = 1.0
    settings.watching.server_timeout = SERVER_TIMEOUT
    settings.watching.connect_timeout = CONNECT_TIMEOUT
    settings.watching.inactivity_timeout = INACTIVITY_TIMEOUT
    settings.watching.chunk_size = PAGE
    # Only this form of the key is matched; "v1/secrets" is ignored in silence and would pull every Secret of the cluster.
    settings.watching.label_selectors["", "v1", "secrets"] = names.KINDCLUSTER_LABEL
    return settings


def open_session(credentials: Credentials, opened: Callable[[], None]) -> kopf.AiohttpSession:
    """`opened` is called when the API server has begun to answer a watch of KINDClusters: from then on nothing is missed."""

    refused: set[str] = set()

    async def note(_: object, __: object, end: aiohttp.TraceRequestEndParams) -> None:
        if end.response.status == FORBIDDEN and end.url.path not in refused:
            refused.add(end.url.path)  # kopf tries for ever; once per path and login is enough to say
            log.error("Listening is forbidden: grant list and watch (config/rbac)", extra={"path": end.url.path})
        watches = end.url.query.get("watch") == "true" and end.url.path.endswith(f"/{KINDCLUSTERS.plural}")
        if watches and end.response.ok:
            opened()

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(note)
    headers = {"Authorization": credentials.authorization} if credentials.authorization else {}
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=credentials.tls),
        headers=headers | {"User-Agent": "cluster-api-provider-kind/watch"},
        proxy=credentials.proxy,
        trust_env=True,
        trace_configs=[trace],
        read_bufsize=2**21,  # one line per event, and objects are up to 1.5 MB
    )
    return kopf.AiohttpSession(server=credentials.server, aiohttp_session=session)


# --- the thread --------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class RestartGuard:
    """When to start again, and when to give up."""

    restarts: deque[float] = field(default_factory=deque)
    total: int = 0

    def next_delay(self, now: float) -> float | None:
        """Seconds to wait before the restart that is due now; None: too many."""
        while self.restarts and now - self.restarts[0] > RESTART_WINDOW:
            self.restarts.popleft()
        if len(self.restarts) >= MAX_RESTARTS:
            return None
        self.restarts.append(now)
        self.total += 1
        return min(RESTART_FIRST * 2.0 ** (len(self.restarts) - 1), RESTART_LONGEST)


class Watch:
    """Start it, stop it, ask how it does. All public methods belong to the loop given as `loop`."""

    def __init__(
        self,
        login: Callable[[], Awaitable[Credentials]],
        add: Add,
        gave_up: Callable[[], None],
        restarted: Callable[[], None] = lambda: None,
    ) -> None:
        """`add`, `gave_up` and `restarted` are called in the loop that calls `start`; `login` is called in kopf's."""
        self._login, self._add, self._gave_up, self._restarted = login, add, gave_up, restarted
        self._guard = RestartGuard()
        self._thread: threading.Thread | None = None
        self._main: asyncio.AbstractEventLoop | None = None
        self._own: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._ended = asyncio.Event()
        self._beat = 0.0

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def ready(self) -> bool:
        """The stream of KINDCluster events is open; those that exist have been listed."""
        return self.alive and self._ready.is_set()

    @property
    def restarts(self) -> int:
        return self._guard.total

    def silence(self) -> float:
        """Seconds since the thread's loop last showed a sign of life."""
        return asyncio.get_running_loop().time() - self._beat

    def start(self) -> None:
        self._main = asyncio.get_running_loop()
        self._beat = self._main.time()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Returns when the thread is over, or after three seconds (it cannot keep the process alive)."""
        self._stopping.set()
        if self._own is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed already
                self._own.call_soon_threadsafe(self._stop.set)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_DEADLINE):
                await self._ended.wait()
                if self._thread is not None:
                    self._thread.join(1.0)  # it has said its last word: a matter of microseconds

    # --- in the thread ---------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._supervise())
        except Exception:
            log.exception("Watching failed for good")
            self._tell(self._gave_up)
        finally:
            self._tell(self._ended.set)

    async def _supervise(self) -> None:
        self._own, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._own.set_exception_handler(_note_loose_end)
        beating = asyncio.create_task(self._keep_beating(), name="watch beat")
        while not self._stopping.is_set():
            ended = await self._watch_once()
            if self._stopping.is_set():
                break
            delay = self._guard.next_delay(self._own.time()) if ended else None
            if delay is None:
                why = "Watching ended too often" if ended else "Watching failed and does not end"
                log.error(why, extra={"restarts": self._guard.total})
                self._tell(self._gave_up)
                break
            log.warning("Restarting watching", extra={"seconds": delay})
            self._tell(self._restarted)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), delay)
        beating.cancel()

    async def _watch_once(self) -> bool:
        """Run kopf until it is told to stop or fails. False: it would not end. Raises only what keeps kopf from starting."""
        sessions: list[aiohttp.ClientSession] = []

        async def enter() -> kopf.AiohttpSession:
            opened = open_session(await self._login(), self._ready.set)
            sessions.append(opened.aiohttp_session)
            return opened

        registry = make_registry(lambda resource, key: self._tell(self._add, resource, key), enter)
        ours = asyncio.all_tasks()
        parts = await kopf.spawn_tasks(registry=registry, settings=make_settings(), clusterwide=True, stop_flag=self._stop)
        operator = asyncio.create_task(kopf.run_tasks(parts, ignored=ours), name="kopf")
        await asyncio.wait({operator, *parts}, return_when=asyncio.FIRST_COMPLETED)
        self._ready.clear()
        ended = await _see_off(operator, ours)
        await _close(sessions)
        if ended and not self._stopping.is_set():
            error = None if operator.cancelled() else operator.exception()  # kopf raises whatever ended one of its tasks
            log.warning("Watching ended", extra={"error": f"{type(error).__name__}: {error}"})
        return ended

    async def _keep_beating(self) -> None:
        while True:
            self._beat = asyncio.get_running_loop().time()  # all loops of a process share the monotonic clock
            await asyncio.sleep(BEAT)

    def _tell(self, function: Callable[..., None], *args: Any) -> None:
        """Call a function in the manager's loop."""
        assert self._main is not None
        with contextlib.suppress(RuntimeError):  # the manager's loop has ended
            self._main.call_soon_threadsafe(function, *args)


async def _see_off(operator: asyncio.Task[None], ours: set[asyncio.Task[Any]]) -> bool:
    """Once one of kopf's parts has ended, all of it must end: what is left of it is cancelled, again and again. False: in vain.

    kopf cancels each of its tasks once and then waits for as long as it takes. A watcher that is cancelled in the moment in which its
    stream breaks swallows that (kopf 1.45, _cogs/clients/watching.py, streaming_block) and goes on; the others are gone by then, and
    the manager would be blind for good.
    """
    for _ in range(ENDING_ROUNDS):
        await asyncio.wait({operator}, timeout=ENDING_ROUND)
        if operator.done():
            return True
        for task in asyncio.all_tasks() - ours - {operator}:
            task.cancel()
    return False


async def _close(sessions: list[aiohttp.ClientSession]) -> None:
    """kopf closes its session unless it is cancelled on the way; a stream that is left open would be until the process ends."""
    for session in sessions:
        if session.connector is not None:
            await session.connector.close(abort_ssl=True)
        await session.close()
    for _ in range(CLOSING_ROUNDS):
        await asyncio.sleep(0)


def _note_loose_end(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """kopf leaves failed tasks behind when it ends; asyncio would print each with its traceback when it is collected."""
    log.debug("Loose end of watching", extra={"what": str(context.get("message")), "error": repr(context.get("exception"))})
