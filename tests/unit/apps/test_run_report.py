"""The report of a run: complete, self-contained, escaped, and honest about what is missing."""

import html.parser
import re

import msgspec
import pytest
from reports_sample import A, make_report

from tradeworthy.apps.reports import run_data as data
from tradeworthy.apps.reports.html import Section, page, style_sheet, table
from tradeworthy.apps.reports.markup import Markup
from tradeworthy.apps.reports.run_report import RunReport, render_run

SECTIONS = [
    "result",
    "trades",
    "decisions",
    "changes",
    "watched",
    "explanation",
    "versions",
    "gate",
    "training",
    "data",
    "record",
]
VOID = {"meta", "br", "hr", "col"}


class Reader(html.parser.HTMLParser):
    """Reads a page: checks that elements close in order, collects attributes and text."""

    def __init__(self, text) -> None:
        super().__init__()
        self.open, self.ids, self.attributes, self.words, self.tags = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Remember an element that must be closed."""
        self.tags.append(tag)
        self.attributes += [(tag, *attr) for attr in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Close the element opened last."""
        assert self.open.pop() == tag

    def handle_data(self, text):
        """Collect what is read."""
        self.words.append(text)


@pytest.fixture(scope="module")
def full():
    """Render the whole sample once."""
    return render_run(make_report())


def bare(**parts: object):
    """Return a report with hardly anything in it."""
    return RunReport(title="t", generated_ns=0, env="paper", span_ns=(0, 10**15), runtime="r", **parts)


def words(text):
    """Return a page's text."""
    return " ".join(Reader(text).words)


def test_the_page_is_well_formed(full):
    """Every element closes where it should, and no anchor stands twice."""
    reader = Reader(full)
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))


def test_every_section_is_there_and_linked(full):
    """The contents lead to each section."""
    reader = Reader(full)
    assert reader.ids == SECTIONS
    assert [v for tag, name, v in reader.attributes if tag == "a" and name == "href"] == [f"#{s}" for s in SECTIONS]


def test_the_page_fetches_nothing_and_runs_nothing(full):
    """No address, no script, no event handler: the file is complete and forbids itself the network."""
    reader = Reader(full)
    assert "script" not in reader.tags
    assert not [a for a in reader.attributes if a[1].startswith("on") or a[1] in {"src", "srcset", "data"}]
    assert not re.search(r"https?:|url\(|@import", full)
    assert "default-src 'none'" in str(reader.attributes)


def test_texts_from_outside_are_escaped():
    """A name that looks like markup is shown, never run."""
    nasty = '<script>alert("x")</script>'
    report = make_report()
    first = msgspec.structs.replace(report.versions[0], name=nasty, author=nasty, purpose=nasty)
    finding = msgspec.structs.replace(report.findings[0], sentence=nasty, subject=nasty, unit=nasty)
    explained = msgspec.structs.replace(
        report.explained[0],
        heading=nasty,
        contributions=(data.Contribution(feature=nasty, value=1.0, contribution=0.1),),
    )
    made = render_run(
        msgspec.structs.replace(
            report,
            title=nasty,
            env=nasty,
            remarks=(nasty,),
            versions=(first,),
            findings=(finding,),
            explained=(explained,),
        )
    )
    assert "<script" not in made
    assert Reader(made).open == []


def test_the_size_stays_mailable(full):
    """Fourteen thousand bars and five curves fit into half a megabyte."""
    assert len(full.encode()) < 600_000


def test_a_run_without_anything_says_what_is_missing():
    """Nothing absent looks like something good."""
    said = words(render_run(bare()))
    assert said.count("Not part of this run.") >= 8
    for phrase in (
        "not verified",
        "not replayed",
        "champion was not changed",
        "No decision was explained",
        "No version acted",
    ):
        assert phrase in said


def test_promises_that_held_are_marked(full):
    """Five promises, each with a sign and a word for it."""
    held = [v for tag, name, v in Reader(full).attributes if name == "aria-label" and v in {"held", "did not hold"}]
    assert held == ["held"] * 5


