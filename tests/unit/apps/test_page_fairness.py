"""Fairness and explanation on the page: rates by group with intervals over windows, importance and how far it moved."""

import dataclasses

import msgspec
import numpy as np
import pytest
from page_visitors import visiting
from small_project import at, looked_at

from tradeworthy.apps.dashboard import insight as module
from tradeworthy.apps.dashboard.fairness import fairness_view
from tradeworthy.apps.dashboard.insight import drift_of, insight_of, spread, windows_of
from tradeworthy.apps.reports.whiskers import Measured, Moment, whisker_chart
from tradeworthy.core.errors import NotFound
from tradeworthy.judge.explain.explaining import make_explainer
from tradeworthy.record.reader import TapeReader


@pytest.fixture(scope="module")
def traded():
    """A project that has traded; nothing here changes it."""
    return looked_at("traded")


@pytest.fixture(scope="module")
def found(traded):
    """What the page finds out about it."""
    return insight_of(traded)


@pytest.mark.parametrize(("count", "windows"), [(0, 0), (1, 1), (199, 1), (200, 2), (10_000, 8)])
def test_windows_cover_everything_once(count, windows):
    """As many records in each, in order, none left out; too few are one window."""
    parts = windows_of(count)
    assert len(parts) == windows
    assert np.concatenate([np.arange(count)[part] for part in parts] or [np.empty(0)]).tolist() == [*range(count)]


def test_groups_are_those_of_the_monitor_and_count_every_outcome(found, traded):
    """Each grouping counts each labelled decision once, in all and over its windows together."""
    assert [each.by for each in found.groups] == ["session", "weekday"]
    assert 0 < found.labelled < found.decisions
    for each in found.groups:
        whole = sum(rates["selection_rate"].n for rates in each.whole.groups.values())
        assert whole == found.labelled == sum(window.rows for window in each.windows)
        assert [window.ts_ns for window in each.windows] == sorted(window.ts_ns for window in each.windows)
    assert set(found.groups[0].whole.groups) == {"00-08 UTC", "08-16 UTC", "16-24 UTC"}


def test_importance_is_that_of_the_explainer(found, traded):
    """Shares add up to one; those of training are the explainer's over the profile's rows."""
    importance = found.importance
    for shares in (importance.training, *(window.shares for window in importance.windows)):
        assert shares.sum() == pytest.approx(1.0)
        assert shares.min() >= 0.0
    version = traded.registry.load(found.version)
    rows = spread(version.profile.sample, 2 * module.ROWS_TREES)
    sizes = np.abs(make_explainer(version.predictor, version.profile).explain(rows).contributions).mean(axis=0)
    np.testing.assert_allclose(importance.training, sizes / sizes.sum())
    assert list(importance.names) == list(version.program.names)


def test_only_the_last_decisions_are_read(traded, monkeypatch):
    """The cost does not grow with the tape: of decisions and of records only the newest are taken."""
    monkeypatch.setattr(module, "DECISIONS_MAX", 300)
    few = insight_of(traded)
    assert few.decisions == 300
    made = TapeReader(traded.places.tape).read("decisions")
    assert few.importance.windows[-1].ts_ns == int(made["ts_event_ns"][-1])
    monkeypatch.setattr(module, "RECORDS_MAX", 60)
    assert 0 < insight_of(traded).decisions < 60


def test_groups_may_be_made_by_a_feature(tmp_path):
    """With cuts in the settings its values make the groups; a name that is no feature makes none."""
    project = at("traded", tmp_path)
    path = project.folder / "tradeworthy.toml"
    text = '\n[monitor.fairness]\nby = ["return_1", "colour"]\ncuts = {return_1 = [0.0]}\n'
    path.write_text(path.read_text("utf-8") + text, "utf-8")
    [grouped] = insight_of(type(project)(project.folder)).groups
    assert grouped.by == "return_1"
    assert set(grouped.whole.groups) == {"return_1 up to 0", "return_1 over 0"}


