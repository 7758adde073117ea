"""A project in Python: each step's answer, and what it leaves on disk."""

import json
import math

import msgspec
import numpy as np
import pytest
from small_project import ADA, BOB, at, looked_at

from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.deployment.desk import remaining
from tradeworthy.apps.deployment.limits import scoped_limits
from tradeworthy.core import facts
from tradeworthy.core.errors import (
    DataInvalid,
    FeatureInvalid,
    ModelMismatch,
    NotFound,
    ReleaseRefused,
    SettingsInvalid,
)
from tradeworthy.core.limits import LIMIT_FIELDS, Limits
from tradeworthy.core.time import VirtualClock
from tradeworthy.testing.projects import BAR_NS, START_NS, market_frame, write_project


def rewrite(project, name, old, new):
    """Change a file of a project, and open it anew."""
    path = project.folder / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    return Project(project.folder)


def test_look_counts_the_file():
    """Rows, bars, span and the declared meaning of stamps are those of the file."""
    [file] = looked_at("fresh").look().files
    assert (file.instrument, file.rows, file.bars, file.gaps, file.duplicates) == ("ABC", 3_000, 3_000, 0, 0)
    assert file.first == "2020-01-01T00:30:00Z"
    assert "declared as bar opens" in file.stamps


def test_the_training_part_ends_before_the_traded_part_begins(tmp_path):
    """History and what remains are cut at one event time and are all events together."""
    project = at("fresh", tmp_path)
    history, left = project.history(), remaining(project)
    assert len(history) == 1_800
    assert history["ts_event_ns"][-1] == project.training_end_ns < left["ts_event_ns"][0]
    assert len(history) + len(left) == len(project.market[0]) == 3_000
    assert project.training_end_ns == START_NS + 1_800 * BAR_NS


def test_train_tells_how_far_it_is(tmp_path):
    """The caller hears every fold, with shares that rise from 0 to 1."""
    heard = []
    trained = at("fresh", tmp_path).train(report=lambda stage, done: heard.append((stage, done)))
    shares = [done for _, done in heard]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert "fold 3 of 3" in [stage for stage, _ in heard]
    assert trained.auc_low > 0.5
    assert trained.features == 3


def test_registering_twice_is_one_version(tmp_path):
    """The same candidate gives the same digest and one fact."""
    project = at("trained", tmp_path)
    first, again = (project.register(name="small", actor=ADA).version for _ in range(2))
    assert first == again
    assert len(project.ledger.facts(facts.VersionRegistered)) == 1


def test_words_for_versions():
    """A version answers to newest, champion, its name and the beginning of its digest."""
    project = looked_at("traded")
    digest = project.registry.list()[0].version
    assert {project.resolve(word) for word in ("newest", "champion", "small", digest[:8], digest)} == {digest}


def test_a_gate_is_kept_in_every_format():
    """The report lies in the state folder as JSON, JUnit XML, Markdown and a page."""
    project = looked_at("gated")
    kept = sorted(path.suffix for path in (project.places.root / "reports").iterdir())
    assert kept == [".html", ".json", ".md", ".xml"]


def test_promotion_needs_the_gate(tmp_path):
    """Without a passed gate no version becomes champion, and the control block is not touched."""
    project = at("registered", tmp_path)
    with pytest.raises(ReleaseRefused, match="the gate never judged"):
        project.promote("newest", to="champion", actor=ADA, reason="hurry")
    assert project.control.view().champion == 0


def test_an_approver_is_another(tmp_path):
    """The author may not approve; somebody else may, on the record."""
    project = at("gated", tmp_path)
    with pytest.raises(ReleaseRefused, match="may not approve"):
        project.approve("newest", actor=ADA, reason="mine")
    project.approve("newest", actor=BOB, reason="read")
    assert project.registry.list()[0].approved_by == [BOB]


def test_live_needs_an_approval(tmp_path):
    """A deployment that is live promotes nothing that nobody else approved."""
    project = rewrite(at("trained", tmp_path), "tradeworthy.toml", "[desk]", '[desk]\nenv = "live"')
    project.register(name="small", actor=ADA)
    assert project.gate(actor=ADA).passed
    with pytest.raises(ReleaseRefused, match="approv"):
        project.promote("newest", to="champion", actor=ADA, reason="hurry")


def test_a_run_decides_every_bar():
    """Each bar after the training part has one decision, and the record replays bit for bit."""
    project = looked_at("traded")
    replayed, verified = project.replay(), project.verify()
    assert replayed.identical
    assert replayed.decisions == 1_200
    assert verified.ok
    assert verified.versions == 1


def test_a_run_tells_how_far_it_is(tmp_path):
    """The caller hears shares of the feed that never fall."""
    heard = []
    run = at("promoted", tmp_path).run(watch=False, report=lambda _stage, done: heard.append(done))
    assert run.decisions == 1_200
    assert heard == sorted(heard)
    assert all(0 <= done <= 1 for done in heard)


def test_a_traded_market_is_over(tmp_path):
    """A second run over the same files has nothing left, and says what can be done."""
    with pytest.raises(DataInvalid, match="add data"):
        at("traded", tmp_path).run(watch=False)


