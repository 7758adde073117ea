"""Everything else that explaining answers: changes, versions, refusals, bulk files, catalogues, the page."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from command_words import tell
from small_project import ADA, at, looked_at

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.dashboard.around import decision_around
from tradeworthy.apps.dashboard.deciding import Filter, decisions_before
from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.explain.explaining import explain_decision
from tradeworthy.apps.explain.finding_decisions import find_decision, utc_ns
from tradeworthy.apps.reports.explanation_page import render_explanation
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.errors import NotFound
from tradeworthy.core.time import NS_PER_DAY, SystemClock, VirtualClock, iso
from tradeworthy.judge.explain.sides import side_of
from tradeworthy.live.risk.judge import CHECKS
from tradeworthy.record import segment
from tradeworthy.record.archive import ArchiveSettings, archive_tape


@pytest.fixture(scope="module")
def project():
    """A project that has traded; nobody changes it here."""
    return looked_at("traded")


@pytest.fixture(scope="module")
def scored(project):
    """Its recorded decisions that have a score."""
    decisions = recorded(project).read("decisions")
    return decisions[np.isfinite(decisions["score"])]


def rewritten(project, tmp_path, text):
    """Return a copy of a project with further settings."""
    folder = shutil.copytree(project.folder, tmp_path / "copy")
    path = folder / "tradeworthy.toml"
    path.write_text(path.read_text() + text)
    return Project(folder)


def test_the_side_is_the_one_that_was_decided(project, scored):
    """Where the score stands among the thresholds is where the desk's target says that it stood."""
    signal = project.registry.load(int(scored["version"][0])).manifest.signal
    for decision in scored[:: len(scored) // 8]:
        found = explain_decision(project, str(decision["sequence"]))
        assert found.place.side == side_of(signal, found.score, float(decision["position"]))
        assert np.sign(decision["target"]) == {"long": 1, "flat": 0, "short": -1}[found.place.side]
        assert found.identical
        assert found.place.sentence in found.said


def test_reasons_for_and_against(project):
    """What pushed towards the decided side is told apart from what did not; decisive means more than the gap."""
    found = explain_decision(project, "largest")
    for reason in found.reasons:
        assert reason.kept == (reason.contribution * found.place.towards > 0)
        assert reason.decides == (reason.kept and abs(reason.contribution) > found.place.distance)


def test_the_nearest_past_is_past(project):
    """Neighbours are earlier decisions, the most similar first."""
    found = explain_decision(project, "largest")
    distances = [each.distance for each in found.nearest]
    assert len(distances) == 5
    assert distances == sorted(distances)
    assert all(each.decision < found.decision for each in found.nearest)


def test_the_first_scored_decision_has_no_past(project, scored):
    """Without an earlier row there is no neighbour."""
    assert explain_decision(project, str(scored["sequence"][0])).nearest == []


@pytest.mark.parametrize("against", ["training", "background", "typical"])
def test_each_baseline_adds_up_and_is_named(project, against):
    """Whatever is meant by nothing known, contributions lead from there to the same margin."""
    found = explain_decision(project, "largest", against=against)
    assert found.sum_error <= 1e-9
    assert found.margin == explain_decision(project, "largest").margin
    words = {"training": "training cover", "background": "rows of training", "typical": "most ordinary row"}
    assert words[against] in found.method


def test_an_order_names_its_decision(project, scored):
    """An order's own sequence and its decision's both find it; another number names the nearest."""
    reader = recorded(project)
    order = reader.read("orders")[3]
    for number in (order["decision"], order["sequence"]):
        assert find_decision(reader, f"order:{number}")["sequence"] == order["decision"]
    with pytest.raises(NotFound, match="the nearest is order:"):
        find_decision(reader, "order:99999999")
    for wrong in ("last", "\u00b2", "9" * 5_000):
        with pytest.raises(NotFound, match="no order's number"):
            find_decision(reader, f"order:{wrong}")


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2019-10-01T14:32:07.123", 1_569_940_327_123_000_000),
        ("2019-10-01T14:32:07.123456Z", 1_569_940_327_123_456_000),
        ("2019-10-01T16:32:07+02:00", 1_569_940_327_000_000_000),
        ("2019-10-01T09:32:07-05:00", 1_569_940_327_000_000_000),
        ("2019-10-01", 1_569_888_000_000_000_000),
    ],
)
def test_times_to_the_microsecond(text, ns):
    """A time is read exactly, in any zone; without one it is UTC."""
    assert utc_ns(text) == ns


