"""`make demo` as a person sees it: one open page shows the whole story, and is never loaded again."""

import json
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest
from page_at_work import ARGUMENTS, BROWSER, WITHIN_MS, need_browser, picture
from playwright.sync_api import Error, expect, sync_playwright
from playwright.sync_api import TimeoutError as TooLate

SPEED = "3"
LOOK_MS, STORY_S = 2_000, 1_200.0
"""A busy machine takes many times the usual half a minute; a demo that has ended is noticed at the next look."""

FOLLOW = """() => {
    window.kept = [];
    const at = document.querySelector(".caption [sse-swap=caption]");
    const keep = () => { const said = at.textContent.trim(); if (said && said !== kept.at(-1)) kept.push(said); };
    new MutationObserver(keep).observe(at, { childList: true, subtree: true, characterData: true });
    keep();
}"""
"""Keeps each caption that the open page shows; a page that is loaded again has forgotten them."""


class Demo:
    """A demo that runs, and stays until interrupted."""

    def __init__(self, place) -> None:
        self.place = place
        words = ["demo", "--folder", "demo", "--json", "demo.json", "--speed", SPEED]
        with (place / "said").open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tradeworthy.apps.cli", *words], cwd=place, stdout=said, stderr=said
            )

    def said(self):
        """Return what it has said."""
        return (self.place / "said").read_text("utf-8")

    def check(self):
        """Fail with its last words if it has ended."""
        assert self.process.poll() is None, self.said()[-3_000:]

    def address(self):
        """Wait for the page's address."""
        until = time.monotonic() + STORY_S
        while (found := re.search(r"Watch it on the page: (\S+)", self.said())) is None:
            self.check()
            assert time.monotonic() < until
            time.sleep(0.1)
        return found[1]

    def summary(self):
        """Return what happened, once it has been told."""
        return json.loads((self.place / "demo.json").read_text("utf-8"))

    def end(self):
        """Interrupt it, as Ctrl-C does."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Follow a demo on one open page to its end, go where its story points, interrupt it; say what was seen."""
    need_browser()
    demo = Demo(tmp_path_factory.mktemp("demo"))
    try:
        address = demo.address()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=BROWSER, args=list(ARGUMENTS))
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            context.set_default_timeout(WITHIN_MS)
            page = context.new_page()
            page.goto(address)
            page.evaluate(FOLLOW)
            wait_for_the_end(page, demo)
            seen = SimpleNamespace(summary=demo.summary(), story=page.locator(".caption").inner_text())
            page.wait_for_selector("body[data-drawn]")
            seen.kept = page.evaluate("window.kept")
            seen.strip = page.locator("#strip").inner_text()
            seen.figures = page.locator(".figures").first.inner_text()
            seen.limits = page.locator("[sse-swap=limits]").inner_text()
            picture(page, "demo", "1440-light")
            page.locator(".caption li", has_text="Explain").get_by_role("link").first.click()
            expect(page.get_by_role("heading", name="From the baseline to the score")).to_be_visible()
            seen.reasons = page.get_by_role("heading", level=1).inner_text()
            seen.exit_code = demo.end()
            seen.said = demo.said()
            with pytest.raises(Error, match="ERR_CONNECTION_REFUSED"):
                page.goto(address)
            browser.close()
        return seen
    finally:
        demo.end()


def wait_for_the_end(page, demo):
    """Wait until the page says that the story is over; a demo that has failed is not waited for."""
    until = time.monotonic() + STORY_S
    while time.monotonic() < until:
        demo.check()
        with suppress(TooLate):
            page.locator(".caption", has_text="The end").wait_for(timeout=LOOK_MS)
            return
    pytest.fail(f"the story has not ended in {STORY_S:g} s: {demo.said()[-1_000:]}")


def test_every_chapter_has_its_caption(told):
    """From the first that follows the page's opening to the last, in their order."""
    chapters = re.findall(r"^(\d+)\. (\w+)", told.story, re.MULTILINE)
    numbers = [int(number) for number, _ in chapters]
    assert numbers == sorted(numbers, reverse=True)
    assert {"Look", "Train", "Register", "Gate", "Live", "Explain"} <= {name for _, name in chapters}


def test_what_happened_is_on_the_page_without_a_reload(told):
    """Drift, retraining, gate, promotion, harm and roll back: each step of the summary was told on the open page."""
    assert len(told.kept) >= 5
    steps = told.summary["steps"]
    assert {"drift", "retrained", "gate"} <= {step["step"] for step in steps}
    for step in steps:
        if step["step"] in ("champion", "canary", "shadow", "gate", "rolled back", "answered"):
            assert step["said"][:80] in told.story, step
    assert "retraining in another process, because of" in told.story
    assert "finding: " in told.story


def test_the_page_stands_at_the_end_of_the_story(told):
    """Who acts, decisions and fills: as the summary has them."""
    acts = ""
    for step in told.summary["steps"]:
        if step["step"] in ("champion", "canary"):
            acts = step["version"]
        elif step["step"] == "rolled back":
            acts = step["said"].split()[0]
    assert acts[:8] in told.strip
    assert f"{told.summary['decisions']:,}" in told.figures
    assert f"{told.summary['fills']:,} fills" in told.figures
    assert "not set" not in told.limits
    assert "Drawdown value" in told.limits


def test_the_trade_is_explained_where_the_story_points(told):
    """The link in the story leads to the decision, with its reasons in words and as a waterfall."""
    assert "Decision" in told.reasons


def test_it_ends_when_interrupted_and_its_page_with_it(told):
    """Ctrl-C is the end of both: no process is left that serves the page."""
    assert told.exit_code == 0
    assert "ended" in told.said
