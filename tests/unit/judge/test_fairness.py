"""Fairness by group agrees with the published definitions, worked out here from counts in another way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tape_slices import STEP_NS, VERSION, bars, decisions_on, rows_of

from tradeworthy.core.events import Kind
from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR
from tradeworthy.judge.monitor.fairness import GroupCounts, count_groups, fairness_table, rates_of
from tradeworthy.judge.monitor.group_fairness import FairnessMonitor, FairnessSettings
from tradeworthy.judge.monitor.grouping import Columns, Grouping, Known, Trained
from tradeworthy.judge.monitor.joins.asked import AskedAt
from tradeworthy.judge.monitor.joins.outcomes import JOINED
from tradeworthy.testing.monitors import check_monitor, run

NAMES = ["a", "b", "c"]


def by_hand(groups, selected, labels):
    """Return selection rates, true and false positive rates by group, from the definitions."""
    found = {}
    for name, place in zip(NAMES, range(3), strict=True):
        own = groups == place
        chosen, truth = selected[own], labels[own] > 0.5
        found[name] = (chosen.mean(), chosen[truth].mean(), chosen[~truth].mean())
    return found


@pytest.mark.parametrize("seed", range(5))
def test_differences_and_ratios_agree_with_their_definitions(seed):
    """Demographic parity and equalized odds, difference and ratio, to 1e-12."""
    rng = np.random.default_rng(seed)
    groups, selected = rng.integers(0, 3, 500), rng.random(500) < 0.4
    labels = (rng.random(500) < 0.5).astype(float)
    rates = by_hand(groups, selected, labels)
    table = fairness_table(count_groups(groups, selected, labels, 3), NAMES)
    selection, true, false = (np.array([rates[name][i] for name in NAMES]) for i in range(3))
    assert table.demographic_parity_difference == pytest.approx(selection.max() - selection.min(), abs=1e-12)
    assert table.demographic_parity_ratio == pytest.approx(selection.min() / selection.max(), abs=1e-12)
    assert table.equalized_odds_difference == pytest.approx(max(np.ptp(true), np.ptp(false)), abs=1e-12)
    ratios = true.min() / true.max(), false.min() / false.max()
    assert table.equalized_odds_ratio == pytest.approx(min(ratios), abs=1e-12)


def test_intervals_cover_the_true_difference():
    """Between two groups the 95% interval holds the truth in at least 92% of repetitions."""
    rng, held = np.random.default_rng(1), 0
    for _ in range(300):
        groups = rng.integers(0, 2, 400)
        selected = rng.random(400) < np.where(groups == 1, 0.6, 0.4)
        gap = fairness_table(count_groups(groups, selected, np.ones(400), 2), ["a", "b"]).gaps["selection_rate"]
        held += gap.difference_low <= 0.2 <= gap.difference_high
    assert held >= 276


def test_a_look_finds_the_gaps_that_a_table_shows():
    """All gaps at once, as a monitor looks at them, are those of the table, groups without cases too."""
    rng = np.random.default_rng(2)
    counts = GroupCounts.none(4)
    groups = rng.integers(-1, 3, 900)  # -1 is no group, and the last one has no case
    counts.add(groups, rng.random(900), rng.integers(0, 2, 900).astype(float), (0.4, 0.5))
    assert counts.cases[:, 0].tolist() == [*np.bincount(groups[groups >= 0], minlength=4)]
    found = rates_of(counts.cases, counts.misses, 3, 2.5)
    table = fairness_table(counts.cases, list("abcd"), misses=counts.misses, horizon=3, z=2.5)
    assert found.names == (*table.gaps,)
    for gap, row in zip(table.gaps.values(), found.gaps(), strict=True):
        assert (gap.highest, gap.lowest) == ("abcd"[int(row[0])], "abcd"[int(row[1])])
        assert [gap.difference, gap.difference_low, gap.difference_high] == row[2:].tolist()
    assert np.isnan(rates_of(np.zeros((2, 5), np.int64), None, 1, 2.0).gaps()[:, 2:]).all()


def test_a_window_takes_what_the_totals_take():
    """Cases added to both are added to each as if alone, to the last bit, and a cleared window begins anew."""
    rng = np.random.default_rng(8)
    groups, labels = rng.integers(-1, 3, 600), rng.integers(0, 2, 600).astype(float)
    totals, window, alone, late = (GroupCounts.none(3) for _ in range(4))
    scores = rng.random(600)
    for part in (slice(0, 250), slice(250, 600)):
        window.clear()
        totals.add(groups[part], scores[part], labels[part], (0.4, 0.5), window)
        alone.add(groups[part], scores[part], labels[part], (0.4, 0.5))
    late.add(groups[250:], scores[250:], labels[250:], (0.4, 0.5))
    for one, other in ((totals, alone), (window, late)):
        assert one.cases.tolist() == other.cases.tolist()
        assert one.misses.tolist() == other.misses.tolist()
    assert int(totals.cases[:, 0].sum()) == int((groups >= 0).sum())


def test_bias_amplification_compares_shares_of_predicted_and_of_training_rises():
    """A group with half of the training's rises and four fifths of the predicted ones is favoured by 0.3."""
    training = np.array([[100, 0, 50, 0, 0], [100, 0, 50, 0, 0]])
    now = np.array([[100, 80, 50, 40, 40], [100, 20, 50, 10, 10]])
    table = fairness_table(now, ["a", "b"], training=training)
    assert table.amplification == pytest.approx({"a": 0.3, "b": -0.3})


