"""Looking closer at the charts with what one has: keys, buttons, fingers; each comes to the same stretch of time."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

GRAVE = {"serious", "critical"}
SHOWN = "() => { const x = uPlot.sync('desk').plots[0].scales.x; return [x.min, x.max]; }"

ASKED = "'asked' in document.getElementById('charts').dataset"
"""Whether a stretch was asked for that is not drawn yet."""


def shown(page):
    """Return the first and the last second that the price shows."""
    return page.evaluate(SHOWN)


def looked(page, act):
    """Do something that asks for another stretch, and return what is shown once that is drawn."""
    before = shown(page)
    act()
    page.wait_for_function(f"before => !({ASKED}) && String(({SHOWN})()) !== String(before)", arg=before)
    return shown(page)


@pytest.fixture
def page(visit):
    """The desk's view with its charts drawn."""
    page = visit("tom")
    page.wait_for_selector("body[data-drawn]")
    return page


def test_keys_look_closer_move_along_and_show_all(page):
    """Tab reaches the chart, + halves the stretch, arrows move by half of it, - doubles it, Home shows all again."""
    first, last = shown(page)
    chart = page.locator("#price")
    chart.focus()
    expect(chart).to_be_focused()
    assert chart.evaluate("at => getComputedStyle(at).outlineStyle") == "solid"
    near = looked(page, lambda: page.keyboard.press("+"))
    assert first < near[0] < near[1] < last
    assert near[1] - near[0] == pytest.approx((last - first) / 2, rel=0.05)
    expect(page.locator("#stretch")).to_contain_text("UTC")
    later = looked(page, lambda: page.keyboard.press("ArrowRight"))
    assert later[0] > near[0]
    earlier = looked(page, lambda: page.keyboard.press("ArrowLeft"))
    assert earlier == pytest.approx(near, abs=(last - first) * 0.02)
    expect(chart).to_be_focused()
    assert looked(page, lambda: page.keyboard.press("Home")) == [first, last]
    expect(page.locator("#stretch")).to_have_text("All of it")


def test_the_ends_of_the_market_are_the_ends_of_the_chart(page):
    """Moving on at the last price changes nothing; who asks for ever closer comes as close as there are prices."""
    first, last = shown(page)
    page.locator("#price").focus()
    looked(page, lambda: page.keyboard.press("+"))
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(f"last => ({SHOWN})()[1] === last", arg=last)
    for _ in range(20):
        page.keyboard.press("+")
    few = "([first, last]) => { const [from, to] = (SHOWN)(); return first < from && to - from < (last - first) / 50; }"
    page.wait_for_function(few.replace("SHOWN", SHOWN), arg=[first, last])
    assert page.evaluate("uPlot.sync('desk').plots[0].data[0].length") >= 2


def test_a_key_for_the_browser_is_left_to_the_browser(page):
    """Ctrl and + enlarges the page, not the chart; keys typed elsewhere do nothing to it."""
    whole = shown(page)
    page.locator("#price").focus()
    taken = page.evaluate("""() => {
        const key = (init) => { const made = new KeyboardEvent("keydown", { bubbles: true, cancelable: true, ...init });
            document.getElementById("price").dispatchEvent(made); return made.defaultPrevented; };
        return [key({ key: "+", ctrlKey: true }), key({ key: "Tab" }), key({ key: "a" })];
    }""")
    assert taken == [False, False, False]
    assert shown(page) == whole


def test_buttons_do_what_keys_do(page):
    """Each is a button with a name; those that would change nothing say so; a screen reader hears the stretch."""
    whole = shown(page)
    group = page.get_by_role("group", name="What the charts show")
    for name in ("Wider", "Earlier", "Later", "All of it"):
        expect(group.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-disabled", "true")
    near = looked(page, group.get_by_role("button", name="Closer").click)
    expect(group.get_by_role("button", name="Earlier")).to_have_attribute("aria-disabled", "false")
    assert looked(page, group.get_by_role("button", name="Earlier").click)[0] < near[0]
    expect(group.get_by_role("status")).to_contain_text(" to ")
    assert looked(page, group.get_by_role("button", name="All of it").click) == whole
    found = Axe().run(page, context="#charts").response["violations"]
    assert [each["id"] for each in found if each["impact"] in GRAVE] == []
    chart = page.locator("#price")
    expect(chart).to_have_role("application")
    expect(chart).to_have_attribute("aria-describedby", "looking")
    assert "with decisions" in chart.get_attribute("aria-label")


def test_two_fingers_look_closer_and_one_moves_along(browser, address, visit):
    """What was under the fingers stays under them; lifting them asks for what is then shown; a tap changes nothing."""
    cookies = visit("tom").context.storage_state()
    context = browser.new_context(
        viewport={"width": 390, "height": 900}, has_touch=True, is_mobile=True, base_url=address, storage_state=cookies
    )
    page = context.new_page()
    page.goto("/")
    page.wait_for_selector("body[data-drawn]")
    expect(page.locator("#looking .touched")).to_be_visible()
    expect(page.locator("#looking .pointed")).to_be_hidden()
    page.locator("#charts").scroll_into_view_if_needed()
    box = page.locator("#price .u-over").bounding_box()
    fingers = context.new_cdp_session(page)

    def touch(kind, *places: float) -> None:
        points = [{"x": box["x"] + at, "y": box["y"] + 60, "id": number} for number, at in enumerate(places)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def pinch() -> None:
        touch("touchStart", 100, 140)
        for step in range(1, 5):
            touch("touchMove", 100 - 10 * step, 140 + 10 * step)
        touch("touchEnd")

    def swipe() -> None:
        touch("touchStart", 200)
        for step in range(1, 5):
            touch("touchMove", 200 - 20 * step)
        touch("touchEnd")

    first, last = shown(page)
    looked(page, pinch)
    expect(page.locator("#stretch")).to_contain_text("UTC")
    near = shown(page)
    assert near[1] - near[0] == pytest.approx((last - first) * 40 / 120, rel=0.15)
    looked(page, swipe)
    page.wait_for_function(f"near => ({SHOWN})()[0] > near[0]", arg=near)
    page.locator("[data-look=whole]").click()
    page.wait_for_function(f"whole => String(({SHOWN})()) === String(whole)", arg=[first, last])
    context.close()
