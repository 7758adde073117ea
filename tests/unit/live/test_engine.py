"""The engine: what goes to the tape in which order, steering, swaps, venues, failures."""

import asyncio
import errno
from collections.abc import AsyncIterator

import numpy as np
import pytest

from tradeworthy.core.decisions import Role
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import NotFound, RecordUnwritable, SettingsInvalid
from tradeworthy.core.events import Kind, Word
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import SystemClock
from tradeworthy.live.control import Scope
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.feeds.replay import ReplayFeed
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.model.version import Signal
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.desks import INSTRUMENTS, LIMITS, Shelf, SmallDesk, market
from tradeworthy.testing.disks import FaultyDisk


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(3):
        shelf.make(seed)
    return shelf


@pytest.fixture(scope="module")
def events():
    return market(150, seed=4)


def desk(tmp_path, shelf, **changes: object):
    return SmallDesk(tmp_path, shelf=shelf, **changes)


def read(small, stream):
    """Return a stream of a desk's tape."""
    return TapeReader(small.folder / "tape").read(stream)


def columns(records, names):
    """Return the bytes of some fields."""
    return [records[name].tobytes() for name in names]


def control_words(small):
    """Return the words of the control events on the tape."""
    inputs = read(small, "inputs")
    return inputs["values"][inputs["kind"] == Kind.CONTROL, 0].astype(int).tolist()


class SilentVenue:
    """A venue that takes orders and never answers."""

    def __init__(self) -> None:
        self.orders, self.cancelled = [], []

    pending = 0

    def submit(self, orders):
        self.orders += [order.copy() for order in orders]

    def cancel(self, order_id):
        self.cancelled.append(order_id)

    def observe(self, event):
        return np.zeros(0, event.dtype)


def test_every_input_is_on_the_tape_in_order(tmp_path, shelf, events):
    """The inputs stream holds the feed's events unchanged, in order, between the engine's own."""
    with desk(tmp_path, shelf) as small:
        summary = small.run(events)
        inputs = read(small, "inputs")
    market_inputs = inputs[np.isin(inputs["kind"], [Kind.BAR])]
    assert summary.events == len(events) == len(market_inputs)
    for name in ("ts_event_ns", "instrument", "kind"):
        assert (market_inputs[name] == events[name]).all()
    assert market_inputs["values"].tobytes() == events["values"].tobytes()


def test_every_traded_bar_has_exactly_one_champion_decision(tmp_path, shelf, events):
    """Decisions and inputs match one to one, and each decision follows its input."""
    with desk(tmp_path, shelf) as small:
        small.run(events)
        inputs, decisions = read(small, "inputs"), read(small, "decisions")
    asked = inputs[(inputs["kind"] == Kind.BAR) & (inputs["instrument"] == 0)]
    assert (decisions["input_sequence"] == asked["sequence"]).all()
    assert (decisions["sequence"] > decisions["input_sequence"]).all()


def test_orders_are_on_the_tape_under_their_decisions_name(tmp_path, shelf, events):
    """An order's id is the sequence of a decision with its quantity, and the record follows it."""
    with desk(tmp_path, shelf) as small:
        summary = small.run(events)
        orders, decisions = read(small, "orders"), read(small, "decisions")
    sent = decisions[decisions["quantity"] != 0.0]
    assert summary.orders == len(orders) == len(sent) > 10
    assert (orders["decision"] == sent["sequence"]).all()
    assert (orders["quantity"] == sent["quantity"]).all()
    assert (orders["sequence"] > orders["decision"]).all()


def test_rows_lead_to_their_decisions(tmp_path, shelf, events):
    """Each scored decision has its feature row and score under its sequence."""
    with desk(tmp_path, shelf) as small:
        small.run(events)
        rows, decisions = read(small, f"rows-{small.numbers[0]:016x}"), read(small, "decisions")
    scored = decisions[np.isfinite(decisions["score"])]
    assert (rows["decision"] == scored["sequence"]).all()
    assert (rows["scores"][:, 0] == scored["score"]).all()
    assert np.isfinite(rows["row"]).all()


