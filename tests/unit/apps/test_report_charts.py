"""Charts: what is drawn, what is said about it, and that it is well-formed."""

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from tradeworthy.apps.reports import bars, charts
from tradeworthy.apps.reports.charts import Curve, Fills, Mark
from tradeworthy.core.time import NS_PER_HOUR

TIMES = np.arange(1000, dtype=np.int64) * NS_PER_HOUR
SPAN = (0, int(TIMES[-1]))


def parse(chart):
    """Parse a chart, which must be well-formed."""
    return ET.fromstring(chart)  # noqa: S314  # our own


def classes(chart, word):
    """Return every element of a chart that carries a CSS class."""
    return [e for e in parse(chart).iter() if word in e.get("class", "").split()]


def curve(values=None, style="line"):
    """Make a curve over the usual times."""
    return Curve("price", TIMES, np.sin(TIMES / 1e14) if values is None else values, style)


def test_a_curve_is_one_path_with_an_axis_below():
    """A curve without gaps is one unbroken path, and both axes have labels."""
    chart = charts.line_chart("A price", [curve()], unit="USD")
    (path,) = classes(chart, "curve")
    assert path.get("d").count("M") == 1
    words = [e.text for e in parse(chart).iter("text")]
    assert "USD" in words
    assert any("UTC" in (w or "") for w in words)


def test_a_gap_cuts_the_path():
    """An undefined stretch is not bridged."""
    values = np.ones(1000)
    values[400:410] = np.nan
    (path,) = classes(charts.line_chart("x", [curve(values)], unit=""), "curve")
    assert path.get("d").count("M") == 2


def test_a_lone_point_between_gaps_is_seen():
    """A single value between two gaps is drawn as a dot of a line."""
    values = np.full(1000, np.nan)
    values[5] = 1.0
    (path,) = classes(charts.line_chart("x", [curve(values)], unit=""), "curve")
    assert path.get("d").endswith("h.1")


def test_a_long_curve_stays_small():
    """A hundred thousand points draw no more than four a pixel, the highest among them."""
    n = 100_000
    values = np.zeros(n)
    values[54_321] = 9.0
    times = np.arange(n, dtype=np.int64) * NS_PER_HOUR
    (path,) = classes(charts.line_chart("x", [Curve("c", times, values)], unit=""), "curve")
    assert path.get("d").count("L") < 4 * 840
    heights = [float(point.split()[1]) for point in path.get("d")[1:].split("L")]
    assert min(heights) == pytest.approx(240 - 0.9 * (240 - 22), abs=0.1)


def test_steps_and_areas_include_zero():
    """A position is drawn in steps and a drawdown down from zero: the axis shows zero for both."""
    for style in ("step", "area"):
        chart = charts.line_chart("x", [curve(np.full(1000, 50.0), style=style)], unit="")
        assert classes(chart, "zero")


def test_several_curves_get_a_legend():
    """Two curves are told apart by a legend; one needs none."""
    assert not classes(charts.line_chart("x", [curve()], unit=""), "legend")
    both = charts.line_chart("x", [curve(), Curve("other", TIMES, np.ones(1000), tone=2)], unit="")
    (legend,) = classes(both, "legend")
    assert "".join(legend.itertext()) == "priceother"


def test_a_chart_says_what_it_shows():
    """Title and description are there for those who cannot see the lines."""
    svg = next(parse(charts.line_chart("A price", [curve()], unit="USD")).iter("svg"))
    assert svg.get("role") == "img"
    assert svg.find("title").text == "A price"
    assert "1,000 points" in svg.find("desc").text


def test_an_undefined_curve_says_so():
    """A curve without a value is drawn as nothing and described as such."""
    chart = charts.line_chart("x", [curve(np.full(1000, np.nan))], unit="")
    assert "no values" in next(parse(chart).iter("desc")).text


