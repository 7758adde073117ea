"""Recorded inputs through the path again: answers settle in place, orders get names, verdicts are told."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tradeworthy.core.decisions import ORDER
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind, Word, event_dtype
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.inbox import Inbox, set_flags
from tradeworthy.live.playback import Playback, inputs_after, restored_desk
from tradeworthy.live.replay import first_checkpoint, replay
from tradeworthy.live.rerun import is_answer
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.desks import INSTRUMENTS, Shelf, SmallDesk, market


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(2):
        shelf.make(seed)
    return shelf


def playback_of(folder, load):
    """Return a playback from a tape's first checkpoint, and its inputs."""
    reader = TapeReader(folder / "tape")
    desk, after = restored_desk(reader, load, first_checkpoint(reader.folder))
    return Playback(reader, desk, load, after), inputs_after(reader, after)


def logistic(rows):
    """Return a fitted logistic regression as ONNX."""
    labels = rows[:, 0] > np.median(rows[:, 0])
    return Onnx.from_sklearn(LogisticRegression().fit(rows / rows.std(axis=0), labels), rows.shape[1])


@pytest.fixture
def traded(tmp_path, shelf):
    """Return a folder in which a desk traded at a venue that fills orders in parts and rejects some."""
    venue = Paper(PaperSettings(participation_max=0.05, half_spread_bps=90.0), INSTRUMENTS)
    with SmallDesk(tmp_path, shelf=shelf, venue=venue) as small:
        small.control.add_shadow(small.numbers[1])
        summary = small.run(market(300, seed=5))
    assert summary.orders > 20
    assert summary.fills > 0
    return small


def test_a_stretch_goes_on_over_its_orders(traded, shelf):
    """Hundreds of events with many orders replay in a few stretches, each with all its orders."""
    playback, inputs = playback_of(traded.folder, shelf.load)
    champion = playback.desk.config
    made = [(each.pipeline.number, each.decisions.size, each.orders.copy()) for each in playback.play(inputs)]
    assert champion.room >= 600
    assert len(made) <= 2 * (1 + int((inputs["kind"] == Kind.CONTROL).sum()))
    orders = np.concatenate([orders for number, _, orders in made if number == traded.numbers[0]])
    stored = TapeReader(traded.folder / "tape").read("orders")
    for name in ("decision", "quantity", "limit_price", "reference_price", "ts_sent_ns"):
        assert orders[name].tobytes() == stored[name].tobytes()
    assert not sum(orders.size for number, _, orders in made if number == traded.numbers[1])


def test_the_desk_stands_where_the_engine_left_it(traded, shelf):
    """Positions, open orders, messages and refusals after a replay are those of the live run, byte for byte."""
    playback, inputs = playback_of(traded.folder, shelf.load)
    for _ in playback.play(inputs):
        pass
    live, again = traded.engine.desk.dump(), playback.desk.dump()
    for name in ("desk/positions", "desk/account", "desk/orders", "desk/sent", "desk/denials", "desk/lanes"):
        assert live[name].tobytes() == again[name].tobytes(), name
    assert playback.misjudged == []


def test_replay_of_partial_fills_and_rejects_is_identical(traded, shelf):
    """Nothing is lost by deciding a stretch at once."""
    report = replay(traded.folder / "tape", shelf.load)
    assert report.first_difference is None
    assert report.orders > 20


@pytest.mark.parametrize("flag", [DenialCode.INPUT_JUMP, DenialCode.NONE])
def test_an_input_judged_otherwise_is_told(tmp_path, shelf, flag):
    """An input refused on the record and admitted here, or the reverse, is a difference in words."""
    events = market(40, seed=3)
    events["values"][61, 3] = np.nan
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.run(events)
    playback, inputs = playback_of(tmp_path, shelf.load)
    changed = inputs.copy()
    bars = np.flatnonzero(inputs["kind"] == Kind.BAR)
    place = bars[10] if flag else bars[np.flatnonzero(inputs["flags"][bars])[0]]
    changed["flags"][place] = flag
    for _ in playback.play(changed):
        pass
    assert playback.misjudged[0].startswith(f"input {inputs['sequence'][place]}: {flag.name} on the tape")


def test_an_onnx_model_replays_as_it_decided(tmp_path):
    """A predictor outside the kernels is scored a stretch at a time, and gives the bits of one row at a time."""
    shelf = Shelf(tmp_path / "shelf")

    shelf.make(0, predictor=logistic)
    with SmallDesk(tmp_path, shelf=shelf) as small:
        summary = small.run(market(120, seed=4))
    report = replay(tmp_path / "tape", shelf.load)
    assert report.first_difference is None
    assert (report.decisions, report.orders) == (120, summary.orders)


def test_a_late_stretch_sends_nothing(tmp_path, shelf):
    """Decisions marked late on the tape are made again as late ones: halted, and without an order."""
    with SmallDesk(tmp_path, shelf=shelf, settings=EngineSettings(stage_in_background=False)) as small:
        small.run(market(80, seed=5))
    playback, inputs = playback_of(tmp_path, shelf.load)
    late = playback.recorded._replace(late=np.ones_like(playback.recorded.late))
    playback.recorded = late
    made = [(each.decisions["verdict"].copy(), each.orders.size) for each in playback.play(inputs)]
    verdicts = np.concatenate([verdict for verdict, _ in made])
    assert set(verdicts) == {DenialCode.HALTED}
    assert not sum(orders for _, orders in made)


@pytest.mark.parametrize(
    ("kind", "flags", "expected"),
    [
        (Kind.FILL, DenialCode.NONE, True),
        (Kind.REJECT, DenialCode.INPUT_DUPLICATE, True),
        (Kind.FILL, DenialCode.INPUT_UNKNOWN_KIND, False),
        (Kind.CONTROL, DenialCode.NONE, False),
        (Kind.BAR, DenialCode.INPUT_NOT_AN_ANSWER, False),
        (Kind.TRADE, DenialCode.NONE, False),
    ],
)
def test_what_counts_as_an_answer(kind, flags, expected):
    """Fills and rejects that the engine took as answers, and nothing that a feed sent."""
    inbox = Inbox(1, 5)
    inbox.records["kind"] = kind
    set_flags(inbox.words, 0, int(flags))
    assert is_answer(inbox.words, 0) is expected


def test_words_that_steer_end_a_stretch(tmp_path, shelf):
    """A control event is applied between what came before it and what came after."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.run(market(30, seed=6))
        small.control.halt()
        small.run(market(60, seed=6)[60:])
    playback, inputs = playback_of(tmp_path, shelf.load)
    halts = inputs["sequence"][(inputs["kind"] == Kind.CONTROL) & (inputs["values"][:, 0] == Word.HALT)]
    spans = [each.decisions["input_sequence"][[0, -1]].copy() for each in playback.play(inputs) if each.decisions.size]
    assert len(halts) == 1
    assert not any(first < halts[0] < last for first, last in spans)


def test_orders_keep_their_record_type(traded, shelf):
    """What replay gives as orders can be compared with the tape byte for byte."""
    playback, inputs = playback_of(traded.folder, shelf.load)
    assert all(each.orders.dtype == ORDER for each in playback.play(inputs))
    assert inputs.dtype == event_dtype()