def test_new_data_goes_on(tmp_path):
    """Bars that were added are traded after those on the tape, and the whole record replays."""
    project = at("traded", tmp_path)
    write_project(tmp_path / "longer", bars=3_100)
    (tmp_path / "longer" / "ABC.csv").replace(project.folder / "ABC.csv")
    project = rewrite(project, "tradeworthy.toml", "folds = 3", "folds = 3\nshare = 0.58")
    run = project.run(watch=False)
    assert run.decisions == 100
    assert project.replay().identical


def test_a_halt_refuses_orders(tmp_path):
    """While all is halted, the run decides and orders nothing."""
    project = at("promoted", tmp_path)
    project.halt(actor=BOB, reason="looks wrong")
    run = project.run(watch=False)
    assert (run.decisions, run.orders) == (1_200, 0)
    assert run.denied["HALTED"] > 0
    assert project.status().halted == ["all"]


def test_a_symbol_is_a_scope(tmp_path):
    """A person in a hurry writes the symbol alone; halt and resume mean the same scope."""
    project = at("fresh", tmp_path)
    project.halt("ABC", actor=BOB, reason="looks wrong")
    assert project.status().halted == ["instrument:ABC"]
    project.resume("instrument:ABC", actor=BOB, reason="is right")
    assert project.status().halted == []


def test_rows_that_became_wider_than_the_tape_are_refused_with_what_to_do(tmp_path):
    """A column more would have no place on the tape that there is; nothing is lost in silence, and what was goes on."""
    project = at("traded", tmp_path)
    market_frame(3_300, seed=1).write_csv(project.folder / "ABC.csv")
    path = project.folder / "tradeworthy.toml"
    before, names = path.read_text("utf-8"), ", ".join(f'"c{number}"' for number in range(30))
    path.write_text(f"{before}\n[monitor.fairness]\ncolumns = [{names}]\n", "utf-8")
    with pytest.raises(SettingsInvalid, match=r"holds 30 values by now .* it holds 5, and a tape keeps its width"):
        Project(project.folder).run(watch=False)
    path.write_text(before, "utf-8")
    assert Project(project.folder).run(watch=False).decisions > 0
    assert project.verify().ok


def test_everything_that_is_halted_is_said(tmp_path):
    """A halt of all hides no other; one that is in the block and not on the ledger yet counts, so it is said too."""
    project = at("promoted", tmp_path)
    version = project.resolve("champion")[:16]
    for scope in ("all", "ABC", f"version:{version}"):
        project.halt(scope, actor=BOB, reason="looks wrong")
    assert project.status().halted == ["all", "instrument:ABC", f"version:{version}"]
    done = project.resume(actor=BOB, reason="fine").done
    assert done == f"resumed all; still halted: instrument:ABC, version:{version}"
    project.control.halt()
    assert project.status().halted == ["all", "instrument:ABC", f"version:{version}"]
    for scope in ("all", "ABC"):
        project.resume(scope, actor=BOB, reason="fine")
    assert project.resume(f"version:{version}", actor=BOB, reason="fine").done == f"resumed version:{version}"


def test_a_second_champion_can_be_rolled_back(tmp_path):
    """A promoted challenger gives way to its predecessor, which stays known as the champion."""
    project = at("promoted", tmp_path)
    first = project.resolve("champion")
    rewrite(project, "strategy.py", "num_boost_round=20", "num_boost_round=25")
    project.train()
    second = project.register(name="second", actor=ADA).version
    project.gate(second, actor=ADA)
    project.promote(second, to="champion", actor=ADA, reason="better")
    assert (project.status().champion, project.status().previous) == (second, first)
    assert project.rollback(actor=BOB, reason="worse").version == first
    assert project.status().champion == first


def test_results_are_strict_json():
    """Every answer can be written as JSON, where a number that is none becomes null."""
    project = looked_at("traded")
    for result in (project.look(), project.status(), project.explain("largest"), project.verify(), project.replay()):
        json.loads(msgspec.json.encode(result), parse_constant=pytest.fail)


def test_rows_are_looked_at_and_traded(tmp_path):
    """Features computed elsewhere arrive as rows; they are counted by `look`, and decided on."""
    project = at("fresh", tmp_path)
    bars = project.market[0]
    close = bars["values"][:, 3]
    moved = np.diff(np.log(close), prepend=math.nan)
    lines = ["time,close,moved"]
    lines += [f"{ns},{price},{move}" for ns, price, move in zip(bars["ts_event_ns"], close, moved, strict=True)]
    (project.folder / "rows.csv").write_text("\n".join(lines), "utf-8")
    rows = (
        '[[rows]]\npath = "rows.csv"\ninstrument = "ABC"\nfields = ["close", "moved"]\ntime_unit = "ns"\n\n[training]'
    )
    rewrite(project, "tradeworthy.toml", "[training]", rows)
    strategy = (project.folder / "strategy.py").read_text("utf-8")
    start, end = strategy.index("returns ="), strategy.index("def train")
    declared = 'trigger = tw.Kind.ROW\nrow_fields = ("close", "moved")\nfeatures = {"moved": tw.row("moved")}\n'
    declared += 'label = tw.forward_direction(tw.row("close"), 3)\n\n\n'
    (project.folder / "strategy.py").write_text(strategy[:start] + declared + strategy[end:], "utf-8")
    project = Project(project.folder)
    [found] = project.look().rows
    assert (found.path, found.rows, found.missing) == ("rows.csv", 3_000, {"close": 0, "moved": 1})
    project.train()
    project.register(actor=ADA)
    assert project.gate(actor=ADA).passed
    project.promote("newest", to="champion", actor=ADA, reason="first")
    swapped = rewrite(project, "tradeworthy.toml", '["close", "moved"]', '["moved", "close"]')
    for step in (swapped.train, lambda: swapped.run(watch=False)):
        with pytest.raises(SettingsInvalid, match="same names in the same order"):
            step()
    project = rewrite(swapped, "tradeworthy.toml", '["moved", "close"]', '["close", "moved"]')
    assert project.run(watch=False).decisions == 1_200
    assert project.replay().identical


