"""The page of threats has a row for each of OWASP's ten, and every row names tests that exist."""

import re

import pytest
from source_tree import ROOT, SourceFile

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| (ML\d\d|AML\.T\d{4}) \|", line)]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_named_test_exists(path, name):
    """A test on the page can be run by its name."""
    assert (ROOT / path).exists(), path
    functions = {function.node.name for function in SourceFile(ROOT / path).functions}
    assert not name or name in functions, f"{path} has no {name}"


def test_every_threat_has_a_row_with_a_test():
    """OWASP ML01 to ML10 are all there, once each; no row, of ATLAS either, is without a test."""
    names = [row.split("|")[1].strip() for row in ROWS]
    assert [name for name in names if name.startswith("ML")] == [f"ML{number:02}" for number in range(1, 11)]
    assert len(names) == len(set(names)) > 15
    assert [row for row in ROWS if "`tests/" not in row] == []


def test_the_marks_on_the_page_can_be_written():
    """The example of what an outsider can move is valid."""
    import tradeworthy as tw  # noqa: PLC0415

    example = next(text for text in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "movable" in text)
    names: dict[str, object] = {"tw": tw}
    exec(example, names)  # noqa: S102  # our own page
    assert len(names["movable"]) == 3
