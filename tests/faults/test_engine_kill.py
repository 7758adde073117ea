"""FAULTS 17, 18, 19: the engine killed at any write comes back: nothing lost, doubled, or sent again.

Each life is a fork, killed by SIGKILL before or in the middle of its n-th write to the tape; the step stands in the
test's name.
"""

import os
import signal

import numpy as np
import pytest

from tradeworthy.core.decisions import ORDER, Role
from tradeworthy.core.events import Kind, Word
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.reconcile import NEVER_SENT, NOT_AT_VENUE
from tradeworthy.live.replay import replay
from tradeworthy.live.venues.paper import Paper, PaperSettings
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.desks import INSTRUMENTS, Shelf, SmallDesk, market
from tradeworthy.testing.disks import DeadlyDisk

EVENTS = market(80, seed=15)
SETTINGS = EngineSettings(stage_in_background=False, checkpoint_every=40)


def deadly(step, *, torn=False):
    """Return a disk that kills the process at its n-th write, before it or halfway through it."""
    return DeadlyDisk(step - 1, half=torn)


class Logging(Paper):
    """A paper venue that tells a file, as a real one would know, which orders it was sent."""

    def __init__(self, path) -> None:
        super().__init__(PaperSettings(), INSTRUMENTS)
        self._path = path

    def submit(self, orders):
        with self._path.open("a") as log:
            log.writelines(f"{int(order['decision'])}\n" for order in orders)
        super().submit(orders)

    def restore(self, orders):
        Paper.submit(self, orders)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    for seed in range(2):
        shelf.make(seed)
    with SmallDesk(tmp_path_factory.mktemp("warm"), shelf=shelf) as small:  # kernels are compiled before the forks
        small.control.add_shadow(small.numbers[1])
        small.run(EVENTS[:80])
    return shelf


