"""Reports as documents: RTS 6 article by article, a model card, and everything about one order."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from command_words import tell
from small_project import ADA, BOB, at, looked_at

from tradeworthy.apps.reports.document import Document, Line, Part, render, write
from tradeworthy.apps.reports.model_card import model_card
from tradeworthy.apps.reports.order_story import order_story
from tradeworthy.apps.reports.rts6 import ARTICLES, assess
from tradeworthy.core.errors import NotFound
from tradeworthy.core.facts import CheckOverridden
from tradeworthy.core.time import NS_PER_S
from tradeworthy.record.reader import TapeReader

THIS_YEAR = datetime.now(UTC).year


@pytest.fixture(scope="module")
def traded():
    """A project that has traded."""
    return looked_at("traded")


def lines(document, part):
    """Return a part's lines by name; the first whose heading begins so."""
    [found] = [each for each in document.parts if each.name.startswith(part)]
    return {line.name: line for line in found.lines}


def test_every_article_has_lines_and_each_a_verdict(traded):
    """Nothing is passed over: each line is evidence or missing."""
    document = assess(traded, THIS_YEAR)
    assert [part.name.split(":")[0] for part in document.parts] == [f"Article {each[0]}" for each in ARTICLES]
    assert all(part.lines for part in document.parts)
    free = {
        "deleted by age",
        "legal holds",
        "checks that people set aside; each counts once two of them did",
        "alerts that were settled, and why",
    }
    verdicts = {line.verdict for part in document.parts for line in part.lines if line.name not in free}
    assert verdicts == {"evidence", "missing"}


def test_what_the_record_does_not_hold_is_missing_never_passed(traded):
    """An approval, a halt, a stress test that never were are said to be missing."""
    document = assess(traded, THIS_YEAR)
    [authorised] = lines(document, "Article 5(2)").values()
    assert (authorised.verdict, authorised.said) == ("missing", "nothing in the record")
    assert lines(document, "Article 12")["trading was halted, in earnest or as a drill"].verdict == "missing"
    assert {line.verdict for line in lines(document, "Article 17").values()} == {"missing"}


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda bundle: (bundle / "trees.npz").unlink(), r"missing \['trees.npz'\]; bring the folder back from a copy"),
        (
            lambda bundle: (bundle / "manifest.json").unlink(),
            "manifest.json of the bundle cannot be read as a plain file",
        ),
        (
            lambda bundle: (bundle / "profile.npz").write_bytes(b"x"),
            "profile.npz has SHA-256 .*: a byte changed; bring",
        ),
        (lambda bundle: (bundle / "signature.json").write_bytes(b"{"), "signature.json is not a signature"),
        (
            lambda bundle: bundle.rename(bundle.with_name("away")),
            "there is no version folder .*; bring the folder back",
        ),
    ],
    ids=["file", "manifest", "byte", "signature", "folder"],
)
def test_a_card_of_a_damaged_bundle_says_what_is_wrong_and_what_to_do(harm, said, capsys, tmp_path):
    """One line and exit code 2: which version, where it lies, what is missing."""
    project = at("promoted", tmp_path)
    [bundle] = (project.places.root / "versions").iterdir()
    harm(bundle)
    code, out, err = tell(capsys, "report", "model-card", "--project", project.folder)
    assert (code, out) == (2, "")
    assert bundle.name in err
    assert re.search(said, err), err


def test_what_was_done_becomes_evidence(tmp_path):
    """An approval by another person and a halt with its resumption appear with who and why."""
    project = at("promoted", tmp_path)
    project.approve("champion", actor=BOB, reason="limits read")
    project.halt(actor=BOB, reason="a drill")
    project.resume(actor=BOB, reason="the drill is over")
    document = assess(project, THIS_YEAR)
    [authorised] = lines(document, "Article 5(2)").values()
    assert (authorised.verdict, authorised.said) == ("evidence", f"approved by {BOB}, made by {ADA}")
    assert {line.verdict for line in lines(document, "Article 12").values()} == {"evidence"}
    assert "a drill" in lines(document, "Article 12")["trading was halted, in earnest or as a drill"].said


