"""A first look at a long tape: the newest part is read, and what the desk had before is what reading it all gives."""

import numpy as np
import pytest
from page_visitors import visiting
from small_project import at

from tradeworthy.apps.admin import deployment
from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.dashboard.beginning import RECORDS_MIN, Beginning
from tradeworthy.apps.dashboard.curves import Curves
from tradeworthy.apps.dashboard.following import Follower
from tradeworthy.core.instruments import Instrument
from tradeworthy.record.checkpoint import checkpoint_paths
from tradeworthy.record.reader import TapeReader

ALL = 1 << 60


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """A project that has traded, with a checkpoint every hundred events."""
    project = at("promoted", tmp_path_factory.mktemp("long"))
    settings = project.folder / "tradeworthy.toml"
    settings.write_text(f"{settings.read_text('utf-8')}\n[engine]\ncheckpoint_every = 100\n", "utf-8")
    project = Project(project.folder)
    project.run(watch=False)
    assert len(checkpoint_paths(project.places.tape)) > 4
    return project


def places(project):
    """Return numbers of records to read, from hardly any to half of all."""
    last = TapeReader(project.places.tape).last_sequence()
    return [1, last // 4, last // 2]


def curves_of(project, beginning):
    """Return a desk's curves read from there on."""
    curves, reader = Curves(project.settings.instrument), TapeReader(project.places.tape)
    curves.begin(beginning)
    curves.take(reader.read("inputs", after=beginning.after))
    curves.take_decisions(reader.read("decisions", after=beginning.after))
    return curves


def test_what_the_desk_has_does_not_depend_on_where_reading_began(traded):
    """Profit, fees, positions and the last decisions are those of the whole tape; counts are of what was read."""
    whole = Follower(traded, records_min=ALL).frame()
    assert whole.since == ""
    for wanted in places(traded):
        follower = Follower(traded, records_min=wanted)
        part = follower.frame()
        assert follower.beginning.after > 0
        assert TapeReader(traded.places.tape).last_sequence() - follower.beginning.after >= wanted
        assert part.pnl_after_costs == pytest.approx(whole.pnl_after_costs, abs=1e-8)
        assert part.fees == pytest.approx(whole.fees, abs=1e-8)
        assert part.positions == pytest.approx(whole.positions)
        assert part.event_time == whole.event_time
        assert 0 < part.decisions < whole.decisions
        assert whole.latest[: len(part.latest)] == part.latest
        assert part.since > "2020"


def test_the_curve_of_equity_goes_on_where_the_checkpoint_left_it(traded):
    """From its beginning on each point is that of the whole curve, and so is the highest equity of all."""
    instruments, tape = traded.settings.instrument, traded.places.tape
    whole = curves_of(traded, Beginning.nothing(instruments))
    for wanted in places(traded):
        part = curves_of(traded, Beginning.of(tape, instruments, wanted))
        count = part.equity.ts_ns.size
        assert 0 < count < whole.equity.ts_ns.size
        assert np.array_equal(part.equity.ts_ns, whole.equity.ts_ns[-count:])
        np.testing.assert_allclose(part.equity.values, whole.equity.values[-count:], atol=1e-8)
        assert part.peak == pytest.approx(whole.peak, abs=1e-8)
        assert part.wanted[0].sequences.tolist() == whole.wanted[0].sequences[-part.wanted[0].sequences.size :].tolist()


def test_a_checkpoint_is_taken_only_if_enough_comes_after_it(traded):
    """Of a tape as short as a first look all is read; so is one whose checkpoints are gone, or of other instruments."""
    instruments, tape = traded.settings.instrument, traded.places.tape
    assert Beginning.of(tape, instruments, RECORDS_MIN).after == 0
    assert Beginning.of(tape, [*instruments, Instrument(symbol="NEW")], 1).after == 0
    assert Beginning.of(tape / "nothing", instruments, 1).after == 0
    hidden = [(path, path.with_suffix(".away")) for path in checkpoint_paths(tape)]
    for path, away in hidden:
        path.rename(away)
    try:
        assert Beginning.of(tape, instruments, 1).after == 0
    finally:
        for path, away in hidden:
            away.rename(path)


def test_a_follower_reads_each_record_once_wherever_it_began(traded):
    """A second look adds nothing, and what the first one began with is as it was."""
    follower = Follower(traded, records_min=1)
    first = follower.frame()
    cash = follower.beginning.cash.copy()
    again = follower.frame()
    assert (again.decisions, again.pnl_after_costs) == (first.decisions, first.pnl_after_costs)
    assert np.array_equal(follower.beginning.cash, cash)


def test_the_page_says_since_when_it_counts(traded, monkeypatch):
    """Figures that are counted name the moment; profit, which is of the whole tape, does not."""
    part = Follower(traded, records_min=1).frame()
    monkeypatch.setattr(deployment, "Follower", lambda project: Follower(project, records_min=1))
    with visiting(traded, "rita") as client:
        text = client.get("/").text
    assert text.count(f"since {part.since[:16].replace('T', ' ')}") == 2
    assert f"{part.decisions:,}</strong>" in text
