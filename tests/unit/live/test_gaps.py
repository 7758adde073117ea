"""A feed that cannot vouch for what it brings says so: no order on an unknown price, features begin anew."""

import numpy as np
import pytest

from tradeworthy.core.decisions import Role
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Gap, Kind, event_dtype, events_from_columns
from tradeworthy.core.time import NS_PER_MINUTE, NS_PER_S
from tradeworthy.live import state
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.pipeline import Pipeline
from tradeworthy.live.replay import replay
from tradeworthy.live.risk.judge import judge_order
from tradeworthy.model.features.expressions import quote
from tradeworthy.model.features.program import compile_program
from tradeworthy.model.features.runtime import FeatureState
from tradeworthy.model.manifest import Signal
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.desks import BAR_NS, INSTRUMENTS, LIMITS, START_NS, Shelf, SmallDesk, market, small_program

EAGER = Signal(enter_long=0.5, exit_long=0.5, enter_short=0.49, exit_short=0.5, allow_short=True, notional=1_000.0)
SETTINGS = EngineSettings(stage_in_background=False, checkpoint_every=50)
ETH, BTC = 0, 1


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    shelf.make(0, signal=EAGER)
    return shelf


def gap(ts_ns, *, instrument=ETH, cause=Gap.LOST, kind=Kind.BAR):
    """Return one gap event."""
    batch = np.zeros(1, event_dtype())
    batch["values"] = np.nan
    batch["kind"], batch["instrument"] = int(Kind.GAP), instrument
    batch["ts_event_ns"] = batch["ts_recv_ns"] = ts_ns
    batch["values"][0, :2] = float(cause), float(kind)
    return batch


def bars(count, first):
    """Return bars of ETH alone."""
    events = market(first + count, seed=5)
    return events[events["instrument"] == ETH][first:]


def alone(version):
    return Pipeline.alone(version, INSTRUMENTS, LIMITS)


def verdicts(pipeline, events):
    """Return the verdicts of all decisions; every order is forgotten at once, so that the desk goes on."""
    found, place = [], 0
    while place < len(events):
        made, place = pipeline.many(events, place)
        found += made["verdict"].tolist()
        pipeline.desk.account["open_orders"] = 0
        pipeline.desk.positions["buying"] = pipeline.desk.positions["selling"] = 0.0
    return found


def test_after_a_lost_bar_features_begin_anew(shelf):
    """The decisions after a gap are those of a desk that saw nothing before it: first warming, then the same rows."""
    events = market(120, seed=3)
    version = shelf.versions[next(iter(shelf.versions))]
    with_gap, fresh = FeatureState(version.program, INSTRUMENTS), FeatureState(version.program, INSTRUMENTS)
    at = int(events["ts_event_ns"][119])
    lost = np.concatenate([gap(at, instrument=n) for n in (ETH, BTC)])
    rows, places = with_gap.many(np.concatenate([events[:120], lost, events[120:]]))
    expected, expected_places = fresh.many(events[120:])
    after = places >= 122
    assert (places[after] - 122).tolist() == expected_places.tolist()
    assert rows[after].tobytes() == expected.tobytes()
    assert len(expected) > 20


def test_a_gap_of_a_lane_that_no_feature_reads_costs_nothing(shelf):
    """Quotes that are lost leave features of bars as they are."""
    events = market(60, seed=3)
    version = shelf.versions[next(iter(shelf.versions))]
    state_with, state_without = FeatureState(version.program, INSTRUMENTS), FeatureState(version.program, INSTRUMENTS)
    lost = gap(int(events["ts_event_ns"][79]), kind=Kind.QUOTE)
    rows, _ = state_with.many(np.concatenate([events[:80], lost, events[80:]]))
    expected, _ = state_without.many(events)
    assert rows.tobytes() == expected.tobytes()


def test_what_another_instrument_gives_begins_anew_too(shelf):
    """A lost bar of BTC makes ETH's rows wait until BTC has given again, and no longer."""
    events = market(60, seed=3)
    version = shelf.versions[next(iter(shelf.versions))]
    pipeline = alone(version)
    lost = gap(int(events["ts_event_ns"][99]), instrument=BTC)
    found = verdicts(pipeline, np.concatenate([events[:100], lost, events[100:]]))
    assert DenialCode.FEATURES_WARMING not in found[25:50]
    assert found[50:52] == [DenialCode.FEATURES_WARMING] * 2
    assert DenialCode.FEATURES_WARMING not in found[52:]


def test_a_cut_alone_keeps_the_features(shelf):
    """Where nothing was lost, the first event after a cut has its row and its price."""
    events = market(60, seed=3)
    version = shelf.versions[next(iter(shelf.versions))]
    cut = gap(int(events["ts_event_ns"][99]), cause=Gap.CUT)
    with_cut = verdicts(alone(version), np.concatenate([events[:100], cut, events[100:]]))
    assert with_cut == verdicts(alone(version), events)


