"""Charts are fitted to what they will watch, and say what they can see."""

import math

import numpy as np
import pytest
from drift_streams import stream, streams

from tradeworthy.core.errors import DataInvalid
from tradeworthy.judge.monitor.control_charts import fitting
from tradeworthy.judge.monitor.control_charts.calibration import Charts, ChartSettings, calibrate
from tradeworthy.judge.monitor.control_charts.chart_table import CENTRE, LIMIT_DOWN, LIMIT_UP, SCALE
from tradeworthy.judge.monitor.control_charts.cusum import watch
from tradeworthy.judge.monitor.control_charts.fitting import Asked
from tradeworthy.judge.monitor.control_charts.looks import robust_scale
from tradeworthy.judge.monitor.control_charts.null import fit_null

QUICK = ChartSettings(runs=20, run_length=5_000)


def fit(columns, rate=1.0, settings=QUICK, seed=0, places=None):
    """Return charts over columns named a, b, c..."""
    rows = np.column_stack(columns)
    names = [chr(97 + i) for i in range(rows.shape[1])]
    rng = np.random.default_rng(seed)
    return calibrate(rows, names, false_alarms_per_10k=rate, rng=rng, settings=settings, places=places)


def siegmund(allowance, mean_run):
    """Return the limit of a one-sided Gaussian chart with this mean time between alarms, by Siegmund's formula."""
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        grown = 2 * allowance * (middle + 1.166)
        run = (math.exp(grown) - grown - 1) / (2 * allowance**2)
        low, high = (middle, high) if run < mean_run else (low, middle)
    return low


def test_gaussian_limits_are_the_textbook_ones():
    """On independent Gaussian values the bootstrap finds the limit that theory gives."""
    charts = fit([stream("gauss", 8_000, 0)], settings=ChartSettings(runs=60))
    point = charts.operating[0]
    assert 0.15 < point.allowance < 0.35
    expected = siegmund(point.allowance, 2e4)
    assert point.limit_up == pytest.approx(expected, rel=0.15)
    assert point.limit_down == pytest.approx(expected, rel=0.15)


def test_persistence_raises_the_limit_and_the_delay():
    """A persistent series needs far more evidence, and the chart says how long it will take."""
    plain, lasting = fit([stream("gauss", 5_000, 1), stream("ar1", 5_000, 1)]).operating
    assert lasting.limit_up > 8 * plain.limit_up
    assert lasting.order >= 1
    assert plain.delay_events < 120
    assert lasting.delay_events is None or lasting.delay_events > 500


def test_a_short_persistent_reference_admits_what_it_cannot_see():
    """The limit covers the reference's own error, so the smallest shift seen is stated, not hoped for."""
    point = fit([stream("ar1", 800, 2)]).operating[0]
    assert point.shift_seen_sd > ChartSettings().shift_sd
    assert point.delay_events is None or point.delay_events > 800


def test_only_clustering_series_are_devolatilised():
    """The recent scale is used for GARCH returns, not for plain, heavy-tailed or 0/1 series."""
    columns = [stream(law, 4_000, 3) for law in ("garch", "t3", "gauss", "overlap")]
    assert [p.devolatilised for p in fit(columns).operating] == [True, False, False, False]


def test_more_series_share_the_rate():
    """With ten series each limit is higher than alone: the stated rate is that of all together."""
    column = stream("gauss", 1_500, 4)
    alone = fit([column]).operating[0].limit_up
    assert fit([column] * 5).operating[0].limit_up > alone + 2.0


def test_a_higher_rate_lowers_the_limit():
    """Who accepts more false alarms hears sooner."""
    column = stream("gauss", 3_000, 5)
    assert fit([column], rate=20.0).operating[0].limit_up < fit([column], rate=0.5).operating[0].limit_up


