"""What our source may not call, found in the syntax tree: hidden clocks, hidden randomness, code that hides in data.

Idea:   names are resolved through the file's own imports (`import time as t`, `from datetime import datetime`), so an
        alias does not hide a call. Each ban answers with the line and the full name that was found.
"""

import ast
from collections.abc import Iterator

from source_tree import SourceFile

Found = tuple[int, str]
"""A line of a file, and the full name used there."""

CLOCKS = {
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
    "os.times",
    "pandas.Timestamp.now",
    "pandas.Timestamp.utcnow",
    "pandas.Timestamp.today",
}
CODE_IN_DATA = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
RANDOM_MODULES = {"random", "secrets"}
RANDOM_CALLS = {"os.urandom", "uuid.uuid1", "uuid.uuid4"}
GENERATOR_TYPES = {"Generator", "BitGenerator", "SeedSequence"}
GENERATOR_MAKERS = {"default_rng", "SeedSequence", "Generator", "PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937"}


def imported_names(tree: ast.Module) -> dict[str, str]:
    """Return what each imported word stands for, wherever in the file it is imported."""
    meaning = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.split(".")[0]
                meaning[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                meaning[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return meaning


def full_name(node: ast.expr, meaning: dict[str, str]) -> str:
    """Write an expression such as ``np.random.rand`` with its imports resolved; empty for anything else."""
    if isinstance(node, ast.Name):
        return meaning.get(node.id, "")
    if isinstance(node, ast.Attribute):
        start = full_name(node.value, meaning)
        return f"{start}.{node.attr}" if start else ""
    return ""


def names_used(tree: ast.Module) -> Iterator[Found]:
    """Yield every imported name that is used, in full, and every name that a ``from`` import brings in."""
    meaning = imported_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            yield node.lineno, full_name(node, meaning)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def clocks(file: SourceFile) -> list[Found]:
    """Return the places that ask the machine for the time."""
    return _once((line, name) for line, name in names_used(file.tree) if name in CLOCKS or name.startswith("time."))


def modules_of_code_in_data(file: SourceFile) -> list[Found]:
    """Return imports of modules that run code while they load data, and loads that allow it."""
    found = [(line, name) for line, name in names_used(file.tree) if name.split(".")[0] in CODE_IN_DATA]
    for node in ast.walk(file.tree):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            refused = isinstance(node.value, ast.Constant) and node.value.value is False
            found += [] if refused else [(node.value.lineno, f"allow_pickle={ast.unparse(node.value)}")]
    return _once(found)


def randomness(file: SourceFile) -> list[Found]:
    """Return the places that draw from hidden random state, or that seed a generator without being told how."""
    found = [(line, name) for line, name in names_used(file.tree) if _is_hidden_random(name)]
    meaning = imported_names(file.tree)
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call):
            name = full_name(node.func, meaning)
            maker = name.startswith("numpy.random.") and name.split(".")[-1] in GENERATOR_MAKERS
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            if maker and not any(isinstance(part, ast.Name) for value in given for part in ast.walk(value)):
                found.append((node.lineno, f"{ast.unparse(node)}: the seed is not a parameter"))
    return _once(found)


def _is_hidden_random(name: str) -> bool:
    """Say whether a full name is the machine's randomness or NumPy's global generator."""
    if name.split(".", maxsplit=1)[0] in RANDOM_MODULES or name in RANDOM_CALLS:
        return True
    head, _, tail = name.rpartition(".")
    return head == "numpy.random" and tail not in GENERATOR_TYPES | GENERATOR_MAKERS


def _once(found: Iterator[Found] | list[Found]) -> list[Found]:
    """Sort, and say each place once."""
    return sorted(set(found))