def test_fills_come_before_the_event_that_caused_them(tmp_path, shelf, events):
    """An order fills at the open of the next bar: the fill is the input just before that bar."""
    with desk(tmp_path, shelf) as small:
        summary = small.run(events)
        inputs = read(small, "inputs")
    fills = np.flatnonzero(inputs["kind"] == Kind.FILL)
    assert summary.fills == len(fills) > 10
    assert (inputs["kind"][fills + 1] == Kind.BAR).all()
    assert (inputs["ts_event_ns"][fills] == inputs["ts_event_ns"][fills + 1]).all()
    assert (inputs["instrument"][fills + 1] == 0).all()


def test_positions_are_the_sum_of_fills(tmp_path, shelf, events):
    """The desk's position and fees are what the recorded fills add up to."""
    with desk(tmp_path, shelf) as small:
        summary = small.run(events)
        inputs = read(small, "inputs")
    fills = inputs[inputs["kind"] == Kind.FILL]["values"]
    assert summary.positions["ETH"] == pytest.approx(fills[:, 0].sum(), abs=1e-9)
    assert summary.fees == pytest.approx(fills[:, 2].sum())


def test_equity_is_cash_and_position(tmp_path, shelf, events):
    """What the desk says it has earned is what its cash flows and its open position are worth."""
    with desk(tmp_path, shelf) as small:
        summary = small.run(events)
        inputs = read(small, "inputs")
    fills = inputs[inputs["kind"] == Kind.FILL]["values"]
    cash = -(fills[:, 0] * fills[:, 1]).sum() - fills[:, 2].sum()
    last = events["values"][events["instrument"] == 0][-1, 3]
    assert summary.equity == pytest.approx(cash + summary.positions["ETH"] * last)


@pytest.mark.parametrize("batch_max", [1, 5, 300])
def test_batches_do_not_matter(tmp_path, shelf, events, batch_max):
    """However the feed cuts its events, the decisions are the same."""
    with desk(tmp_path / "a", shelf) as small:
        small.run(events, batch_max=batch_max)
        found = read(small, "decisions")
    with desk(tmp_path / "b", shelf) as small:
        small.run(events, batch_max=17)
        expected = read(small, "decisions")
    names = [name for name in found.dtype.names if name not in {"sequence", "crc", "epoch", "input_sequence"}]
    assert columns(found, names) == columns(expected, names)


def test_champion_is_required(tmp_path, shelf):
    """An engine without a champion says what to do."""
    small = desk(tmp_path, shelf)
    small.close()
    (tmp_path / "control").unlink()
    shelf_without = Shelf(tmp_path / "empty")
    shelf_without.versions = {0: next(iter(shelf.versions.values()))}
    with pytest.raises(NotFound, match="promote a version"):
        SmallDesk(tmp_path, shelf=shelf_without)


def test_halt_refuses_the_very_next_event_and_resume_allows(tmp_path, shelf, events):
    """No decision after the halt's record sends anything until the resume."""
    with desk(tmp_path, shelf) as small:
        small.run(events[:100])
        small.control.halt()
        assert small.run(events[100:200]).halted
        small.control.resume()
        assert not small.run(events[200:]).halted
        inputs, decisions = read(small, "inputs"), read(small, "decisions")
    halt, resume = (inputs["sequence"][inputs["values"][:, 0] == word][-1] for word in (Word.HALT, Word.RESUME))
    between = (decisions["input_sequence"] > halt) & (decisions["input_sequence"] < resume)
    assert between.sum() == 50
    assert (decisions["verdict"][between] == DenialCode.HALTED).all()
    assert not (decisions["verdict"][~between] == DenialCode.HALTED).any()


@pytest.mark.parametrize("scope", [Scope.instrument(0), "champion"])
def test_halts_of_one_instrument_or_version(tmp_path, shelf, events, scope):
    """A narrower halt refuses what it covers."""
    with desk(tmp_path, shelf) as small:
        small.control.halt(Scope.version(small.numbers[0]) if scope == "champion" else scope)
        summary = small.run(events)
    assert summary.denied["HALTED"] == 150
    assert summary.orders == 0


