"""The contract of a feed: whatever brings events to the engine.

Flow:   `events()` yields batches in the order of arrival until the source ends or `close()` is called.
State:  a feed is read once; a second reading needs a new feed.
Time:   `ts_recv_ns` never goes back; `ts_event_ns` may, where a venue delivers late.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from tradeworthy.core.events import EventBatch


class Feed(Protocol):
    """Where events come from.

    A batch belongs to the reader: the feed neither reads nor changes it again.
    """

    def events(self) -> AsyncIterator[EventBatch]:
        """Yield non-empty batches of event records, all of one width."""

    def close(self) -> None:
        """End `events()` after the batch in hand; calling it again changes nothing."""
