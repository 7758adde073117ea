"""Sizes, docstrings and types of our source; the figures of `make check`, held one by one."""

import pytest
import style_figures as style
from exempt import LONG_KERNELS
from source_tree import ROOT, SOURCE, SourceFile, python_files

FILES = python_files(SOURCE)
KERNELS = {f"{file.place}::{f.name}": f for file in FILES for f in file.functions if f.is_kernel}


def sample(tmp_path, text):
    """Return a source file with this text."""
    path = tmp_path / "sample.py"
    path.write_text(text, encoding="utf-8")
    return SourceFile(path)


@pytest.fixture(scope="module")
def figures():
    """Measure the source once."""
    return {figure.name: figure for figure in style.figures()}


@pytest.mark.parametrize(
    "name",
    [
        "file max lines",
        "body p90 lines",
        "body max lines",
        "docstrings, modules",
        "docstrings, public",
        "typed arguments",
        "import loops",
    ],
)
def test_every_aim_is_met(figures, name):
    """Files and functions stay small, everything public is documented, every argument typed, nothing loops."""
    figure = figures[name]
    assert figure.met, f"{name} is {figure.measured}, aimed at {figure.aim}:\n" + "\n".join(figure.places)


def test_every_exemption_is_a_kernel_that_needs_it():
    """The list of long kernels holds no other function, no short one, and a reason for each."""
    needless = [n for n in LONG_KERNELS if n not in KERNELS or KERNELS[n].body_lines <= style.BODY_LINES_MAX]
    assert needless == []
    assert [name for name, reason in LONG_KERNELS.items() if len(reason.split()) < 4] == []


def test_nothing_is_called_utils():
    """A drawer for everything is a name for nothing."""
    bad = {"utils", "util", "helpers", "misc", "common"}
    assert [p.as_posix() for p in SOURCE.rglob("*") if p.stem in bad] == []


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ('def f():\n    """Doc."""\n', 0),
        ("def f(): ...\n", 0),
        ('def f():\n    """Doc.\n\n    More.\n    """\n    # why\n    a = 1\n\n    return a\n', 3),
        ("def f(\n    a: int,\n) -> int:\n    return a\n", 1),
    ],
)
def test_a_body_is_counted_after_its_docstring(tmp_path, text, size):
    """Signature and docstring are not the body; a stub has none; lines inside count."""
    assert sample(tmp_path, text).functions[0].body_lines == size


def test_untyped_arguments_are_named(tmp_path):
    """`self` needs no type; every other argument does, starred ones too."""
    text = "class A:\n    def f(self, a: int, b, *c, **d: str): ...\n"
    assert sample(tmp_path, text).untyped() == (["A.f(b)", "A.f(c)"], 4)


def test_public_definitions_are_told_from_private_ones(tmp_path):
    """Private names, what is inside functions, overloads and setters ask for no docstring."""
    text = (
        "class A:\n    def shown(self): ...\n    def _hidden(self): ...\n"
        "    @shown.setter\n    def shown(self, v): ...\n"
        "class _B:\n    def inside(self): ...\n"
        "def f():\n    def local(): ...\n"
    )
    assert sample(tmp_path, text).undocumented() == (["A", "A.shown", "f"], 3)


def test_kernels_are_known_by_their_decorator(tmp_path):
    """A bare decorator, a called one and one reached through a module all count; a plain function does not."""
    text = "@kernel\ndef a(): ...\n@njit(cache=True)\ndef b(): ...\n@numba.njit\ndef c(): ...\ndef d(): ...\n"
    assert [f.is_kernel for f in sample(tmp_path, text).functions] == [True, True, True, False]


def test_the_percentile_is_a_measured_value():
    """Nearest rank: nine of ten values do not pass it."""
    assert style.percentile(list(range(1, 11)), 0.9) == 9
    assert style.percentile([5], 0.9) == 5
    assert style.percentile([], 0.9) == 0


def test_the_figures_name_the_places_that_miss_an_aim(capsys):
    """A missed aim is marked and its first places are listed, the rest counted."""
    rows = [
        style.Figure("fine", "1"),
        style.Figure("files", "900", "<= 400", met=False, places=["a.py", "b.py", "c.py"]),
    ]
    style.print_table(rows, 2)
    out = capsys.readouterr().out
    assert "MISSED" in out
    assert "a.py" in out
    assert "c.py" not in out
    assert "1 more" in out


def test_the_project_is_where_the_tools_look():
    """The tools measure this project's own source."""
    assert (ROOT / "pyproject.toml").exists()
    assert any(file.path.name == "denials.py" for file in FILES)
