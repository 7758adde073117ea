"""What a person sees and does on the page, in a real browser."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_at_work import notice, picture
from playwright.sync_api import expect

from tradeworthy.apps.dashboard.deciding import Filter, decisions_before

VERSION = "/versions/champion"
COMPARE = "/versions/compare?one=champion&other=newest"
OF_VERSIONS = ("/versions", VERSION, f"{VERSION}/gate", COMPARE)
VIEWS = ("/", "/decisions", "/watch", "/watch/monitors/drift", *OF_VERSIONS, "/fairness", "/record", "/settings")
GRAVE = {"serious", "critical"}
BARS = "[...document.querySelectorAll('[sse-swap=limits] meter')].map((each) => each.getBoundingClientRect().right)"
UNFOLDED = (390, "dark")
"""Where all that is folded away is looked at too."""


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")])
def test_every_view_is_for_everybody(visit, desk, width, scheme):
    """No view has a grave barrier, unfolded neither, is wider than the screen, or lets a script of the data run."""
    page = visit("eve", width=width, scheme=scheme)
    order = decisions_before(desk, Filter(outcome="orders"), count=1)[0]
    case = desk.findings().cases[0]
    views = dict.fromkeys(VIEWS) | {f"/decisions/{order.sequence}": "decision", f"/watch/{case.number}": "finding"}
    for path, named in views.items():
        page.goto(path)
        page.wait_for_load_state("load")
        if path == "/":
            page.wait_for_selector("body[data-drawn]")
        picture(page, named or path.partition("?")[0].strip("/").replace("/", "-") or "desk", f"{width}-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        if (width, scheme) == UNFOLDED:
            page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        found = Axe().run(page).response["violations"]
        assert [(path, each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in GRAVE] == []
        assert page.title() != "owned"
        assert page.locator("#halt").is_visible()


def test_how_much_of_a_limit_is_used_is_seen_on_a_phone(visit):
    """The bars of the limits in use stand within the screen, without scrolling sideways."""
    page = visit("tom", width=390)
    ends = page.evaluate(BARS)
    assert ends
    assert max(ends) <= 390


def test_the_chart_follows_and_zooms(visit):
    """All prices are drawn; a drag looks closer; a double click shows all of it again."""
    page = visit("tom")
    page.wait_for_selector("#price canvas")
    box = page.locator("#price .u-over").bounding_box()
    with page.expect_response(lambda answer: "/curves" in answer.url and "from_s" in answer.url) as closer:
        page.mouse.move(box["x"] + 100, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 300, box["y"] + 60, steps=5)
        page.mouse.up()
    part = closer.value.json()
    with page.expect_response(lambda answer: "/curves" in answer.url and "from_s" not in answer.url) as whole:
        page.mouse.dblclick(box["x"] + 200, box["y"] + 50)
    assert 0 < len(part["price"][0]) < len(whole.value.json()["price"][0])


def test_a_stretch_without_a_price_shows_what_was_seen(visit):
    """Looking closer at a closed market leaves the chart as it was, not empty."""
    page = visit("tom")
    page.wait_for_selector("#price canvas")
    with page.expect_response(lambda answer: "/curves" in answer.url and "from_s" not in answer.url) as whole:
        page.evaluate("""() => {
            const plot = uPlot.sync("desk").plots[0], bar = plot.data[0][100];
            plot.batch(() => plot.setScale("x", { min: bar + 60, max: bar + 120 }));
            plot.setSelect({ left: 10, top: 0, width: 200, height: 50 });
        }""")
    assert whole.value.json()["price"][0]
    expect(page.locator("#price canvas")).to_be_visible()
    expect(page.locator("#price")).not_to_contain_text("Nothing has happened")


def test_halt_with_the_keyboard_and_resume_with_the_right_role(visit, desk):
    """Shift+H and Enter halt at once; everybody sees who and why; only risk resumes."""
    page = visit("tom")
    page.keyboard.press("Shift+H")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Enter")
    expect(notice(page)).to_contain_text("Halted all")
    assert desk.control.view().scopes
    expect(page.locator(".halted")).to_contain_text("all by tom")
    expect(page.locator(".halted button")).to_have_count(0)
    other = visit("rita")
    other.locator(".halted summary").click()
    other.locator(".halted").get_by_label("Reason").fill("looked at it")
    other.locator(".halted button").click()
    expect(notice(other)).to_contain_text("Resumed all")
    assert not desk.control.view().scopes


def test_a_halt_from_elsewhere_shows_without_a_reload(visit, desk):
    """What another process does is on the open page within moments."""
    page = visit("paul")
    expect(page.locator("#strip")).not_to_contain_text("halted: all")
    desk.halt("all", actor="terminal", reason="drill")
    expect(page.locator("#strip")).to_contain_text("halted: all")
    desk.resume("all", actor="terminal", reason="drill over")
    expect(page.locator("#strip")).not_to_contain_text("halted: all")


def test_the_list_of_decisions_goes_on_while_one_reads(visit):
    """Scrolling to its end fetches older ones."""
    page = visit("tom")
    page.goto("/decisions")
    rows = page.locator("tbody tr")
    before = rows.count()
    page.keyboard.press("End")
    page.mouse.wheel(0, 20_000)
    expect(rows.nth(before + 10)).to_be_attached()


def test_from_a_decision_to_its_reasons(visit):
    """An order's page says in words and in a waterfall why it was sent."""
    page = visit("tom")
    page.goto("/decisions?outcome=orders")
    page.get_by_role("link", name="Why decision").first.click()
    expect(page.locator(".said")).to_contain_text("it wanted a position of")
    expect(page.get_by_role("heading", name="From the baseline to the score")).to_be_visible()
    expect(page.get_by_role("heading", name="Order and answers")).to_be_visible()


def test_a_wrong_password_opens_nothing(browser, address):
    """The form says so, and the desk stays closed."""
    context = browser.new_context(base_url=address)
    page = context.new_page()
    page.goto("/signin")
    page.get_by_label("Name").fill("paul")
    page.get_by_label("Password").fill("not his password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not right")
    page.goto("/versions")
    assert page.url.endswith("/signin")
    context.close()
