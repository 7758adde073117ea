"""`tradeworthy.toml`: what fits is read, what does not is named."""

import pytest

from tradeworthy.apps.commands.settings import Settings, load_settings, require_columns, sections_of
from tradeworthy.change.alerts.settings import AlertSettings
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.instruments import Instrument
from tradeworthy.testing.projects import SETTINGS


def load(tmp_path, text):
    """Read settings from a text."""
    (tmp_path / "tradeworthy.toml").write_text(text, "utf-8")
    return load_settings(tmp_path)


def test_the_least_that_is_needed(tmp_path):
    """A desk's name and one instrument are enough; all else has defaults."""
    settings = load(tmp_path, '[desk]\nname = "d"\n[[instrument]]\nsymbol = "ABC"\n')
    assert settings.desk.env == "paper"
    assert settings.instrument == [Instrument(symbol="ABC")]
    assert settings.limits.missing()


def test_values_arrive(tmp_path):
    """What stands in the file is what the sections hold."""
    settings = load(tmp_path, SETTINGS)
    assert settings.signal.enter_long == 0.6
    assert settings.limits.missing() == []
    assert settings.market[0].length_ns == 1_800_000_000_000


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("folds = 3", "fold = 3", "[training] has no key 'fold' (near: 'folds')"),
        ("[signal]", "[singal]", "there is no section 'singal' (near: 'signal')"),
        ("drawdown_value_max", "drawdown_max", "[limits] has no key 'drawdown_max' (near: 'drawdown_value_max')"),
        ("folds = 3", 'folds = "three"', "$.training.folds"),
        ('name = "small"', "", "name"),
        ('name = "small"', 'name = "small"\nenv = "test"', "[desk] env is 'test'; allowed are paper, live"),
        (
            "[training]",
            '[feed]\nkind = "exchang"\n[training]',
            "kind is 'exchang' (near: 'exchange'); allowed are files, ",
        ),
        (
            "[training]",
            '[feed]\nchannels = ["bar", "trades"]\n[training]',
            "[feed] channels is 'trades' (near: 'trade')",
        ),
        ('bar_time = "open"', "", "bar_time"),
        ('period = "30m"', 'period = "half"', "such as '30m'"),
        ('instrument = "ABC"', 'instrument = "ABD"', "(near: 'ABC')"),
        ("folds = 3", 'instrument = "XYZ"', "[training] instrument 'XYZ' is not declared"),
        ('symbol = "ABC"', 'symbol = "ABC"\ntraded = false', "traded = true"),
        ('symbol = "ABC"', 'symbol = "all"', "symbol is 'all', allowed is a word"),
        ('symbol = "ABC"', 'symbol = ""', "symbol is '', allowed is a word"),
        ('symbol = "ABC"', 'symbol = "ABC "', "symbol is 'ABC ', allowed is a word"),
        ('symbol = "ABC"', 'symbol = "ABC"\ntick = 0', "allowed is a positive number"),
        ("[training]", '[[instrument]]\nsymbol = "ABC"\n[training]', "twice"),
        ("exit_long = 0.5", "exit_long = 0.7", "exit_long 0.7 is above enter_long"),
        ("= 50_000.0", "= -1.0", "zero or more"),
        ("[training]", "[training", "not valid TOML"),
        ("[training]", "[policy]\nretrain_on = ['boredom']\n[training]", "'boredom'; allowed are"),
        (
            "[training]",
            "[policy]\ncanary_instrument_share = 0.5\n[training]",
            "policy.canary_instrument_share: this desk trades",
        ),
        ("[training]", "[engine.checks]\njmup = 1\n[training]", "[engine.checks] has no key 'jmup'"),
        ("[training]", '[[alert]]\nto = "file"\npaht = "a"\n[training]', "[alert] has no key 'paht' (near: 'path')"),
        ("[training]", '[[alert]]\nto = "pigeon"\n[training]', "pigeon"),
        ("[training]", '[[rows]]\npath = "r"\ninstrument = "XYZ"\nfields = ["a"]\n[training]', "[[rows]] instrument"),
    ],
    ids=lambda value: None if "\n" in value else value[:24],
)
def test_what_does_not_fit_is_named(old, new, said, tmp_path):
    """A wrong key, section or value is refused with its name, and the nearest or the allowed ones."""
    assert old in SETTINGS
    with pytest.raises(SettingsInvalid) as raised:
        load(tmp_path, SETTINGS.replace(old, new))
    assert said in str(raised.value)


ROWS = '[[rows]]\npath = "{}"\ninstrument = "ABC"\nfields = {}\n\n'


