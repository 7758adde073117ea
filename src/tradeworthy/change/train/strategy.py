"""A user's `strategy.py`: features, label and how to train. Read by training processes only.

Idea:   this is the only place where tradeworthy runs a user's code; what comes out of training is data, and serving
        never reads the file again.
"""

import ast
import hashlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from tradeworthy.core.errors import NotFound, SettingsInvalid, near
from tradeworthy.core.events import Kind
from tradeworthy.judge.robust.levers import Movable, bind_levers
from tradeworthy.model.features.expressions import Expression
from tradeworthy.model.features.labels import Label

TrainFunction = Callable[..., Any]
"""``train(rows (m, n), labels (m,)) -> model``; any model that `import_model` accepts. One with a third parameter,
``weights`` (m,), is given those of `[training] reweigh`."""

NAMES = ("features", "label", "train")

TRAINS = ("lightgbm", "xgboost", "sklearn", "skl2onnx", "onnx")
"""What the extra `train` brings, as it is imported."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """What to look at, what to learn, how.

    Attributes
    ----------
    features : mapping of str to Expression
        In the order of the model's columns.
    label : Label
        What the model learns to foresee.
    train : callable
        Fits a model on rows and labels.
    trigger : Kind
        The kind of event that asks for a decision; a bar unless the file names another.
    row_fields : tuple of str
        Names of a row event's values, for features computed elsewhere.
    acts_on : str or None
        The class whose score the desk acts on, where the model knows more than two.
    movable : tuple of Movable, optional
        Which features an outsider can move, how far and at what cost; None where the file does not say.
    movable_budget : float
        What all his moves of one row may cost.
    digest : str
        SHA-256 of the file.
    """

    features: Mapping[str, Expression]
    label: Label
    train: TrainFunction
    trigger: Kind = Kind.BAR
    row_fields: tuple[str, ...] = ()
    acts_on: str | None = None
    movable: tuple[Movable, ...] | None = None
    movable_budget: float = math.inf
    digest: str = ""

    @property
    def weighs(self) -> bool:
        """Whether `train` takes weights of its rows."""
        taken = inspect.signature(self.train).parameters
        return "weights" in taken or any(each.kind is each.VAR_KEYWORD for each in taken.values())


def load_strategy(path: Path) -> Strategy:
    """Run a strategy file and take what it defines.

    Raises
    ------
    NotFound
        There is no such file.
    SettingsInvalid
        The file does not run, or a name is missing or of the wrong type; the message says which.
    """
    if not path.is_file():
        raise NotFound(f"no strategy at {path}; `tradeworthy init` writes one to start from")
    source = path.read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    module = _run(path, digest)
    for name in NAMES:
        if not hasattr(module, name):
            hint = near(name, [word for word in vars(module) if not word.startswith("_")])
            raise SettingsInvalid(f"{path} defines no {name!r}{hint}; it needs {', '.join(NAMES)}")
    return Strategy(
        features=_features(path, module.features),
        label=_label(path, module.label, tuple(getattr(module, "row_fields", ()))),
        train=_function(path, module.train),
        trigger=_trigger(path, getattr(module, "trigger", Kind.BAR)),
        row_fields=tuple(getattr(module, "row_fields", ())),
        acts_on=_acts_on(path, getattr(module, "acts_on", None)),
        movable=_movable(path, getattr(module, "movable", None), module.features),
        movable_budget=_budget(path, getattr(module, "movable_budget", math.inf)),
        digest=digest,
    )


def how_to_install(error: Exception) -> str:
    """Return what to do about a package that a strategy imports and that is not here; nothing of another error."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    return f"; run: pip install {' '.join(packages_of([error.name.partition('.')[0]]))}"


def packages_of(modules: Sequence[str]) -> list[str]:
    """Return what to install for modules that a strategy imports, each once."""
    return list(dict.fromkeys("'tradeworthy[train]'" if name in TRAINS else name for name in modules))


def imported_by(source: str) -> set[str]:
    """Return the top-level names of the modules that a strategy's text imports, without running it.

    Raises
    ------
    SyntaxError
        It is not Python.
    """
    named: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            named |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            named.add(node.module.partition(".")[0])
    return named


def _run(path: Path, digest: str) -> ModuleType:
    """Execute the file as a module of its own, never found by an import."""
    name = f"tradeworthy_strategy_{digest[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SettingsInvalid(f"{path} is not a Python file; a strategy ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise SettingsInvalid(f"{path} does not run: {type(error).__name__}: {error}{how_to_install(error)}") from error
    finally:
        del sys.modules[name]
    return module


def _features(path: Path, value: object) -> dict[str, Expression]:
    """Return the features, each an expression under a text name."""
    if not isinstance(value, Mapping) or not value:
        raise SettingsInvalid(f"{path}: features is {_kind(value)}; allowed is a dict of name to expression")
    for name, expression in value.items():
        if not isinstance(name, str) or not isinstance(expression, Expression):
            raise SettingsInvalid(f"{path}: feature {name!r} is {_kind(expression)}; allowed is an expression")
    return dict(value)


def _label(path: Path, value: object, row_fields: tuple[str, ...]) -> Label:
    """Return the label, told which fields rows have."""
    if not isinstance(value, Label):
        raise SettingsInvalid(
            f"{path}: label is {_kind(value)}; allowed is forward_direction(...), forward_return(...) or outcome(...)"
        )
    label = msgspec.structs.replace(value, row_fields=row_fields)
    if len(set(label.columns)) < len(label.columns):
        raise SettingsInvalid(
            f"{path}: the outcome {label.columns[-1]!r} is one of row_fields, where features could read it; "
            "take it out: its column is the one behind them"
        )
    return label


def _function(path: Path, value: object) -> TrainFunction:
    if not callable(value):
        raise SettingsInvalid(f"{path}: train is {_kind(value)}; allowed is a function of rows and labels")
    return value


def _trigger(path: Path, value: object) -> Kind:
    if not isinstance(value, Kind):
        raise SettingsInvalid(f"{path}: trigger is {value!r}; allowed are {', '.join(f'Kind.{k.name}' for k in Kind)}")
    return value


def _acts_on(path: Path, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise SettingsInvalid(f"{path}: acts_on is {value!r}; allowed is the name of a class, as text")
    return value


def _movable(path: Path, value: object, features: Mapping[str, Expression]) -> tuple[Movable, ...] | None:
    """Return what an outsider can move, each mark on a feature that there is."""
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(isinstance(each, Movable) for each in value):
        raise SettingsInvalid(
            f"{path}: movable is {_kind(value)}; allowed is a list of tw.Movable(features=[...], ...)"
        )
    try:
        movable = msgspec.convert(msgspec.to_builtins(value), tuple[Movable, ...])
        bind_levers(movable, tuple(features), np.ones(len(features)))
    except (SettingsInvalid, msgspec.ValidationError) as error:
        raise SettingsInvalid(f"{path}: {error}") from None
    return movable


def _budget(path: Path, value: object) -> float:
    """Return what an outsider may spend on one row."""
    if not isinstance(value, float | int) or isinstance(value, bool) or not value > 0:
        raise SettingsInvalid(f"{path}: movable_budget is {value!r}; allowed is a number above 0")
    return float(value)


def _kind(value: object) -> str:
    """Name what was found: an empty one, or its type."""
    return "empty" if isinstance(value, Mapping) and not value else f"a {type(value).__name__}"