def test_a_reconciliation_is_evidence_and_its_breaks_are_told(tmp_path):
    """Who compared what with whom; one that found differences counts as done, and says what parted."""
    project = at("traded", tmp_path)
    project.reconcile(actor=BOB, reason="monthly")
    told = lines(assess(project, THIS_YEAR), "Article 17")
    assert {line.verdict for line in told.values()} == {"evidence"}
    assert f"{BOB}: 399 fills up to record" in told["fills were compared with the venue's own record"].said
    statement = tmp_path / "venue.csv"
    statement.write_text("order,instrument,quantity,price\n", "utf-8")
    assert len(project.reconcile(statement, actor=BOB).differences) == 399
    agreed = lines(assess(project, THIS_YEAR), "Article 17")[
        "all that was compared agreed, or the differences were told as findings"
    ]
    assert "1 of 2 agreed" in agreed.said
    assert "venue.csv differ in 399 ways" in agreed.said


def test_checks_that_people_set_aside_are_told(tmp_path):
    """Which check of which version, until when, by whom and why; where there were none, that is said."""
    project, name = at("gated", tmp_path), "checks that people set aside; each counts once two of them did"
    version = project.resolve("newest")
    assert lines(assess(project, THIS_YEAR), "Article 7")[name].said == "none"
    fact = CheckOverridden(version=version, check="poisoning", until_ns=1_800_000_000 * NS_PER_S, report_digest="")
    project.ledger.append(fact, actor=BOB, reason="the data are our own")
    told = lines(assess(project, THIS_YEAR), "Article 7")[name].said
    assert f"{BOB}: poisoning of {version[:16]} until 2027-01-15 (the data are our own)" in told


