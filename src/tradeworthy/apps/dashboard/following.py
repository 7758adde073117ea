"""One moment of a desk, running or finished, as its record tells it.

Idea:   tape, ledger and the watcher's state are read; nothing is asked of the engine, so looking costs it nothing.
Flow:   `Follower` reads each record and each fact once and keeps what they add up to; `frame` puts it side by side.
        Of a long tape it reads the newest part, from what the desk had before (`beginning`).
Units:  money after fees, spread and slippage, in the desk's currency; `decisions_per_s` counts the machine's seconds.
"""

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from tradeworthy.apps.captions import Caption, read_caption
from tradeworthy.apps.commands.handling import CaseLine, WatcherStatus, watcher_status
from tradeworthy.apps.dashboard.acting import FIRST_ORDER_CODE, Act, Acts
from tradeworthy.apps.dashboard.beginning import RECORDS_MIN, Beginning
from tradeworthy.apps.dashboard.curves import price_of
from tradeworthy.change.release.standing import Standing, stand_on
from tradeworthy.change.watch.findings import Cases
from tradeworthy.change.watch.pulse import read_pulse
from tradeworthy.core.decisions import SHORT, Role, version_name
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import Kind
from tradeworthy.core.time import NS_PER_S, iso
from tradeworthy.record.epochs import writer_alive
from tradeworthy.record.reader import Cursor

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project

Records = npt.NDArray[Any]
LATEST = 8
FOLLOWED = ("inputs", "decisions")


