"""The page of the live feed names what the code has: every figure, both dialects, settings that load."""

import re
import tomllib

import msgspec
from source_tree import ROOT

from tradeworthy.apps.feed.figures import FEED_METRICS, PREFIX
from tradeworthy.live.feeds.exchange.figures import Figures
from tradeworthy.live.feeds.exchange.settings import FeedSettings

PAGE = (ROOT / "docs" / "feeds.md").read_text(encoding="utf-8")


def test_the_table_of_figures_is_the_list_in_the_code():
    """Name, kind and words of each, in the code's order; each shows a field that there is."""
    documented = re.findall(rf"^\| `{PREFIX}([a-z_]+)` \| (\w+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert documented == [(name, kind, text) for name, (kind, _, text) in FEED_METRICS.items()]
    assert {field for _, field, _ in FEED_METRICS.values()} <= set(Figures.__struct_fields__)


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