def test_a_damaged_record_is_no_evidence(tmp_path):
    """Where verification fails, continuity and records have nothing to show."""
    project = at("traded", tmp_path)
    segment = next((project.places.tape / "streams" / "decisions").glob("*.seg"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 8] ^= 1
    segment.write_bytes(data)
    document = assess(project, THIS_YEAR)
    assert lines(document, "Article 14")["the record holds, verified now"].verdict == "missing"


def test_a_champion_that_cannot_be_read_is_no_evidence(tmp_path):
    """The report is made all the same, and says which file is not what was signed."""
    project = at("promoted", tmp_path)
    manifest = project.registry.folder / "versions" / project.resolve("champion")[:16] / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    review = lines(assess(project, THIS_YEAR), "Article 9")["its next review"]
    assert review.verdict == "missing"
    assert "manifest" in review.said


def test_a_year_without_facts_is_refused(traded):
    """The refusal says which years there are."""
    with pytest.raises(NotFound, match=f"nothing of 1999; it has facts of {THIS_YEAR}"):
        assess(traded, 1999)


def test_a_card_says_what_it_is_for_and_what_is_missing(traded):
    """Purpose, bounds, the gate's results; an approval that nobody gave is missing."""
    document = model_card(traded, "champion")
    assert lines(document, "Purpose")["purpose"].said == "Tests."
    assert lines(document, "Judged")["latency"].said.startswith("pass: ")
    assert lines(document, "Approved")["approval"].verdict == "missing"
    assert "Changed" not in [part.name for part in document.parts]


def test_what_is_told_of_several_is_a_line_each(traded):
    """Facts and roles stand below each other on the page, and programs can take them apart."""
    document = assess(traded, THIS_YEAR)
    given = lines(document, "Article 1:")["who may do what"].said.split("\n")
    assert "resume: risk" in given
    changed = lines(document, "Article 5(7)")["when, who, what, why"].said.split("\n")
    assert len(changed) > 1
    assert all(re.match(rf"{THIS_YEAR}-\d\d-\d\dT[\d:]{{8}} \w+: .*\)$", each) for each in changed)
    assert '<div class="lines">' in render(document)


def test_a_card_and_an_order_write_times_and_numbers_as_such(traded):
    """When training began and ended is a time; six figures of a metric are enough; what was not observed is none."""
    made = lines(model_card(traded, "champion"), "Made")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", made["first"].said)
    assert made["first"].said < made["last"].said
    assert not re.search(r"\d{10}", made["fold metrics"].said)
    decision = lines(order_story(traded, str(an_order(traded))), "Decision")
    assert decision["observed"].said == decision["limit"].said == "none"


def test_a_card_says_what_changed_against_the_champion(tmp_path):
    """Another version's card names what differs, and only that."""
    project = at("promoted", tmp_path)
    path = project.folder / "strategy.py"
    path.write_text(path.read_text("utf-8").replace('"mean_4": returns.mean(4)', '"mean_6": returns.mean(6)'), "utf-8")
    project.train()
    project.register(name="other", actor=ADA)
    document = model_card(project, "newest")
    changed = lines(document, "Changed")
    assert changed["features"].said == "added mean_6; removed mean_4"
    assert "card: purpose" not in changed
    assert lines(document, "Judged")["gate"].verdict == "missing"


def an_order(project):
    """Return the id of the last order sent."""
    return int(TapeReader(project.places.tape).read("orders")["decision"][-2])


def test_an_order_is_told_from_its_event_to_its_fill(traded):
    """Event, decision, reasons that add up, order, fill, version with gate."""
    number = an_order(traded)
    document = order_story(traded, str(number))
    assert document.title.startswith(f"Order {number}: ABC")
    decision, order = lines(document, "Decision"), lines(document, "Order")
    assert decision["sequence"].said == order["decision"].said == str(number)
    assert decision["verdict"].said == "NONE"
    assert lines(document, "Event")["sequence"].said == decision["input sequence"].said
    told = lines(document, "Features and reasons")
    assert {"return_1", "mean_4", "volatility_12"} <= set(told)
    assert told["the version gives it again, bit for bit"].said == "yes"
    assert next(iter(lines(document, "Answers"))).startswith("fill")
    version = lines(document, "Version")
    assert any("gate passed" in line.said for line in version.values())
    assert version["approval"].verdict == "missing"


def test_an_order_that_was_never_sent_is_refused(traded):
    """The refusal names what was asked for."""
    with pytest.raises(NotFound):
        order_story(traded, "999999999")


def test_a_document_is_escaped_and_read_back(tmp_path):
    """What somebody wrote as a reason is text on the page; programs get the same lines."""
    part = Part(name="Facts", about="What was said.", lines=[Line(name="why", said="<script>x</script>")])
    document = Document(title="T", subtitle="S", created_ns=1, parts=[part])
    size = write(document, tmp_path / "pages" / "x.html")
    assert "<script>x" not in render(document)
    assert size == (tmp_path / "pages" / "x.html").stat().st_size
    assert json.loads((tmp_path / "pages" / "x.json").read_text("utf-8"))["parts"][0]["lines"][0]["name"] == "why"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rts6", "--year", str(THIS_YEAR)], "rts6"),
        (["model-card", "--version", "champion"], "model-card"),
        (["decisions", "--order", "ORDER"], "order"),
    ],
)
def test_each_report_is_a_command(tmp_path, capsys, words, said):
    """Each writes a page and, beside it, the same as JSON."""
    project = at("traded", tmp_path)
    words = [word.replace("ORDER", str(an_order(project))) for word in words]
    code, out, _ = tell(capsys, "report", *words, "--project", project.folder, "--json")
    assert code == 0
    path = json.loads(out)["path"]
    assert said in path
    assert "<html" in Path(path).read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rts6"], "--year"),
        (["decisions"], "--order"),
        (["decisions", "--order", "abc"], "abc"),
        (["rts6", "--year", "1999"], "1999"),
        (["rts6", "--year", "20261"], f"nothing of 20261; it has facts of {THIS_YEAR}"),
        (["rts6", "--year", "0"], f"nothing of 0; it has facts of {THIS_YEAR}"),
        (["rts6", "--year", "-1"], "the year is '-1'; allowed is a calendar year"),
        (["model-card", "--version", "nobody"], "nobody"),
    ],
)
def test_a_wrong_word_is_refused_with_what_to_do(tmp_path, capsys, words, said):
    """Exit code 2, and one line that names what is wrong."""
    project = at("traded", tmp_path)
    code, _, error = tell(capsys, "report", *words, "--project", project.folder)
    assert code == 2
    assert said in error
