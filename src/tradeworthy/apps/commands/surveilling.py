"""The desk's own orders looked at for what they could be taken for; alerts become findings, the look a fact."""

from typing import TYPE_CHECKING

import msgspec

from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.core.decisions import INPUTS, ORDER, ORDERS
from tradeworthy.core.events import event_dtype
from tradeworthy.core.facts import ConductSurveilled, FindingRaised
from tradeworthy.judge.surveillance import RULES, Alert, Conduct
from tradeworthy.live.playback import read_or_none

if TYPE_CHECKING:
    from tradeworthy.apps.commands.opened import Opened


class RuleResult(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: how often it asks, its highest figure, and why it could not look everywhere, if so."""

    rule: str
    alerts: int
    highest: float
    lacks: str


class Surveilled(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in the desk's own conduct.

    Attributes
    ----------
    orders, fills, cancels : int
        Looked at.
    after_sequence, through_sequence : int
        Alerts whose last record lies between are new; those before were told already.
    rules : list of RuleResult
        Over everything that was looked at.
    alerts : list of Alert
        The new ones.
    """

    orders: int
    fills: int
    cancels: int
    after_sequence: int
    through_sequence: int
    rules: list[RuleResult]
    alerts: list[Alert]

    @property
    def ok(self) -> bool:
        """Whether nothing new is to be asked about."""
        return not self.alerts


def surveil_project(project: "Opened", *, actor: str, reason: str) -> Surveilled:
    """Apply every rule to the whole tape; raise what is new as findings, and keep the look as a fact.

    Parameters
    ----------
    project : Opened
    actor, reason : str
        Recorded.

    Raises
    ------
    NotFound
        Nothing was recorded.
    """
    reader = recorded(project)
    inputs, orders = read_or_none(reader, INPUTS, event_dtype()), read_or_none(reader, ORDERS, ORDER)
    conduct = Conduct.of(inputs, orders, project.settings.instrument)
    looked = {name: rule(conduct, project.settings.surveillance) for name, rule in RULES.items()}
    after = looked_up_to(project)
    new = [alert for each in looked.values() for alert in each.alerts if alert.sequence > after]
    result = Surveilled(
        orders=len(orders),
        fills=len(conduct.fills),
        cancels=len(conduct.cancels),
        after_sequence=after,
        through_sequence=int(inputs["sequence"].max(initial=0)),
        rules=[
            RuleResult(rule=name, alerts=len(each.alerts), highest=each.highest, lacks=each.lacks)
            for name, each in looked.items()
        ],
        alerts=sorted(new, key=lambda alert: alert.sequence),
    )
    fact = ConductSurveilled(
        through_sequence=result.through_sequence,
        orders=result.orders,
        fills=result.fills,
        cancels=result.cancels,
        alerts={each.rule: sum(alert.rule == each.rule for alert in new) for each in result.rules},
        lacks={each.rule: each.lacks for each in result.rules if each.lacks},
    )
    for alert in result.alerts:  # first, so that a kill in between tells twice rather than never
        raised = FindingRaised(finding=alert.finding(), ts_origin_ns=project.clock.now_ns())
        project.ledger.append(raised, actor=actor, reason=alert.sentence())
    project.ledger.append(fact, actor=actor, reason=reason)
    return result


def looked_up_to(project: "Opened") -> int:
    """Return the last record of the last look."""
    looks = (entry.fact for entry in project.ledger.facts(ConductSurveilled))
    return max((fact.through_sequence for fact in looks if isinstance(fact, ConductSurveilled)), default=0)
