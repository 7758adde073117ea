"""The page on explaining: its Python runs on a project that has traded, and its commands exist."""

import re
import sys
from pathlib import Path

import msgspec
import pytest
from typer.main import get_command

from tradeworthy.apps.cli.main import app
from tradeworthy.judge.explain.catalogue import Catalogue

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explain.md").read_text("utf-8")
sys.path.insert(0, str(ROOT / "tests" / "unit" / "apps"))


def test_its_python_runs(tmp_path, capsys):
    """Every block of Python holds on a real project, one after another."""
    from small_project import looked_at  # noqa: PLC0415

    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    known = {"project": looked_at("traded"), "folder": tmp_path}
    for block in blocks:
        exec(compile(block, "docs/explain.md", "exec"), known)  # noqa: S102
    assert len(blocks) >= 4
    assert "the score would have been" in capsys.readouterr().out


def test_its_catalogue_is_one():
    """The catalogue that is shown is read."""
    shown = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert msgspec.toml.decode(shown[1], type=Catalogue).missing(["debt_share"]) == []


@pytest.mark.parametrize("line", re.findall(r"^    tradeworthy (.*?)(?:\s*#.*)?$", PAGE, re.MULTILINE))
def test_its_commands_exist(line):
    """Every command and option that is shown is one of the command line's."""
    name, *words = line.split()
    command = get_command(app).commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