@pytest.mark.parametrize("cause", list(Gap))
def test_no_order_while_the_price_is_not_known(shelf, cause):
    """From the gap to the instrument's next event every order is refused for want of a price; then it is known."""
    pipeline = alone(shelf.versions[next(iter(shelf.versions))])
    events = bars(30, 0)
    verdicts(pipeline, events)
    now = int(events["ts_event_ns"][-1])
    price = float(pipeline.desk.positions["mark"][ETH])
    assert judge_order(pipeline.desk, ETH, 1.0, price, price, now) is None
    pipeline.many(gap(now, cause=cause))
    refused = judge_order(pipeline.desk, ETH, 1.0, price, price, now)
    assert refused is not None
    assert refused.code == DenialCode.REFERENCE_MISSING
    pipeline.many(bars(1, 30))
    assert judge_order(pipeline.desk, ETH, 1.0, price, price, now + BAR_NS) is None


def test_a_gap_leaves_other_instruments_and_equity_alone(shelf):
    """Only the instrument's own price is unknown; what it was last worth still counts in equity."""
    pipeline = alone(shelf.versions[next(iter(shelf.versions))])
    verdicts(pipeline, market(30, seed=5))
    before = pipeline.desk.positions.copy()
    pipeline.many(gap(START_NS + 31 * BAR_NS, instrument=BTC, cause=Gap.CUT))
    after = pipeline.desk.positions
    assert after["ts_mark_ns"].tolist() == [int(before["ts_mark_ns"][ETH]), 0]
    assert after["mark"].tolist() == before["mark"].tolist()
    assert pipeline.desk.account["equity"][0] == 0.0


def test_a_price_is_as_old_as_its_event_not_as_its_arrival(shelf):
    """Bars that a feed brings an hour late step the features, and lead to no order."""
    version = shelf.versions[next(iter(shelf.versions))]
    events = market(60, seed=5)
    fresh = verdicts(alone(version), events)
    late = events.copy()
    late["ts_recv_ns"] += 60 * NS_PER_MINUTE
    found = verdicts(alone(version), late)
    first = next(place for place, code in enumerate(fresh) if code != DenialCode.FEATURES_WARMING)
    assert found[:first] == fresh[:first]
    assert fresh[first:].count(DenialCode.MARKET_STALE) == 0
    assert found[first] == fresh[first] or found[first] == DenialCode.MARKET_STALE
    assert found.count(DenialCode.MARKET_STALE) > 10


def test_an_exchange_whose_clock_is_ahead_is_doubted_as_one_behind(shelf):
    """A price from the future beyond the limit is no price to order on."""
    pipeline = alone(shelf.versions[next(iter(shelf.versions))])
    events = bars(30, 0)
    verdicts(pipeline, events)
    price = float(pipeline.desk.positions["mark"][ETH])
    refused = judge_order(pipeline.desk, ETH, 1.0, price, price, int(events["ts_event_ns"][-1]) - 61 * NS_PER_S)
    assert refused is not None
    assert refused.code == DenialCode.MARKET_STALE


@pytest.mark.parametrize(
    ("values", "instrument", "code"),
    [
        ((np.nan, 1.0), 0, DenialCode.INPUT_UNKNOWN_KIND),
        ((3.0, 1.0), 0, DenialCode.INPUT_UNKNOWN_KIND),
        ((2.0, np.nan), 0, DenialCode.INPUT_UNKNOWN_KIND),
        ((2.0, 9.0), 0, DenialCode.INPUT_UNKNOWN_KIND),
        ((2.0, 1.0), 7, DenialCode.INPUT_UNKNOWN_INSTRUMENT),
        ((1.0, 4.0), 1, DenialCode.NONE),
    ],
)
def test_a_gap_that_says_nothing_is_refused_and_changes_nothing(shelf, values, instrument, code):
    """Cause, lane and instrument must be known ones; otherwise features and prices stay."""
    pipeline = alone(shelf.versions[next(iter(shelf.versions))])
    verdicts(pipeline, market(30, seed=5))
    before = pipeline.features.dump()["numbers"].tobytes(), pipeline.desk.positions.tobytes()
    event = gap(START_NS + 31 * BAR_NS, instrument=instrument)
    event["values"][0, :2] = values
    pipeline.many(event)
    assert pipeline.desk.denials[code] == (code != DenialCode.NONE)
    if code != DenialCode.NONE:
        assert (pipeline.features.dump()["numbers"].tobytes(), pipeline.desk.positions.tobytes()) == before


