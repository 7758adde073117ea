"""A stored record gives the same bytes again: twice, after restarts, in another process; and a changed one does not."""

import os
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import Kind, event_dtype
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import SystemClock
from tradeworthy.live.control import Scope
from tradeworthy.live.desk import Desk, control_event, desk_config
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.feeds.simulated import Regime, SimulatedSettings, simulate
from tradeworthy.live.replay import replay
from tradeworthy.live.state import CheckSettings
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.desks import INSTRUMENTS, LIMITS, Shelf, SmallDesk, market

QUICK = EngineSettings(stage_in_background=False, checkpoint_every=60)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(3):
        shelf.make(seed)
    return shelf


def steered_run(folder, shelf, settings=QUICK):
    """Run a desk through everything that people can do to it."""
    events = market(200, seed=8)
    events["values"][131, 3] = np.nan
    with SmallDesk(folder, shelf=shelf, settings=settings) as small:
        control, (a, b, c) = small.control, small.numbers[:3]
        actions = [
            lambda: control.add_shadow(b),
            lambda: control.set_champion(b),
            control.roll_back,
            control.halt,
            control.resume,
            lambda: control.set_champion(c),
            lambda: control.halt(Scope.version(c)),
            lambda: control.resume(Scope.version(c)),
            lambda: control.add_shadow(a),
            control.limits_changed,
        ]
        for place, action in enumerate(actions):
            small.run(events[place * 40 : place * 40 + 40], batch_max=13)
            if place == 8:
                small.limits = Limits(order_value_max=600.0, drawdown_value_max=20.0)
            action()
    return small


def stream_bytes(folder):
    """Return every stream's records, frame aside."""
    reader = TapeReader(folder / "tape")
    return {
        name: reader.read(name).view(np.uint8).reshape(-1, dtype.itemsize)[:, 16:].tobytes()
        for name, dtype in reader.streams().items()
    }


def test_replay_of_a_steered_run_is_identical(tmp_path, shelf):
    """Swaps, rollbacks, halts, limits, shadows, refused inputs: every decision, row and order comes out again."""
    steered_run(tmp_path, shelf)
    report = replay(tmp_path / "tape", shelf.load)
    assert report.first_difference is None
    assert report.identical
    assert report.fingerprint_same
    assert report.decisions > 230
    assert report.rows > 200
    assert report.orders > 10


def test_replaying_twice_gives_the_same_report(tmp_path, shelf):
    """Replay leaves no trace."""
    steered_run(tmp_path, shelf)
    assert replay(tmp_path / "tape", shelf.load) == replay(tmp_path / "tape", shelf.load)


def test_two_runs_write_the_same_bytes(tmp_path, shelf):
    """The same events, actions and clock: the same tape, record for record."""
    for name in ("a", "b"):
        steered_run(tmp_path / name, shelf)
    assert stream_bytes(tmp_path / "a") == stream_bytes(tmp_path / "b")


def test_a_slow_machine_writes_the_same_bytes(tmp_path, shelf):
    """On a virtual clock nothing on the tape depends on how often the engine looks up in the machine's time."""
    hurried = msgspec.structs.replace(QUICK, steer_every_ms=1e-3)
    for name, settings in (("seldom", QUICK), ("often", hurried)):
        steered_run(tmp_path / name, shelf, settings)
    assert stream_bytes(tmp_path / "seldom") == stream_bytes(tmp_path / "often")


def test_replay_goes_through_restarts(tmp_path, shelf):
    """Several runs on one tape, the second with other settings, are one record."""
    events = market(120, seed=9)
    changed = EngineSettings(stage_in_background=False, checks=CheckSettings(limit_price_bps=50.0))
    for place, settings in enumerate((QUICK, changed, QUICK)):
        with SmallDesk(tmp_path, shelf=shelf, settings=settings) as small:
            small.control.add_shadow(small.numbers[1])
            small.run(events[place * 80 : place * 80 + 80])
    report = replay(tmp_path / "tape", shelf.load)
    assert report.first_difference is None
    assert report.decisions == 240


def test_restart_changes_nothing(tmp_path, shelf):
    """A run that was interrupted decides as one that was not."""
    events = market(120, seed=9)
    with SmallDesk(tmp_path / "whole", shelf=shelf, settings=QUICK) as small:
        whole = small.run(events)
    for part in (events[:100], events[100:]):
        with SmallDesk(tmp_path / "parts", shelf=shelf, settings=QUICK) as small:
            parts = small.run(part)
    decisions = [TapeReader(tmp_path / name / "tape").read("decisions") for name in ("whole", "parts")]
    for name in ("score", "target", "position", "quantity", "verdict", "ts_decided_ns"):
        assert decisions[0][name].tobytes() == decisions[1][name].tobytes()
    assert parts.equity == whole.equity
    assert parts.positions == whole.positions


