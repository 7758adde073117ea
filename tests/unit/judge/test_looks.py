"""What is looked at in rows: spreads, tails, pairs, codes and all columns together are heard, each by its own chart."""

import numpy as np
import pytest
from drift_streams import stream
from tape_slices import STEP_NS, VERSION, bars, decisions_on, rows_of

from tradeworthy.judge.monitor.control_charts.calibration import ChartSettings, calibrate
from tradeworthy.judge.monitor.control_charts.chart_table import CENTRE, COLUMN, PARTNER, VIEW
from tradeworthy.judge.monitor.control_charts.lanes import CATEGORY, PAIR
from tradeworthy.judge.monitor.control_charts.looks import scores_of
from tradeworthy.judge.monitor.control_charts.volatility import garch_histories
from tradeworthy.judge.monitor.drift import DriftMonitor, DriftSettings, calibrate_drift

NAMES = ["calm", "follower", "code", "side"]
N, AT, REFERENCE = 6_000, 3_500, 3_000
QUICK = ChartSettings(runs=30, run_length=3_000)


def rows_without_change(seed):
    """Return noise, what follows it, a code of three values and a sign."""
    rng = np.random.default_rng(seed)
    calm = rng.standard_normal(N)
    follower = 0.8 * calm + 0.6 * rng.standard_normal(N)
    return np.column_stack([calm, follower, rng.choice(3, N, p=[0.5, 0.3, 0.2]), rng.random(N) < 0.5]).astype(float)


@pytest.fixture(scope="module")
def charts():
    """Return charts of all kinds over them."""
    return calibrate_drift(rows_without_change(0)[:REFERENCE], NAMES, DriftSettings(charts=QUICK))


def fitted(reference, names, kinds):
    """Return charts of some kinds."""
    rng = np.random.default_rng(0)
    return calibrate(reference, names, false_alarms_per_10k=1.0, rng=rng, settings=QUICK, kinds=kinds)


def heard(charts, rows):
    """Return the findings of a monitor of rows, a row a step."""
    monitor = DriftMonitor(charts, VERSION, ["ETH"])
    decisions = decisions_on(bars(np.ones(len(rows))), 0.5)
    monitor.observe(decisions)
    monitor.observe(rows_of(decisions, rows))
    return monitor.findings()


def test_each_column_is_looked_at_as_it_can_be(charts):
    """Values get spread, tails and a pair; codes get a chart each; of a sign the level says it all."""
    assert charts.names[:4] == NAMES == charts.columns
    assert charts.names[4:] == [
        "spread of calm",
        "tails of calm",
        "spread of follower",
        "tails of follower",
        "code = 0",
        "code = 1",
        "code = 2",
        "calm with follower",
        "all features together",
    ]
    constants = charts.constants
    assert constants[charts.names.index("code = 2"), [VIEW, COLUMN, CENTRE]].tolist() == [CATEGORY, 2, 2.0]
    assert constants[charts.names.index("calm with follower"), [VIEW, COLUMN, PARTNER]].tolist() == [PAIR, 0, 1]


def test_rows_without_change_are_left_in_peace(charts):
    """All thirteen charts together say nothing of rows like the reference."""
    assert heard(charts, rows_without_change(1)[REFERENCE:]) == []


def spoiled(how):
    """Return rows that change at a known place."""
    rows, rng, n = rows_without_change(2), np.random.default_rng(3), N - AT
    if how == "wilder":
        rows[AT:, 0] *= 2.0
    elif how == "calmer":
        rows[AT:, 1] *= 0.5
    elif how == "far":
        rows[AT:, 0] = np.where(rng.random(n) < 0.08, 3.0 * np.sign(rows[AT:, 0]), 0.85 * rows[AT:, 0])
    elif how == "flip":
        rows[AT:, 1] = -rows[AT:, 1]
    else:
        rows[AT:, 2] = rng.choice(3, n, p=[0.3, 0.3, 0.4])
    return rows[REFERENCE:]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("wilder", "calm of ETH has become wilder"),
        ("calmer", "follower of ETH has become calmer"),
        ("far", "calm of ETH lies far out more often"),
        ("flip", "calm with follower of ETH: they no longer move together"),
        ("codes", "code = 2 of ETH more often"),
    ],
)
def test_what_a_level_does_not_show_is_heard_and_named(charts, how, words):
    """The first finding dates the change, and the chart of what changed tells it or is named in it."""
    found = heard(charts, spoiled(how))
    assert abs(found[0].since_ns / STEP_NS - (AT - REFERENCE + 1)) < 60
    name = {"wilder": "spread of calm", "calmer": "spread of follower", "far": "tails of calm"}.get(how, "code =")
    assert any(words in finding.sentence for finding in found) or name in found[0].sentence


