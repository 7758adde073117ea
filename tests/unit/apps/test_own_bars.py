"""A new project on somebody's own bars: what the file shows is declared, what it cannot show is asked for."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tradeworthy.apps.commands.own_bars import read_own_bars
from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.commands.settings import load_settings
from tradeworthy.apps.commands.starting import init_project
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.core.errors import DataInvalid, NotFound, SettingsInvalid
from tradeworthy.live.feeds.files import period_ns, period_text
from tradeworthy.model.features.program import compile_program

START = datetime(2024, 1, 1, tzinfo=UTC)


def frame(count=600, price=80.25, **names: str):
    """Return hourly bars with one hole; a field's column is called as `names` says."""
    stamps = [START + timedelta(hours=i + 5 * (i > 300)) for i in range(count)]
    closes = [round(price * (1 + 0.01 * ((i * 7) % 5 - 2)), 2) for i in range(count)]
    columns = {
        "time": stamps,
        "open": closes,
        "high": [close * 1.01 for close in closes],
        "low": [close * 0.99 for close in closes],
        "close": closes,
        "volume": [10.0 + i % 3 for i in range(count)],
    }
    return pl.DataFrame({names.get(field, field): values for field, values in columns.items()})


def test_a_project_on_own_bars_is_ready(tmp_path):
    """Other names, a zone in the stamps and a hole: settings, features and data fit each other at once."""
    names = {"time": "Timestamp", "open": "O", "high": "H", "low": "L", "close": "C", "volume": "Vol"}
    stamps = pl.col("Timestamp").dt.convert_time_zone("Europe/Berlin").dt.strftime("%Y-%m-%d %H:%M:%S%:z")
    frame(**names).with_columns(stamps).write_csv(tmp_path / "my oil.csv")
    started = init_project(tmp_path / "desk", bars=tmp_path / "my oil.csv", symbol="OIL", bar_time="open")
    assert "data/my oil.csv" in started.files
    settings = load_settings(tmp_path / "desk")
    [market] = settings.market
    assert market.columns == names
    assert (market.period, market.bar_time) == ("1h", "open")
    assert [(each.symbol, each.tick, each.lot) for each in settings.instrument] == [("OIL", 0.01, 0.1)]
    assert settings.limits.missing() == []
    assert settings.limits.position_quantity_max * 80.0 > settings.signal.notional
    [found] = Project(tmp_path / "desk").look().files
    assert (found.bars, found.gaps, found.missing) == (600, 1, 5)


def test_its_features_read_no_other_market(tmp_path):
    """What the shipped strategy takes from BTC is left out, and the card speaks of these bars."""
    frame().write_parquet(tmp_path / "GOLD.parquet")
    init_project(tmp_path / "desk", bars=tmp_path / "GOLD.parquet", bar_time="close")
    strategy = load_strategy(tmp_path / "desk" / "strategy.py")
    assert compile_program(strategy.features).instruments == ()
    assert len(strategy.features) == 17
    card = load_settings(tmp_path / "desk").card
    assert "GOLD on bars of 1h" in card.purpose
    assert card.data == "GOLD.parquet, 2024-01-01 to 2024-01-26."
    text = (tmp_path / "desk" / "tradeworthy.toml").read_text("utf-8")
    assert "ETH" not in text
    assert "{" not in text.replace("{ time", "")


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_stamps_that_are_numbers_show_their_unit(tmp_path, unit, factor):
    """Ten digits are seconds, and so on; the hours between them come out the same."""
    numbers = [int(stamp.timestamp()) * factor for stamp in frame()["time"]]
    frame().with_columns(time=pl.Series(numbers)).write_csv(tmp_path / "bars.csv")
    found = read_own_bars(tmp_path / "bars.csv")
    assert (found.time_unit, found.period, found.span) == (unit, "1h", "2024-01-01 to 2024-01-26")


@pytest.mark.parametrize(("price", "tick", "lot"), [(1.0825, 0.0001, 1.0), (64_000.0, 1.0, 0.0001)])
def test_steps_follow_from_prices(tmp_path, price, tick, lot):
    """The tick is the coarsest that all closes lie on; a lot is under a thousandth of a full position."""
    closes = [price, price + tick, price + 3 * tick]
    frame(3).with_columns(close=pl.Series(closes)).write_csv(tmp_path / "bars.csv")
    found = read_own_bars(tmp_path / "bars.csv")
    assert (found.tick, found.lot, found.lowest) == (tick, lot, price)


@pytest.mark.parametrize(
    ("bars", "said"),
    [
        (frame(volume="turnover"), "no column is called as the volume of a bar .*found .*'turnover'.*Rename it"),
        (frame(2), "2 different stamps can be read in 'time'"),
        (frame().with_columns(time=pl.lit("soon")), "stamps, such as 'soon', are in no known format; allowed"),
        (frame().with_columns(close=pl.lit("high")), "column 'close' holds String, allowed are numbers"),
        (frame().with_columns(close=pl.lit(0.0)), "holds no positive price"),
    ],
    ids=["column", "few", "stamps", "text", "prices"],
)
def test_a_file_that_cannot_be_told_is_refused(bars, said, tmp_path):
    """The message names file and column, and nothing is made."""
    bars.write_csv(tmp_path / "bars.csv")
    with pytest.raises(DataInvalid, match=said):
        init_project(tmp_path / "desk", bars=tmp_path / "bars.csv", bar_time="open")
    assert not (tmp_path / "desk").exists()


@pytest.mark.parametrize(
    ("symbol", "bar_time", "said"),
    [
        (None, None, "was not said; add --bar-time open"),
        (None, "start", "is 'start'; add --bar-time open"),
        ('a"b', "open", "symbol is 'a\"b', allowed are letters"),
    ],
)
def test_what_the_file_cannot_show_is_asked_for(symbol, bar_time, said, tmp_path):
    """Open or close is never guessed, because a wrong guess would look into the future."""
    frame().write_csv(tmp_path / "bars.csv")
    with pytest.raises(SettingsInvalid, match=said):
        init_project(tmp_path / "desk", bars=tmp_path / "bars.csv", symbol=symbol, bar_time=bar_time)
    assert not (tmp_path / "desk").exists()


@pytest.mark.parametrize("said", [{"symbol": "OIL"}, {"bar_time": "open"}])
def test_what_is_said_of_bars_that_are_not_given_is_refused(said, tmp_path):
    """Else whoever forgets the file gets a project on another market than the one named."""
    with pytest.raises(SettingsInvalid, match="name their file with --bars"):
        init_project(tmp_path / "desk", **said)
    assert not (tmp_path / "desk").exists()


def test_a_file_that_is_not_there_is_named(tmp_path):
    """The path is said as it was given."""
    with pytest.raises(NotFound, match=r"gone\.csv does not exist"):
        init_project(tmp_path / "desk", bars=tmp_path / "gone.csv", bar_time="open")


@pytest.mark.parametrize("text", ["1ms", "90s", "30m", "4h", "1d", "10d"])
def test_a_period_is_written_as_it_is_read(text):
    """From a length to settings and back."""
    assert period_text(period_ns(text)) == text
