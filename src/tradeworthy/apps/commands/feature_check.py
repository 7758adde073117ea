"""Feature code before it is committed: it compiles, looks back only, and steps within its budget.

Idea:   the compiler refuses what looks ahead; history that is cut short proves it on the project's own data.
Units:  microseconds an event.
"""

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tradeworthy.change.evidence.leakage import look_ahead
from tradeworthy.change.train.strategy import load_strategy
from tradeworthy.core.time import NS_PER_US
from tradeworthy.model.features.program import compile_program
from tradeworthy.model.features.runtime import FeatureState

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

EVENTS, CUTS, WARM_UP = 4_000, 8, 200


class FeatureCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What was found about a strategy's features; `ok` where nothing has to be mended."""

    features: int
    program: str
    rows: int
    rows_changed_by_the_future: int
    us_p50: float
    us_p99: float
    us_p99_max: float

    @property
    def ok(self) -> bool:
        """Whether no row changes when the future is cut off, and a step is within the budget."""
        return self.rows > 0 and self.rows_changed_by_the_future == 0 and self.us_p99 <= self.us_p99_max


def check_features(project: "Project") -> FeatureCheck:
    """Compile a project's features and try them on the latest events of its history.

    Raises
    ------
    SettingsInvalid
        The strategy does not run.
    FeatureInvalid
        A feature looks ahead, or cannot be compiled.
    """
    strategy = load_strategy(project.folder / project.settings.desk.strategy)
    program = compile_program(strategy.features, trigger=strategy.trigger, row_fields=strategy.row_fields)
    events, instruments = project.history()[-EVENTS:], project.settings.instrument
    cuts = np.linspace(len(events) // 2, len(events) - 1, CUTS).astype(int).tolist()
    found = look_ahead(lambda part: FeatureState(program, instruments).many(part), events, cuts)
    state, spent = FeatureState(program, instruments), np.zeros(len(events))
    for place in range(len(events)):
        event = events[place]
        begun = project.clock.monotonic_ns()
        state.one(event)
        spent[place] = (project.clock.monotonic_ns() - begun) / NS_PER_US
    p50, p99 = np.percentile(spent[WARM_UP:] if len(spent) > WARM_UP else spent, [50, 99])
    return FeatureCheck(
        features=len(program.names),
        program=program.digest,
        rows=found.rows,
        rows_changed_by_the_future=found.differences,
        us_p50=float(p50),
        us_p99=float(p99),
        us_p99_max=project.settings.gate.latency.us_p99_max,
    )