def test_gaps_are_on_the_tape_and_replay_to_the_bit(tmp_path, shelf):
    """A day with cuts and losses, an engine restarted in the middle, a shadow beside: everything comes out again."""
    events = market(200, seed=14)
    stamps = events["ts_event_ns"]
    cuts = [gap(int(stamps[n]), cause=Gap.CUT, instrument=n % 2) for n in (90, 171)]
    lost = [gap(int(stamps[n]), instrument=n % 2) for n in (150, 241)]
    parts = np.split(events, [91, 151, 172, 242])
    day = np.concatenate([parts[0], cuts[0], parts[1], lost[0], parts[2], cuts[1], parts[3], lost[1], parts[4]])
    shelf.make(9)
    for first, last in ((0, 160), (160, len(day))):
        with SmallDesk(tmp_path, shelf=shelf, settings=SETTINGS) as small:
            small.control.add_shadow(small.numbers[-1])
            small.run(day[first:last])
    reader = TapeReader(tmp_path / "tape")
    inputs, decisions = reader.read("inputs"), reader.read("decisions")
    assert (inputs["kind"] == Kind.GAP).sum() == 4
    assert (inputs["flags"][inputs["kind"] == Kind.GAP] == 0).all()
    champion = decisions[decisions["role"] == Role.CHAMPION]
    warming = champion["input_sequence"][champion["verdict"] == DenialCode.FEATURES_WARMING]
    for loss in inputs["sequence"][(inputs["kind"] == Kind.GAP) & (inputs["values"][:, 0] == Gap.LOST)]:
        assert ((warming > loss) & (warming < loss + 40)).any()
    report = replay(tmp_path / "tape", shelf.load)
    assert report.first_difference is None
    assert report.orders > 0


def test_a_version_warmed_from_the_tape_forgets_at_the_gap_as_the_live_one_did(shelf):
    """Warm or live, the state after a gap is the same to the last bit, and so is what the stage says of it."""
    version = shelf.versions[next(iter(shelf.versions))]
    events = market(60, seed=3)
    day = np.concatenate([events[:100], gap(int(events["ts_event_ns"][99])), events[100:104]])
    live, warmed = alone(version), alone(version)
    verdicts(live, day)
    warmed.warm(day)
    assert warmed.features.dump()["numbers"].tobytes() == live.features.dump()["numbers"].tobytes()
    assert warmed._stage.warmed.tolist() == live._stage.warmed.tolist() == [0, 0]


def test_a_record_of_an_earlier_edition_knows_no_gaps(tmp_path, shelf, monkeypatch):
    """There a feed might not bring one, and a price was as old as its arrival: that replays as it was."""
    monkeypatch.setattr(state, "MANNERS", 1)
    events = market(60, seed=3)
    events["ts_recv_ns"] += 90 * NS_PER_S
    day = np.concatenate([events[:100], gap(int(events["ts_recv_ns"][99])), events[100:]])
    with SmallDesk(tmp_path, shelf=shelf, settings=SETTINGS) as small:
        summary = small.run(day)
    monkeypatch.undo()
    inputs = TapeReader(tmp_path / "tape").read("inputs")
    assert inputs["flags"][inputs["kind"] == Kind.GAP].tolist() == [DenialCode.INPUT_UNKNOWN_KIND]
    assert summary.orders > 0
    assert replay(tmp_path / "tape", shelf.load).first_difference is None


def test_a_program_of_quotes_forgets_lost_quotes_only():
    """The lane that is lost decides what begins anew."""
    program = compile_program({"middle": (quote.bid + quote.ask).mean(3)}, trigger=Kind.QUOTE)
    columns = {name: np.full(6, 10.0 + n) for n, name in enumerate(("bid", "ask", "bid_size", "ask_size"))}
    quotes = events_from_columns(Kind.QUOTE, ETH, START_NS + np.arange(6, dtype=np.int64), columns)
    kept, lost = FeatureState(program, INSTRUMENTS), FeatureState(program, INSTRUMENTS)
    at = START_NS + 3
    _, all_places = kept.many(np.concatenate([quotes[:4], gap(at, kind=Kind.BOOK), quotes[4:]]))
    _, new_places = lost.many(np.concatenate([quotes[:4], gap(at, kind=Kind.QUOTE), quotes[4:]]))
    assert all_places.tolist() == [2, 3, 5, 6]
    assert new_places.tolist() == [2, 3]


def test_gaps_among_features_of_the_small_program_are_seen_by_training(shelf):
    """What a retraining folds over a recorded tape waits after a gap as the live desk did."""
    events = market(100, seed=8)
    at = int(events["ts_event_ns"][99])
    day = np.concatenate([events[:100], gap(at), gap(at, instrument=BTC), events[100:]])
    _, with_gap = FeatureState(small_program(), INSTRUMENTS).many(day)
    _, without = FeatureState(small_program(), INSTRUMENTS).many(events)
    assert len(without) - len(with_gap) >= 20