def test_marks_outside_the_span_are_left_out():
    """A moment before or after the time axis is not drawn on its edge."""
    marks = [Mark(SPAN[1] // 2, "inside"), Mark(SPAN[1] * 2, "outside")]
    chart = charts.line_chart("x", [curve()], unit="", marks=marks, levels=[(0.5, "half")], span_ns=SPAN)
    words = [e.text for e in classes(chart, "note")]
    assert words == ["half", "inside"]


@pytest.mark.parametrize(("count", "paths"), [(10, 10), (900, 2)])
def test_fills_are_triangles_with_words_while_they_are_few(count, paths):
    """Few fills say what they are on hovering; many are drawn as one shape a side."""
    fills = Fills(TIMES[:count], np.ones(count), np.where(np.arange(count) % 2, 1.0, -1.0))
    chart = charts.price_chart("x", curve(), fills, unit="USD")
    assert len(classes(chart, "fill")) == paths
    shapes = "".join(e.get("d") for e in classes(chart, "fill"))
    assert shapes.count("Z") == count


def test_fills_widen_the_price_axis():
    """A fill beyond the drawn price is still inside the chart."""
    fills = Fills(TIMES[:1], np.array([500.0]), np.array([1.0]))
    chart = charts.price_chart("x", curve(), fills, unit="USD")
    assert any(e.text in {"500", "600"} for e in parse(chart).iter("text"))


def test_no_fills_are_no_error():
    """A run without a trade is drawn too."""
    none = Fills(TIMES[:0], np.empty(0), np.empty(0))
    assert "0 buys and 0 sales" in charts.price_chart("x", curve(), none, unit="USD")


def test_a_histogram_counts_every_finite_value():
    """Bars sum to the finite values, and the undefined are mentioned."""
    values = np.r_[np.linspace(0, 1, 99), np.nan]
    chart = charts.histogram("x", values, unit="s", bins=10, levels=[(0.5, "limit")])
    counts = [int(e.find("title").text.split()[0]) for e in classes(chart, "bar")]
    assert sum(counts) == 99
    assert "1 undefined" in chart


def test_a_waterfall_ends_where_its_steps_lead():
    """Each bar begins where the one above stopped; the last step ends at the total."""
    steps = [bars.Step("a", 2.0), bars.Step("b", -3.0)]
    chart = bars.waterfall("x", steps, start=bars.Step("from", 1.0), end=bars.Step("to", 0.0), unit="u")
    _, a, b, _ = [e for e in classes(chart, "bar") if e.tag == "rect"]
    end = {name: (float(e.get("x")), float(e.get("x")) + float(e.get("width"))) for name, e in (("a", a), ("b", b))}
    assert end["a"][1] == pytest.approx(end["b"][1], abs=0.02)
    assert "down" in b.get("class")
    assert "\N{MINUS SIGN}3.0000" in chart


def test_a_waterfall_above_zero_still_draws_its_totals():
    """Where zero is not on the axis, totals begin at its edge."""
    chart = bars.waterfall("x", [bars.Step("a", 1.0)], start=bars.Step("f", 100.0), end=bars.Step("t", 101.0), unit="u")
    assert all(float(e.get("width")) >= 1.0 for e in classes(chart, "bar") if e.tag == "rect")


def test_a_waterfall_of_amounts_shows_zero():
    """Totals whose lengths are compared begin at zero: one ten times another is drawn ten times as long."""
    steps = [bars.Step("costs", -90.0)]
    start, end = bars.Step("before", 100.0), bars.Step("after", 10.0)
    chart = bars.waterfall("x", steps, start=start, end=end, unit="u", from_zero=True)
    before, _, after = [float(e.get("width")) for e in classes(chart, "bar") if e.tag == "rect"]
    assert before / after == pytest.approx(10.0, rel=0.02)


def test_intervals_show_value_and_bounds():
    """Each row has a whisker from bound to bound with its value between them."""
    rows = [bars.Interval("fold 1", 0.55, 0.52, 0.58), bars.Interval("all", 0.54, 0.53, 0.55, strong=True)]
    chart = bars.interval_chart("x", rows, unit="AUC", level=(0.5, "chance"))
    whisker, point = classes(chart, "whisker")[0], classes(chart, "point")[0]
    assert float(whisker.get("x1")) < float(point.get("cx")) < float(whisker.get("x2"))
    assert len(classes(chart, "mark")) == 1


def test_counts_are_written_with_their_share():
    """A bar carries its count and its part of all."""
    chart = bars.count_chart("x", [("yes", 3, "s1"), ("no", 1, "s2")])
    assert "3 (75.0%)" in chart
    assert "1 (25.0%)" in chart
    assert "figure" in bars.count_chart("x", [])


def test_a_timeline_of_one_moment_is_drawn():
    """What began and ended at the same nanosecond of 2026 has a place, where neighbouring floats are 256 ns apart."""
    at = 1_795_648_731_079_894_082
    for last in (at, at + 1):
        drawn = bars.timeline("t", [bars.Lane("one", [bars.Span(at, last, "heard")])], span_ns=(at, last))
        assert "nan" not in drawn
        assert 'class="bar heard"' in drawn


def test_a_timeline_shows_each_stretch_and_moment():
    """Every stretch is a bar that says its times; wide ones carry their label, marks are lines."""
    lanes = [
        bars.Lane(
            "A",
            [bars.Span(0, SPAN[1] // 2, "champion", "champion"), bars.Span(SPAN[1] - 1, SPAN[1], "shadow", "shadow")],
        )
    ]
    chart = bars.timeline("x", lanes, span_ns=SPAN, marks=[Mark(SPAN[1] // 2, "B promoted")])
    assert len([e for e in classes(chart, "bar") if e.tag == "rect"]) == 2
    assert [e.text for e in classes(chart, "inside")] == ["champion"]
    assert "B promoted at" in chart