class DecisionLine(msgspec.Struct, frozen=True, kw_only=True):
    """One decision of the champion; `quantity` is that of the order sent, `verdict` why none was."""

    sequence: int
    time: str
    instrument: str
    version: str
    score: float
    target: float
    position: float
    quantity: float
    verdict: str


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a desk.

    Attributes
    ----------
    engine, trading : str
        ``running`` or ``not running``; ``yes``, or which scopes are halted.
    size : float
        The share of full size that is taken; below 1 the desk is reduced.
    rule : str
        What decides in the champion's place; ``none`` where it decides itself.
    champion, champion_age_s : str, float or None
        The first 16 characters of its digest, and for how long it has been champion.
    change : str
        How far the newest challenger has come.
    event_time : str
        Of the last event consumed.
    pnl_after_costs, fees : float
        Since the tape began.
    events, decisions, fills, denials : int, and dict of str to int
        Read so far: of the whole tape, or, of a long one, since `since`; refused decisions by code.
    since : str
        From when on is counted; empty where that is the whole tape.
    decisions_per_s : float or None
        Between this frame and the one before; None for the first.
    last_act : Act or None
        What the desk did last, and why: the last order that it sent or was refused.
    behind_records : int
        Records on the tape that the watcher has not read.
    caption : Caption, optional
        What a story that plays on the desk tells now, and has told.
    """

    desk: str
    env: str
    engine: str
    trading: str
    size: float = 1.0
    rule: str = "none"
    champion: str
    champion_age_s: float | None
    change: str
    event_time: str
    pnl_after_costs: float
    fees: float
    positions: dict[str, float]
    events: int
    decisions: int
    decisions_per_s: float | None
    fills: int
    denials: dict[str, int]
    last_act: Act | None
    latest: list[DecisionLine]
    findings: list[CaseLine]
    watcher: WatcherStatus | None
    behind_records: int
    since: str = ""
    caption: Caption | None = None


def change_of(standing: Standing) -> str:
    """Say in a few words how far the newest challenger has come."""
    if not standing.retrains:
        return "no retraining yet"
    last = standing.retrains[-1]
    if last.ended is None:
        return f"a challenger trains ({last.started.trigger.partition(':')[0]})"
    version = last.ended.version
    if version is None:
        return f"the last retraining failed: {last.ended.error}"
    said = {
        "was promoted": version == standing.champion,
        "was retired": version in standing.retired,
        "scores in shadow": version in standing.shadows,
        "waits for the gate": version not in standing.gates,
        "was refused by the gate": not standing.gate_passed(version),
    }
    return f"{version[:SHORT]} {next((words for words, holds in said.items() if holds), 'passed the gate')}"


class Follower:
    """Follows a desk's tape and its facts, and keeps what a frame needs.

    Parameters
    ----------
    project : Project
        The deployment; its tape may not exist yet.
    records_min : int
        How many records a first look reads at least.

    Attributes
    ----------
    beginning : Beginning
        From where on it reads.
    """

    def __init__(self, project: "Project", *, records_min: int = RECORDS_MIN) -> None:
        self._project, self._records_min = project, records_min
        self._instruments = project.settings.instrument
        self._begin(Beginning.nothing(self._instruments))
        self._events = self._decisions = self._fills = 0
        self._last_event_ns = 0
        self._denials: Counter[int] = Counter()
        self._acts = Acts(project)
        self._acted: np.void | None = None
        self._latest: deque[np.void] = deque(maxlen=LATEST)
        self._cursors: dict[str, Cursor] = {}
        self._standing, self._cases, self._champion_ns, self._facts = Standing(), Cases(), 0, 0
        self._seen_ns, self._seen_decisions = 0, 0

    def _begin(self, beginning: Beginning) -> None:
        self.beginning = beginning
        of_desk = (beginning.cash, beginning.held, beginning.fees, beginning.marks)
        self._cash, self._held, self._fees, self._marks = (each.copy() for each in of_desk)

    def frame(self) -> Frame:
        """Read what is new and return the present moment."""
        self._read()
        self._read_facts()
        project, standing = self._project, self._standing
        watcher = watcher_status(project)
        symbols = [instrument.symbol for instrument in self._instruments]
        lots = np.array([instrument.lot for instrument in self._instruments])
        held = zip(symbols, (np.round(self._held / lots) * lots).tolist(), strict=True)
        return Frame(
            desk=project.settings.desk.name,
            env=project.env,
            engine="running" if writer_alive(project.places.tape) else "not running",
            trading=f"halted: {', '.join(sorted(standing.halted))}" if standing.halted else "yes",
            size=standing.size,
            rule=standing.rule,
            champion=(standing.champion or "")[:SHORT],
            champion_age_s=max(0, project.clock.now_ns() - self._champion_ns) / NS_PER_S if self._champion_ns else None,
            change=change_of(standing),
            event_time=iso(self._last_event_ns) if self._last_event_ns else "",
            pnl_after_costs=self._pnl(),
            fees=float(self._fees.sum()),
            positions={symbol: quantity for symbol, quantity in held if quantity},
            events=self._events,
            decisions=self._decisions,
            decisions_per_s=self._rate(),
            fills=self._fills,
            denials={DenialCode(code).name: count for code, count in self._denials.most_common()},
            last_act=self._last_act(),
            latest=[self._line(decision) for decision in reversed(self._latest)],
            findings=[CaseLine.of(case) for case in self._cases.unsettled()],
            watcher=watcher,
            behind_records=self._behind(),
            since=iso(self.beginning.ts_ns) if self.beginning.after else "",
            caption=read_caption(project.places.caption),
        )

    def cursors(self) -> dict[str, Cursor]:
        """Return, of each stream that is followed, the place where reading begins; none while there is no tape."""
        tape = self._project.places.tape
        return {stream: Cursor(tape, stream, self.beginning.after) for stream in FOLLOWED} if tape.is_dir() else {}

    def _read(self) -> None:
        """Take in all new records."""
        if not self._cursors:
            self._begin(Beginning.of(self._project.places.tape, self._instruments, self._records_min))
            self._cursors = self.cursors()
        takes = {"inputs": self._take_inputs, "decisions": self._take_decisions}
        for stream, cursor in self._cursors.items():
            while len(records := cursor.poll()):
                takes[stream](records)

    def _read_facts(self) -> None:
        """Move on by the facts that are new."""
        for entry in self._project.ledger.facts(after=self._facts):
            stand_on(self._standing, entry)
            self._cases.apply(entry)
            if self._standing.champion_since == entry.number:
                self._champion_ns = entry.ts_ns
            self._facts = entry.number

    def _take_inputs(self, inputs: Records) -> None:
        """Add fills and marks; refused events are left out."""
        self._events += len(inputs)
        self._last_event_ns = max(self._last_event_ns, int(inputs["ts_event_ns"].max()))
        good = inputs[(inputs["flags"] == 0) & (inputs["instrument"] < len(self._marks))]
        fills = good[good["kind"] == Kind.FILL]
        self._fills += len(fills)
        quantity, price, fee = (fills["values"][:, place] for place in range(3))
        multipliers = np.array([instrument.multiplier for instrument in self._instruments])[fills["instrument"]]
        np.add.at(self._held, fills["instrument"], quantity)
        np.add.at(self._fees, fills["instrument"], fee)
        np.add.at(self._cash, fills["instrument"], -quantity * price * multipliers - fee)
        prices = price_of(good)
        known = np.isfinite(prices)
        self._marks[good["instrument"][known]] = prices[known]  # the last of several counts

    def _take_decisions(self, decisions: Records) -> None:
        """Count the champions' decisions, and what was refused."""
        made = decisions[decisions["role"] == Role.CHAMPION]
        self._decisions += len(made)
        codes, counts = np.unique(made["verdict"][made["verdict"] != 0], return_counts=True)
        self._denials.update(dict(zip(codes.tolist(), counts.tolist(), strict=True)))
        self._latest.extend(made[-LATEST:].copy())
        acted = made[(made["quantity"] != 0.0) | (made["verdict"] >= FIRST_ORDER_CODE)]
        if acted.size:
            self._acted = acted[-1].copy()

    def _pnl(self) -> float:
        multipliers = np.array([instrument.multiplier for instrument in self._instruments])
        open_value = np.where(self._held != 0.0, self._held * self._marks * multipliers, 0.0)
        return float((self._cash + open_value).sum())

    def _rate(self) -> float | None:
        """Return the decisions a second since the frame before."""
        now_ns, before_ns, before = self._project.clock.monotonic_ns(), self._seen_ns, self._seen_decisions
        self._seen_ns, self._seen_decisions = now_ns, self._decisions
        if not before_ns or now_ns <= before_ns:
            return None
        return (self._decisions - before) * NS_PER_S / (now_ns - before_ns)

    def _behind(self) -> int:
        """Return how many sequence numbers the watcher is behind the streams that it reads."""
        pulse = read_pulse(self._project.places.watcher)
        last = max((cursor.after for cursor in self._cursors.values()), default=0)
        return max(0, last - (pulse.reached if pulse else 0))

    def _last_act(self) -> Act | None:
        """Say what the last order was for; None before the first."""
        return None if self._acted is None else self._acts.said(self._acted, self._symbol(self._acted))

    def _symbol(self, decision: np.void) -> str:
        number = int(decision["instrument"])
        return self._instruments[number].symbol if number < len(self._instruments) else str(number)

    def _line(self, decision: np.void) -> DecisionLine:
        return DecisionLine(
            sequence=int(decision["sequence"]),
            time=iso(int(decision["ts_event_ns"])),
            instrument=self._symbol(decision),
            version=version_name(int(decision["version"])),
            score=float(decision["score"]),
            target=float(decision["target"]),
            position=float(decision["position"]),
            quantity=float(decision["quantity"]),
            verdict=DenialCode(int(decision["verdict"])).name,
        )