def live(folder, shelf, disk=None):
    """Live one life: go on with the events that the tape does not have yet. Return the exit status of its process."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        venue = Logging(folder / "venue.log")
        with SmallDesk(folder, shelf=shelf, disk=disk, venue=venue, settings=SETTINGS) as small:
            inputs = TapeReader(folder / "tape").read("inputs")
            seen = int((inputs["kind"] == Kind.BAR).sum())
            small.control.add_shadow(small.numbers[1])
            small.run(EVENTS[seen:], batch_max=11)
        code = 0
    except BaseException as error:  # noqa: BLE001  # a child never returns into the test runner
        os.write(2, f"{error!r}\n".encode())
    finally:
        os._exit(code)


def check(folder, shelf):
    """Hold the finished record to the promises."""
    reader = TapeReader(folder / "tape")
    inputs, decisions, orders = (reader.read(name) for name in ("inputs", "decisions", "orders"))
    bars = inputs[inputs["kind"] == Kind.BAR]
    assert (bars["ts_event_ns"] == EVENTS["ts_event_ns"]).all()
    assert (bars["instrument"] == EVENTS["instrument"]).all()
    asked = bars["sequence"][bars["instrument"] == 0]
    for role in (Role.CHAMPION, Role.SHADOW):
        made = decisions[decisions["role"] == role]["input_sequence"]
        assert len(np.unique(made)) == len(made), "a decision was doubled"
        if role == Role.CHAMPION:
            assert (np.sort(made) == asked).all(), "a decision is missing"
    sent = [int(line) for line in (folder / "venue.log").read_text().split()]
    assert len(set(sent)) == len(sent), "an order was sent twice"
    assert set(sent) <= set(orders["decision"].tolist()), "an order was sent that is not on the tape"
    fills = inputs[(inputs["kind"] == Kind.FILL) & (inputs["flags"] == 0)]
    assert len(np.unique(fills["reference"])) == len(fills)
    late = decisions[decisions["flags"] == 1]
    assert (late["quantity"] == 0.0).all()
    report = replay(folder / "tape", shelf.load)
    assert report.first_difference is None
    return report


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("step", [*range(30, 130, 6), 131, 163, 197, 229])
def test_killed_at_any_write_the_desk_comes_back(tmp_path, shelf, step, torn):
    """After a kill at any step every event has one decision, no order is doubled, and replay finds no difference."""
    first = live(tmp_path, shelf, deadly(step, torn=torn))
    assert first in (-signal.SIGKILL, 0)
    assert live(tmp_path, shelf) == 0
    check(tmp_path, shelf)


def test_rows_that_waited_are_written_by_the_next_start(tmp_path, shelf):
    """Rows wait for the tape; those of many runs that a kill keeps from it are made again, in order."""
    assert live(tmp_path, shelf, deadly(110)) == -signal.SIGKILL
    reader, names = TapeReader(tmp_path / "tape"), [f"rows-{number:016x}" for number in list(shelf.versions)[:2]]
    before = sum(len(reader.read(name)) for name in names if name in reader.streams())
    scored = np.isfinite(reader.read("decisions")["score"]).sum()
    assert before < scored - 11
    with SmallDesk(tmp_path, shelf=shelf, venue=Logging(tmp_path / "venue.log"), settings=SETTINGS):
        pass
    decisions = reader.read("decisions")
    for name, number in zip(names, shelf.versions, strict=False):
        made = decisions[(decisions["version"] == number) & np.isfinite(decisions["score"])]
        assert reader.read(name)["decision"].tolist() == made["sequence"].tolist()
    assert replay(tmp_path / "tape", shelf.load).identical


def test_killed_again_and_again(tmp_path, shelf):
    """Many short lives make the same record as one long one would promise."""
    lives = 0
    while live(tmp_path, shelf, deadly(55 + 7 * lives, torn=lives % 2 == 1)) != 0:
        lives += 1
        assert lives < 60
    assert lives > 2
    check(tmp_path, shelf)
    inputs = TapeReader(tmp_path / "tape").read("inputs")
    assert (inputs["values"][:, 0] == Word.STARTED).sum() > 2


def resting_desk(folder, shelf, venue):
    """Run until an order rests at a venue that never answers, then die."""
    pid = os.fork()
    if not pid:
        small = SmallDesk(folder, shelf=shelf, venue=venue, settings=SETTINGS)
        small.run(EVENTS)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


class Mute:
    """A venue that never answers, and knows some orders."""

    pending = 0

    def __init__(self, known=()) -> None:
        self.known, self.sent = known, []

    def submit(self, orders):
        self.sent += orders["decision"].tolist()

    def cancel(self, order_id):
        pass

    def observe(self, event):
        return np.zeros(0, event.dtype)


class Knowing(Mute):
    """A venue that can say which orders are open."""

    def open_orders(self):
        orders = np.zeros(len(self.known), ORDER)
        orders["decision"] = self.known
        return orders


def test_order_in_doubt_stays_in_flight_and_is_never_sent_again(tmp_path, shelf):
    """A venue that can tell nothing leaves the order counted against every limit."""
    resting_desk(tmp_path, shelf, Mute())
    venue = Mute()
    small = SmallDesk(tmp_path, shelf=shelf, venue=venue, settings=SETTINGS)
    resting = int(TapeReader(tmp_path / "tape").read("orders")["decision"][-1])
    assert small.engine.summary().open_orders >= 1
    assert resting in small.engine.desk.state.orders["order"]
    assert venue.sent == []
    small.close()


@pytest.mark.parametrize("knows", [True, False])
def test_venue_that_lists_orders_is_believed(tmp_path, shelf, knows):
    """An order that the venue knows stays; one that it does not know is closed with a recorded reject."""
    resting_desk(tmp_path, shelf, Mute())
    orders = TapeReader(tmp_path / "tape").read("orders")["decision"].tolist()
    small = SmallDesk(tmp_path, shelf=shelf, venue=Knowing(orders if knows else ()), settings=SETTINGS)
    open_orders = small.engine.summary().open_orders
    small.close()
    inputs = TapeReader(tmp_path / "tape").read("inputs")
    rejects = inputs[inputs["kind"] == Kind.REJECT]
    assert (open_orders > 0) == knows
    assert (len(rejects) == 0) == knows
    assert set(rejects["values"][:, 0]) <= {NOT_AT_VENUE}
    assert replay(tmp_path / "tape", shelf.load).identical


def test_order_that_never_left_is_closed(tmp_path, shelf):
    """A decision approved in the instant of the kill, without an order record, becomes a recorded reject."""
    for step in range(50, 120):
        folder = tmp_path / str(step)
        if live(folder, shelf, deadly(step)) == 0:
            continue
        live(folder, shelf)
        inputs = TapeReader(folder / "tape").read("inputs")
        if (inputs["values"][inputs["kind"] == Kind.REJECT, 0] == NEVER_SENT).any():
            check(folder, shelf)
            return
    pytest.fail("no step fell between a decision and its order")
