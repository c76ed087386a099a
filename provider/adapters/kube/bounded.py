"""Reading an HTTP answer of somebody who is not trusted: never more of it than a limit."""

from __future__ import annotations

import aiohttp

MAX_ANSWER = 8 << 20
"""Bytes read of one answer; a Node is about ten thousand."""


async def read(response: aiohttp.ClientResponse) -> bytes:
    """The whole body. Raises ValueError for one that is larger than MAX_ANSWER."""
    parts, size = [], 0
    async for part in response.content.iter_chunked(1 << 16):
        size += len(part)
        if size > MAX_ANSWER:
            raise ValueError("the answer is too large")
        parts.append(part)
    return b"".join(parts)
