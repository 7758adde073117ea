"""Twice the busiest load: the peak that is found, the arrivals that are made, the queue that is computed, and a run."""

import numpy as np
import pytest

from tradeworthy.change.evidence.stress import WARM_UP, Bench, StressReport, arrivals_of, peak_of, queued, stress
from tradeworthy.core.errors import DataInvalid
from tradeworthy.core.time import NS_PER_DAY, NS_PER_S
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.venues.paper import PaperSettings
from tradeworthy.record.reader import TapeReader
from tradeworthy.testing.desks import INSTRUMENTS, LIMITS, SmallDesk, market

NONE = np.zeros(0, np.int64)


def seconds(*moments: float):
    """Return moments as nanoseconds."""
    return np.array([int(each * NS_PER_S) for each in moments], np.int64)


@pytest.mark.parametrize(
    ("received", "sent", "found"),
    [
        (seconds(0, 0.2, 0.999, 1.0), NONE, (3, 0)),  # the second's end belongs to the next
        (seconds(3, 0, 2, 1), NONE, (1, 0)),  # in any order
        (seconds(5, 5, 5, 5), seconds(0, 30, 59.9, 60), (4, 3)),
        (NONE, NONE, (0, 0)),
    ],
)
def test_the_peak_is_the_busiest_second_and_minute(received, sent, found):
    """Messages within any second, orders within any minute."""
    peak = peak_of(received, sent)
    assert (peak.messages_per_s, peak.orders_per_minute) == found


def test_what_is_older_than_six_months_is_no_peak():
    """A burst of last year does not count."""
    old, late = seconds(0, 0, 0), np.array([200 * NS_PER_DAY], np.int64)
    assert peak_of(np.concatenate([old, late]), old).messages_per_s == 1
    assert peak_of(np.concatenate([old, late]), old).orders_per_minute == 0


def test_arrivals_are_the_busiest_seconds_pattern_over_and_over():
    """Three messages at 0, 0.2 and 0.8 of a second come again in half of that time, every half second."""
    received = np.concatenate([seconds(10, 20), seconds(30, 30.2, 30.8)])
    found = arrivals_of(received, 7, 2.0) / NS_PER_S
    assert found.tolist() == pytest.approx([0.0, 0.1, 0.4, 0.5, 0.6, 0.9, 1.0])


def test_arrivals_ascend_and_are_twice_as_dense():
    """For any record, and any number of events."""
    rng = np.random.default_rng(1)
    received = np.sort(rng.integers(0, 100 * NS_PER_S, 1_000))
    found = arrivals_of(received, 5_000, 2.0)
    assert (np.diff(found) >= 0).all()
    assert peak_of(found, NONE).messages_per_s >= 2 * peak_of(received, NONE).messages_per_s


def plain_queue(arrivals, services):
    """Serve one after another, as one would by hand."""
    free, took, most = 0, [], 0
    for place, (arrival, service) in enumerate(zip(arrivals, services, strict=True)):
        begin = max(free, arrival)
        most = max(most, sum(begin >= other for other in arrivals[place + 1 :]))
        free = begin + service
        took.append(free - arrival)
    return took, most


@pytest.mark.parametrize("seed", range(5))
def test_the_queue_is_that_of_serving_one_after_another(seed):
    """The formula and a loop agree, busy or idle."""
    rng = np.random.default_rng(seed)
    arrivals = np.sort(rng.integers(0, 1_000, 60)).astype(np.int64)
    services = rng.integers(1, 30, 60).astype(np.int64)
    took, most = queued(arrivals, services)
    assert (took.tolist(), most) == plain_queue(arrivals.tolist(), services.tolist())


def test_an_idle_server_makes_nobody_wait():
    """Each takes its own time where the next comes after it."""
    took, most = queued(seconds(0, 1, 2), seconds(0.5, 0.25, 0.75))
    assert took.tolist() == seconds(0.5, 0.25, 0.75).tolist()
    assert most == 0


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A desk that has traded, and what it is loaded on."""
    folder = tmp_path_factory.mktemp("desk")
    with SmallDesk(folder) as small:
        small.run(market(300, seed=3))
        version = small.shelf.load(small.numbers[0])
    reader = TapeReader(folder / "tape")
    bench = Bench(instruments=INSTRUMENTS, limits=LIMITS, engine=EngineSettings(), paper=PaperSettings())
    return version, reader.read("inputs"), reader.read("orders"), bench


def test_a_version_is_driven_at_twice_the_peak_and_drops_nothing(desk):
    """Two bars a second were the most: four come, every one is decided and on a tape that replays."""
    version, inputs, orders, bench = desk
    report = stress(version, inputs, orders, bench)
    assert (report.peak.messages_per_s, report.driven.messages_per_s) == (2, 4)
    assert report.driven.orders_per_minute >= 2 * report.peak.orders_per_minute
    assert (report.events, report.decisions, report.dropped, report.identical) == (600, 300, 0, True)
    assert 0.0 < report.us_p50 <= report.us_p99 <= report.us_max
    assert report.version == version.digest


def test_two_runs_decide_the_same(desk):
    """What it takes differs; what it is given, sends and decides does not."""
    first, second = stress(*desk), stress(*desk)
    names = ("peak", "driven", "events", "decisions", "dropped", "identical")
    assert [getattr(first, name) for name in names] == [getattr(second, name) for name in names]


def test_more_than_a_desk_can_bear_makes_a_queue(desk):
    """A million times the peak cannot be served as it comes."""
    report = stress(*desk, factor=1e6)
    assert report.queue_max > 300
    assert report.headroom < 1.0


@pytest.mark.parametrize("factor", [0.5, 0.0, -2.0, float("nan")])
def test_a_factor_that_eases_the_load_is_refused(desk, factor):
    """That would be no stress."""
    with pytest.raises(DataInvalid, match="allowed is 1 or more"):
        stress(*desk, factor=factor)


def test_a_record_that_is_too_short_is_refused(desk):
    """The first events are not measured; a record of no more than those shows nothing."""
    version, inputs, orders, bench = desk
    with pytest.raises(DataInvalid, match=f"needs more than {WARM_UP}"):
        stress(version, inputs[:100], orders, bench)


@pytest.mark.parametrize(
    ("changed", "ok"),
    [({}, True), ({"dropped": 1}, False), ({"identical": False}, False), ({"us_max": 1_000_001.0}, False)],
)
def test_bearing_it_means_nothing_lost_and_never_a_second_behind(changed, ok):
    """Each condition alone fails the run."""
    peak = peak_of(seconds(0), NONE)
    figures = {
        "version": "v", "factor": 2.0, "peak": peak, "driven": peak, "events": 9, "decisions": 9, "dropped": 0,
        "identical": True, "us_p50": 1.0, "us_p99": 2.0, "us_max": 3.0, "queue_max": 0, "headroom": 9.0,
    }  # fmt: skip
    assert StressReport(**(figures | changed)).ok is ok