@pytest.mark.parametrize(("moved", "drift"), [((0.5, 0.5), 0.0), ((1.0, 0.0), 0.5), ((0.0, 1.0), 0.5)])
def test_drift_is_the_share_that_moved(moved, drift):
    """Half of it moved where one of two equal features has taken over."""
    assert drift_of(np.array([0.5, 0.5]), np.array(moved)) == pytest.approx(drift)


def test_the_view_draws_both(found):
    """Importance now, in training and over time; rates by session and weekday with intervals; gaps and the allowed."""
    text = fairness_view(found)
    for words in ("Importance over time", "By session", "By weekday", "How often it says yes", "Put up with", "0.10"):
        assert words in text, words
    assert text.count("<svg") == 1 + 2 * 3
    assert "style=" not in text
    assert ">nan<" not in text


@pytest.mark.parametrize(
    ("difference", "low", "said", "tone"),
    [
        (0.05, -0.1, "within", "good"),
        (0.1, 0.06, "within", "good"),
        (0.2, 0.05, "wider, maybe by chance", "warn"),
        (0.2, 0.1, "wider, maybe by chance", "warn"),
        (0.3, 0.11, "wider", "bad"),
    ],
)
def test_a_gap_that_is_wider_than_is_put_up_with_is_seen(found, difference, low, said, tone):
    """In words and a tone; surely wider is only what is so with all of its interval."""
    [grouped, *_] = found.groups
    gap = msgspec.structs.replace(
        grouped.whole.gaps["selection_rate"], difference=difference, difference_low=low, difference_high=0.4
    )
    whole = msgspec.structs.replace(grouped.whole, gaps={"selection_rate": gap})
    text = fairness_view(with_values(found, groups=(dataclasses.replace(grouped, whole=whole),), allowed=0.1))
    assert f'<span class="badge {tone}">{said}</span>' in text
    assert text.count('class="badge ') == 1


def test_what_is_not_known_is_said(found):
    """Without labels, without groupings, without rows: words instead of empty drawings."""
    nothing = with_values(found, labelled=0, groups=(), importance=None)
    text = fairness_view(nothing)
    assert "No label is known yet" in text
    assert "nothing can be explained" in text
    assert "No grouping applies" in fairness_view(with_values(found, groups=()))


def with_values(found, **changes: object):
    """Return what was found with other values."""
    known = {name: getattr(found, name) for name in found.__dataclass_fields__}
    return type(found)(**(known | changes))


@pytest.mark.parametrize(("stage", "said"), [("registered", "no champion"), ("promoted", "nothing was recorded")])
def test_before_there_is_anything_the_page_says_what_to_do(tmp_path, stage, said):
    """Each stage of a new desk has its words."""
    project = at(stage, tmp_path)
    with pytest.raises(NotFound, match=said):
        insight_of(project)
    with visiting(project, "tom") as client:
        answer = client.get("/fairness")
    assert answer.status_code == 200
    assert said in answer.text


def test_visitors_share_one_reading(tmp_path):
    """Two visits within half a minute are shown the very same; another champion is read afresh."""
    with visiting(at("traded", tmp_path), "tom") as client:
        assert "Importance over time" in client.get("/fairness").text
        deployment = client.app.state.deployment
        assert deployment.insight() is deployment.insight()


def test_whiskers_leave_out_what_is_not_known():
    """A value without a number is not drawn; one without bounds is a dot alone."""
    nan = float("nan")
    series = [
        Measured("night", [Moment(10**18, 0.5, 0.4, 0.6), Moment(10**18 + 10**15, nan, nan, nan)]),
        Measured("<day>", [Moment(10**18, 0.2, nan, nan)]),
    ]
    text = whisker_chart("Rates", series, unit="rate", limit=(0.1, "allowed"))
    assert text.count("<circle") == 2
    assert text.count('class="curve s') == 1
    assert "<day>" not in text
    assert "allowed" in text