def limit_facts(project, **by_scope: Limits):
    """Write limits as facts, the scope's name with `_` for `:`."""
    for scope, limits in by_scope.items():
        fact = facts.LimitsChanged(scope=scope.replace("_", ":"), limits=limits)
        project.ledger.append(fact, actor=ADA, reason="a test")


def test_limits_of_every_scope_are_honoured(tmp_path):
    """The instrument's count for it, a strategy's and an unknown scope's for the whole desk; the last fact holds."""
    project = at("fresh", tmp_path)
    limit_facts(project, instrument_ABC=Limits(order_value_max=1.0))
    limit_facts(
        project,
        desk=Limits(order_value_max=900.0, order_quantity_max=9.0),
        strategy=Limits(order_value_max=800.0, drawdown_value_max=70.0),
        venue_x=Limits(order_quantity_max=5.0),
        instrument_ABC=Limits(order_value_max=100.0, position_value_max=50.0),
        instrument_XYZ=Limits(market_age_ms_max=3.0),
    )
    found = scoped_limits(project)
    assert found.desk == Limits(
        order_value_max=800.0, order_quantity_max=5.0, drawdown_value_max=70.0, market_age_ms_max=3.0
    )
    assert found.instruments == {0: Limits(order_value_max=100.0, position_value_max=50.0)}
    table = found.table(1)
    assert table.shape == (2, len(LIMIT_FIELDS))
    assert table[1, LIMIT_FIELDS.index("order_value_max")] == 100.0


def test_an_instruments_limit_refuses_its_orders(tmp_path):
    """With a fact that allows the instrument next to nothing, a whole run sends no order, and says which limit."""
    project = at("promoted", tmp_path)
    limit_facts(project, instrument_ABC=Limits(order_value_max=0.01))
    run = project.run(watch=False)
    assert run.orders == 0
    answer = project.query("SELECT DISTINCT refused, limit_value FROM decisions WHERE refused = 'ORDER_VALUE'")
    assert [row[1] for row in answer.rows] == [0.01]
    assert project.replay().identical


@pytest.mark.parametrize(
    ("old", "new", "error", "said"),
    [
        ("returns.mean(4)", "returns.mean(0)", SettingsInvalid, "window"),
        ("tw.log_return(bar.close)\n", "tw.log_return(bar.clsoe)\n", SettingsInvalid, "close"),
        ("returns.mean(4)", "tw.forward_return(bar.close, 3)", SettingsInvalid, "feature 'mean_4'"),
        ("returns.mean(4)", "returns.lag(-1)", SettingsInvalid, "lag"),
        ("returns.mean(4)", 'tw.on("XYZ", bar.close)', FeatureInvalid, "XYZ"),
        ("label =", "lable =", SettingsInvalid, "near: 'lable'"),
        ("return lightgbm", "lightgbm", ModelMismatch, "return model"),
        ("return lightgbm", "return 3  #", ModelMismatch, "int"),
        ("import lightgbm\n", "import lihgtgbm as lightgbm\n", SettingsInvalid, "lihgtgbm"),
    ],
    ids=["window", "field", "label", "lag", "instrument", "name", "nothing", "number", "import"],
)
def test_a_wrong_strategy_is_told_by_name(old, new, error, said, tmp_path):
    """What is wrong with a strategy is said in one message with the name as it stands in the file."""
    project = rewrite(at("fresh", tmp_path), "strategy.py", old, new)
    with pytest.raises(error) as raised:
        project.train()
    assert said in str(raised.value)


def test_missing_data_is_named(tmp_path):
    """A declared file that is not there is named."""
    project = at("fresh", tmp_path)
    (project.folder / "ABC.csv").unlink()
    with pytest.raises(NotFound, match=r"ABC\.csv"):
        project.look()


def test_time_comes_from_the_clock(tmp_path):
    """A project's own stamps are the clock's."""
    project = Project(at("fresh", tmp_path).folder, clock=VirtualClock(START_NS))
    assert project.timestamp() == "2020-01-01T00:00:00Z"
    project.halt(actor=BOB, reason="drill")
    assert project.ledger.facts()[-1].ts_ns == START_NS
