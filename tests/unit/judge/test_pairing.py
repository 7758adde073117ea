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
