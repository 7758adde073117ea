"""A version under twice the busiest load of the record; what it bore is a fact."""

from typing import TYPE_CHECKING

from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.apps.deployment.limits import scoped_limits
from tradeworthy.change.evidence.stress import Bench, StressReport, stress
from tradeworthy.core.decisions import INPUTS, ORDER, ORDERS
from tradeworthy.core.events import event_dtype
from tradeworthy.core.facts import StressTested
from tradeworthy.live.playback import read_or_none

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


def stress_project(project: "Project", version: str, *, factor: float, actor: str, reason: str) -> StressReport:
    """Drive a version with the record's latest events, as dense as its busiest second times `factor`.

    Parameters
    ----------
    project : Project
    version : str
        See `Registry.resolve`.
    factor : float
        Of the busiest second; 1 or more.
    actor, reason : str
        Recorded.

    Raises
    ------
    NotFound
        Nothing was recorded, or there is no such version.
    DataInvalid
        The record is too short, or the factor eases the load.
    """
    reader = recorded(project)
    bench = Bench(
        instruments=project.settings.instrument,
        limits=scoped_limits(project),
        engine=project.settings.engine,
        paper=project.settings.paper,
    )
    inputs, orders = read_or_none(reader, INPUTS, event_dtype()), read_or_none(reader, ORDERS, ORDER)
    report = stress(project.registry.load(project.resolve(version)), inputs, orders, bench, factor=factor)
    fact = StressTested(
        version=report.version,
        factor=factor,
        messages_per_s=report.peak.messages_per_s,
        messages_per_s_driven=report.driven.messages_per_s,
        orders_per_minute=report.peak.orders_per_minute,
        orders_per_minute_driven=report.driven.orders_per_minute,
        events=report.events,
        dropped=report.dropped,
        us_p99=report.us_p99,
        us_max=report.us_max,
        headroom=report.headroom,
        passed=report.ok,
    )
    project.ledger.append(fact, actor=actor, reason=reason)
    return report