@given(
    counts=st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20)),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=60, deadline=None)
def test_any_counts_give_a_table(counts):
    """Empty groups, no positives, no negatives: intervals hold their estimates, and nothing raises."""
    rows = np.array([[a + b + c + d, a + c, a + b, a, c] for a, b, c, d in counts])
    table = fairness_table(rows, [f"g{i}" for i in range(len(rows))])
    for gap in table.gaps.values():
        assert np.isnan(gap.difference) or gap.difference_low <= gap.difference <= gap.difference_high
        assert np.isnan(gap.ratio) or gap.ratio_low <= gap.ratio <= gap.ratio_high


def test_decisions_fall_into_their_groups():
    """Sessions, weekdays and cut columns are told from time and value."""
    monday = np.array([4 * NS_PER_DAY + 9 * NS_PER_HOUR])
    zero, value = np.zeros(1, np.int64), np.array([0.7])
    columns = Columns(["ETH"], ["size"], ["region"], {"NYSE": ["X"], "CBOE": ["ETH"]})
    names = [
        (grouping := Grouping(by, columns, cuts)).names[int(grouping.places(Known(monday, zero, value))[0])]
        for by, cuts in (
            ("session", ()),
            ("weekday", ()),
            ("instrument", ()),
            ("venue", ()),
            ("regime", ()),
            ("size", (0.5, 1.0)),
            ("region", ()),
        )
    ]
    assert names == ["08-16 UTC", "Monday", "ETH", "CBOE", "calm", "size 0.5 to 1", "region over 0.5"]