def test_a_broken_relation_of_several_columns_is_heard_jointly():
    """Columns that sum up to nearly nothing in training, and no more now, show it in no single pair."""
    rng = np.random.default_rng(4)
    parts = rng.standard_normal((N, 4))
    rows = np.column_stack([parts, -parts.sum(axis=1) + 0.1 * rng.standard_normal(N)])
    rows[AT:, 4] = 2.0 * rng.standard_normal(N - AT)
    found = heard(fitted(rows[:REFERENCE], list("abcde"), ("joint",)), rows[REFERENCE:])
    assert found[0].subject == "all features together"
    assert found[0].ts_event_ns / STEP_NS - (AT - REFERENCE) < 60
    assert "each by itself may look usual" in found[0].sentence


def test_many_unrelated_columns_without_change_are_left_in_peace():
    """The directions in which a reference happened to vary least are no law: rows like it raise no joint alarm."""
    rows = np.random.default_rng(11).standard_normal((2_000 + 10_000, 24))
    charts = fitted(rows[:2_000], [f"f{place}" for place in range(24)], ("level", "joint"))
    assert "all features together" not in {finding.subject for finding in heard(charts, rows[2_000:])}


def test_a_reference_is_seen_along_the_directions_of_its_other_parts():
    """The joint distance that is usual is that of rows which had no say in the directions."""
    rows = np.random.default_rng(12).standard_normal((3_000 + 20_000, 24))
    charts = fitted(rows[:3_000], [f"f{place}" for place in range(24)], ("level", "joint"))
    fresh = scores_of(charts.table, rows[3_000:]).told[-1].mean()
    flattered = scores_of(charts.table, rows[:3_000]).told[-1].mean()
    assert charts.means[-1] == pytest.approx(fresh, rel=0.005)
    assert flattered < 0.99 * fresh


def test_columns_that_chance_alone_relates_are_no_pair():
    """Of independent columns no two are watched together; of related ones those are."""
    rng = np.random.default_rng(13)
    rows = rng.standard_normal((3_000, 4))
    assert [name for name in fitted(rows, list("abcd"), ("level", "pair")).names if "with" in name] == []
    rows[:, 3] += 0.3 * rows[:, 1]
    assert [name for name in fitted(rows, list("abcd"), ("level", "pair")).names if "with" in name] == ["b with d"]


def test_what_is_told_is_in_natural_units(charts):
    """A spread tells distances, a pair and a code shares of rows; what is not known is NaN."""
    rows = rows_without_change(0)[:REFERENCE]
    rows[5, 0] = np.nan
    told = dict(zip(charts.names, scores_of(charts.table, rows).told, strict=True))
    assert np.nanmean(told["spread of calm"]) == pytest.approx(0.8, abs=0.05)
    assert np.nanmean(told["calm with follower"]) == pytest.approx(0.795, abs=0.03)
    assert told["code = 2"].mean() == pytest.approx(0.2, abs=0.03)
    for name in ("tails of calm", "calm with follower", "all features together"):
        assert np.isnan(told[name][5])


def test_histories_of_a_clustering_series_cluster_as_it_does():
    """Drawn histories have the reference's variance and the persistence of its sizes, each a little different."""
    series = stream("garch", 5_000, 6)
    series = np.clip(series - series.mean(), -6.0, 6.0)
    drawn = garch_histories(series, 0.0, (40, 5_000), np.random.default_rng(1))
    assert np.median(drawn.std(axis=1)) == pytest.approx(series.std(), rel=0.2)

    def clustering(values):  # noqa: ANN202
        sizes = np.minimum(np.abs(values), 3.0)
        return np.corrcoef(sizes[10:], sizes[:-10])[0, 1]

    found = [clustering(row) for row in drawn]
    assert min(found) < clustering(series) < max(found)
    assert np.std(found) > 0.01


@pytest.mark.parametrize("factor", [1.5, 2.0])
def test_a_wilder_market_is_heard_though_volatility_clusters(factor):
    """A lasting change of spread stands out from the clusters that the volatility model expects."""
    rows = stream("garch", 9_000, 8)[:, None]
    rows[5_500:] *= factor
    charts = fitted(rows[:5_000], ["f"], ("level", "spread"))
    assert charts.operating[0].devolatilised
    spread = [f for f in heard(charts, rows[5_000:]) if f.subject == "spread of f"]
    assert spread[0].ts_event_ns > 500 * STEP_NS
    assert "wilder" in spread[0].sentence
