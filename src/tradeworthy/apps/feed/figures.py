"""A live feed's figures as Prometheus reads them, and as JSON: files in the state folder, written every second.

Idea:   as the watcher's: `FEED_METRICS` is the only list of names, and the documented table is held against it.
Units:  seconds and plain counts, as Prometheus wants them.
Reference: Prometheus text exposition format, version 0.0.4.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tradeworthy.apps.deployment.desk import Running
from tradeworthy.change.alerts.delivery import replace_file
from tradeworthy.live.feeds.exchange.feed import ExchangeFeed
from tradeworthy.live.feeds.exchange.figures import Figures

WRITE_EVERY_S = 1.0
FILE, JSON_FILE = "metrics.prom", "figures.json"
PREFIX = "tradeworthy_feed_"
_MS_PER_S = 1_000.0

FEED_METRICS: Mapping[str, tuple[str, str, str]] = {
    "connected": ("gauge", "connected", "1 while a connection to the exchange is open"),
    "messages_total": ("counter", "messages", "Messages received"),
    "bytes_total": ("counter", "bytes", "Their bytes"),
    "events_total": ("counter", "events", "Events given to the engine, gaps included"),
    "unreadable_total": ("counter", "unreadable", "Messages that could not be read"),
    "unknown_total": ("counter", "unknown", "Messages of a kind or symbol that was not asked for"),
    "repeated_total": ("counter", "repeated", "News that was known already"),
    "connections_total": ("counter", "connections", "Connections made"),
    "cuts_total": ("counter", "cuts", "Times that the stream was cut"),
    "losses_total": ("counter", "losses", "Times that events of a lane were lost"),
    "resyncs_total": ("counter", "resyncs", "Whole books asked for"),
    "lag_seconds": ("gauge", "lag_ms", "How late the last message came, the clocks' difference taken out"),
    "lag_seconds_max": ("gauge", "lag_ms_max", "The latest message since the feed began"),
    "clock_offset_seconds": ("gauge", "clock_offset_ms", "How far the exchange's clock is ahead of ours"),
    "round_trip_seconds": ("gauge", "round_trip_ms", "The shortest way there and back of late"),
}
"""Every family: its kind, the field of `Figures` that it shows, what it says."""


def exposition(figures: Figures) -> str:
    """Write the figures that are known as text."""
    lines: list[str] = []
    for name, (kind, field, text) in FEED_METRICS.items():
        value = getattr(figures, field)
        if value is not None:
            number = value / _MS_PER_S if name.endswith(("_seconds", "_seconds_max")) else int(value)
            lines += [f"# HELP {PREFIX}{name} {text}", f"# TYPE {PREFIX}{name} {kind}", f"{PREFIX}{name} {number!r}"]
    return "\n".join(lines) + "\n"


async def write_figures(running: Running) -> None:
    """Keep a run's figures written."""
    folder, feed = running.project.places.feed, running.feed
    folder.mkdir(parents=True, exist_ok=True)
    while isinstance(feed, ExchangeFeed):
        _write(folder, feed.figures)
        await asyncio.sleep(WRITE_EVERY_S)


def _write(folder: Path, figures: Figures) -> None:
    replace_file(folder / FILE, exposition(figures).encode())
    replace_file(folder / JSON_FILE, msgspec.json.encode(figures))