def test_a_change_between_two_decisions(project, scored):
    """The parts between two events add up to what the margin moved by, and the scores are the recorded ones."""
    first, second = scored[10], scored[40]
    found = project.explain_since(str(second["sequence"]), str(first["sequence"]))
    assert found.difference.sum_error <= 1e-9
    assert (found.score_before, found.score_after) == (first["score"], second["score"])
    assert (found.before, found.after) == (iso(int(first["ts_event_ns"])), iso(int(second["ts_event_ns"])))
    assert found.said.startswith("The score of ABC ")


def test_a_change_from_a_decision_without_a_row(project, scored):
    """A moment at which nothing was scored cannot be compared with, and says why."""
    warming = recorded(project).read("decisions")["sequence"][0]
    with pytest.raises(NotFound, match="made without features"):
        project.explain_since(str(scored["sequence"][5]), str(warming))


def test_the_same_event_under_another_version(tmp_path, project, scored):
    """A second version that computes the same features is compared on the recorded row."""
    folder = shutil.copytree(project.folder, tmp_path / "two")
    path = folder / "tradeworthy.toml"
    path.write_text(path.read_text().replace("enter_long = 0.6", "enter_long = 0.61"))
    two = Project(folder)
    two.register(name="other", actor=ADA)
    found = two.explain_under(str(scored["sequence"][20]), "other")
    assert found.difference.sum_error <= 1e-9
    assert found.score_before == found.score_after == scored["score"][20]
    assert "No feature made a difference" in found.said


def test_a_refusal_is_explained(project):
    """A decision that was refused says by which check, and what would have passed."""
    decisions = recorded(project).read("decisions")
    warming = decisions[decisions["verdict"] == DenialCode.FEATURES_WARMING][0]
    found = explain_decision(project, str(warming["sequence"]))
    assert found.refusal.code == "FEATURES_WARMING"
    assert found.refusal.sentence in found.said
    assert (found.reasons, found.place, found.counterfactual) == ([], None, None)


def test_immutable_features_of_the_settings(project, tmp_path):
    """What the settings call immutable is never part of what would have flipped a decision."""
    free = explain_decision(project, "largest").counterfactual
    moved = [change.feature for change in free.changes]
    fixed = rewritten(project, tmp_path, f"\n[explain]\nimmutable = {json.dumps(moved)}\n")
    held = explain_decision(fixed, "largest").counterfactual
    assert not {change.feature for change in held.changes} & set(moved)


def test_every_decision_into_one_file(project, tmp_path, scored):
    """The file holds every scored decision once, with the recorded score and parts that add up."""
    told = []
    found = project.explain_all(tmp_path / "all.parquet", report=lambda *words: told.append(words))
    rows = pq.read_table(found.path).to_pylist()
    assert [row["decision"] for row in rows] == scored["sequence"].tolist()
    assert [row["score"] for row in rows] == scored["score"].tolist()
    assert (found.decisions, found.different, found.versions) == (len(scored), 0, 1)
    assert found.sum_error_max <= 1e-9
    assert told[-1] == ("explaining 1,188 decisions", len(scored) / 1_200)
    names = project.registry.load(int(scored["version"][0])).program.names
    one = rows[7]
    total = one["baseline"] + sum(one[f"contribution:{name}"] for name in names)
    assert total == pytest.approx(one["margin"], abs=1e-9)
    alone = explain_decision(project, str(one["decision"]))
    assert {r.feature: r.contribution for r in alone.reasons} == {name: one[f"contribution:{name}"] for name in names}
    assert list(tmp_path.iterdir()) == [tmp_path / "all.parquet"]


def test_nothing_decided_has_no_file(tmp_path):
    """Before the first run there is nothing to explain, in bulk or alone."""
    with pytest.raises(NotFound, match="tradeworthy run"):
        at("promoted", tmp_path).explain_all(tmp_path / "all.parquet")


def test_a_catalogue_is_written_edited_and_used(project, tmp_path):
    """The starter covers every feature; its texts are what is told; a feature without one is named."""
    copy = rewritten(project, tmp_path, "")
    made = copy.reasons()
    assert made.missing == []
    text = (copy.folder / "reasons.toml").read_text()
    (copy.folder / "reasons.toml").write_text(text.replace('"generated"', '"2026-11"').replace("The value of", "Told:"))
    named = rewritten(copy, tmp_path / "named", '\n[explain]\ncatalogue = "reasons.toml"\n')
    found = explain_decision(named, "largest")
    assert found.codes.catalogue == "2026-11"
    assert all(code.text.startswith("Told:") and code.contribution < 0 for code in found.codes.codes)
    (named.folder / "reasons.toml").write_text('version = "1"\n')
    assert set(named.reasons().missing) == {"return_1", "mean_4", "volatility_12"}
    with pytest.raises(NotFound, match="has no reason for feature"):
        explain_decision(named, "largest")


