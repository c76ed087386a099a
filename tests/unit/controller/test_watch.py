"""provider.controller.watch, the parts that need no API server: how kopf is set up, when restarts stop."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

import kopf
from kopf._cogs.structs import references

from provider.api import contract, names
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.backoff import WATCH_RESTART
from provider.controller.sources import WatchedResource
from provider.controller.watch import (
    MAX_RESTARTS,
    RESTART_WINDOW,
    RestartGuard,
    close_sessions,
    make_registry,
    make_settings,
)

WATCHED = [
    WatchedResource(KINDCLUSTERS, "", reconciled=True),
    WatchedResource(contract.CLUSTERS, "", reconciled=False),
    WatchedResource(names.SECRETS, "a/b", reconciled=False),
]


def test_backoffs_never_end_and_begin_anew_for_each_request() -> None:
    """kopf gives up when its backoffs do."""
    backoffs: Iterable[float] = make_settings(WATCHED).networking.error_backoffs  # type: ignore[assignment]

    first, second = (list(itertools.islice(backoffs, 1000)) for _ in range(2))

    assert len(first) == len(second) == 1000
    assert 0.1 < min(first) < max(first) <= 5.0 * 1.25


def test_kopf_is_told_to_write_nothing() -> None:
    """No peering, no events, no finalizer of its own, and never one with our name: kopf strips that as unneeded."""
    settings = make_settings(WATCHED)

    assert settings.peering.standalone
    assert not settings.posting.enabled
    assert settings.persistence.finalizer != names.FINALIZER
    assert settings.process.ultimate_exiting_timeout is None
    assert not settings.scanning.disabled


def test_kopf_has_no_handler_that_changes_objects() -> None:
    """Only on.event: create, update, delete, resume, timer and daemon handlers would patch objects or block deletion."""

    async def login() -> Any:
        raise AssertionError("nobody logs in here")

    registry = make_registry(WATCHED, lambda resource, obj: None, login)

    assert len(registry._watching.get_all_handlers()) == len(WATCHED)
    for others in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert list(others.get_all_handlers()) == []
    assert registry is not kopf.get_default_registry()


def test_the_api_server_is_asked_for_what_the_selector_matches_only() -> None:
    """kopf ignores a selector under any other form of the resource's name, and would read every Secret."""
    selectors = make_settings(WATCHED).watching.label_selectors
    secrets = references.Resource(group="", version="v1", plural="secrets", kind="Secret", namespaced=True)
    clusters = references.Resource(
        group=contract.CAPI_GROUP, version="v1beta2", plural="clusters", kind="Cluster", namespaced=True
    )

    assert selectors.collect(secrets) == ["a/b"]
    assert selectors.collect(clusters) == []


def test_restarts_are_spaced_and_counted() -> None:
    """Doubling waits, then the end: a process that cannot watch must be seen to fail."""
    guard = RestartGuard()

    delays = [guard.next_delay(now=float(second)) for second in range(MAX_RESTARTS + 1)]

    assert delays[:3] == [1.0, 2.0, 4.0]
    assert all(delay is not None and delay <= WATCH_RESTART.limit for delay in delays[:-1])
    assert delays[-1] is None


def test_old_restarts_are_forgiven() -> None:
    """A crash a day is no crash loop."""
    guard = RestartGuard()

    assert all(guard.next_delay(now=number * (RESTART_WINDOW + 1)) == 1.0 for number in range(100))
    assert len(guard.recent) == 1


async def test_a_connection_that_no_session_knows_is_closed_too() -> None:
    """A cancelled request leaves its connection behind, which may stay open for as long as the process lives."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    unknown = socket.socket()
    unknown.setblocking(False)
    await asyncio.get_running_loop().sock_connect(unknown, server.sockets[0].getsockname())
    await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=unknown)

    with socket.socket() as unconnected:
        await close_sessions([], WeakSet([unknown, unconnected]))

    assert unknown.fileno() == -1
    server.close()