def test_replay_on_the_machines_clock(tmp_path, shelf):
    """Decision times come from the record, so a run in real time replays as well."""
    with SmallDesk(tmp_path, shelf=shelf, clock=SystemClock(), settings=QUICK) as small:
        small.run(market(100, seed=3), batch_max=9)
    report = replay(tmp_path / "tape", shelf.load)
    assert report.first_difference is None
    assert report.decisions == 100


def test_replay_of_a_simulated_market_with_dirty_data(tmp_path, shelf):
    """Gaps, stale and crossed quotes, fills at quotes: whatever was consumed gives the same decisions."""
    settings = SimulatedSettings(regimes=(Regime(bars=150, volatility_bps=60.0), Regime(bars=100, drift_bps=-5.0)))
    events = simulate(settings, INSTRUMENTS, np.random.default_rng(11)).events
    venue = Paper(PaperSettings(fill_on=("quote",)), INSTRUMENTS)
    with SmallDesk(tmp_path, shelf=shelf, venue=venue, settings=QUICK) as small:
        small.run(events)
    report = replay(tmp_path / "tape", shelf.load)
    assert report.first_difference is None
    assert report.decisions > 100


def test_replay_in_another_process(tmp_path, shelf):
    """A fresh interpreter, which knows nothing but the folder, finds no difference."""
    steered_run(tmp_path, shelf)
    script = (
        "import sys; from pathlib import Path\n"
        "from tradeworthy.live.replay import replay\n"
        "from tradeworthy.model.version import TrustStore, load_version\n"
        "shelf = Path(sys.argv[2]); trust = TrustStore(shelf / 'trust')\n"
        "versions = [load_version(path.parent, trust) for path in shelf.glob('*/manifest.json')]\n"
        "report = replay(Path(sys.argv[1]), {v.number: v for v in versions}.__getitem__)\n"
        "print(report.decisions, report.differences)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "tape"), str(shelf.folder)],
        check=True, capture_output=True, text=True, env=dict(os.environ),
    )  # fmt: skip
    here = replay(tmp_path / "tape", shelf.load)
    assert found.stdout.split() == [str(here.decisions), "0"]


def test_replay_with_another_model_names_the_difference(tmp_path, shelf):
    """If a version did not give what the tape says, the first difference is told with both values."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.run(market(60, seed=3))
        number = small.numbers[0]
    impostor = Shelf(tmp_path / "other")
    fake = impostor.make(77)
    object.__setattr__(fake, "number", number)
    report = replay(tmp_path / "tape", lambda _: fake)
    assert not report.identical
    assert "decision of" in report.first_difference
    assert "score is" in report.first_difference


def test_replay_needs_a_checkpoint(tmp_path, shelf):
    """A tape without a checkpoint was not written by an engine."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.run(market(10))
    for path in (tmp_path / "tape" / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(NotFound, match="no checkpoint"):
        replay(tmp_path / "tape", shelf.load)


def test_replay_tells_its_progress(tmp_path, shelf):
    """Long replays can be watched."""
    with SmallDesk(tmp_path, shelf=shelf) as small:
        small.run(market(60, seed=3))
    told = []
    report = replay(tmp_path / "tape", shelf.load, tell=lambda done, total: told.append((done, total)))
    assert told[-1][1] == report.inputs
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_desk_state_survives_a_checkpoint_bit_for_bit(tmp_path, shelf):
    """Dump, restore, dump: the same arrays."""
    small = steered_run(tmp_path, shelf)
    desk = small.engine.desk
    copy = Desk(desk.config)
    copy.restore(desk.dump(), shelf.load)
    first, second = desk.dump(), copy.dump()
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.tobytes() == second[name].tobytes(), name


def test_unknown_answers_are_recorded_and_change_nothing(shelf):
    """A fill for no order of ours has its refusal in its flags, and the position stays."""
    desk = Desk(desk_config(INSTRUMENTS, CheckSettings(), 0, 16))
    foreign = np.zeros(20, event_dtype())
    foreign["kind"], foreign["reference"], foreign["values"][:, :3] = Kind.FILL, 99, (1.0, 300.0, 0.1)
    assert desk.settle(foreign) == 0
    assert foreign["flags"].all()
    assert desk.state.positions["quantity"][0] == 0.0


def test_limits_stay_with_their_words():
    """Each limit's control event sets that limit."""
    desk = Desk(desk_config(INSTRUMENTS, CheckSettings(), 0, 16))
    for place, value in enumerate(LIMITS.as_array()):
        desk.apply(control_event(5, 100 + place, 1, value=value)[0], lambda _: None)
    assert all(row.tobytes() == LIMITS.as_array().tobytes() for row in desk.state.limits)