def test_halt_of_another_instrument_changes_nothing(tmp_path, shelf, events):
    """Halting BTC leaves ETH alone."""
    with desk(tmp_path, shelf) as small:
        small.control.halt(Scope.instrument(1))
        assert "HALTED" not in small.run(events).denied


def test_halt_cancels_what_rests(tmp_path, shelf, events):
    """Refuse first, cancel second: a resting order is cancelled and counted as a message."""
    venue = SilentVenue()
    with desk(tmp_path, shelf, venue=venue) as small:
        small.run(events[:100])
        resting = [int(order["decision"]) for order in venue.orders]
        small.control.halt()
        summary = small.run(events[100:102])
    assert resting
    assert venue.cancelled == resting
    assert summary.cancels == len(resting)


def test_orders_reach_the_venue_after_the_tape(tmp_path, shelf, events):
    """When the venue sees an order, its record is already there to read."""

    class Checking(SilentVenue):
        def submit(self, orders: np.ndarray) -> None:
            stored = TapeReader(tmp_path / "tape").read("orders")
            self.orders.append(orders.tobytes() == stored[-1:].tobytes())

    venue = Checking()
    with desk(tmp_path, shelf, venue=venue) as small:
        small.run(events)
    assert venue.orders
    assert all(venue.orders)


def test_unanswered_orders_count_as_held(tmp_path, shelf, events):
    """While the venue is silent the desk does not send the same again."""
    venue = SilentVenue()
    with desk(tmp_path, shelf, venue=venue) as small:
        small.run(events)
    held = np.cumsum([order["quantity"] for order in venue.orders])
    assert (np.abs(held) < 10.0).all()
    assert held.min() >= 0.0


def test_shadow_scores_and_never_acts(tmp_path, shelf, events):
    """A shadow writes decisions and rows of its own, from its imagined position; orders are the champion's."""
    with desk(tmp_path, shelf) as small:
        small.control.add_shadow(small.numbers[1])
        summary = small.run(events)
        decisions, orders = read(small, "decisions"), read(small, "orders")
        rows = read(small, f"rows-{small.numbers[1]:016x}")
    shadow = decisions[decisions["role"] == Role.SHADOW]
    assert summary.shadow_decisions == len(shadow) == 150
    assert (shadow["version"] == small.numbers[1]).all()
    assert (shadow["quantity"] == 0.0).all()
    assert (orders["version"] == small.numbers[0]).all()
    assert len(rows) == 130
    assert (shadow["position"][1:] == shadow["target"][:-1]).all()
    assert len(set(shadow["target"])) > 2


def test_shadow_changes_nothing_for_the_champion(tmp_path, shelf, events):
    """The champion's decisions are the same with and without a shadow."""
    found = []
    for place, count in enumerate((0, 2)):
        with desk(tmp_path / str(place), shelf) as small:
            for number in small.numbers[1 : 1 + count]:
                small.control.add_shadow(number)
            small.run(events)
            decisions = read(small, "decisions")
        found.append(columns(decisions[decisions["role"] == Role.CHAMPION], ["score", "target", "quantity", "verdict"]))
    assert found[0] == found[1]


def test_swap_takes_the_next_event_and_rollback_too(tmp_path, shelf, events):
    """A promoted version decides from the next event on, warm, and a rollback gives back the old one at once."""
    with desk(tmp_path, shelf) as small:
        small.run(events[:100])
        small.control.set_champion(small.numbers[1])
        small.run(events[100:200])
        small.control.roll_back()
        summary = small.run(events[200:])
        decisions = read(small, "decisions")
    versions = decisions["version"].tolist()
    assert versions == [small.numbers[0]] * 50 + [small.numbers[1]] * 50 + [small.numbers[0]] * 50
    assert np.isfinite(decisions["score"][50:]).all()
    assert [swap.version for swap in summary.swaps] == [f"{small.numbers[place]:016x}" for place in (1, 0)]
    assert summary.champion == f"{small.numbers[0]:016x}"
    assert summary.previous == f"{small.numbers[1]:016x}"


