"""Tables of the evidence are drawn as they ask for; what is not known is left out, and said where nothing is left."""

import pytest

from tradeworthy.apps.reports.gate_drawings import shown
from tradeworthy.judge.validate.evidence import Table


def table(chart, rows, columns=("epsilon", "broken", "robust"), level=None):
    """Return a table of evidence."""
    return Table(title="Attacks", columns=list(columns), rows=[list(row) for row in rows], chart=chart, level=level)


def test_every_column_of_a_line_chart_is_a_curve():
    """Over the first column, with what is required as a level line, and its points while they are few."""
    text = shown(table("line", [(0.0, 0.0, 0.9), (0.1, 0.2, None), (0.2, 0.4, 0.5)], level=0.3))
    assert text.count('class="curve line') == 2
    assert text.count("<circle") == 5
    assert "required" in text
    assert text.count('class="legend"') == 1


def test_a_single_curve_is_named_by_its_axis():
    """No legend is needed, and the unit stands at the axis."""
    text = shown(table("line", [(0.0, 1.0), (1.0, 2.0)], columns=("share flipped", "AUC lost")))
    assert 'class="legend"' not in text
    assert ">AUC lost</text>" in text


@pytest.mark.parametrize(
    ("chart", "rows"),
    [
        ("line", [("a", "b", "c")]),
        ("line", [(0.1, 0.5, 0.5)]),
        ("bars", [("a", "b", None)]),
        ("intervals", [("a", None, None)]),
        ("reliability", [(None, None, None)]),
        ("", [("a", 1.0, 2.0)]),
    ],
)
def test_what_cannot_be_drawn_is_a_table(chart, rows):
    """Words, a single point, and what is not known make no drawing; the rows stand there all the same."""
    text = shown(table(chart, rows))
    assert "<svg" not in text
    assert "<table>" in text
    assert "<caption>Attacks</caption>" in text


def test_intervals_stand_between_their_bounds():
    """A value without bounds is a dot alone; one that is not known is left out; the level is marked."""
    rows = [("fold 1", 0.55, 0.5, 0.6), ("fold 2", 0.52, None, None), ("fold 3", None, None, None)]
    text = shown(table("intervals", rows, columns=("fold", "AUC", "low", "high"), level=0.5))
    assert text.count('class="whisker') == 2
    assert text.count('class="point') == 2
    assert 'class="mark"' in text


def test_reliability_is_held_against_the_diagonal():
    """Each bin is a point between its whiskers; the dashed line is where all would lie."""
    rows = [(0.4, 0.45, 0.4, 0.5, 100), (0.6, 0.55, 0.5, 0.6, 100), (0.7, None, None, None, 0)]
    text = shown(table("reliability", rows, columns=("mean score", "share", "low", "high", "rows")))
    assert text.count('class="whisker"') == 2
    assert text.count('class="mark"') == 1
    assert "0.600 foretold, 0.550 came (0.500 to 0.600)" in text


@pytest.mark.parametrize(("count", "folded"), [(2, False), (8, True)])
def test_numbers_of_a_long_table_are_folded_away(count, folded):
    """They stand below the drawing, all of them, signs as people write them."""
    text = shown(table("bars", [(f"slice {place}", -0.5) for place in range(count)], columns=("slice", "return")))
    assert ("<details>" in text) == folded
    assert text.count('class="bar down"') == count
    assert text.count("<td") == 2 * count
    assert "\N{MINUS SIGN}0.5" in text


def test_yes_and_no_are_words():
    """A truth is not a number to be drawn."""
    assert "<svg" not in shown(table("bars", [("a", True)], columns=("what", "holds")))


def test_hostile_words_are_text():
    """Names of features come from outside."""
    text = shown(table("bars", [("<script>alert(1)</script>", 1.0)], columns=("<i>", "value")))
    assert "<script>" not in text
    assert "<i>" not in text


def test_nothing_is_said():
    """A table without rows says so."""
    assert "Attacks: nothing." in shown(table("bars", []))