def test_any_time_has_the_weekday_and_the_session_of_the_calendar():
    """Before 1970 too, and at the first and the last nanosecond of an hour."""
    hours = np.random.default_rng(3).integers(-400_000, 400_000, 200)
    times = np.concatenate([hours * NS_PER_HOUR, hours * NS_PER_HOUR - 1])
    known = Known(times, np.zeros(len(times), np.uint32), np.empty(0))
    weekdays, sessions = (Grouping(by, Columns(["ETH"])).places(known) for by in ("weekday", "session"))
    days = times.view("datetime64[ns]").astype("datetime64[D]")
    assert weekdays.tolist() == [day.item().weekday() for day in days]
    assert sessions.tolist() == [int(hour) // 8 for hour in times // NS_PER_HOUR % 24]


@pytest.mark.parametrize(
    ("zone", "day", "hour", "session", "weekday"),
    [
        ("UTC", 4, 23, "16-24 UTC", "Monday"),
        ("America/New_York", 4, 23, "16-24 New York", "Monday"),  # 18:00
        ("America/New_York", 4, 12, "00-08 New York", "Monday"),  # 07:00 in winter ...
        ("America/New_York", 186, 12, "08-16 New York", "Monday"),  # ... 08:00 in summer
        ("Asia/Tokyo", 4, 23, "08-16 Tokyo", "Tuesday"),
        ("Asia/Kolkata", 4, 2, "00-08 Kolkata", "Monday"),  # 07:30
    ],
)
def test_sessions_and_weekdays_are_those_of_a_markets_own_clocks(zone, day, hour, session, weekday):
    """The same moment is another hour, and may be another day, where the market is; summer time is told apart."""
    known = Known(np.array([day * NS_PER_DAY + hour * NS_PER_HOUR]), np.zeros(1, np.int64), np.array([np.nan]))
    made = [Grouping(by, Columns(["ETH"], time_zone=zone)) for by in ("session", "weekday")]
    assert [each.names[int(each.places(known)[0])] for each in made] == [session, weekday]


def test_clocks_that_nobody_keeps_are_refused():
    """A misspelt zone is named, with an example of one."""
    with pytest.raises(ValueError, match="time_zone is 'Wall Street', allowed is an IANA name"):
        FairnessSettings(time_zone="Wall Street")


def test_a_column_of_text_makes_a_group_of_each_word():
    """By its place; with cuts, or as a feature, its numbers are cut; what is no word's place is in no group."""
    columns = Columns(["ETH"], ["size"], ["region"], words={"region": ("north", "middle", "south"), "size": ("s", "m")})
    values = np.array([0.0, 2.0, 1.0, 3.0, -1.0, 0.5, np.nan])
    known = Known(np.zeros(7, np.int64), np.zeros(7, np.int64), values)
    region = Grouping("region", columns)
    assert region.names == ["north", "middle", "south"]
    assert region.places(known).tolist() == [0, 2, 1, -1, -1, -1, -1]
    assert Grouping("region", columns, [1.5]).names == ["region up to 1.5", "region over 1.5"]
    assert Grouping("size", columns).names == ["size up to 0.5", "size over 0.5"]


def test_what_is_not_known_is_in_no_group():
    """A missing value, and wildness before there are prices, belong to no group; unnamed venues to their own."""
    columns = Columns(["ETH", "BTC"], ["size"], ["region"], {"CBOE": ["ETH"]})
    known = Known(np.zeros(1, np.int64), np.ones(1, np.int64), np.array([np.nan]))
    assert [int(Grouping(by, columns).places(known)[0]) for by in ("size", "region", "regime")] == [-1, -1, -1]
    assert Grouping("venue", columns).names[int(Grouping("venue", columns).places(known)[0])] == "no venue named"
    assert [columns.know(by) for by in ("venue", "instrument", "regime", "region", "regoin")] == [True] * 4 + [False]


def outcomes(rng, n, gap):
    """Return joined outcomes whose scores favour the second instrument by `gap`."""
    records = np.zeros(n, JOINED)
    records["instrument"], records["version"] = rng.integers(0, 2, n), 7
    records["sequence"] = records["decision"] = np.arange(1, n + 1)
    records["label"] = rng.random(n) < 0.5
    records["score"] = rng.random(n) < 0.4 + gap * records["instrument"]
    return records


@pytest.mark.parametrize(("gap", "told"), [(0.0, False), (0.05, False), (0.4, True)])
def test_a_gap_is_told_only_beyond_what_is_allowed(gap, told):
    """Equal groups and small gaps are quiet; a wide one is named with both groups and counts."""
    settings = FairnessSettings(by=("instrument",), window=1_000)
    monitor = FairnessMonitor(version=7, instruments=["ETH", "BTC"], settings=settings)
    monitor.observe(outcomes(np.random.default_rng(2), 20_000, gap))
    found = monitor.findings()
    assert bool(found) is told
    assert all("BTC" in f.sentence and "ETH" in f.sentence for f in found)
    assert len(found) <= 5


N = 6_000


def pushed(gap, seed=3):
    """Return rows pushed from outside, their decisions and late labels: `gap` in selection between two regions."""
    rng = np.random.default_rng(seed)
    region = (rng.random(N) < 0.3).astype(float)
    events = bars(np.ones(N))
    events["kind"], events["values"][:, 0], events["values"][:, 1] = Kind.ROW, rng.random(N), region
    scores = np.where(rng.random(N) < 0.3 + gap * region, 0.9, 0.1)
    decisions = decisions_on(events, scores)
    labels = (rng.random(N) < scores).astype(float)
    joined = np.zeros(N, JOINED)
    for name in ("ts_event_ns", "version", "score", "instrument"):
        joined[name] = decisions[name]
    joined["decision"], joined["sequence"], joined["label"] = decisions["sequence"], decisions["sequence"] + 9, labels
    joined["ts_known_ns"] = joined["ts_event_ns"] + STEP_NS
    return events, decisions, joined


def region_monitor(allowed=0.1, fields=("income", "region"), columns=()):
    """Return a monitor of outcomes by a field that no feature reads."""
    settings = FairnessSettings(by=("region",), window=1_000, allowed=allowed, columns=columns)
    return FairnessMonitor(version=VERSION, instruments=["LOANS"], fields=fields, outcomes=True, settings=settings)


@pytest.mark.parametrize("known", [{}, {"fields": ("income",), "columns": ("income", "region", "bad")}])
@pytest.mark.parametrize(("gap", "told"), [(0.0, False), (0.4, True)])
def test_a_column_that_no_feature_reads_makes_groups(gap, told, known):
    """A gap by a field of pushed rows is told, in words of outcomes: nobody calls a rise of a loan.

    It may stand behind what the version's strategy knows of.
    """
    found = run(region_monitor(**known), [*pushed(gap)])
    assert bool(found) is told
    assert all("region over 0.5" in each.sentence and "rise" not in each.sentence for each in found)


def test_it_keeps_the_promise_of_every_monitor_when_inputs_make_the_groups():
    """Slices in any order, restarts, foreign records: the contract kit's checks, with calibration among the rates."""
    parts = [part for each in pushed(0.4) for part in np.array_split(each, 5)]
    check_monitor(region_monitor, parts)
    labels_first = parts[10:] + parts[5:10] + parts[:5]
    assert run(region_monitor(), [*pushed(0.4)]) == run(region_monitor(), labels_first)


def test_scores_that_are_right_for_one_group_alone_are_told():
    """Selected alike, one region's scores promise too little: calibration by group shows it."""
    events, decisions, joined = pushed(0.0)
    region = events["values"][:, 1] > 0.5
    joined["label"] = np.where(region, np.random.default_rng(1).random(N) < 0.6, joined["label"])
    monitor = region_monitor(allowed=1.0)
    found = run(monitor, [events, decisions, joined])
    assert {each.subject for each in found} == {"region calibration"}
    assert "above what happens for region up to 0.5" in found[0].sentence
    table = monitor.tables()["region"]
    miss = (joined["score"] - joined["label"])[region].mean()
    assert table.groups["region over 0.5"]["calibration"].value == pytest.approx(miss)


def test_groups_of_market_regimes_come_from_prices_before_the_decision():
    """Prices that go wild put decisions into the wild group, from the event on that shows it, and no earlier."""
    rng = np.random.default_rng(5)
    returns = 0.001 * rng.standard_normal(3_000)
    returns[2_000:] *= 6.0
    events = bars(100.0 * np.exp(np.cumsum(returns)))
    decisions = decisions_on(events, 0.9)
    asked = AskedAt(VERSION, [], 1)
    asked.observe(events)
    asked.observe(decisions)
    wild = asked.values(np.ascontiguousarray(decisions["sequence"]))[:, -1]
    assert np.isnan(wild[:119]).all()
    grouping = Grouping("regime", Columns(["ETH"]))
    places = grouping.places(Known(decisions["ts_event_ns"], np.zeros(3_000, np.int64), wild))
    assert (places[:119] == -1).all()
    assert (places[500:2_000] == 1).mean() > 0.8
    assert (places[2_030:2_500] == 2).mean() > 0.9
    earlier = AskedAt(VERSION, [], 1)
    earlier.observe(events[:2_000])
    earlier.observe(decisions[:2_000])
    np.testing.assert_array_equal(
        earlier.values(np.ascontiguousarray(decisions["sequence"][:2_000]))[:, -1], wild[:2_000]
    )


def test_training_gaps_are_put_up_with():
    """Where training showed the gap between two groups of a feature, only what is beyond it is told."""
    rng = np.random.default_rng(0)
    rows = (rng.random((4_000, 1)) < 0.3).astype(float)
    scores = np.where(rng.random(4_000) < 0.3 + 0.4 * rows[:, 0], 0.9, 0.1)
    trained = Trained(scores, (rng.random(4_000) < scores).astype(float), np.zeros(4_000, np.int64), rows)
    events, decisions, joined = pushed(0.4)
    records = rows_of(decisions, events["values"][:, 1:2])
    found = {}
    for name, known in (("with", trained), ("without", None)):
        settings = FairnessSettings(by=("flag",), window=1_000)
        monitor = FairnessMonitor(
            version=VERSION, instruments=["LOANS"], features=["flag"], trained=known, settings=settings
        )
        found[name] = run(monitor, [records, joined])
        amplified = [gauge for gauge in monitor.gauges() if "amplification" in gauge.subject]
        assert len(amplified) == (2 if known is not None else 0)
    assert not found["with"]
    assert found["without"]


def test_the_state_of_a_release_that_asked_for_no_inputs_is_gone_on_from():
    """A watcher that is upgraded starts its counts afresh where the older state does not have them, and hears gaps."""
    fresh = region_monitor()
    older = {
        name: array for name, array in region_monitor().state().items() if not name.startswith(("asked.", "misses."))
    }
    fresh.restore(older)
    found = run(fresh, [*pushed(0.4)])
    assert found
    assert found == run(region_monitor(), [*pushed(0.4)])


def test_columns_that_are_unknown_are_named():
    """A misspelt column makes no groups, and the monitor says which."""
    settings = FairnessSettings(by=("instrument", "regoin", "venue"))
    monitor = FairnessMonitor(version=VERSION, instruments=["A"], fields=["region"], settings=settings)
    assert monitor.unknown == ["regoin", "venue"]


def test_a_model_of_returns_is_not_judged_by_calibration():
    """Scores that are no probabilities have no calibration; their signs are compared."""
    settings = FairnessSettings(by=("instrument",), score_cut=0.0, label_cut=0.0, window=1_000)
    monitor = FairnessMonitor(version=7, instruments=["ETH", "BTC"], settings=settings)
    records = outcomes(np.random.default_rng(2), 4_000, 0.0)
    records["score"], records["label"] = records["score"] - 0.5, records["label"] - 0.5
    monitor.observe(records)
    gaps = monitor.tables()["instrument"].gaps
    assert "calibration" not in gaps
    assert gaps["selection_rate"].difference < 0.1
