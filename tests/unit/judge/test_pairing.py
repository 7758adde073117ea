"""Rows find their decisions, whichever stream is read first."""

import numpy as np
import pytest
from tape_slices import STEP_NS, VERSION, bars, decisions_on, rows_of

from tradeworthy.core.decisions import ORDER
from tradeworthy.judge.monitor.joins.pairing import RowPairing


@pytest.fixture
def streams():
    """Return five decisions and their rows."""
    decisions = decisions_on(bars([1.0] * 5), 0.5)
    return decisions, rows_of(decisions, np.arange(10.0).reshape(5, 2))


@pytest.mark.parametrize("rows_first", [False, True])
def test_rows_get_the_time_of_their_decision(streams, rows_first):
    """In either order of reading, each row is paired with its own decision."""
    pairing = RowPairing(VERSION, 2)
    for records in streams[::-1] if rows_first else streams:
        pairing.add(records)
    heads, rows = pairing.take()
    assert heads["ts_event_ns"].tolist() == [STEP_NS * (i + 1) for i in range(5)]
    np.testing.assert_array_equal(rows, np.arange(10.0).reshape(5, 2))
    assert len(pairing.take()[0]) == 0


def test_rows_are_copied_only_where_some_have_no_decision_yet(streams):
    """All rows paired are the very records; what waits over a slice's end, and what comes beside it, is copied."""
    decisions, rows = streams
    pairing = RowPairing(VERSION, 2)
    pairing.add(decisions[:3])
    assert np.shares_memory(pairing.pair(rows[:2])[1], rows)
    heads, paired = pairing.pair(rows[2:])
    assert heads["sequence"].tolist() == decisions["sequence"][2:3].tolist()
    assert not np.shares_memory(paired, rows)
    rows["row"][3:] = -1.0  # the tape's memory may be another's by then
    heads, paired = pairing.pair(decisions[3:])
    assert heads["sequence"].tolist() == decisions["sequence"][3:].tolist()
    np.testing.assert_array_equal(paired, [[6.0, 7.0], [8.0, 9.0]])


def test_a_row_waits_for_its_decision(streams):
    """A row read before its decision comes out once the decision is read."""
    decisions, rows = streams
    pairing = RowPairing(VERSION, 2)
    pairing.add(rows)
    pairing.add(decisions[:3])
    assert len(pairing.take()[0]) == 3
    pairing.add(decisions[3:])
    assert pairing.take()[0]["sequence"].tolist() == decisions["sequence"][3:].tolist()


def test_rows_of_another_version_are_dropped(streams):
    """A row whose decision was made by another version is neither paired nor kept."""
    decisions, rows = streams
    pairing = RowPairing(VERSION + 1, 2)
    pairing.add(rows)
    pairing.add(decisions)
    assert len(pairing.take()[0]) == 0
    assert len(pairing.state()["rows"]) == 0


def test_decisions_without_a_row_do_not_pile_up(streams):
    """Once a later row is paired, earlier decisions are forgotten."""
    decisions, rows = streams
    pairing = RowPairing(VERSION, 2)
    pairing.add(decisions)
    pairing.add(rows[3:4])
    pairing.take()
    assert pairing.state()["decisions"]["sequence"].tolist() == [decisions["sequence"][4]]


def test_records_of_other_streams_are_left(streams):
    """Orders, rows of another width and empty slices change nothing."""
    pairing = RowPairing(VERSION, 3)
    pairing.add(np.zeros(2, ORDER))
    pairing.add(streams[1])
    pairing.add(streams[0][:0])
    heads, rows = pairing.take()
    assert (len(heads), rows.shape) == (0, (0, 3))


def test_what_waits_survives_a_restart(streams):
    """A restored pairing completes what the first one had waiting."""
    decisions, rows = streams
    first, second = RowPairing(VERSION, 2), RowPairing(VERSION, 2)
    first.add(rows[:2])
    first.add(decisions[:1])
    second.restore(first.state())
    second.add(decisions[1:])
    assert second.take()[0]["sequence"].tolist() == decisions["sequence"][:2].tolist()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("step", [1, 9, 200])
def test_pairs_are_what_a_dictionary_says(seed, step):
    """However streams are cut, whichever comes first, and across restarts: each row of the version, once, in order."""
    rng, n = np.random.default_rng(seed), 200
    decisions = decisions_on(bars(np.ones(n)), 0.5)
    decisions["version"], decisions["instrument"] = VERSION + (rng.random(n) < 0.3), rng.integers(0, 3, n)
    rows = rows_of(decisions, rng.standard_normal((n, 3)))
    rows["decision"][rng.random(n) < 0.1] += 1  # of nothing on the tape
    rows["row"][rng.random((n, 3)) < 0.1] = np.nan
    rows, decided = rows[rng.random(n) < 0.8], decisions[rng.random(n) < 0.8]
    lagging = np.searchsorted(rows["sequence"], decided["sequence"][::step])
    pairing, heads, values = RowPairing(VERSION, 3), [], []
    for turn, upto in enumerate([*lagging[1:], len(rows)]):
        parts = [decided[turn * step : (turn + 1) * step], rows[lagging[turn] : upto], rows[:0], decided[:0]]
        for part in parts[:: -1 if turn % 2 else 1]:
            found = pairing.pair(part)
            heads.append(found[0].copy())
            values.append(found[1].copy())
        state, pairing = pairing.state(), RowPairing(VERSION, 3)
        pairing.restore(state)
    own = {int(each["sequence"]): each for each in decided if each["version"] == VERSION}
    expected = [(own[int(row["decision"])], row["row"]) for row in rows if int(row["decision"]) in own]
    found, pairs = np.concatenate(heads), np.concatenate(values)
    assert len(expected) > 20
    assert found["sequence"].tolist() == [int(head["sequence"]) for head, _ in expected]
    assert found["instrument"].tolist() == [int(head["instrument"]) for head, _ in expected]
    assert found["ts_event_ns"].tolist() == [int(head["ts_event_ns"]) for head, _ in expected]
    np.testing.assert_array_equal(pairs, np.array([row for _, row in expected]))