def test_an_archived_decision_is_explained_to_the_same_bits(tmp_path, monkeypatch):
    """After its segments became Parquet, a decision has the same explanation, and its score the recorded bits."""
    monkeypatch.setattr(segment, "FIRST_BYTES", 1 << 14)
    small = at("promoted", tmp_path)
    small.run(watch=False)
    decisions = recorded(small).read("decisions")
    early = str(decisions["sequence"][np.isfinite(decisions["score"])][5])
    before = explain_decision(small, early)
    later = VirtualClock(SystemClock().now_ns() + NS_PER_DAY)
    moved = archive_tape(small.places.tape, ArchiveSettings(after_s=0), clock=later).moved
    assert {"decisions", "inputs"} <= {str(each.stream) for each in moved}
    after = explain_decision(Project(small.folder), early)
    assert after.identical
    assert after == before


def test_the_page_shows_what_was_found(project):
    """Words, both drawings, every feature, what would have flipped it and the codes; nothing runs or is fetched."""
    found = explain_decision(project, "largest")
    page = render_explanation(found, "now")
    for text in (
        "From the baseline to this decision",
        "What pushes where",
        "What would have flipped it",
        "Reason codes",
    ):
        assert text in page
    assert all(reason.feature in page for reason in found.reasons)
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_page_of_a_refusal(project):
    """A decision that was never scored has a page that says why."""
    decisions = recorded(project).read("decisions")
    warming = decisions[decisions["verdict"] == DenialCode.FEATURES_WARMING][0]
    page = render_explanation(explain_decision(project, str(warming["sequence"])), "now")
    assert "FEATURES_WARMING" in page
    assert "Nothing was scored" in page


def test_an_order_is_explained_with_its_checks(project, capsys, tmp_path):
    """Words, JSON and page show each check with what it saw; a decision without an order shows none."""
    here = ("--project", project.folder)
    _, out, _ = tell(capsys, "explain", "largest", *here, "--html", tmp_path / "why.html")
    assert "drawdown value" in out
    assert "none like it" in out
    page = (tmp_path / "why.html").read_text()
    assert page.count("<meter") == len(CHECKS) - 1
    _, out, _ = tell(capsys, "explain", "largest", *here, "--json")
    told = {each["code"]: each for each in json.loads(out)["checks"]}
    assert list(told) == [check.code.name for check in CHECKS]
    assert told["ORDER_VALUE"]["observed"] == decision_around(project, json.loads(out)["decision"]).checks[1].observed
    quiet = decisions_before(project, Filter(outcome="no_order"), count=1)[0]
    assert explain_decision(project, str(quiet.sequence)).checks == []


def test_the_command_answers_in_words_json_page_and_file(project, capsys, tmp_path, scored):
    """One command: words, one JSON document, a page, a comparison, a bulk file."""
    here = ("--project", project.folder)
    code, out, _ = tell(capsys, "explain", "largest", *here, "--html", tmp_path / "why.html")
    assert (code, "the recorded score to the last bit" in " ".join(out.split())) == (0, True)
    assert (tmp_path / "why.html").read_text().startswith("<!doctype html>")
    code, out, _ = tell(capsys, "explain", "largest", *here, "--json")
    assert json.loads(out)["identical"] is True
    first, second = scored["sequence"][[10, 40]]
    code, out, _ = tell(capsys, "explain", second, "--since", first, *here)
    assert (code, "interventional" in out) == (0, True)
    code, out, _ = tell(capsys, "explain", "--bulk", tmp_path / "all.parquet", *here, "--json")
    assert json.loads(out)["decisions"] == len(scored)
    copy = rewritten(project, tmp_path, "")
    code, out, _ = tell(capsys, "reasons", "--project", copy.folder, "--json")
    assert (code, json.loads(out)["missing"]) == (0, [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "1", "--bulk", "x"], "--since stands alone"),
        (["--bulk", "x", "--html", "y"], "--bulk stands alone"),
        (["--against", "moon"], "allowed are training, background, typical"),
        (["--under", "moon"], "moon"),
    ],
)
def test_words_that_do_not_fit_together(words, said, project, capsys):
    """Each wrong use ends with one line and exit code 2."""
    code, out, err = tell(capsys, "explain", "largest", *words, "--project", project.folder)
    assert (code, out, said in err) == (2, "", True)
