"""Take a trained model to a live market and keep it worthy of trading there.

The names below are the public Python interface: what a `strategy.py` is written with, and `Project`, whose methods are
the commands of the command line. They load when first used, so that importing one room does not import the house.

>>> import tradeworthy as tw
>>> tw.log_return(tw.bar.close).std(60)  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project as Project
    from tradeworthy.core.events import Kind as Kind
    from tradeworthy.core.instruments import Instrument as Instrument
    from tradeworthy.core.limits import Limits as Limits
    from tradeworthy.judge.robust.levers import Movable as Movable
    from tradeworthy.model.features.expressions import *  # noqa: F403
    from tradeworthy.model.features.labels import forward_direction as forward_direction
    from tradeworthy.model.features.labels import forward_return as forward_return
    from tradeworthy.model.features.labels import outcome as outcome
    from tradeworthy.model.features.program import compile_program as compile_program
    from tradeworthy.model.features.runtime import FeatureState as FeatureState
    from tradeworthy.model.predictors.formats import load_predictor as load_predictor

__version__ = "0.1.0"

_EXPRESSIONS = "tradeworthy.model.features.expressions"
_HOMES = {
    "Project": "tradeworthy.apps.commands.project",
    "Kind": "tradeworthy.core.events",
    "Instrument": "tradeworthy.core.instruments",
    "Limits": "tradeworthy.core.limits",
    "Movable": "tradeworthy.judge.robust.levers",
    "forward_direction": "tradeworthy.model.features.labels",
    "forward_return": "tradeworthy.model.features.labels",
    "outcome": "tradeworthy.model.features.labels",
    "compile_program": "tradeworthy.model.features.program",
    "FeatureState": "tradeworthy.model.features.runtime",
    "load_predictor": "tradeworthy.model.predictors.formats",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its room; any other word is looked up among the expressions."""
    if name.startswith("_"):
        raise AttributeError(name)
    home = _HOMES.get(name, _EXPRESSIONS)
    try:
        return getattr(import_module(home), name)
    except AttributeError:
        raise AttributeError(f"tradeworthy has no name {name!r}") from None
