"""The parts of a page: tables, key figures, promises, folded details."""

from xml.etree import ElementTree as ET

import pytest

from tradeworthy.apps.reports import html
from tradeworthy.apps.reports.html import Assurance, KeyFigure
from tradeworthy.apps.reports.markup import Markup, tag


def parse(markup):
    """Parse one element."""
    return ET.fromstring(markup)  # noqa: S314  # our own


def text(element):
    """Return an element's words."""
    return "".join(element.itertext())


def test_a_table_has_a_head_and_aligns_its_columns():
    """Numbers, code and times are set apart; columns without a letter hold words."""
    made = parse(html.table(("a", "b", "c", "d"), [("1", "2", "3", "4")], align="rct"))
    assert [cell.get("class") for cell in made.iter("td")] == ["number", "code", "when", None]
    assert [(cell.get("scope"), cell.text) for cell in made.iter("th")] == [("col", c) for c in "abcd"]


def test_a_row_of_the_wrong_length_is_a_mistake():
    """A cell too many is the caller's mistake and never shifts a column in silence."""
    with pytest.raises(ValueError, match=r"shorter|longer"):
        html.table(("a", "b"), [("1",)])


def test_a_table_may_have_a_caption():
    """The caption stands first inside the table."""
    made = parse(html.table(("a",), [("1",)], caption="what it is"))
    assert made.find("table")[0].text == "what it is"


def test_cells_may_hold_elements_but_text_is_escaped():
    """A badge stays a badge; a name with brackets stays text."""
    made = html.table(("a", "b"), [(html.badge("pass", "good"), "<b>")])
    assert '<span class="badge good">pass</span>' in made
    assert "&lt;b&gt;" in made


def test_a_key_figure_carries_its_unit_in_small_print():
    """Name, value, unit and remark are read in this order; the tone is a class."""
    made = parse(html.key_figures([KeyFigure("Result", "12", "USD", "after costs", "good")]))
    assert [text(e) for e in made[0]] == ["Result", "12 USD", "after costs"]
    assert made[0].get("class") == "figure good"
    assert made.find("./div/strong/small").text == " USD"


def test_a_key_figure_without_a_unit_shows_none():
    """No unit, no empty element."""
    assert parse(html.key_figures([KeyFigure("Orders", "3")])).find(".//small") is None


@pytest.mark.parametrize(
    ("held", "said", "tone"), [(True, "held", "good"), (False, "did not hold", "bad"), (None, "not checked", "unknown")]
)
def test_a_promise_is_said_in_words_too(held, said, tone):
    """A reader who sees no colour, or no screen, learns the same."""
    (item,) = parse(html.assurances([Assurance("It holds", held, "why")]))
    assert item.get("class") == tone
    assert item.find("span").get("aria-label") == said
    assert text(item).endswith("It holdswhy")


def test_pairs_are_a_list_of_terms():
    """Each name stands with what it stands for."""
    made = parse(html.pairs([("Rows", "3"), ("Digest", html.code("ab"))]))
    assert [(text(e.find("dt")), text(e.find("dd"))) for e in made] == [("Rows", "3"), ("Digest", "ab")]


def test_details_are_folded_behind_their_summary():
    """What is folded away is still in the page."""
    made = parse(html.more("All", tag("p", "hidden"), None))
    assert [e.tag for e in made] == ["summary", "p"]


def test_sentences_are_a_list():
    """One item a sentence."""
    assert [e.text for e in parse(html.sentences(["a", "b"]))] == ["a", "b"]


def test_what_is_absent_is_said():
    """A missing part is a sentence."""
    assert text(parse(html.absent())) == "Not part of this run."


def test_headings_may_hold_badges():
    """A heading takes words or elements."""
    assert html.heading("a & b") == "<h3>a &amp; b</h3>"
    assert html.heading(tag("b", "x")) == "<h3><b>x</b></h3>"


def test_the_style_sheet_is_put_inside_the_page():
    """A page carries its looks with it, unescaped, once."""
    made = html.page("t", "s", Markup(), [], "c")
    assert made.count("<style>") == 1
    assert html.style_sheet() in made


def test_sections_are_anchored_and_titled():
    """A section shows its heading and sentence, and the contents link to it."""
    made = html.page("t", "s", Markup(), [html.Section("one", "First", "What it shows.", tag("p", "x"))], "c")
    assert '<a href="#one">First</a>' in made
    assert 'id="one"' in made
    assert '<p class="lead">What it shows.</p>' in made