def test_a_clockwork_is_not_watched():
    """Time of day is perfectly predictable from its own past: its chart never alarms."""
    times = np.arange(4_000) + 7 * (np.arange(4_000) > 1_500) + 31 * (np.arange(4_000) > 2_500)  # with two gaps
    day = np.sin(times * 2 * np.pi / 48)
    charts = fit([day, stream("gauss", 4_000, 6)])
    assert [p.watched for p in charts.operating] == [False, True]
    rows = np.column_stack([np.full(2_000, 1.0), np.zeros(2_000)])
    assert watch(charts.table, charts.start(), rows, np.arange(2_000), 0) == 2_000


def test_a_constant_series_alarms_when_it_moves():
    """A feature that never changed in training is told within a few events of changing, and not before."""
    charts = fit([np.full(1_000, 3.0)])
    state = charts.start()
    rows = np.concatenate([np.full(500, 3.0), np.full(50, 3.1)])[:, None]
    assert 500 <= watch(charts.table, state, rows, np.arange(550), 0) < 530


def test_missing_reference_values_are_left_out():
    """NaN in the reference breaks the series there; the rest still calibrates."""
    column = stream("gauss", 3_000, 7)
    column[1_000:1_050] = np.nan
    assert fit([column]).operating[0].delay_events == pytest.approx(
        fit([column[1_050:]]).operating[0].delay_events, rel=0.3
    )


def test_stretches_of_the_past_are_not_read_across():
    """Blocks of a persistent series calibrate like one long stretch when their places are given."""
    parts = [stream("ar1", 500, seed) for seed in range(10)]
    places = (np.arange(10)[:, None] * 5_000 + np.arange(500)).ravel()
    apart = fit([np.concatenate(parts)], places=places).operating[0]
    whole = fit([stream("ar1", 5_000, 11)]).operating[0]
    assert apart.limit_up == pytest.approx(whole.limit_up, rel=0.5)


@pytest.mark.parametrize(
    ("rows", "names", "rate", "words"),
    [
        (np.zeros((50, 1)), ["a"], 1.0, "allowed is at least 200"),
        (np.zeros((500, 2)), ["a"], 1.0, "one column a name"),
        (np.zeros(500), ["a"], 1.0, "one column a name"),
        (np.zeros((500, 1)), ["a"], 0.0, "positive rate"),
        (np.zeros((500, 1)), ["a"], math.nan, "positive rate"),
    ],
)
def test_a_reference_that_cannot_be_used_is_refused(rows, names, rate, words):
    """Too short, misnamed or without a rate: the message says what is allowed."""
    with pytest.raises(DataInvalid, match=words):
        calibrate(rows, names, false_alarms_per_10k=rate, rng=np.random.default_rng(0), settings=QUICK)


def test_the_same_seed_gives_the_same_charts():
    """Calibration is a function of the reference and the generator."""
    rows = streams("ar1", 2_000, 8)
    np.testing.assert_array_equal(fit(rows.T).constants, fit(rows.T).constants)


def test_charts_survive_as_arrays():
    """Charts written as arrays read back equal, a chart without a delay included."""
    charts = fit([stream("ar1", 800, 2), stream("garch", 800, 2)])
    again = Charts.from_arrays(charts.to_arrays())
    assert again.operating == charts.operating
    np.testing.assert_array_equal(again.constants, charts.constants)
    np.testing.assert_array_equal(again.start().sums, charts.start().sums)
    assert charts.names == ["a", "b"]


def test_the_robust_scale_ignores_outliers_and_survives_constants():
    """A tenth of wild values hardly moves the scale; where the median distance says nothing, the deviation does."""
    values = np.random.default_rng(9).standard_normal(5_000)
    values[::10] = 1e6
    assert robust_scale(values)[1] == pytest.approx(1.15, abs=0.15)
    rare = (np.arange(1_000) % 20 == 0).astype(float)
    assert robust_scale(rare) == (pytest.approx(rare.mean()), pytest.approx(rare.std()))
    assert robust_scale(np.full(9, 2.0))[1] > 0.0


