"""History from files, arrays and the tape, joined without doubles."""

import numpy as np
import pytest
from change_desk import INSTRUMENTS, START_NS, market

from tradeworthy.change.train.dataset import events_digest
from tradeworthy.change.train.history import ArrayHistory, FileHistory, TapeHistory, read_history
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import DataInvalid, NotFound
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.core.time import VirtualClock
from tradeworthy.live.feeds.files import MarketFile
from tradeworthy.record.tape import TapeWriter


@pytest.fixture
def array(tmp_path):
    """The first 60 of 100 bars as an array file."""
    np.save(tmp_path / "events.npy", market(100)[:60])
    return ArrayHistory(path=str(tmp_path / "events.npy"))


def tape(folder, events):
    """Record events on a new tape."""
    with TapeWriter.open(folder, clock=VirtualClock(START_NS), segment_bytes=1 << 20) as writer:
        writer.stream("inputs", events.dtype).append(events)
    return TapeHistory(folder=str(folder))


def test_the_tape_goes_on_where_the_files_end(tmp_path, array):
    """Overlapping sources give each event once, in order, as one history would."""
    recorded = tape(tmp_path / "tape", market(100)[40:])
    joined = read_history([array, recorded], INSTRUMENTS)
    assert events_digest(joined) == events_digest(market(100))
    assert (joined["sequence"] == 0).all()


def test_only_market_events_of_the_tape_are_history(tmp_path):
    """Fills and control changes are no market data; refused events were never seen by the features."""
    events = market(10)
    events["kind"][3] = Kind.FILL
    events["flags"][5] = DenialCode.INPUT_JUMP
    found = read_history([tape(tmp_path / "tape", events)], INSTRUMENTS)
    assert len(found) == 8


def test_a_retraining_reads_up_to_its_sequence(tmp_path):
    """What was recorded after the start of a retraining is not learnt from."""
    recorded = tape(tmp_path / "tape", market(50))
    part = TapeHistory(folder=recorded.folder, first_sequence=11, last_sequence=30)
    assert len(read_history([part], INSTRUMENTS)) == 20


def test_wider_events_join_narrow_ones(tmp_path, array):
    """A desk that came to carry more values reads its older events too."""
    wide = np.zeros(40, event_dtype(8))
    narrow = market(100)[60:]
    for name in ("ts_event_ns", "instrument", "kind"):
        wide[name] = narrow[name]
    wide["values"][:, :5] = narrow["values"]
    found = read_history([array, tape(tmp_path / "tape", wide)], INSTRUMENTS)
    assert found["values"].shape == (100, 8)
    assert np.isnan(found["values"][:60, 5:]).all()


def test_market_files_end_where_training_ends(tmp_path):
    """Files are cut at the end of the training part."""
    lines = ["time,open,high,low,close,volume"]
    lines += [f"2020-01-01 0{hour}:00:00,10,11,9,10,1" for hour in range(6)]
    (tmp_path / "eth.csv").write_text("\n".join(lines))
    file = MarketFile(instrument="ETH", path="eth.csv", period="1h", bar_time="close", time_zone="UTC")
    whole = read_history([FileHistory(folder=str(tmp_path), files=[file])], INSTRUMENTS)
    until = int(whole["ts_event_ns"][3])
    part = read_history([FileHistory(folder=str(tmp_path), files=[file], until_ns=until)], INSTRUMENTS)
    assert (len(whole), len(part)) == (6, 4)


def test_no_events_are_refused(tmp_path):
    """An empty history is an error, not an empty model."""
    np.save(tmp_path / "none.npy", market(5)[:0])
    with pytest.raises(DataInvalid, match="history is empty in 1 sources"):
        read_history([ArrayHistory(path=str(tmp_path / "none.npy"))], INSTRUMENTS)
    with pytest.raises(DataInvalid, match="history is empty in 0 sources"):
        read_history([], INSTRUMENTS)


def test_what_is_not_there_is_named(tmp_path):
    """A missing array and a missing tape say so."""
    with pytest.raises(NotFound, match="no events at"):
        read_history([ArrayHistory(path=str(tmp_path / "none.npy"))], INSTRUMENTS)
    with pytest.raises(NotFound, match="no tape"):
        read_history([TapeHistory(folder=str(tmp_path / "tape"))], INSTRUMENTS)


def test_another_array_is_refused(tmp_path):
    """Only event records are history."""
    np.save(tmp_path / "numbers.npy", np.zeros(3))
    with pytest.raises(DataInvalid, match="allowed is a list of event records"):
        read_history([ArrayHistory(path=str(tmp_path / "numbers.npy"))], INSTRUMENTS)