def test_version_that_comes_in_is_warm_as_if_it_had_been_there(tmp_path, shelf, events):
    """Its scores are those of a shadow that saw every event."""
    with desk(tmp_path / "a", shelf) as small:
        small.control.add_shadow(small.numbers[1])
        small.run(events)
        decisions = read(small, "decisions")
        shadow = decisions[decisions["role"] == Role.SHADOW]
    with desk(tmp_path / "b", shelf) as small:
        small.run(events[:200])
        small.control.set_champion(small.numbers[1])
        small.run(events[200:])
        joined = read(small, "decisions")[-50:]
    assert joined["score"].tobytes() == shadow["score"][-50:].tobytes()


def test_version_that_cannot_be_loaded_leaves_the_old_one(tmp_path, shelf, events):
    """An unknown version is reported and the champion keeps serving every event."""
    with desk(tmp_path, shelf) as small:
        small.control.set_champion(12345)
        summary = small.run(events)
    assert summary.decisions == 150
    assert summary.champion == f"{small.numbers[0]:016x}"
    assert "NotFound" in summary.refused_versions[f"{12345:016x}"]


def test_refused_version_is_tried_again_when_asked_again(tmp_path, shelf, events):
    """Taking the wish back and asking again loads anew, so a repaired bundle gets in."""
    with desk(tmp_path, shelf) as small:
        number, version = small.numbers[1], shelf.versions[small.numbers[1]]
        del shelf.versions[number]
        try:
            small.control.set_champion(number)
            assert small.run(events[:20]).refused_versions
        finally:
            shelf.versions[number] = version
        small.control.roll_back()
        small.run(events[20:40])
        small.control.set_champion(number)
        assert small.run(events[40:60]).champion == f"{number:016x}"


def test_wrong_version_from_the_registry_is_refused(tmp_path, shelf, events):
    """A loader that answers with another version does not get it in."""
    with desk(tmp_path, shelf) as small:
        shelf.versions[777] = shelf.versions[small.numbers[1]]
        try:
            small.control.set_champion(777)
            summary = small.run(events[:20])
        finally:
            del shelf.versions[777]
    assert "BundleRefused" in summary.refused_versions[f"{777:016x}"]


def test_background_staging_lets_in_between_events(tmp_path, shelf, events):
    """Loading in a thread takes a while, during which the old champion decides; no event is without a decision."""
    with desk(tmp_path, shelf, settings=EngineSettings(stage_in_background=True)) as small:
        small.run(events[:100])
        small.control.set_champion(small.numbers[1])
        for place in range(100, 300, 2):
            small.run(events[place : place + 2])
            small.engine._staging.wait(small.numbers[1])
        decisions = read(small, "decisions")
    assert len(decisions) == 150
    versions = decisions["version"]
    change = int(np.argmax(versions == small.numbers[1]))
    assert 50 <= change < 60
    assert (versions[change:] == small.numbers[1]).all()


def test_limits_follow_the_desk_and_the_bounds(tmp_path, shelf, events):
    """The tighter of desk limit and validated bound holds, and a change is recorded as a control event."""
    bounded = shelf.make(50, bounds=LIMITS.tightest(Limits(order_value_max=700.0)))
    try:
        with desk(tmp_path, shelf) as small:
            small.control.set_champion(bounded.number)
            small.run(events[:100])
            limits = small.engine.desk.state.limits[0]
            assert limits[1] == 700.0
            small.limits = Limits(order_value_max=600.0)
            small.control.limits_changed()
            small.run(events[100:110])
            assert limits[1] == 600.0
            assert control_words(small).count(Word.LIMIT + 1) == 2
    finally:
        del shelf.versions[bounded.number]


def test_repeated_orders_latch_until_a_person_resumes(tmp_path, shelf, events):
    """An order rejected again and again switches the strategy off; only the resume switches it on."""
    impossible = Paper(PaperSettings(half_spread_bps=5_000.0), INSTRUMENTS)
    with desk(tmp_path, shelf, venue=impossible) as small:
        summary = small.run(events[:200])
        assert summary.denied["REPEATED_EXECUTION"] > 10
        assert summary.orders == summary.rejects == 8
        assert summary.halted
        small.control.resume()
        assert small.run(events[200:]).orders > 8