def test_the_centre_of_a_chart_is_the_median():
    """Location and scale in the table are the robust ones of the series."""
    column = 5.0 + 2.0 * stream("gauss", 2_000, 10)
    charts = fit([column])
    assert charts.constants[0, CENTRE] == np.median(column)
    assert charts.constants[0, SCALE] == pytest.approx(2.0, abs=0.15)
    assert charts.constants[0, LIMIT_UP] == charts.operating[0].limit_up
    assert charts.constants[0, LIMIT_DOWN] == charts.operating[0].limit_down


@pytest.mark.parametrize(("law", "reach", "kept"), [("gauss", 0.8, 0.8), ("gauss", 1.5, 1.0), ("ar1", 1.5, 1.5)])
def test_no_limit_is_below_what_the_reference_itself_reached(law, reach, kept):
    """However high the asked rate, limits stand so many times above the reference's own highest sums.

    Where neighbours have nothing to do with each other, they stand no higher than those for this alone.
    """
    column = stream(law, 2_000, 7)
    charts = fit([column], rate=5_000.0, settings=ChartSettings(runs=5, run_length=500, own_reach=reach))
    centre, scale = robust_scale(column)
    point, scores = charts.operating[0], np.clip((column - centre) / scale, -3.0, 3.0)[50:]
    scores = (scores - scores.mean()) / scores.std()
    for limit, side in ((point.limit_up, 1.0), (point.limit_down, -1.0)):
        total = highest = 0.0
        for score in side * scores:
            total = max(0.0, total + score - point.allowance)
            highest = max(highest, total)
        assert limit == pytest.approx(kept * highest)


def wild_weeks(n, seed):
    """Return (n,) clustering values whose weeks are wild or calm beyond what clustering explains."""
    levels = np.repeat(np.random.default_rng(seed).normal(0.0, 0.5, n // 336 + 1), 336)[:n]
    return stream("garch", n, seed) * np.exp(levels)


@pytest.mark.parametrize(("values", "known"), [(wild_weeks, True), (lambda n, seed: stream("garch", n, seed), False)])
def test_wild_weeks_beyond_clustering_raise_the_limits_of_spreads(values, known):
    """Slow levels of the sizes are found where they are, not in a plain clustering series, and need more evidence."""
    limits = []
    for regimes in (False, True):
        settings = ChartSettings(runs=30, run_length=5_000, regimes=regimes, own_reach=0.0)
        rng, rows = np.random.default_rng(0), values(5_000, 14)[:, None]
        charts = calibrate(rows, ["x"], false_alarms_per_10k=1.0, rng=rng, settings=settings, kinds=("spread",))
        (point,) = [each for each in charts.operating if each.kind == "spread"]
        limits.append(point.limit_up)
        assert (point.slow > 0.0) == (known and regimes)
    assert limits[1] > 1.3 * limits[0] if known else limits[1] == limits[0]


def test_histories_of_a_persistent_series_are_watched_twice_as_long():
    """The same limits come of half the length asked, where the series persists; of one that does not, others do."""
    for law, is_longer in (("ar1", True), ("gauss", False)):
        series, found = stream(law, 2_000, 3), []
        series -= series.mean()
        for length in (1_000, 2_000):
            model = fit_null(series, 10, np.random.default_rng(0))
            asked = Asked(1e-3, 0.5, 1.0, 10, length, 1.0, 0.0, regimes=False)
            raw, _ = fitting.histories(model, series, asked, np.random.default_rng(0))
            found.append(raw.shape[1] - len(series))
        assert found == ([2_000, 4_000] if is_longer else [1_000, 2_000])


def test_a_rate_is_split_among_charts_by_their_kinds():
    """Beside a spread and a tail a level's limits are those of a level alone at half of the rate."""
    rows, names = stream("gauss", 4_000, 4)[:, None], ["a"]
    limits = []
    for kinds, rate in ((("level", "spread", "tail"), 1.0), (("level",), 0.5)):
        rng = np.random.default_rng(0)
        made = calibrate(rows, names, false_alarms_per_10k=rate, rng=rng, settings=QUICK, kinds=kinds)
        limits.append(made.constants[0, [LIMIT_UP, LIMIT_DOWN]])
    np.testing.assert_allclose(*limits, rtol=1e-9)
