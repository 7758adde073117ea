"""What monitors share: findings are told once, states survive in a file."""

import numpy as np
import pytest

from tradeworthy.core.decisions import DECISION, ORDER, row_dtype
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.events import event_dtype
from tradeworthy.core.findings import Finding
from tradeworthy.judge.monitor.base import (
    FindingQueue,
    are_decisions,
    are_events,
    are_rows,
    load_states,
    save_states,
)


def finding(sequence):
    """Return a finding raised at this record."""
    return Finding(
        monitor="m",
        subject="s",
        kind="data_drift",
        sequence=sequence,
        ts_event_ns=2,
        since_ns=1,
        observed=1.0,
        reference=0.0,
        unit="u",
        statistic=2.0,
        threshold=1.0,
        false_alarms_per_10k=1.0,
        sentence="It moved.",
    )


def test_each_stream_is_known_by_its_record_type():
    """Decisions, events of any width and rows of any width are told apart; orders are none of them."""
    kinds = {
        "decision": np.zeros(1, DECISION),
        "event": np.zeros(1, event_dtype(9)),
        "row": np.zeros(1, row_dtype(3, 1)),
        "order": np.zeros(1, ORDER),
    }
    found = {name: (are_decisions(r), are_events(r), are_rows(r)) for name, r in kinds.items()}
    assert found == {
        "decision": (True, False, False),
        "event": (False, True, False),
        "row": (False, False, True),
        "order": (False, False, False),
    }


def test_findings_are_taken_once_in_order_of_their_records():
    """A queue gives its findings sorted, and then has none."""
    queue = FindingQueue()
    queue.put(finding(9))
    queue.put(finding(3))
    assert [f.sequence for f in queue.take()] == [3, 9]
    assert queue.take() == []


def test_waiting_findings_survive_as_bytes():
    """What waits before a restart waits after it."""
    queue, again = FindingQueue(), FindingQueue()
    queue.put(finding(3))
    again.from_array(queue.to_array())
    assert again.take() == queue.take()


def test_states_come_back_from_their_file(tmp_path):
    """Every array of every monitor reads back the same, structured ones too."""
    states = {
        "drift": {"sums": np.arange(6.0).reshape(2, 3), "waiting": np.zeros(2, DECISION)},
        "other": {"empty": np.empty((0, 4)), "text": np.frombuffer(b"{}", np.uint8)},
    }
    save_states(tmp_path / "states.npz", states)
    again = load_states(tmp_path / "states.npz")
    assert {n: set(s) for n, s in again.items()} == {n: set(s) for n, s in states.items()}
    for name, state in states.items():
        for key, array in state.items():
            assert again[name][key].dtype == array.dtype
            assert again[name][key].tobytes() == array.tobytes()


def test_a_state_file_is_replaced_whole(tmp_path):
    """The newer states replace the older ones, and no half-written file is left."""
    for value in (1.0, 2.0):
        save_states(tmp_path / "states.npz", {"m": {"x": np.array([value])}})
    assert load_states(tmp_path / "states.npz")["m"]["x"][0] == 2.0
    assert [path.name for path in tmp_path.iterdir()] == ["states.npz"]


def test_no_file_is_no_states(tmp_path):
    """A first start has nothing to go on from."""
    assert load_states(tmp_path / "states.npz") == {}


@pytest.mark.parametrize("garbage", [b"not a state", b"PK\x03\x04 cut off", b""])
def test_a_damaged_file_is_named(tmp_path, garbage):
    """A file that holds something else is refused with its name and what to do."""
    (tmp_path / "states.npz").write_bytes(garbage)
    with pytest.raises(DataInvalid, match=r"states\.npz holds no monitor states"):
        load_states(tmp_path / "states.npz")
