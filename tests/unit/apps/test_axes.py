"""Axes, grids, lines of reference, and the figure around a drawing."""

from xml.etree import ElementTree as ET

import pytest

from tradeworthy.apps.reports.axes import (
    LEFT,
    RIGHT,
    WIDTH,
    Key,
    Plot,
    drawing,
    figure,
    level,
    number_axis,
    time_axis,
    upright,
    value_axis,
)
from tradeworthy.apps.reports.markup import Markup, tag
from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR


def parse(*parts: Markup):
    """Parse elements under one root."""
    return ET.fromstring(tag("g", *parts))  # noqa: S314  # our own


def words(root):
    """Return the texts that are drawn."""
    return [e.text for e in root.iter("text")]


@pytest.fixture
def plot():
    """Lay out a plot of ten days and values from -1 to 1."""
    return Plot.of((0.0, 10.0 * NS_PER_DAY), (-1.0, 1.0), 280.0)


def test_a_plot_lies_inside_its_margins(plot):
    """The lowest value is drawn at the bottom, the first moment at the left margin."""
    assert (plot.x.at(0), plot.x.at(10 * NS_PER_DAY)) == (LEFT, WIDTH - RIGHT)
    assert plot.y.at(-1.0) > plot.y.at(1.0) > 0


def test_the_value_axis_marks_zero(plot):
    """Each tick has a line and a label; zero's line stands out; the unit is written once."""
    root = parse(value_axis(plot, "USD"))
    assert words(root) == ["USD", "\N{MINUS SIGN}1.0", "\N{MINUS SIGN}0.5", "0.0", "0.5", "1.0"]
    assert [e.get("class") for e in root.iter("line")].count("grid zero") == 1


def test_the_time_axis_names_its_span_and_zone(plot):
    """Days are labelled, and the whole span is written out in UTC."""
    said = words(parse(time_axis(plot)))
    assert said[-1] == "1 Jan 1970 to 11 Jan 1970, UTC"
    assert "3 Jan" in said


def test_a_short_time_axis_names_minutes():
    """Within a few days the span is written to the minute."""
    said = words(parse(time_axis(Plot.of((0.0, 5.0 * NS_PER_HOUR), (0.0, 1.0), 200.0))))
    assert said[-1] == "1 Jan 1970 00:00 to 1 Jan 1970 05:00, UTC"


def test_the_number_axis_names_its_unit():
    """Ticks below the plot, the unit at the end."""
    said = words(parse(number_axis(Plot.of((0.0, 10.0), (0.0, 1.0), 200.0), "ms")))
    assert said[0] == "0"
    assert said[-1] == "ms"


@pytest.mark.parametrize(("moment", "side"), [(1.0, "note"), (9.9, "note end")])
def test_words_beside_a_line_stay_inside_the_drawing(plot, moment, side):
    """Near the right end words stand left of their line."""
    (label,) = parse(upright(plot, moment * NS_PER_DAY, "B promoted")).iter("text")
    assert label.get("class") == side


def test_neighbouring_words_are_kept_apart(plot):
    """A further lane is written lower."""
    first, second = (next(parse(upright(plot, 1.0, "x", lane)).iter("text")) for lane in (0, 1))
    assert float(second.get("y")) > float(first.get("y"))


def test_a_line_without_words_is_only_a_line(plot):
    """No empty text is drawn."""
    assert words(parse(upright(plot, 1.0))) == []


def test_a_level_stands_at_its_value(plot):
    """A level line is drawn across the plot at its value, with its words at the end."""
    root = parse(level(plot, 0.5, "limit"))
    line = next(root.iter("line"))
    assert float(line.get("y1")) == float(line.get("y2")) == pytest.approx(plot.y.at(0.5), abs=0.01)
    assert words(root) == ["limit"]


def test_a_figure_has_heading_legend_and_caption():
    """The parts around a drawing are there when they are given."""
    root = parse(figure("T", "what it shows", Markup("<svg></svg>"), keys=[Key("a", "line s1")], caption="note"))
    assert root.find(".//h3").text == "T"
    assert root.find(".//li/i").get("class") == "line s1"
    assert root.find(".//figcaption").text == "note"


def test_a_plain_figure_has_no_empty_parts():
    """Without keys and caption there are no elements for them."""
    root = parse(figure("T", "what it shows", Markup("<svg></svg>")))
    assert root.find(".//ul") is None
    assert root.find(".//figcaption") is None


def test_a_wide_drawing_can_be_reached_by_keyboard():
    """On a narrow screen a drawing scrolls; it takes the focus and says what it is."""
    box = parse(figure("T", "what it shows", Markup("<svg></svg>"))).find(".//div[@class='drawing']")
    assert (box.get("tabindex"), box.get("aria-label")) == ("0", "what it shows")


def test_a_drawing_scales_with_the_page():
    """The drawing has a view box and no fixed size."""
    svg = parse(drawing("T", "D", 200.0)).find("svg")
    assert svg.get("viewBox") == "0 0 920 200"
    assert svg.get("width") is None
    assert svg.get("aria-label") == "T. D"


@pytest.mark.parametrize(("unit", "inside"), [("AUC", True), ("of the limit", False)])
def test_a_units_words_are_never_cut(plot, unit, inside):
    """A short one ends with the values' edge; a long one begins at the drawing's."""
    (text,) = [each for each in parse(value_axis(plot, unit)).iter("text") if each.text == unit]
    assert ("end" in text.get("class").split()) is inside
    assert float(text.get("x")) == (LEFT - 8 if inside else 0)
