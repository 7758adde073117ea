"""What every check of a recorded order measured: the live desk's own numbers, bit for bit, whenever somebody asks."""

from typing import Never

import numpy as np
import pytest

from tradeworthy.core.decisions import Role
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import NotFound
from tradeworthy.core.time import NS_PER_DAY
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.recheck import is_measured, measured_again
from tradeworthy.live.risk.judge import CHECKS
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.record.archive import ArchiveSettings, archive_tape
from tradeworthy.record.checkpoint import checkpoint_paths
from tradeworthy.record.reader import TapeReader
from tradeworthy.record.retention import delete, expired
from tradeworthy.testing.desks import INSTRUMENTS, LIMITS, Shelf, SmallDesk, market

EVENTS = market(240, seed=21)
OFTEN = EngineSettings(stage_in_background=False, checkpoint_every=60)
TIGHT = LIMITS.tightest(type(LIMITS)(order_value_max=1_005.0))


class Noting(Paper):
    """A paper venue that notes what the desk's checks hold at each order that reaches it."""

    def __init__(self) -> None:
        super().__init__(PaperSettings(participation_max=0.05, half_spread_bps=90.0), INSTRUMENTS)
        self.desk, self.noted = None, {}

    def submit(self, orders) -> None:
        """Take the order, and keep the desk's scratch as it is."""
        state = self.desk().state
        place = int(orders["instrument"][-1])
        self.noted[int(orders["decision"][-1])] = state.observed.copy(), state.limits[place].copy()
        super().submit(orders)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Two versions; the bounds of the second are tighter."""
    made = Shelf(tmp_path_factory.mktemp("shelf"))
    made.make(0)
    made.make(1, bounds=TIGHT)
    return made


@pytest.fixture(scope="module")
def lived(tmp_path_factory, shelf):
    """Return a desk's folder and what its venue noted: a shadow, new limits, another champion, and a restart."""
    folder, noted = tmp_path_factory.mktemp("lived"), {}
    for life, part in enumerate(np.array_split(EVENTS, 2)):
        venue = Noting()
        with SmallDesk(folder, shelf=shelf, venue=venue, settings=OFTEN) as small:
            venue.desk = lambda engine=small.engine: engine.desk
            for turn, events in enumerate(np.array_split(part, 3)):
                if (life, turn) == (0, 1):
                    small.control.add_shadow(small.numbers[1])
                    small.limits = LIMITS.tightest(type(LIMITS)(order_quantity_max=40.0))
                    small.control.limits_changed()
                if turn == 2:
                    small.control.set_champion(small.numbers[1 - life])
                small.run(events)
        noted |= venue.noted
    return folder, noted


def decided(folder):
    """Return all decisions of a tape."""
    return TapeReader(folder / "tape").read("decisions")


def test_orders_were_checked_as_the_live_desk_saw_it(lived, shelf):
    """Ten observed values and ten limits of each order sent, to the last bit, over every kind of steering."""
    folder, noted = lived
    reader, made = TapeReader(folder / "tape"), decided(folder)
    sent = made[made["quantity"] != 0.0]
    assert set(sent["version"].tolist()) == set(shelf.versions)
    assert len(sent) == len(noted) > 20
    for decision in sent:
        found = measured_again(reader, shelf.load, decision)
        observed, limits = noted[int(decision["sequence"])]
        assert found.observed.tobytes() == observed.tobytes()
        assert found.limits.tobytes() == limits.tobytes()
        assert found.held.all()


def test_a_refused_order_has_the_numbers_of_its_record(lived, shelf):
    """The check that refused is the first that does not hold, and its two numbers are those on the tape."""
    folder, _ = lived
    reader, made = TapeReader(folder / "tape"), decided(folder)
    refused = [each for each in made if each["verdict"] > DenialCode.REFERENCE_MISSING and is_measured(each)]
    assert refused
    for decision in refused:
        found = measured_again(reader, shelf.load, decision)
        stopped = int(np.argmin(found.held))
        assert CHECKS[stopped].code == decision["verdict"]
        assert found.observed[stopped].tobytes() == decision["observed"].tobytes()
        assert found.limits[stopped].tobytes() == decision["limit"].tobytes()


