"""Each monitor on the page: nearest to an alarm first, with its limit's rate, its delay, its path and its findings."""

import msgspec
import pytest
from cases_sample import case_page
from page_visitors import visiting
from small_project import at

from tradeworthy.apps.dashboard.monitors import HEARS, monitor_now, monitor_view, monitors_table
from tradeworthy.change.watch.sight import SIGHT, MonitorSight, Series, Sight
from tradeworthy.judge.monitor.control_charts.calibration import Operating
from tradeworthy.judge.monitor.standing import MonitorSettings


def point(name, *, delay=120.0, watched=True):
    """Return what a chart can be expected to do."""
    return Operating(
        name=name,
        kind="level",
        watched=watched,
        devolatilised=False,
        order=1,
        block=10.0,
        slow=0.0,
        allowance=0.1,
        limit_up=5.0,
        limit_down=5.0,
        shift_seen_sd=0.25,
        delay_events=delay,
    )


def monitor(name="drift", paths=(("spread", [0.1, 0.5]),), points=(), rate=1.0):
    """Return what a monitor sees."""
    series = [Series(subject=subject, instrument="ETH", shares=list(shares)) for subject, shares in paths]
    return MonitorSight(monitor=name, false_alarms_per_10k=rate, operating=list(points), series=series)


def sight(*monitors: MonitorSight, moments=2):
    """Return the sight of monitors."""
    return Sight(version="ab" * 8, ts_ns=[10**18 + place * 10**12 for place in range(moments)], monitors=list(monitors))


def test_the_page_says_of_every_monitor_what_it_hears():
    """Each that a deployment may run has its sentence, and no other."""
    assert set(HEARS) == set(MonitorSettings().rates)


def test_the_one_nearest_to_an_alarm_comes_first():
    """By the newest share of its limit, not by its name or an older peak."""
    near = monitor("range", paths=[("volume", [0.1, 0.8])])
    text = monitors_table(sight(monitor(paths=[("spread", [0.99, 0.5])]), near, monitor("fairness", paths=[])), [])
    places = [text.index(f">{name}</a>") for name in ("range", "drift", "fairness")]
    assert places == sorted(places)
    assert "volume, ETH" in text
    assert "looks by windows" in text
    assert text.count("<svg") == 2
    assert "style=" not in text


def test_rate_delay_and_findings_stand_beside_it():
    """The rate as it was asked for, the middle of the charts' delays, and how many findings of any case."""
    points = [point("a", delay=100.0), point("b", delay=300.0), point("c", delay=None), point("d", watched=False)]
    text = monitors_table(sight(monitor(points=points, rate=0.5)), [case_page().case])
    for cell in (">0.5<", ">200<", ">1<", ">0.50<"):
        assert cell in text, cell
    assert "not known yet" in monitors_table(sight(monitor()), [])


def test_charts_of_rates_tell_their_delay_by_their_series():
    """The middle of those that know what is usual, and each beside its series; one that still learns says nothing."""
    waits = {"stuck": 20.0, "late": 60.0, "gap": None}
    series = [
        Series(subject=name, instrument="ETH", shares=[0.1, 0.2], delay_events=wait) for name, wait in waits.items()
    ]
    inputs = MonitorSight(monitor="inputs", false_alarms_per_10k=0.2, operating=[], series=series)
    assert ">40<" in monitors_table(sight(inputs), [])
    page = monitor_view(sight(inputs), inputs, [])
    assert ">20<" in page
    assert ">60<" in page


@pytest.mark.parametrize("nothing", [None, sight()])
def test_no_monitor_at_work_says_how_to_start(nothing):
    """Without a watcher, and with one that has no champion to watch."""
    assert "tradeworthy run" in monitors_table(nothing, [])


def test_the_page_of_a_monitor_draws_the_nearest_and_folds_the_rest():
    """Five are drawn, twelve listed at once, all behind a line; what is not watched is named."""
    paths = [(f"feature {place}", [0.0, place / 20]) for place in range(15)]
    own = monitor(paths=paths, points=[point("feature 14"), point("clock", watched=False)])
    text = monitor_view(sight(own), own, [case_page().case])
    assert text.count('class="curve line') == 5
    assert "All 15 series" in text
    assert text.index("feature 14, ETH") < text.index("feature 3, ETH")
    assert "no chart can judge a clockwork: clock." in text
    assert "It keeps 1 chart against training." in text
    assert "spread has moved up." in text
    assert text.count("hx-trigger") == 1


def test_a_path_with_holes_or_without_points_is_drawn_or_said():
    """Unknown values leave a gap; a single moment is no path."""
    own = monitor(paths=[("a", [None, 0.5]), ("b", [None, None])])
    assert "<svg" in monitor_now(sight(own), own)
    early = monitor(paths=[("a", [0.5])])
    assert "no statistic to draw yet" in monitor_now(sight(early, moments=1), early)
    windows = monitor("fairness", paths=[], rate=None)
    text = monitor_view(sight(windows), windows, [])
    assert "looks by windows" in text
    assert "No rate of false alarms" in text
    assert "Nothing yet" in text


def test_hostile_names_are_text():
    """A feature called as a script is shown."""
    own = monitor(paths=[("<script>alert(1)</script>", [0.1, 0.2])])
    assert "<script>" not in monitor_view(sight(own), own, [])
    assert "<script>" not in monitors_table(sight(own), [])


def test_a_monitor_is_visited(tmp_path):
    """Its page and its live part answer; one that is not at work is not found, the nearest name offered."""
    project = at("promoted", tmp_path)
    with visiting(project, "tom") as client:
        assert client.get("/watch/monitors/drift").status_code == 404
        project.places.watcher.mkdir(parents=True, exist_ok=True)
        (project.places.watcher / SIGHT).write_bytes(msgspec.json.encode(sight(monitor())))
        assert "spread, ETH" in client.get("/watch").text
        assert client.get("/watch/monitors/drift").text.count("<h1>") == 1
        assert client.get("/watch/monitors/drift/now").text.startswith('<div id="monitor"')
        missing = client.get("/watch/monitors/drfit")
    assert missing.status_code == 404
    assert "near: " in missing.text
