"""The page of faults names tests that exist, for every fault that it has to answer for."""

import re

import pytest
from source_tree import ROOT, SourceFile

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))
FAULTS = set(range(1, 25))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_named_test_exists(path, name):
    """A test on the page can be run by its name."""
    assert (ROOT / path).exists(), path
    functions = {function.node.name for function in SourceFile(ROOT / path).functions}
    assert not name or name in functions, f"{path} has no {name}"


def test_every_fault_has_a_row_with_a_test():
    """Faults 1 to 24 are on the page, and each row names where it is shown."""
    assert {int(row.split("|")[1]) for row in ROWS} == FAULTS
    assert [row for row in ROWS if "`tests/" not in row] == []
