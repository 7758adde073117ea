"""What monitors see: their paths are kept, thinned without losing a peak, and read back after a restart."""

import math

import pytest
from change_desk import Recorder, desk, market
from change_watching import watch_job

from tradeworthy.change.watch.sight import POINTS_MAX, SIGHT, SightKeeper, halved, read_sight
from tradeworthy.change.watch.watcher import Watcher
from tradeworthy.core.decisions import Role
from tradeworthy.core.time import NS_PER_S, SystemClock, VirtualClock
from tradeworthy.judge.monitor.gauges import Gauge
from tradeworthy.judge.monitor.standing import MonitorSettings


class Showing:
    """A monitor whose evidence a test sets."""

    def __init__(self, **shares: float) -> None:
        self.shares = shares

    def gauges(self):
        """Return the evidence, and a figure that is none."""
        evidence = [Gauge(family="evidence", subject=name, value=value) for name, value in self.shares.items()]
        return [*evidence, Gauge(family="value", subject="accuracy", value=0.5)]


class Keeping:
    """A keeper with a clock and a monitor of its own."""

    def __init__(self, folder) -> None:
        self.folder, self.clock, self.monitor, self.ts_ns = folder, VirtualClock(1), Showing(a=0.0), 0
        self.keeper = SightKeeper(folder, lambda _: MonitorSettings(), clock=self.clock)

    def look(self, version="v", **shares: float):
        """Take a point a second later."""
        self.monitor.shares = shares
        self.ts_ns += 1
        self.clock.advance_to(self.clock.now_ns() + NS_PER_S)
        self.keeper.look(version, self.ts_ns, {"drift": self.monitor})

    def read(self):
        """Write, and return what was read: the moments, and paths by subject."""
        self.keeper.write({"drift": self.monitor, "silent": object()})
        sight = read_sight(self.folder)
        return sight, {each.subject: each.shares for each in sight.monitors[0].series}


@pytest.fixture
def keeping(tmp_path):
    """A keeper in an empty folder."""
    return Keeping(tmp_path)


def test_paths_have_a_value_a_moment(keeping):
    """A subject that is new was not known before; one that is gone, or not a number, is not known now."""
    keeping.look(a=0.12345)
    keeping.look(a=math.nan, b=0.5)
    keeping.look(b=math.inf)
    sight, paths = keeping.read()
    assert sight.ts_ns == [1, 2, 3]
    assert paths == {"a": [0.1235, None, None], "b": [None, 0.5, None]}
    assert [each.monitor for each in sight.monitors] == ["drift", "silent"]
    assert sight.monitors[0].false_alarms_per_10k == MonitorSettings().drift.false_alarms_per_10k
    assert sight.monitors[1].false_alarms_per_10k is None


def test_looks_that_come_too_soon_or_without_news_add_nothing(keeping):
    """A point is due a fifth of a second after the last, and only if the market has moved on."""
    keeping.look(a=0.1)
    keeping.keeper.look("v", 99, {"drift": keeping.monitor})
    keeping.clock.advance_to(keeping.clock.now_ns() + NS_PER_S)
    keeping.keeper.look("v", 1, {"drift": keeping.monitor})
    assert keeping.read()[0].ts_ns == [1]


def test_another_version_begins_new_paths(keeping):
    """What was seen of one champion is not drawn for the next."""
    keeping.look(a=0.9)
    keeping.look(version="w", b=0.1)
    sight, paths = keeping.read()
    assert sight.version == "w"
    assert paths == {"b": [0.1]}


def test_a_long_path_is_thinned_and_keeps_its_peak(keeping):
    """However long it runs, there are at most so many points; the highest and the newest stay."""
    for place in range(5 * POINTS_MAX):
        keeping.look(a=0.97 if place == 333 else 0.3)
    keeping.look(a=0.4)
    sight, paths = keeping.read()
    assert POINTS_MAX / 2 <= len(sight.ts_ns) <= POINTS_MAX
    assert len(paths["a"]) == len(sight.ts_ns)
    assert sight.ts_ns == sorted(set(sight.ts_ns))
    assert max(paths["a"]) == 0.97
    assert (sight.ts_ns[-1], paths["a"][-1]) == (5 * POINTS_MAX + 1, 0.4)


@pytest.mark.parametrize(
    ("shares", "kept"),
    [
        ([], []),
        ([0.5], [0.5]),
        ([0.1, 0.2], [0.2]),
        ([0.9, 0.1, 0.2], [0.9, 0.2]),
        ([None, None, 0.1], [None, 0.1]),
    ],
)
def test_of_two_points_the_higher_is_kept(shares, kept):
    """Counted from the end; two unknown ones are unknown."""
    assert halved(shares) == kept


def test_a_keeper_that_starts_again_goes_on(keeping):
    """The file holds all that it needs."""
    keeping.look(a=0.1)
    keeping.read()
    again = Keeping(keeping.folder)
    again.ts_ns = keeping.ts_ns
    again.look(a=0.2)
    assert again.read()[1] == {"a": [0.1, 0.2]}


@pytest.mark.parametrize("found", [b"", b"{", b'{"version": 1}', b"[]", b'{"version": "\xff"}', b"[" * 100_000])
def test_a_file_that_cannot_be_read_is_none(tmp_path, found):
    """A file of another edition, or a torn one, is made again."""
    (tmp_path / SIGHT).write_bytes(found)
    assert read_sight(tmp_path) is None
    assert Keeping(tmp_path).read()[0].ts_ns == []


def test_the_watcher_writes_what_its_monitors_see(tmp_path):
    """Drift has its charts with what each can be expected to do, and a path for each of them."""
    home = desk(tmp_path / "desk")
    digest = home.champion()
    champion = home.registry.load(digest)
    Recorder(home.folder / "tape", {champion: Role.CHAMPION}).record(market(600, seed=9))
    watcher = Watcher(watch_job(home), clock=SystemClock())
    watcher.step()
    watcher.close()
    sight = read_sight(home.folder / "watcher")
    by_name = {each.monitor: each for each in sight.monitors}
    drift = by_name["drift"]
    assert sight.version == digest[:16]
    assert {each.subject for each in drift.series} == {point.name for point in drift.operating}
    assert all(len(each.shares) == len(sight.ts_ns) == 1 for each in drift.series)
    assert any(point.watched and point.delay_events for point in drift.operating)
    assert by_name["performance"].operating
    assert by_name["inputs"].operating == []
    faults = {each.subject: each.delay_events for each in by_name["inputs"].series}
    assert faults["ETH bar malformed"] > 1.0
    assert faults["ETH bar stuck"] is None, "600 bars are too few to learn what is usual"
    assert all(each.delay_events is not None for each in by_name["range"].series)
    home.close()
