"""Putting a refused form back into a finished page: its own fields and faults change, and nothing else does."""

import pytest
from page_visitors import visiting
from small_project import at

from tradeworthy.apps.dashboard.putting_back import Typed, put_back
from tradeworthy.apps.reports.markup import join, tag

ACTION = "/do/thing"


def form(*content: object, action=ACTION):
    """Return a form with a button."""
    return tag("form", *content, tag("button", "Do it", type="submit"), method="post", action=action)


def typed(wrong=None, action=ACTION, **fields: object):
    """Return what a form sent."""
    return Typed(action=action, fields=fields, wrong={"": "no"} if wrong is None else wrong)


def select(name, *options: str, chosen=""):
    """Return a choice."""
    return tag("select", (tag("option", each, value=each, selected=each == chosen) for each in options), name=name)


def test_every_kind_of_field_has_what_was_sent():
    """Text, a choice, boxes and a large field; what was not sent of boxes is not ticked."""
    page = str(
        form(
            tag("input", name="size", value="1"),
            select("side", "buy", "sell", chosen="buy"),
            (tag("input", type="checkbox", name="on", value=each, checked=True) for each in ("drift", "latency")),
            tag("textarea", "SELECT 1", name="sql"),
        )
    )
    back = put_back(page, typed(size="7", side="sell", on=["latency"], sql="SELECT 2 < 3"))
    assert 'name="size" value="7"' in back
    assert '<option value="buy">' in back
    assert '<option value="sell" selected>' in back
    assert 'value="drift">' in back
    assert 'value="latency" checked' in back
    assert ">SELECT 2 &lt; 3</textarea>" in back


def test_a_field_that_was_not_sent_is_as_it_was():
    """A password is never kept, so its field stays empty; a choice that was not sent keeps the page's own."""
    page = str(form(tag("input", type="password", name="password"), select("side", "buy", "sell", chosen="buy")))
    back = put_back(page, typed())
    assert '<input type="password" name="password" autofocus>' in back
    assert '<option value="buy" selected>' in back


def test_a_fault_stands_beside_its_field():
    """After an input, after the whole of a choice, at the foot of a group; each field names its words."""
    boxes = (tag("input", type="checkbox", name="on", value=each) for each in ("drift", "latency"))
    page = str(form(tag("input", name="size"), select("side", "buy"), tag("fieldset", boxes)))
    back = put_back(page, typed(wrong={"size": "too large", "side": "no side", "on": "not these"}))
    assert '<input name="size" aria-describedby="wrong-0" aria-invalid="true" autofocus><small id="wrong-0"' in back
    assert '</select><small id="wrong-1" class="wrong">no side</small>' in back
    assert '<small id="wrong-2" class="wrong">not these</small></fieldset>' in back
    assert back.count("aria-invalid") == 3
    assert back.count("autofocus") == 1


def test_what_is_no_fields_fault_stands_above_the_buttons():
    """Above the row that the button stands in; the button is what it describes."""
    row = tag("div", tag("button", "Do it", type="submit"), class_="buttons")
    back = put_back(str(tag("form", tag("input", name="size"), row, action=ACTION)), typed(size="9"))
    assert '<small id="wrong-0" class="wrong">no</small><div class="buttons">' in back
    assert '<button type="submit" aria-describedby="wrong-0">' in back
    assert '<input name="size" value="9" autofocus>' in back


def test_of_forms_to_one_address_the_one_with_the_same_hidden_fields_is_meant():
    """Two resumes differ by their scope; the token, which is new with each page, does not matter."""
    one, other = (
        form(
            tag("input", type="hidden", name="_csrf_token", value="new"),
            tag("input", type="hidden", name="scope", value=scope),
            tag("input", name="reason"),
        )
        for scope in ("all", "ETH")
    )
    back = put_back(str(join(one, other)), typed(scope="ETH", reason="looked"))
    assert back.startswith(str(one))
    assert 'name="reason" value="looked"' in back.removeprefix(str(one))
    assert 'name="_csrf_token" value="new"' in back.removeprefix(str(one))


def test_folds_around_the_form_open_and_others_do_not():
    """Each fold from the outermost to the form's own, and none that was closed before it."""
    fold = tag("details", tag("summary", "other"))
    inner = tag("details", tag("summary", "step"), form(tag("input", name="size")))
    back = put_back(str(join(fold, tag("details", inner), fold)), typed(size="1"))
    assert back.count("<details open>") == 2
    assert back.startswith(str(fold))
    assert back.endswith(str(fold))


def test_what_was_typed_stays_text():
    """A script in a value, in a large field or in a fault is shown, never run."""
    hostile = '"></textarea><script>alert(1)</script>'
    page = str(form(tag("input", name="size"), tag("textarea", name="sql")))
    back = put_back(page, typed(wrong={"size": hostile}, size=hostile, sql=hostile))
    assert "<script" not in back
    assert back.count("&lt;script&gt;") == 3


@pytest.mark.parametrize("text", ["&amp; &lt; &#39; caf\u00e9", "<svg viewBox='0 0 1 1'><linearGradient/></svg>", ""])
def test_a_page_without_the_form_is_left_alone(text):
    """Where the form is not on the page (somebody may not see it) not a byte changes."""
    page = f"<!doctype html>\n<p>{text}</p>{form(action='/do/other')}"
    assert put_back(page, typed()) == page


def test_every_view_is_the_same_but_for_the_form(tmp_path):
    """The halt of each view's dialogue is put back; take out what that changed and the view is as it was."""
    halted = typed(action="/do/halt", scope="all", reason="as typed")
    with visiting(at("traded", tmp_path), "adam") as client:
        for path in ("/", "/decisions", "/watch", "/versions", "/versions/champion", "/record", "/settings"):
            page = client.get(path).text
            back = put_back(page, halted)
            start, end = (
                page.index('<form method="post" action="/do/halt"'),
                page.index("</form>", page.index('"/do/halt"')),
            )
            assert back.startswith(page[:start])
            assert back.endswith(page[end:])
            assert 'value="as typed"' in back
