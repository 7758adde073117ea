"""The page without a mouse, without eyes, and before anything has happened, in a real browser."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_at_work import PASSWORD, SYMBOL, picture, served
from playwright.sync_api import expect
from test_page_in_a_browser import GRAVE

from tradeworthy.apps.commands.project import Project
from tradeworthy.testing.projects import write_project

FOCUSED = "getComputedStyle(document.activeElement).outlineStyle"


def barriers(page):
    """Return the grave barriers of what is shown now."""
    found = Axe().run(page).response["violations"]
    return [(page.url, each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in GRAVE]


def test_the_stops_dialogue_is_for_everybody(visit):
    """It has labels and contrast."""
    page = visit("rita", width=390, scheme="dark")
    page.keyboard.press("Shift+H")
    expect(page.get_by_role("dialog")).to_be_visible()
    picture(page, "dialogue", "390-dark")
    assert barriers(page) == []


def test_the_stops_dialogue_gives_the_focus_back(visit):
    """It keeps the keyboard inside; Escape closes it and leaves one where one was; while one types, H is a letter."""
    page = visit("tom")
    page.locator("#halt").focus()
    page.keyboard.press("Enter")
    dialogue = page.get_by_role("dialog", name="Halt trading?")
    expect(dialogue.get_by_role("button", name="Halt now")).to_be_focused()
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('dialog, body').tagName") in ("DIALOG", "BODY")
    page.keyboard.press("Escape")
    expect(dialogue).to_be_hidden()
    expect(page.locator("#halt")).to_be_focused()
    page.goto("/decisions")
    page.get_by_text("More conditions").click()
    page.get_by_label("Version begins with").focus()
    page.keyboard.press("Shift+H")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_label("Version begins with")).to_have_value("H")


def test_the_keyboard_sees_where_it_is(visit):
    """The first way leads past the navigation; whatever is reached next is outlined."""
    page = visit("tom")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUSED) != "none"


def test_the_focus_stays_while_the_page_follows(visit, desk):
    """A part that is replaced under the keyboard gives it the same way again, and nothing scrolls."""
    page = visit("tom")
    way = page.get_by_role("link", name="All facts")
    way.focus()
    page.evaluate("window.at = document.activeElement; window.from = scrollY")
    desk.halt("all", actor="terminal", reason="a drill of the focus")  # of earlier halts the page may tell already
    expect(page.locator("[sse-swap=changes]")).to_contain_text("a drill of the focus")
    expect(way).to_be_focused()
    assert page.evaluate("window.at !== document.activeElement")
    assert page.evaluate("window.from === scrollY")


def test_a_halt_is_heard(visit, desk):
    """Who does not see the strip is told politely what has changed."""
    page = visit("tom")
    heard = page.locator("[sse-swap=state]")
    expect(heard).to_have_attribute("aria-live", "polite")
    desk.halt(f"instrument:{SYMBOL}", actor="terminal", reason="drill")
    expect(heard).to_contain_text("halted: instrument:")
    desk.resume(f"instrument:{SYMBOL}", actor="terminal", reason="drill over")
    expect(heard).not_to_contain_text("halted")


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """Serve the page of a project in which nothing has happened."""
    project = Project(write_project(tmp_path_factory.mktemp("empty") / "small"))
    project.people.add("adam", ["admin"], PASSWORD, actor="test", reason="joins")
    with served(project) as address:
        yield address


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
def test_an_empty_desk_says_what_to_do_next(browser, empty, width, scheme):
    """Before the first version and the first event each view stands, and none of them is a dead end."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, base_url=empty, reduced_motion="reduce"
    )
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.goto("/signin")
    picture(page, "signin", f"{width}-{scheme}")
    assert barriers(page) == []
    page.get_by_label("Name").fill("adam")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    told = {
        "/": "It has sent no order yet",
        "/decisions": "tradeworthy run",
        "/watch": "tradeworthy run",
        "/versions": "tradeworthy train",
        "/fairness": "",
        "/record": "Not verified",
        "/settings": "not set",
    }
    for path, said in told.items():
        page.goto(path)
        expect(page.locator("main")).to_contain_text(said)
        picture(page, f"empty{path.replace('/', '-').rstrip('-')}", f"{width}-{scheme}")
        assert barriers(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    context.close()
    assert wrong == []
