"""Strategy files: what they must define, and what is said when they do not."""

import sys

import pytest
from change_desk import STRATEGY, write_strategy

from tradeworthy.change.train.strategy import how_to_install, imported_by, load_strategy, packages_of
from tradeworthy.core.errors import NotFound, SettingsInvalid
from tradeworthy.core.events import Kind


def test_a_strategy_gives_features_label_and_train(tmp_path):
    """Names keep their order, and the digest names the file's bytes."""
    path = write_strategy(tmp_path)
    strategy = load_strategy(path)
    assert list(strategy.features) == ["return_1", "mean_4", "volatility_12"]
    assert strategy.label.horizon == 3
    assert strategy.trigger is Kind.BAR
    assert len(strategy.digest) == 64
    assert callable(strategy.train)


def test_the_file_leaves_no_module_behind(tmp_path):
    """A strategy is no importable module, so two of them never meet."""
    before = set(sys.modules)
    load_strategy(write_strategy(tmp_path))
    assert not [name for name in set(sys.modules) - before if "strategy_" in name]


def test_another_file_has_another_digest(tmp_path):
    """One changed byte changes the digest."""
    first = load_strategy(write_strategy(tmp_path)).digest
    assert load_strategy(write_strategy(tmp_path, STRATEGY + "\n")).digest != first


def test_rows_can_ask_for_decisions(tmp_path):
    """Features computed elsewhere arrive as rows, whose fields the file declares."""
    text = STRATEGY.replace("features = {", 'trigger = tw.Kind.ROW\nrow_fields = ("signal",)\nfeatures = {')
    strategy = load_strategy(write_strategy(tmp_path, text))
    assert strategy.trigger is Kind.ROW
    assert strategy.row_fields == ("signal",)


def test_a_missing_file_says_how_to_get_one(tmp_path):
    """Without a file, the message names the command that writes one."""
    with pytest.raises(NotFound, match="tradeworthy init"):
        load_strategy(tmp_path / "strategy.py")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("features =", "featuers =", "defines no 'features' \\(near: 'featuers'\\)"),
        ("label =", "labels_ =", "defines no 'label'"),
        ("def train", "def fit", "defines no 'train'"),
        ("import lightgbm", "import no_such.part", "does not run: ModuleNotFoundError.*run: pip install no_such$"),
        ('features = {"return_1": returns', 'features = {"return_1": 1.0', "feature 'return_1' is a float"),
        ('features = {"return_1": returns', "features = {1: returns", "feature 1 is a"),
        ("label = tw.forward_direction(bar.close, 3)", "label = returns", "label is a"),
        ("def train(rows, labels):", "train = 1\n\n\ndef other(rows, labels):", "train is a int"),
        ("features = {", 'trigger = "bar"\nfeatures = {', "trigger is 'bar'"),
        ("features = {", "acts_on = 2\nfeatures = {", "acts_on is 2; allowed is the name"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, before, after, said):
    """The message names the file's mistake and what is allowed."""
    assert before in STRATEGY
    with pytest.raises(SettingsInvalid, match=said):
        load_strategy(write_strategy(tmp_path, STRATEGY.replace(before, after)))


def test_a_package_that_is_not_here_is_named_with_what_brings_it():
    """What the extra brings is asked for by the extra, once; other packages by their name, other errors not at all."""
    assert packages_of(["catboost", "lightgbm", "sklearn"]) == ["catboost", "'tradeworthy[train]'"]
    assert how_to_install(ModuleNotFoundError("gone", name="xgboost")) == "; run: pip install 'tradeworthy[train]'"
    assert how_to_install(ValueError("gone")) == ""


def test_what_a_strategy_imports_is_read_without_running_it():
    """Modules anywhere in the text count, by their top-level name; a part of this folder does not."""
    text = "import a.b, c as d\nraise SystemExit\ndef train():\n    from e.f import g\n    from . import h\n"
    assert imported_by(text) == {"a", "c", "e"}


def test_features_must_not_be_empty(tmp_path):
    """A strategy without features has nothing to learn from."""
    text = STRATEGY.replace("label =", "features = {}\nlabel =")
    with pytest.raises(SettingsInvalid, match="features is empty"):
        load_strategy(write_strategy(tmp_path, text))


def test_a_file_that_is_not_python_is_refused(tmp_path):
    """A strategy ends in .py."""
    path = tmp_path / "strategy.txt"
    path.write_text(STRATEGY)
    with pytest.raises(SettingsInvalid, match="ends in"):
        load_strategy(path)


def test_an_outcome_is_told_the_fields_before_it(tmp_path):
    """Its column is the one behind the row fields; among them, features could read it, so that is refused."""
    text = STRATEGY.replace("tw.forward_direction(bar.close, 3)", 'tw.outcome("bad", known_after=9)')
    fields = text.replace("features = {", 'row_fields = ("income", "debt")\nfeatures = {')
    assert load_strategy(write_strategy(tmp_path, fields)).label.columns == ("income", "debt", "bad")
    seen = text.replace("features = {", 'row_fields = ("income", "bad")\nfeatures = {')
    with pytest.raises(SettingsInvalid, match="'bad' is one of row_fields, where features could read it"):
        load_strategy(write_strategy(tmp_path, seen))