def test_what_wanted_no_order_was_not_measured(lived):
    """A decision that leaves the position, a shadow's, a halted one and one without features were asked nothing."""
    made = decided(lived[0])
    quiet = made[(made["verdict"] == DenialCode.NONE) & (made["quantity"] == 0.0)]
    shadows, warming = made[made["role"] == Role.SHADOW], made[made["verdict"] == DenialCode.FEATURES_WARMING]
    assert min(len(quiet), len(shadows), len(warming)) > 0
    halted = made[made["quantity"] != 0.0][:1].copy()
    halted["verdict"], halted["quantity"] = DenialCode.HALTED, 0.0
    for decision in (*quiet[:5], *shadows[:5], *warming[:5], *halted):
        assert not is_measured(decision)


def test_a_decision_that_comes_out_otherwise_is_told_nothing_of(lived, shelf):
    """Numbers of another decision are never shown as this one's: one bit of the record is enough."""
    folder, _ = lived
    made = decided(folder)
    other = made[made["quantity"] != 0.0][3].copy()
    other["score"] = np.nextafter(other["score"], 1.0)
    with pytest.raises(NotFound, match="does not come out as recorded"):
        measured_again(TapeReader(folder / "tape"), shelf.load, other)


def test_a_version_that_is_gone_is_named(lived, shelf):
    """Without the bundle that decided there is no telling, and the error says which one is missing."""
    folder, _ = lived

    def nothing(number) -> Never:
        raise NotFound(f"version {number:016x} is not here")

    order = next(each for each in decided(folder) if each["quantity"] != 0.0)
    with pytest.raises(NotFound, match="is not here"):
        measured_again(TapeReader(folder / "tape"), nothing, order)


def test_inputs_that_were_deleted_take_only_what_needs_them(tmp_path, shelf):
    """After retention took a segment, what it held cannot be told, and what begins at a later checkpoint can."""
    for part in np.array_split(EVENTS, 4):
        with SmallDesk(tmp_path, shelf=shelf, settings=OFTEN) as small:
            small.run(part)
    tape, now_ns = tmp_path / "tape", small.clock.now_ns()
    archive_tape(tape, ArchiveSettings(after_s=0.0), clock=small.clock)
    planned = expired(tape, keep_days={"inputs": 1.0}, now_ns=now_ns + 3 * NS_PER_DAY * 400)
    first = [each for each in planned if each.stream == "inputs"][:1]
    delete(tape, first)
    reader, made = TapeReader(tape), decided(tmp_path)
    sent = made[made["quantity"] != 0.0]
    early, late = sent[sent["sequence"] < first[0].last_sequence], sent[-1]
    with pytest.raises(NotFound):
        measured_again(reader, shelf.load, early[-1])
    assert measured_again(reader, shelf.load, late).held.all()


def test_a_long_way_from_the_checkpoint_is_the_same_as_a_short_one(lived, shelf):
    """Checkpoints are a convenience: with the first alone the numbers are the same."""
    folder, noted = lived
    reader, made = TapeReader(folder / "tape"), decided(folder)
    order = made[made["quantity"] != 0.0][-1]
    near = measured_again(reader, shelf.load, order)
    hidden = [(path, path.with_suffix(".away")) for path in checkpoint_paths(reader.folder)[1:]]
    for path, away in hidden:
        path.rename(away)
    try:
        far = measured_again(reader, shelf.load, order)
    finally:
        for path, away in hidden:
            away.rename(path)
    assert far.observed.tobytes() == near.observed.tobytes() == noted[int(order["sequence"])][0].tobytes()
