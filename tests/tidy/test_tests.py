"""The tests themselves: each says in one sentence what it shows, and fakes nothing by patching."""

import ast
from collections import Counter

from bans import names_used
from source_tree import ROOT, python_files

FILES = python_files(ROOT / "tests")
MOCKS = ("unittest.mock", "mock", "pytest_mock")


def test_every_test_opens_with_a_sentence():
    """A test's first line is a sentence of behaviour, and ends as one."""
    tests = [(file, f) for file in FILES for f in file.functions if f.node.name.startswith("test_")]
    openings = {f"{file.place}::{f.name}": (ast.get_docstring(f.node) or "").partition("\n\n")[0] for file, f in tests}
    assert [name for name, words in openings.items() if not words.endswith((".", "?", "!"))] == []


def test_no_test_patches_with_mocks():
    """Fakes come from `testing` and the simulated market; a mock only repeats what its author believed."""
    assert [file.place for file in FILES for _, name in names_used(file.tree) if name.startswith(MOCKS)] == []


def test_file_names_are_unique():
    """Two test files of one name in different folders could not be collected together."""
    names = Counter(file.path.name for file in FILES if file.path.name not in {"conftest.py", "__init__.py"})
    assert [name for name, count in names.items() if count > 1] == []


def test_every_test_file_is_collected():
    """A file with test functions is called so that pytest finds it."""
    others = [file for file in FILES if not file.path.name.startswith("test_")]
    lost = {file.place for file in others for f in file.functions if f.name.startswith("test_")}
    assert lost == set()
