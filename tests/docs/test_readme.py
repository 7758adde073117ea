"""What README and the guides tell a newcomer to type exists, compiles, parses and runs."""

import re
import shlex
import tomllib
from pathlib import Path

import msgspec
import pytest
import typer
from source_tree import ROOT

from tradeworthy.apps.cli.main import app
from tradeworthy.apps.commands.settings import Settings, check_keys
from tradeworthy.change.train.strategy import Strategy, load_strategy
from tradeworthy.core.events import Kind
from tradeworthy.testing.projects import SETTINGS, write_project

README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "python.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page, language):
    """Return the code blocks of a language, in order."""
    return [text for found, text in BLOCK.findall(page.read_text("utf-8")) if found == language]


def commands(page):
    """Return every `tradeworthy` command line of a page's blocks without a language, split into words."""
    lines = [line.split("#")[0].strip() for text in blocks(page, "") for line in text.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [shlex.split(part) for part in parts if part.startswith("tradeworthy ")]


COMMANDS = [(page.name, words) for page in PAGES for words in commands(page)]


def test_readme_shows_the_commands():
    """The five-minute guide and the way to stop are there to be checked."""
    names = {words[1] for page, words in COMMANDS if page == "README.md"}
    assert {"init", "look", "train", "register", "gate", "promote", "run", "explain", "halt", "rollback"} <= names


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=[f"{page}:{words[1]}" for page, words in COMMANDS])
def test_every_command_is_understood(page, words):
    """The command line has the command, and takes exactly these words."""
    group = typer.main.get_command(app)
    command = group.commands.get(words[1])
    assert command is not None, f"{page} names {words[1]!r}"
    given = [word for word in words[2:] if word not in {"VERSION", "DECISION"}] or words[2:]
    assert command.make_context(words[1], given).command is command


def test_readme_names_make_targets_that_exist():
    """`make something` of README is a target of the Makefile."""
    text = README.read_text("utf-8")
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"(?:^|`)make (\w+)", text, re.MULTILINE)) <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_block_compiles(page):
    """No block of Python is a fragment that could not be typed."""
    for number, text in enumerate(blocks(page, "python")):
        compile(text, f"{page.name}, block {number}", "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_toml_block_fits_the_settings(page):
    """A block of settings, added to a project's, is accepted."""
    for text in blocks(page, "toml"):
        data, more = tomllib.loads(SETTINGS.replace('"ABC"', '"ETH"')), tomllib.loads(text)
        for section, value in more.items():
            if isinstance(value, list):
                data[section] = [*data.get(section, []), *value]
            else:
                data[section] = data.get(section, {}) | value
        check_keys(data, Settings)
        msgspec.convert(data, Settings)


def strategy(tmp_path: Path, *parts: str) -> Strategy:
    """Load the blocks of README as a strategy file."""
    path = tmp_path / "strategy.py"
    path.write_text("\n\n".join(["import tradeworthy as tw", *parts]), "utf-8")
    return load_strategy(path)


def test_the_strategies_of_readme_load(tmp_path):
    """Features and label of bars, with each of the train functions, are a whole strategy."""
    bars, *trains = [text for text in blocks(README, "python") if "label =" in text or "def train" in text]
    trains = [text for text in trains if "def train" in text]
    assert len(trains) == 3
    for train in trains:
        found = strategy(tmp_path, bars, train)
        assert found.trigger == Kind.BAR
        assert "btc_return_6" in found.features


def test_rows_agree_between_settings_strategy_and_frame(tmp_path, monkeypatch):
    """The fields that README declares are those that its strategy reads and its pandas code writes."""
    [declared] = [tomllib.loads(text)["rows"][0] for text in blocks(README, "toml") if "[[rows]]" in text]
    [reads] = [text for text in blocks(README, "python") if "row_fields" in text]
    [writes] = [text for text in blocks(README, "python") if "pandas" in text]
    found = strategy(tmp_path, reads, "def train(rows, labels):\n    return None")
    assert found.trigger == Kind.ROW
    assert list(found.row_fields) == declared["fields"]
    (tmp_path / "data").mkdir()
    lines = [f"2020-01-01 {i // 2:02d}:{30 * (i % 2):02d}:00,{300 + i % 7}" for i in range(48)]
    (tmp_path / "data" / "ETH.csv").write_text("\n".join(["Date,ETH.close", *lines]), "utf-8")
    monkeypatch.chdir(tmp_path)
    told = {}
    exec(compile(writes, "README.md", "exec"), told)  # noqa: S102  # the page's own words
    assert ["time", *declared["fields"]] == list(told["frame"].columns)
    assert (tmp_path / declared["path"]).is_file()


def test_the_python_guide_runs(tmp_path, monkeypatch, capsys):
    """Every block of the guide runs, in order, on a project of that name."""
    write_project(tmp_path / "my-desk")
    monkeypatch.chdir(tmp_path)
    told = {}
    for text in blocks(GUIDE, "python"):
        exec(compile(text, "docs/python.md", "exec"), told)  # noqa: S102  # the page's own words
    assert told["report"].passed
    assert told["run"].decisions == 1_200
    assert told["rows"].shape[1] == 2
    assert len(told["labels"]) == len(told["returns"]) == len(told["known"])
    assert "report.html" in capsys.readouterr().out
