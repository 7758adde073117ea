"""What a run has done so far: numbers that a person, a page or a test reads while it goes on."""

from typing import TYPE_CHECKING

import msgspec

from tradeworthy.core.decisions import version_name
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import EventBatch, Kind

if TYPE_CHECKING:
    from tradeworthy.live.desk import Desk
    from tradeworthy.live.pipeline import Run
    from tradeworthy.live.steering import Swap


class Counters(msgspec.Struct):
    """Counted by the engine as it goes; everything else is read from the desk."""

    events: int = 0
    decisions: int = 0
    shadow_decisions: int = 0
    rows: int = 0
    orders: int = 0
    cancels: int = 0
    fills: int = 0
    rejects: int = 0
    late_decisions: int = 0
    checkpoints: int = 0
    last_sequence: int = 0
    ts_event_ns: int = 0

    def took(self, start: int, run: "Run", ts_event_ns: int) -> None:
        """Count a run that began at a place of the inbox; its last event happened then."""
        self.events += run.stop - start
        self.decisions += run.decisions
        self.rows += run.rows
        self.orders += run.ordered
        self.ts_event_ns = ts_event_ns

    def heard(self, answers: EventBatch) -> None:
        """Count the venue's answers that were believed."""
        for kind, verdict in zip(answers["kind"].tolist(), answers["flags"].tolist(), strict=True):
            self.fills += kind == Kind.FILL and verdict == DenialCode.NONE
            self.rejects += kind == Kind.REJECT and verdict == DenialCode.NONE


class SwapSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One change of champion; `events` were decided by the old one while the new one got ready."""

    sequence: int
    version: str
    previous: str
    wait_ns: int
    events: int


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A desk and its run at one moment.

    Attributes
    ----------
    events, decisions, shadow_decisions, orders, cancels, fills, rejects, late_decisions : int
        Since this engine started. `rejects` are the venue's.
    denied : dict of str to int
        Refusals by code, since the desk exists.
    equity, drawdown : float
        Profit after costs; loss from its highest value.
    positions : dict of str to float
        Filled quantity by symbol.
    champion, previous, shadows
        Versions, by the first 16 characters of their digests; empty for none.
    refused_versions : dict of str to str
        Versions asked for that could not be let in, and why.
    halted : bool
        Whether everything is halted, or switched off by repeated executions.
    last_sequence, ts_event_ns : int
        The last record written; the last event consumed.
    """

    events: int
    decisions: int
    shadow_decisions: int
    orders: int
    cancels: int
    fills: int
    rejects: int
    late_decisions: int
    denied: dict[str, int]
    equity: float
    drawdown: float
    fees: float
    positions: dict[str, float]
    open_orders: int
    champion: str
    previous: str
    shadows: list[str]
    swaps: list[SwapSummary]
    refused_versions: dict[str, str]
    halted: bool
    last_sequence: int
    ts_event_ns: int


def summarise(desk: "Desk", counters: Counters, swaps: "list[Swap]", refused: dict[int, str]) -> RunSummary:
    """Read a desk and its counters."""
    account, positions, denials = desk.state.account[0], desk.state.positions, desk.state.denials
    symbols = [instrument.symbol for instrument in desk.config.instruments]
    return RunSummary(
        events=counters.events,
        decisions=counters.decisions,
        shadow_decisions=counters.shadow_decisions,
        orders=counters.orders,
        cancels=counters.cancels,
        fills=counters.fills,
        rejects=counters.rejects,
        late_decisions=counters.late_decisions,
        denied={code.name: int(denials[code]) for code in DenialCode if denials[code]},
        equity=float(account["equity"]),
        drawdown=float(account["peak"] - account["equity"]),
        fees=float(positions["fees"].sum()),
        positions=dict(zip(symbols, positions["quantity"].tolist(), strict=True)),
        open_orders=int(account["open_orders"]),
        champion=desk.champion.name if desk.champion else "",
        previous=desk.previous.name if desk.previous else "",
        shadows=[pipeline.name for pipeline in desk.shadows.values()],
        swaps=[_swap(swap) for swap in swaps],
        refused_versions={version_name(number): reason for number, reason in refused.items()},
        halted=bool(account["halted"] or account["latched"]),
        last_sequence=counters.last_sequence,
        ts_event_ns=counters.ts_event_ns,
    )


def _swap(swap: "Swap") -> SwapSummary:
    return SwapSummary(
        sequence=swap.sequence,
        version=version_name(swap.version),
        previous=version_name(swap.previous) if swap.previous else "",
        wait_ns=swap.wait_ns,
        events=swap.events,
    )
