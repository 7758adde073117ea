"""A feed for events that come by call: whoever has one hands it to the engine and has the decision when that returns.

Idea:   a queue between a request and its decision would cost a turn of the loop for each. So this feed brings nothing;
        it only keeps the engine's loop open until it is closed.
"""

import asyncio
from collections.abc import AsyncIterator

from tradeworthy.core.events import EventBatch


class PushedFeed:
    """Brings no events, and ends when it is closed; events go to `Engine.consume` meanwhile."""

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    async def events(self) -> AsyncIterator[EventBatch]:
        """Wait for the end."""
        await self._closed.wait()
        nothing: tuple[EventBatch, ...] = ()
        for batch in nothing:
            yield batch

    def close(self) -> None:
        """End `events()`; calling it again changes nothing."""
        self._closed.set()
