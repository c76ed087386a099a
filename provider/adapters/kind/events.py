"""The runtime's endless stream of events: which cluster to look at again, over any number of connections to the engine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from provider.adapters.engine.choice import EngineChoice
from provider.adapters.engine.cli import Engine
from provider.backoff import ENGINE_EVENTS, Backoff
from provider.errors import Transient
from provider.ports.runtime import RuntimeEvent

OPENING = 1.0
"""Seconds in which the events command is surely connected. It says nothing when it is."""

logger = logging.getLogger(__name__)


async def watch(
    engines: EngineChoice, backoff: Backoff = ENGINE_EVENTS, opening: float = OPENING
) -> AsyncGenerator[RuntimeEvent, None]:
    """Never ends. `backoff`: between connections; `opening`: seconds before a new connection counts as made.

    RuntimeEvent(None) means: look at everything. It comes after every connection, the first included, because what happened before it
    is not known; when the engine is lost; and when it cannot be reached for another reason than before, so that conditions show it.
    """
    delays, reported = iter(backoff), ""
    while True:
        try:
            engine = await engines.get()
            async with aclosing(_connection(engine, opening)) as events:
                async for event in events:
                    delays, reported = iter(backoff), ""
                    yield event
        except Transient as error:
            if error.message != reported:
                logger.info("Reconnecting to the engine's events", extra={"reason": error.reason, "detail": error.message})
                reported = error.message
                yield RuntimeEvent(None)
        await asyncio.sleep(next(delays))


async def _connection(engine: Engine, opening: float) -> AsyncGenerator[RuntimeEvent, None]:
    """One run of the events command. Raises Transient when it ends."""
    async with aclosing(engine.events()) as events:
        first = asyncio.ensure_future(anext(events))
        try:
            # Listing before the command is connected would miss what happens in between; a listing after it misses nothing.
            await asyncio.wait([first], timeout=opening)
            if first.done() and (failure := first.exception()) is not None:
                raise failure
            listing = await engine.containers()
            if listing.reason:
                raise Transient(listing.reason, listing.detail)
            yield RuntimeEvent(None)
            yield RuntimeEvent(await first)
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
        async for cluster in events:
            yield RuntimeEvent(cluster)
