"""Thresholds by group in a project: from the settings into the version, decisions, explanations and the card."""

import numpy as np
import polars as pl
import pytest

import tradeworthy as tw
from tradeworthy.apps.reports.model_card import model_card
from tradeworthy.core.errors import ModelMismatch, SettingsInvalid
from tradeworthy.judge.validate.gate import GateReport

SETTINGS = """\
[desk]
name = "lender"

[[instrument]]
symbol = "LOANS"

[[rows]]
path = "applications.parquet"
instrument = "LOANS"
entity = "application"
fields = ["skill", "group", "granted"]

[training]
folds = 2
reweigh = ["group"]

[signal]
enter_long = 0.5
exit_long = 0.5
notional = 0.0
"""

BY_GROUP = """
[thresholds]
column = "group"
lawful = "the regulator's letter of May"
owner = "the fairness officer"

[[thresholds.group]]
value = 1
enter_long = 0.4
"""

STRATEGY = '''
import lightgbm

import tradeworthy as tw

trigger = tw.Kind.ROW
row_fields = ("skill", "group")
features = {"skill": tw.row("skill")}
label = tw.outcome("granted", 5)


def train(rows, labels, weights=None):
    """Fit a few small trees."""
    settings = {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1, "seed": 1}
    return lightgbm.train(settings, lightgbm.Dataset(rows, labels, weight=weights), num_boost_round=10)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A lender's project with applications of two groups."""
    made, n = tmp_path_factory.mktemp("lender"), 900
    rng = np.random.default_rng(3)
    skill, group = rng.standard_normal(n), (np.arange(n) % 2).astype(float)
    granted = (rng.random(n) < 1.0 / (1.0 + np.exp(-1.5 * skill))).astype(float)
    stamps = pl.Series(1_546_300_800_000_000_000 + 3_600_000_000_000 * np.arange(n)).cast(pl.Datetime("ns"))
    columns = {"time": stamps, "application": np.arange(n), "skill": skill, "group": group, "granted": granted}
    pl.DataFrame(columns).write_parquet(made / "applications.parquet")
    (made / "strategy.py").write_text(STRATEGY)
    (made / "tradeworthy.toml").write_text(SETTINGS + BY_GROUP)
    return made


def test_a_group_is_told_which_threshold_held_and_why_it_may(folder):
    """The tape, `query`, `explain` and the card all say it; a replay gives the same bits."""
    project = tw.Project(folder)
    project.train()
    version = project.register(name="lender", actor="ada").version
    report = GateReport(version=version, profile="quick", passed=True, results=[], created_ns=project.clock.now_ns())
    project.registry.record_gate(report, actor="ada", reason="a test")
    project.promote(version, to="champion", actor="ada", reason="a test")
    assert project.run(watch=False).decisions > 300
    counts = "SELECT threshold, count(*) FROM decisions GROUP BY threshold ORDER BY threshold"
    (common, own) = project.query(counts).rows
    assert (common[0], own[0]) == (0, 1)
    assert abs(common[1] - own[1]) <= 1
    between = "SELECT sequence FROM decisions WHERE threshold = {} AND score BETWEEN 0.41 AND 0.49 LIMIT 1"
    ((first,),), ((second,),) = (project.query(between.format(each)).rows for each in (0, 1))
    plain, held = project.explain(str(first)), project.explain(str(second))
    assert (plain.place.side, plain.place.threshold) == ("flat", 0.5)
    assert (held.place.side, held.place.threshold) == ("long", 0.4)
    assert "held against the common threshold" in plain.headline
    assert "threshold of group 1; the fairness officer answers for it: the regulator's letter of May" in held.headline
    assert project.replay().identical
    acts = {line.name: line.said for part in model_card(project, version).parts for line in part.lines}
    assert acts["threshold of group 1"] == "enter long 0.4"
    assert acts["answers for it"] == "the fairness officer"
    assert "reweighed by=group" in acts["parameters"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('owner = "the fairness officer"', 'owner = ""', "need owner"),
        ('lawful = "the regulator\'s letter of May"\n', "", "lawful"),
        ("value = 1\n", "valeu = 1\n", "near: 'value'"),
    ],
)
def test_settings_that_nobody_answers_for_are_refused(folder, tmp_path, before, after, words):
    """A project with thresholds by group does not open without a reason and an owner; a misspelt key gets a hint."""
    (tmp_path / "tradeworthy.toml").write_text((SETTINGS + BY_GROUP).replace(before, after))
    with pytest.raises(SettingsInvalid, match=words):
        tw.Project(tmp_path)


def test_a_version_that_wants_positions_has_none(folder, tmp_path):
    """Registering says what to change."""
    for name in ("applications.parquet", "strategy.py"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    wants = (SETTINGS + BY_GROUP).replace("notional = 0.0", "notional = 100.0")
    (tmp_path / "tradeworthy.toml").write_text(wants)
    project = tw.Project(tmp_path)
    project.train()
    with pytest.raises(ModelMismatch, match="this one wants positions of 100"):
        project.register(name="lender", actor="ada")
