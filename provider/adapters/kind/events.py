"""An endless stream of "look at this cluster again" from an engine that comes and goes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.select import EngineChoice
from provider.errors import Transient
from provider.ports.runtime import RuntimeEvent

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
JITTER = 0.3
OPENING = 1.0
"""Seconds in which the events command is surely connected."""

logger = logging.getLogger(__name__)


async def watch(engines: EngineChoice) -> AsyncGenerator[RuntimeEvent, None]:
    """Never ends. RuntimeEvent(None) comes after every connection (the first included), because what happened before is not known,
    and when the engine is lost, or is out of reach for another reason than before: nothing else would make anybody notice."""
    pause, told = FIRST_PAUSE, ""
    while True:
        try:
            engine = await engines.get()
            async with aclosing(_connection(engine)) as events:
                async for event in events:
                    pause, told = FIRST_PAUSE, ""
                    yield event
        except Transient as error:
            if error.message != told:
                logger.info("Reconnecting to the engine's events", extra={"reason": error.reason, "detail": error.message})
                told = error.message
                yield RuntimeEvent(None)
        await asyncio.sleep(pause * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - spreads load, guards nothing
        pause = min(pause * 2, LONGEST_PAUSE)


async def _connection(engine: Engine) -> AsyncGenerator[RuntimeEvent, None]:
    """One life of the stream. The command says nothing when it is connected, so it gets a moment before the first look."""
    async with aclosing(engine.events()) as events:
        first = asyncio.ensure_future(anext(events))
        try:
            await asyncio.wait([first], timeout=OPENING)
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