@pytest.mark.parametrize(
    ("part", "phrase"),
    [
        (
            {"verified": data.Verified(ok=False, records=9, size_bytes=99, problems=("inputs, segment 3, record 7",))},
            "segment 3",
        ),
        (
            {
                "replayed": data.Replayed(
                    identical=False, decisions=9, orders=1, differences=2, first_difference="decision 5"
                )
            },
            "2 of 9 differ",
        ),
        ({"gates": ()}, "has no passed gate"),
    ],
)
def test_a_promise_that_did_not_hold_says_why(part, phrase):
    """A broken promise is the first thing a reader sees, with its reason."""
    made = render_run(msgspec.structs.replace(make_report(), **part))
    assert 'aria-label="did not hold"' in made
    assert phrase in words(made)


def test_a_lost_decision_breaks_the_promise():
    """One undecided event during a swap is one too many."""
    report = make_report()
    lost = msgspec.structs.replace(report.swaps[0], decisions_lost=1)
    made = render_run(msgspec.structs.replace(report, swaps=(lost,)))
    assert "1 decisions lost" in words(made)
    assert 'aria-label="did not hold"' in made


def test_an_inexact_explanation_breaks_the_promise():
    """Contributions that miss the score by more than 1e-9 are not an explanation."""
    report = make_report()
    off = msgspec.structs.replace(report.explained[0], sum_error=1e-6)
    assert 'aria-label="did not hold"' in render_run(msgspec.structs.replace(report, explained=(off,)))


def test_costs_are_broken_out(full):
    """The result before costs, each cost, and the result after costs stand in the page."""
    costs = make_report().outcome.costs
    said = words(full)
    for value in (-costs.fees, -costs.spread, -costs.slippage):
        assert f"\N{MINUS SIGN}{-value:,.2f}" in said
    assert costs.total == pytest.approx(costs.gross - costs.net)


def test_decisions_are_counted_by_verdict():
    """Refusals leave out what passed and what was still warming up; an unknown code stays a number."""
    made = data.Decisions(verdicts={0: 90, 201: 6, 307: 3, 999: 1}, orders=5, fills=4)
    assert (made.total, made.denied) == (100, 4)
    said = words(render_run(bare(decisions=made)))
    assert "MESSAGE_RATE" in said
    assert "code 999" in said
    assert "unknown to this release" in said
    assert "at the median" not in said


def test_small_contributions_are_summed_in_one_step(full):
    """The largest ten stand alone, the rest in one bar, all of them in the table."""
    said = words(full)
    assert "2 other features" in said
    assert all(c.feature in said for c in make_report().explained[0].contributions)


def test_a_version_unknown_to_the_report_is_named_by_its_digest():
    """A swap to a version that is not listed still says which."""
    swap = data.Swap(
        kind="rollback",
        ts_ns=5 * 10**14,
        before="b" * 64,
        to=A,
        actor="ann",
        reason="drill",
        ms=1.0,
        events=0,
        decisions_lost=0,
    )
    assert A[:12] in words(render_run(bare(swaps=(swap,))))


def test_the_style_sheet_serves_dark_light_and_print():
    """Colours follow the reader's setting, and paper is always light."""
    css = style_sheet()
    assert "prefers-color-scheme: dark" in css
    assert "@media print" in css


def test_a_replay_elsewhere_names_both_runtimes():
    """Where the recorded runtime was another one, the report says which."""
    replayed = data.Replayed(
        identical=True, decisions=1, orders=0, differences=0, fingerprint_recorded="old", fingerprint_here="new"
    )
    assert "recorded on old, replayed on new" in words(render_run(bare(replayed=replayed)))


def test_a_table_without_rows_says_so():
    """An empty table is a sentence, not an empty frame."""
    assert table(("a",), [], empty="None at all.") == '<p class="empty">None at all.</p>'


def test_a_page_can_be_made_of_any_sections():
    """Other reports use the same page."""
    made = page("T", "sub", Markup(), [Section("one", "One", "", Markup("<p>x</p>"))], "end")
    assert made.startswith("<!doctype html>")
    assert Reader(made).ids == ["one"]
