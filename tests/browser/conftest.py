"""A desk that has traded, its page, a browser, and people who visit; shared by all files of browser tests."""

import pytest
from page_at_work import ARGUMENTS, BROWSER, PASSWORD, WITHIN_MS, make_desk, need_browser, served
from playwright.sync_api import Page, expect, sync_playwright

from tradeworthy.apps.deployment.limits import limits_by_scope
from tradeworthy.change.release.standing import NO_RULE
from tradeworthy.core import facts

expect.set_options(timeout=WITHIN_MS)


@pytest.fixture(scope="session")
def desk(tmp_path_factory):
    need_browser()
    return make_desk(tmp_path_factory.mktemp("desk") / "small")


@pytest.fixture(scope="session")
def address(desk):
    with served(desk) as address:
        yield address


@pytest.fixture(scope="module")
def browser(desk):
    """Open a browser after the desk, and close it with the file: both, and other tests, need this thread's loop."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=list(ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture
def as_it_was(desk):
    """Take back what a test did to the desk that others share, wherever in the middle it failed."""
    champion, limits = desk.resolve("champion"), limits_by_scope(desk)
    by = {"actor": "rita", "reason": "as it was before the test"}
    yield
    standing = desk.registry.standing()
    for scope in standing.halted:
        desk.resume(scope, **by)
    if standing.rule != NO_RULE:
        desk.fall_back(NO_RULE, **by)
    if standing.champion != champion:
        desk.rollback(**by)
    now = limits_by_scope(desk)
    for scope, before in limits.items():
        if now[scope] != before:
            desk.ledger.append(facts.LimitsChanged(scope=scope, limits=before), **by)
            desk.control.limits_changed()
    desk.places.caption.unlink(missing_ok=True)


@pytest.fixture
def visit(browser, address, as_it_was):
    """Open pages as somebody; nothing may go to the console or to another host."""
    contexts, wrong = [], []

    def open_as(name: str, *, width: int = 1440, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, base_url=address, reduced_motion="reduce"
        )
        context.set_default_timeout(WITHIN_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith((address, "data:")) else wrong.append(asked.url))
        page.goto("/signin")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/")
        return page

    yield open_as
    for context in contexts:
        context.close()
    assert wrong == []
