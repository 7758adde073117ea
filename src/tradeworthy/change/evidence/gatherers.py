"""The list of gatherers, in the order in which they run; add one here."""

from tradeworthy.change.evidence.context import Gatherer
from tradeworthy.change.evidence.known import gather_artifact, gather_limits, gather_performance
from tradeworthy.change.evidence.latency import gather_latency
from tradeworthy.change.evidence.parity import gather_parity
from tradeworthy.judge.validate.artifact import Artifact
from tradeworthy.judge.validate.latency import Latency
from tradeworthy.judge.validate.limits import LimitsInForce
from tradeworthy.judge.validate.parity import Parity
from tradeworthy.judge.validate.performance import Performance

GATHERERS: tuple[Gatherer, ...] = (
    Gatherer(Artifact, gather_artifact, "inspecting the bundle", budget_s=1.0),
    Gatherer(LimitsInForce, gather_limits, "reading the limits", budget_s=1.0),
    Gatherer(Performance, gather_performance, "reading the walk-forward", budget_s=1.0),
    Gatherer(Parity, gather_parity, "deciding event by event", budget_s=20.0),
    Gatherer(Latency, gather_latency, "timing decisions", budget_s=1.0),
)
