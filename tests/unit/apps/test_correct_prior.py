"""`tradeworthy correct-prior`: from a desk's own record to a version that scores, replays and explains itself."""

import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from small_project import ADA, at, looked_at
from typer.testing import CliRunner

from tradeworthy.apps.cli.main import app
from tradeworthy.apps.commands.keys import own_key
from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.dashboard.decision import _why
from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.change.registry import VersionSettings
from tradeworthy.change.watch.monitors import monitors_of
from tradeworthy.core.decisions import rows_stream, version_number
from tradeworthy.core.errors import DataInvalid, NotFound
from tradeworthy.core.facts import FindingRaised
from tradeworthy.core.findings import Finding
from tradeworthy.core.time import iso
from tradeworthy.judge.explain.explaining import explain_row, prior_term
from tradeworthy.judge.monitor.standing import MonitorSettings
from tradeworthy.model.predictors.correcting import corrected as prior_correcting
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.model.prior import PriorCorrection
from tradeworthy.model.profile import Profile
from tradeworthy.testing.projects import market_frame, write_project

BARS, TURN = 3_000, 1_850
LENIENT = """
[gate.performance]
log_loss_gain_min = -1.0

[gate.comparison]
naive_gain_min = -1.0
champion_shortfall_max = 1e9
"""
"""The market of this desk rises from its turn on, so what is asked of gains in the past would stop any correction."""


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """Return the folder of a desk whose prices rose most of the time once it traded, before and after that."""
    folder = tmp_path_factory.mktemp("turned")
    home = write_project(folder / "desk", bars=BARS)
    (home / "tradeworthy.toml").write_text((home / "tradeworthy.toml").read_text("utf-8") + LENIENT, "utf-8")
    rise = np.exp(np.cumsum(np.where(np.arange(BARS) >= TURN, 0.0025, 0.0)))
    prices = [pl.col(name) * pl.Series(rise) for name in ("open", "high", "low", "close")]
    market_frame(BARS).with_columns(prices).write_csv(home / "ABC.csv")
    desk = Project(home)
    desk.train()
    desk.register(name="small", actor=ADA)
    assert desk.gate(actor=ADA).passed
    desk.promote("newest", to="champion", actor=ADA, reason="first")
    shutil.copytree(home, folder / "again")
    desk.run(watch=False)
    return folder


@pytest.fixture(scope="module")
def corrected(turned):
    """Return how a version was corrected, and the desk that traded with it from the start."""
    desk, again = Project(turned / "desk"), Project(turned / "again")
    made = desk.correct_prior("champion", actor=ADA, reason="prices rise")
    judged = desk.gate(made.version, actor=ADA)
    assert {each.verdict for each in judged.results if each.name.startswith("prior")} == {"pass"}
    own = desk.registry.load(made.version).manifest
    settings = VersionSettings(name=own.name, signal=own.signal, bounds=own.bounds, card=own.card)
    key = own_key(again.places.author_key, ADA, again.trust)
    candidate = desk.registry.candidate(made.version)
    same = again.registry.register(candidate, settings, key=key, author=ADA, reason="taken over")
    assert same == made.version
    assert again.gate(same, actor=ADA).passed
    again.promote(same, to="champion", actor=ADA, reason="its scores are right for this market")
    again.run(watch=False)
    return made, again


def rows_of(desk, digest):
    """Return what a version scored on the tape."""
    return recorded(desk).read(rows_stream(version_number(digest)))


def test_the_answer_says_what_was_counted(corrected):
    """Both shares, the shift and both halves of the outcomes are told, and what to do next."""
    made, _ = corrected
    assert made.learned < 0.6 < made.share
    assert made.log_odds == pytest.approx(PriorCorrection(learned=made.learned, share=made.share).log_odds)
    assert abs(made.counted - made.outcomes) <= 1
    assert made.next == f"tradeworthy gate {made.version[:16]}"


def test_the_corrected_score_is_on_the_tape_and_replays_bit_for_bit(turned, corrected):
    """What is recorded is the corrected score of the same rows, and deciding them again gives the same bits."""
    made, again = corrected
    before, after = rows_of(Project(turned / "desk"), made.of), rows_of(again, made.version)
    assert len(after) > 1_000
    np.testing.assert_array_equal(after["row"], before["row"])
    prior = PriorCorrection(learned=made.learned, share=made.share)
    np.testing.assert_allclose(after["scores"], prior.applied(before["scores"]), rtol=1e-12)
    assert again.replay().identical
    assert again.verify().ok


def test_an_explanation_tells_the_correction_as_a_term_of_its_own(corrected):
    """Baseline, correction and contributions add up to the margin; features keep what they said before."""
    made, again = corrected
    found = again.explain("largest")
    assert found.prior == pytest.approx(made.log_odds, rel=1e-12)
    total = found.baseline + found.prior + sum(reason.contribution for reason in found.reasons)
    assert total == pytest.approx(found.margin, abs=1e-12)
    assert found.sum_error < 1e-12
    assert found.identical
    version, parent = again.registry.load(made.version), again.registry.load(made.of)
    row = rows_of(again, made.version)["row"][0]
    ours, theirs = (
        explain_row(each.predictor, row, each.program.names, each.profile, prior=each.manifest.prior)
        for each in (version, parent)
    )
    assert (theirs.prior, ours.baseline) == (0.0, pytest.approx(theirs.baseline, abs=1e-12))
    assert ours.contributions == theirs.contributions