def test_input_refusals_are_on_the_tape(tmp_path, shelf, events):
    """The flags of a refused input hold its code; the decision it asked for says the same."""
    bad = events.copy()
    bad["values"][101, 3] = np.nan
    with desk(tmp_path, shelf) as small:
        summary = small.run(bad)
        inputs, decisions = read(small, "inputs"), read(small, "decisions")
    refused = inputs[inputs["flags"] != 0]
    assert refused["flags"].tolist() == [DenialCode.INPUT_NOT_FINITE]
    decided = decisions[decisions["input_sequence"] == refused["sequence"]]
    assert decided["verdict"].tolist() == [DenialCode.INPUT_NOT_FINITE]
    assert summary.denied["INPUT_NOT_FINITE"] == 1
    assert summary.decisions == 150


def test_checkpoints_come_as_set(tmp_path, shelf, events):
    """The whole state is kept every so many events, at the start and at the end."""
    with desk(tmp_path, shelf, settings=EngineSettings(checkpoint_every=100, stage_in_background=False)) as small:
        small.run(events, batch_max=10)
        assert small.engine.counters.checkpoints == 4


def test_full_disk_stops_trading_and_records_the_halt(tmp_path, shelf, events):
    """When the tape fails the engine refuses, cancels, records the halt in the reserve and raises."""
    disk, venue = FaultyDisk(), SilentVenue()
    small = desk(tmp_path, shelf, disk=disk, venue=venue)
    small.run(events[:100])
    resting = [int(order["decision"]) for order in venue.orders]
    disk.fail("pwrite", errno.ENOSPC)
    with pytest.raises(RecordUnwritable):
        small.run(events[100:])
    disk.heal()
    assert venue.cancelled == resting
    assert len(venue.orders) == len(resting)
    assert small.control.view().scopes == {Scope.everything()}
    assert small.engine.summary().halted


def test_live_clock_and_idle_steering(tmp_path, shelf, events):
    """On the machine's clock decisions stand after receipt, and a halt is noticed while no event comes."""
    settings = EngineSettings(stage_in_background=False, steer_every_ms=1.0)
    small = desk(tmp_path, shelf, clock=SystemClock(), settings=settings)

    class Pausing(ReplayFeed):
        async def events(self) -> AsyncIterator[np.ndarray]:
            async for batch in super().events():
                yield batch
            small.control.halt()
            while not small.engine.desk.scopes:  # noqa: ASYNC110  # nobody sets an event
                await asyncio.sleep(0.001)

    asyncio.run(small.engine.run(Pausing(events[:60], clock=SystemClock(), batch_max=7)))
    inputs, decisions = read(small, "inputs"), read(small, "decisions")
    small.close()
    assert inputs["values"][-1, 0] == Word.HALT
    received = inputs["ts_recv_ns"][np.searchsorted(inputs["sequence"], decisions["input_sequence"])]
    assert (decisions["ts_decided_ns"] >= received).all()


def test_stop_ends_after_the_batch_in_hand(tmp_path, shelf, events):
    """A stopped engine leaves no event half consumed."""
    with desk(tmp_path, shelf) as small:
        small.engine.stop()
        summary = small.run(events, batch_max=50)
    assert (summary.events, summary.decisions) == (50, 25)


def test_short_version_sells_what_it_does_not_have(tmp_path, shelf, events):
    """A version that may be short takes positions on both sides."""
    signal = Signal(enter_long=0.55, exit_long=0.5, enter_short=0.45, exit_short=0.5, allow_short=True)
    version = shelf.make(60, signal=signal)
    try:
        with desk(tmp_path, shelf) as small:
            small.control.set_champion(version.number)
            small.run(events)
            targets = read(small, "decisions")["target"]
    finally:
        del shelf.versions[version.number]
    assert targets.max() > 0 > targets.min()


@pytest.mark.parametrize("name", ["run_events_max", "checkpoint_every", "steer_every_ms"])
def test_settings_that_cannot_turn_are_refused(name):
    """A loop needs positive numbers."""
    with pytest.raises(SettingsInvalid, match=name):
        EngineSettings(**{name: 0})
