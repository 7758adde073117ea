"""The page of the live feed names what the code has: every figure, both dialects, settings that load."""

import re
import tomllib

import msgspec
from source_tree import ROOT

from tradeworthy.apps.feed.figures import FEED_METRICS, written
from tradeworthy.change.watch.metrics import PREFIX
from tradeworthy.live.feeds.exchange.figures import Figures
from tradeworthy.live.feeds.exchange.settings import FeedSettings

PAGE = (ROOT / "docs" / "feeds.md").read_text(encoding="utf-8")


def test_the_table_of_figures_is_the_list_in_the_code():
    """Name, kind and words of each, in the code's order."""
    documented = re.findall(rf"^\| `{PREFIX}([a-z_]+)` \| (\w+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert documented == [(name, metric.kind, metric.text) for name, metric in FEED_METRICS.items()]


def test_every_figure_is_written_once_it_is_known():
    """Before the first message only what is counted; then all of them, times in seconds."""
    figures = Figures(messages=3, connected=True)
    assert f"{PREFIX}feed_messages_total 3\n" in written(figures)
    assert f"{PREFIX}feed_connected 1\n" in written(figures)
    assert "lag" not in written(figures)
    figures.lag_ms = figures.lag_ms_max = figures.clock_offset_ms = figures.round_trip_ms = 1.5
    assert set(re.findall(rf"^{PREFIX}(\w+) ", written(figures), re.MULTILINE)) == set(FEED_METRICS)
    assert f"{PREFIX}feed_lag_seconds 0.0015\n" in written(figures)


def test_the_section_on_the_page_loads():
    """What a reader copies is a feed."""
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    settings = msgspec.convert(tomllib.loads(text)["feed"], FeedSettings)
    assert settings.kind == "exchange"
    assert settings.stream_url.startswith("wss://")


def test_every_setting_named_on_the_page_exists():
    """No sentence speaks of a key that was renamed."""
    named = set(re.findall(r"`((?:silence|retry|message|snapshot|open|book)_[a-z_]+)`", PAGE))
    assert named
    assert named <= set(FeedSettings.__struct_fields__)
