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
from tradeworthy.change.watch.metrics import Metric, Sample, exposition
from tradeworthy.live.feeds.exchange.feed import ExchangeFeed
from tradeworthy.live.feeds.exchange.figures import Figures

WRITE_EVERY_S = 1.0
FILE, JSON_FILE = "metrics.prom", "figures.json"
_MS_PER_S = 1_000.0

FEED_METRICS: Mapping[str, Metric] = {
    "feed_connected": Metric(kind="gauge", text="1 while a connection to the exchange is open"),
    "feed_messages_total": Metric(kind="counter", text="Messages received"),
    "feed_bytes_total": Metric(kind="counter", text="Their bytes"),
    "feed_events_total": Metric(kind="counter", text="Events given to the engine, gaps included"),
    "feed_unreadable_total": Metric(kind="counter", text="Messages that could not be read"),
    "feed_unknown_total": Metric(kind="counter", text="Messages of a kind or symbol that was not asked for"),
    "feed_repeated_total": Metric(kind="counter", text="News that was known already"),
    "feed_connections_total": Metric(kind="counter", text="Connections made"),
    "feed_cuts_total": Metric(kind="counter", text="Times that the stream was cut"),
    "feed_losses_total": Metric(kind="counter", text="Times that events of a lane were lost"),
    "feed_resyncs_total": Metric(kind="counter", text="Whole books asked for"),
    "feed_backfilled_total": Metric(
        kind="counter", text="Bars and trades that did not come on the stream and were asked for"
    ),
    "feed_silenced_total": Metric(kind="counter", text="Answers that we ask too often (429, 418)"),
    "feed_lag_seconds": Metric(kind="gauge", text="How late the last message came, the clocks' difference taken out"),
    "feed_lag_seconds_max": Metric(kind="gauge", text="The latest message since the feed began"),
    "feed_clock_offset_seconds": Metric(kind="gauge", text="How far the exchange's clock is ahead of ours"),
    "feed_round_trip_seconds": Metric(kind="gauge", text="The shortest way there and back of late"),
}
"""Every family of the feed, without the prefix."""


def written(figures: Figures) -> str:
    """Write the figures that are known as text."""
    lag_ms = {
        "feed_lag_seconds": figures.lag_ms,
        "feed_lag_seconds_max": figures.lag_ms_max,
        "feed_clock_offset_seconds": figures.clock_offset_ms,
        "feed_round_trip_seconds": figures.round_trip_ms,
    }
    found = [Sample(name, (), ms / _MS_PER_S) for name, ms in lag_ms.items() if ms is not None]
    counted = [name for name in FEED_METRICS if name not in lag_ms]
    fields = (name.removeprefix("feed_").removesuffix("_total") for name in counted)
    found += [Sample(name, (), float(getattr(figures, field))) for name, field in zip(counted, fields, strict=True)]
    return exposition(found, FEED_METRICS)


async def write_figures(running: Running) -> None:
    """Keep a run's figures written, beside the loop: no event waits for the disk."""
    folder, feed = running.project.places.feed, running.feed
    while isinstance(feed, ExchangeFeed):
        text, figures = written(feed.figures).encode(), msgspec.json.encode(feed.figures)
        await asyncio.to_thread(_write, folder, text, figures)
        await asyncio.sleep(WRITE_EVERY_S)


def _write(folder: Path, text: bytes, figures: bytes) -> None:
    replace_file(folder / FILE, text)
    replace_file(folder / JSON_FILE, figures)