def test_every_drawing_and_table_shows_the_term(corrected, tmp_path):
    """The terminal, the page's waterfall, the file of one decision and the Parquet file of all name it."""
    _, again = corrected
    told = CliRunner().invoke(
        app, ["explain", "largest", "-p", str(again.folder), "--html", str(tmp_path / "one.html")]
    )
    assert told.exit_code == 0, told.output
    assert "+ prior correction +" in told.output
    assert "prior correction" in (tmp_path / "one.html").read_text("utf-8")
    assert "prior correction" in str(_why(again.explain("largest")))
    again.explain_all(tmp_path / "all.parquet")
    table = pl.read_parquet(tmp_path / "all.parquet")
    parts = sum((table[name] for name in table.columns if name.startswith("contribution:")), table["prior"])
    np.testing.assert_allclose(table["baseline"] + parts, table["margin"], atol=1e-12)
    assert table["prior"].min() > 0.0


def test_monitors_of_a_corrected_version_expect_what_it_promises(corrected):
    """The reference of losses and of the mix is the walk-forward under the corrected mix, not the one of training."""
    made, again = corrected
    monitors = monitors_of(
        again.registry,
        version_number(made.version),
        again.settings.instrument,
        MonitorSettings(off=("drift", "range", "reasons", "fairness")),
    )
    assert monitors["class_balance"].summary().training == pytest.approx(made.share, abs=0.01)
    walk = again.registry.candidate(made.version).foreseen
    assert monitors["performance"].reference.mean == pytest.approx(np.mean((walk.scores - walk.labels) ** 2), abs=1e-9)


def test_the_command_says_why_it_cannot(tmp_path):
    """A desk without a record, a time that is none, and a start that leaves too little are refused in words."""
    gated, traded = at("gated", tmp_path / "a"), at("traded", tmp_path / "b")
    with pytest.raises(NotFound, match="nothing was recorded"):
        gated.correct_prior("newest", actor=ADA, reason="try")
    with pytest.raises(NotFound, match="is no decision"):
        traded.correct_prior("newest", since="yesterday", actor=ADA, reason="try")
    with pytest.raises(NotFound, match=r"has scored nothing since 2030-01-01"):
        traded.correct_prior("newest", since="2030-01-01", actor=ADA, reason="try")
    last = int(rows_of(traded, traded.resolve("newest"))["decision"][-200])
    since = traded.explain(str(last)).time
    with pytest.raises(DataInvalid, match="recorded outcomes leave"):
        traded.correct_prior("newest", since=since, actor=ADA, reason="try")


def test_a_version_that_never_ran_has_no_outcomes(tmp_path):
    """Only what a version scored itself can be held against what came."""
    traded = at("traded", tmp_path)
    candidate = replace(traded.registry.candidate("newest"), created_ns=1)
    key = own_key(traded.places.author_key, ADA, traded.trust)
    other = traded.registry.register(candidate, traded.version_settings("other"), key=key, author=ADA, reason="more")
    with pytest.raises(NotFound, match="has scored nothing; run it"):
        traded.correct_prior(other, actor=ADA, reason="try")


def test_outcomes_count_since_the_latest_finding_of_a_changed_mix(tmp_path):
    """Without a time the finding says where to begin."""
    traded = at("traded", tmp_path)
    places = rows_of(traded, traded.resolve("newest"))["decision"]
    since_ns = int(recorded(traded).find("decisions", int(places[300]))["ts_event_ns"])
    finding = Finding(
        monitor="class_balance", subject="share of class 1 by labels", kind="label_shift", sequence=int(places[400]),
        ts_event_ns=since_ns + 1, since_ns=since_ns, observed=0.7, reference=0.5, unit="share of class 1",
        statistic=2.0, threshold=1.0, false_alarms_per_10k=0.5, sentence="The mix has changed.",
    )  # fmt: skip
    traded.ledger.append(FindingRaised(finding=finding), actor="watcher", reason="found")
    made = traded.correct_prior("newest", actor=ADA, reason="the finding")
    assert made.since == iso(since_ns)
    whole = traded.correct_prior(made.of, since="2020-01-01", actor=ADA, reason="all of it")
    assert whole.counted + whole.outcomes > made.counted + made.outcomes + 250


def test_off_by_default():
    """No version is corrected unless somebody asks: nothing is said in its manifest, nothing in its explanation."""
    traded = looked_at("traded")
    assert traded.registry.load(traded.resolve("newest")).manifest.prior is None
    assert traded.explain("largest").prior == 0.0


def test_the_term_of_a_network_is_what_the_correction_does_to_its_baseline():
    """Of a model whose scores are explained, not its log-odds, baseline and term add up to the corrected baseline."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 3))
    model = Onnx.from_sklearn(LogisticRegression().fit(rows, (rows[:, 0] > 0).astype(int)), 3)
    prior = PriorCorrection(learned=0.5, share=0.8)
    moved = prior_correcting(model, prior)
    profile = Profile.of(rows, moved.many(rows))
    found = explain_row(moved, rows[0], ["a", "b", "c"], profile, prior=prior)
    assert found.prior == prior_term(moved, prior, found.baseline + found.prior) > 0.0
    assert found.baseline + found.prior + sum(found.contributions) == pytest.approx(found.score, abs=1e-12)
    assert prior.applied(np.array([found.baseline]))[0] == pytest.approx(found.baseline + found.prior, abs=1e-12)
