"""Carries alerts to their sinks, each sink in a thread of its own: a dead receiver delays nobody else.

Idea:   a sink follows the ledger from its own offset, which is kept on disk. So an alert survives a kill; it may be
        told twice, never lost, until it was tried as often as allowed.
Flow:   finding in the ledger → worth an alert? → wanted here? → send, try again with growing pauses → offset saved.
State:  one JSON file a sink, replaced whole.
Time:   the delay of an alert ends when its sink has it; retries are part of it.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tradeworthy.change.alerts.alert import Alert, AlertFailed, AlertRefused, AlertSink, Desk
from tradeworthy.change.alerts.settings import AlertSettings, FileAlert
from tradeworthy.change.alerts.sinks import make_sink
from tradeworthy.change.watch.findings import HANDLED, Case, Cases
from tradeworthy.core import facts
from tradeworthy.core.time import Clock
from tradeworthy.record.ledger import Entry, Ledger

LOOK_EVERY_S = 1.0
"""The longest pause between two looks at the ledger; a finding of our own watcher wakes at once."""

END_WITHIN_S = 5.0
LOG = "alerts.jsonl"
STATES = "alerts"


class SinkState(msgspec.Struct, kw_only=True):
    """How far a sink has come, and how it fares.

    Attributes
    ----------
    up_to : int
        Ledger number of the last fact that is done with.
    sent, failed, retries : int
        Alerts delivered; alerts given up; attempts beyond the first.
    delay_ns_max, delay_ns_last : int
        From the event to the delivery.
    error : str
        What the last failure said; empty after a delivery.
    """

    name: str
    up_to: int = 0
    sent: int = 0
    failed: int = 0
    retries: int = 0
    delay_ns_max: int = 0
    delay_ns_last: int = 0
    error: str = ""


class Delivery:
    """One sink's way through the ledger.

    Parameters
    ----------
    sink : AlertSink
        Where alerts go.
    settings : AlertSettings
        Which alerts, and how often to try.
    ledger : Ledger
        Where findings come from.
    folder : Path
        Where the state file is kept.
    desk : Desk
        Named in every alert.
    clock : Clock
        The machine's.
    """

    def __init__(
        self, sink: AlertSink, settings: AlertSettings, ledger: Ledger, folder: Path, desk: Desk, *, clock: Clock
    ) -> None:
        self._sink, self._settings, self._ledger, self._desk, self._clock = sink, settings, ledger, desk, clock
        self._path = folder / f"{settings.name}.json"
        self.state = self._load()
        self._cases = Cases()
        for entry in ledger.facts(*HANDLED):
            if entry.number <= self.state.up_to:
                self._cases.apply(entry)

    def step(self, wait: Callable[[float], bool]) -> int:
        """Deliver what is new; return how many alerts the sink took.

        Parameters
        ----------
        wait : callable
            Pauses so many seconds; True means to stop for good: the alert is taken up by the next `Delivery`.
        """
        sent, up_to = self.state.sent, self.state.up_to
        for entry in self._ledger.facts(*HANDLED, after=up_to):
            case = self._cases.apply(entry)
            if case is not None and self._settings.wants(case.severity, case.last.kind):
                if not self._deliver(case, entry, wait):
                    break
                self.state.up_to = entry.number
                self._save()
            self.state.up_to = entry.number
        if self.state.up_to != up_to:
            self._save()
        return self.state.sent - sent

    def _deliver(self, case: Case, entry: Entry, wait: Callable[[float], bool]) -> bool:
        """Try to send one alert as often as allowed; return False where it is to be taken up later."""
        pause = self._settings.backoff_s
        for attempt in range(self._settings.tries):
            if attempt and wait(pause):
                return False
            self.state.retries += attempt > 0
            pause *= 2.0 if attempt else 1.0
            if self._attempt(case, entry):
                return True
        self.state.failed += 1
        return True

    def _attempt(self, case: Case, entry: Entry) -> bool:
        """Hand one alert to the sink; return whether that was the end of it."""
        origin_ns = entry.fact.ts_origin_ns if isinstance(entry.fact, facts.FindingRaised) else 0
        alert = Alert.of(case, self._desk, entry=entry.number, ts_origin_ns=origin_ns, now_ns=self._clock.now_ns())
        try:
            self._sink.send(alert)
        except AlertRefused as error:
            self.state.error = str(error)
            self.state.failed += 1
            return True
        except AlertFailed as error:
            self.state.error = str(error)
            return False
        except Exception as error:  # noqa: BLE001  # a sink of the user's may raise anything; others must go on
            self.state.error = f"{type(error).__name__}: {error}"
            return False
        self.state.sent += 1
        self.state.error = ""
        if origin_ns:
            self.state.delay_ns_last = max(0, self._clock.now_ns() - origin_ns)
            self.state.delay_ns_max = max(self.state.delay_ns_max, self.state.delay_ns_last)
        return True

    def _load(self) -> SinkState:
        """Read the state; a sink that is new here begins with the next finding, not with the past."""
        if not self._path.exists():
            state = SinkState(name=self._settings.name, up_to=self._ledger.head()[0])
            replace_file(self._path, msgspec.json.encode(state))
        return msgspec.json.decode(self._path.read_bytes(), type=SinkState)

    def _save(self) -> None:
        replace_file(self._path, msgspec.json.encode(self.state))


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(data)
    fresh.replace(path)


class Deliveries:
    """All sinks of a desk, each with its thread.

    Parameters
    ----------
    folder : Path
        The watcher's; alerts are always logged here too, in `LOG`.
    settings : sequence of AlertSettings
        With names and whole paths.
    ledger : Ledger
        Where findings come from.
    desk : Desk
        Named in every alert.
    clock : Clock
        The machine's.

    Raises
    ------
    SettingsInvalid
        A secret cannot be used.
    """

    def __init__(
        self, folder: Path, settings: Sequence[AlertSettings], ledger: Ledger, desk: Desk, *, clock: Clock
    ) -> None:
        log = FileAlert(name="log", path=str(folder / LOG), severity_min="info")
        self._deliveries = [
            Delivery(make_sink(each), each, ledger, folder / STATES, desk, clock=clock) for each in (log, *settings)
        ]
        self._stop = threading.Event()
        self._wakes = [threading.Event() for _ in self._deliveries]
        self._threads = [
            threading.Thread(target=self._run, args=pair, name=f"alerts-{pair[0].state.name}", daemon=True)
            for pair in zip(self._deliveries, self._wakes, strict=True)
        ]

    @property
    def states(self) -> list[SinkState]:
        """How every sink fares."""
        return [delivery.state for delivery in self._deliveries]

    def start(self) -> None:
        """Start to deliver."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Say that the ledger has grown; returns at once."""
        for event in self._wakes:
            event.set()

    def close(self, within_s: float = END_WITHIN_S) -> None:
        """Deliver what is there without trying twice, and end; what is left is for the next start."""
        self._stop.set()
        self.wake()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(within_s / len(self._threads))

    def _run(self, delivery: Delivery, wake: threading.Event) -> None:
        """Deliver until told to stop, and once more then."""
        while not self._stop.is_set():
            delivery.step(self._stop.wait)
            wake.wait(LOOK_EVERY_S)
            wake.clear()
        delivery.step(self._stop.wait)
