"""Building elements: what is escaped, what is kept."""

from hypothesis import given
from hypothesis import strategies as st

from tradeworthy.apps.reports.markup import Markup, join, number, tag


def test_text_is_escaped():
    """A plain string inside an element is text, whatever it looks like."""
    assert tag("p", "<script>&") == "<p>&lt;script&gt;&amp;</p>"


def test_elements_are_kept():
    """An element inside an element stays an element."""
    assert tag("p", tag("b", "x"), "y") == "<p><b>x</b>y</p>"


def test_attributes_are_escaped():
    """A quote in an attribute cannot end it."""
    assert tag("a", title='"><script>') == '<a title="&quot;&gt;&lt;script&gt;"></a>'


def test_what_nobody_sees_is_shown():
    """Controls, zero-width and direction marks cannot hide or turn what stands beside them; line breaks stay."""
    hostile = "a\x1b[31m\x00b\u202ec\u200bd\n\te"
    assert tag("p", hostile) == "<p>a\ufffd[31m\ufffdb\ufffdc\ufffdd\n\te</p>"
    assert tag("i", title="\u2066x") == '<i title="\ufffdx"></i>'


def test_attribute_names_and_values():
    """Underscores become hyphens, numbers are short, true is a bare name, false and none are left out."""
    made = tag("rect", class_="bar", stroke_width=1.5, x=2.0, hidden=True, rx=None, ry=False)
    assert made == '<rect class="bar" stroke-width="1.5" x="2" hidden></rect>'


def test_elements_without_content_are_not_closed():
    """`meta` and its like have no end."""
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_children_may_be_nested_or_absent():
    """Lists, generators and nothing may stand among the children."""
    assert tag("ul", (tag("li", c) for c in "ab"), None, ["x", None]) == "<ul><li>a</li><li>b</li>x</ul>"


def test_formatting_an_element_makes_it_text_again():
    """Only `tag` and `join` make elements: a formatted string is escaped when it is used."""
    assert tag("p", f"{tag('b', 'x')}") == "<p>&lt;b&gt;x&lt;/b&gt;</p>"


def test_numbers_are_short():
    """Coordinates carry two decimals at most, and no minus zero."""
    assert [number(v) for v in (1.0, 1.23456, -0.001, 100.0, 0.5)] == ["1", "1.23", "0", "100", "0.5"]


@given(st.text(), st.text())
def test_no_text_can_open_an_element(text, attribute):
    """Whatever the text, the only angle brackets are those of the elements we made."""
    made = tag("p", text, tag("i", text, title=attribute))
    assert made.count("<") == 4
    assert made.count(">") == 4


@given(st.lists(st.text()))
def test_joining_escapes_each_part(parts):
    """Joined texts hold no bare angle bracket."""
    joined = join(*parts)
    assert isinstance(joined, Markup)
    assert "<" not in joined