@pytest.mark.parametrize(
    ("rows", "own", "columns"),
    [
        ([["a", "group"]], "", ("a", "group")),
        ([["a", "group", "x"], ["a", "group", "y"]], "", ("a", "group")),
        ([["a", "group", "x"], ["a"]], "", ("a",)),
        ([["a", "group"]], '[monitor.fairness]\ncolumns = ["a", "group", "sort"]\n\n', ("a", "group", "sort")),
        ([["a", "group"]], '[monitor.fairness]\ncolumns = ["a"]\n\n', ("a",)),
        ([], "", ()),
    ],
)
def test_fairness_knows_every_column_of_pushed_rows(rows, own, columns, tmp_path):
    """What all `[[rows]]` have in the same place makes groups; the settings may say what callers send behind it."""
    more = "".join(ROWS.format(place, names) for place, names in enumerate(rows)) + own
    settings = load(tmp_path, SETTINGS.replace("[training]", f"{more}[training]"))
    assert settings.monitor.fairness.columns == columns


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ('["nope"]', "columns has 'nope' in place 1, [[rows]] has 'a' there; write ['a', 'group'] in this order"),
        ('["a", "groups"]', "columns has 'groups' in place 2 (near: 'group'), [[rows]] has 'group' there"),
        ('["group", "a"]', "columns has 'group' in place 1 (near: 'group'), [[rows]] has 'a' there"),
    ],
)
def test_a_column_of_groups_that_rows_do_not_have_in_its_place_is_refused(columns, said, tmp_path):
    """Groups are told by place, so a wrong name would count another field; it is refused at every command's start."""
    more = ROWS.format("r", ["a", "group"]) + f"[monitor.fairness]\ncolumns = {columns}\n\n"
    with pytest.raises(SettingsInvalid) as raised:
        load(tmp_path, SETTINGS.replace("[training]", f"{more}[training]"))
    assert said in str(raised.value)


@pytest.mark.parametrize("columns", [(), ("a",), ("a", "group"), ("a", "group", "sent")])
def test_columns_that_begin_as_rows_do_are_in_order(columns):
    """Fewer, as many, or more: what callers send stands behind; a version that reads no rows has nothing to hold to."""
    require_columns(columns, ("a", "group"), "version 1")
    require_columns(columns, (), "version 1")


WORDS = ROWS + "categories = {}\n\n"


def test_fairness_knows_the_words_of_every_column(tmp_path):
    """Files add to them; what the settings say themselves takes their place."""
    one = WORDS.format("r", ["a", "group"], '{group = ["x", "y"]}')
    two = WORDS.format("s", ["a", "group"], '{a = ["u"], group = ["x", "y"]}')
    fairness = load(tmp_path, SETTINGS.replace("[training]", f"{one}{two}[training]")).monitor.fairness
    assert fairness.words == {"group": ("x", "y"), "a": ("u",)}
    own = '[monitor.fairness]\nwords = {sort = ["v"]}\n\n'
    fairness = load(tmp_path, SETTINGS.replace("[training]", f"{one}{own}[training]")).monitor.fairness
    assert fairness.words == {"sort": ("v",)}


def test_files_that_number_words_otherwise_are_refused(tmp_path):
    """One word would be two numbers on the tape."""
    one = WORDS.format("r", ["a", "group"], '{group = ["x", "y"]}')
    two = one.replace('["x", "y"]', '["y", "x"]').replace('"r"', '"s"')
    with pytest.raises(
        SettingsInvalid, match=r"s: categories of 'group' are \['y', 'x'\], another file has \['x', 'y'\]"
    ):
        load(tmp_path, SETTINGS.replace("[training]", f"{one}{two}[training]"))


def test_no_file(tmp_path):
    """A folder without settings is named, with two ways out."""
    with pytest.raises(SettingsInvalid, match=r"--project, or run: tradeworthy init") as raised:
        load_settings(tmp_path)
    assert str(tmp_path) in str(raised.value)


def test_a_file_that_is_no_text(tmp_path):
    """Bytes that are no UTF-8 are refused, not raised through."""
    (tmp_path / "tradeworthy.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsInvalid):
        load_settings(tmp_path)


def test_sections_are_structs():
    """A section is a struct alone or in a list; a plain value is none."""
    assert sections_of(Settings) == [Settings]
    assert sections_of(list[Instrument]) == [Instrument]
    assert sections_of(list[str]) == sections_of(int | None) == []
    assert len(sections_of(list[AlertSettings])) == 4
