"""The watcher of a simulated desk: it reads the tape in slices of any size, is killed, and goes on from its last save.

Idea:   its findings must be those of a watcher that read the finished tape in one go; nothing lost, nothing doubled.
"""

import msgspec
import numpy as np

from tradeworthy.core.decisions import rows_stream
from tradeworthy.core.findings import Finding
from tradeworthy.judge.monitor.base import State
from tradeworthy.judge.monitor.drift import DriftMonitor
from tradeworthy.record.tape import TapeReader
from tradeworthy.testing.simulation.cast import Cast

STREAMS = ("inputs", "decisions")


class Watcher:
    """Watches the drift of one version.

    Parameters
    ----------
    reader : TapeReader
    cast : Cast
    """

    def __init__(self, reader: TapeReader, cast: Cast) -> None:
        self._reader, self._cast = reader, cast
        self._streams = (*STREAMS, rows_stream(cast.numbers[0]))
        self._monitor = cast.drift_monitor()
        self._cursors = {name: reader.follow(name) for name in self._streams}
        self.findings: list[Finding] = []
        self.save()

    def poll(self, rng: np.random.Generator) -> None:
        """Take some new records of some streams."""
        for name in rng.permutation(self._streams).tolist():
            self._monitor.observe(self._cursors[name].poll(int(rng.integers(1, 60))))
        self.findings += self._monitor.findings()

    def catch_up(self) -> None:
        """Take everything that there is."""
        for name in self._streams:
            while (records := self._cursors[name].poll()).size:
                self._monitor.observe(records)
        self.findings += self._monitor.findings()

    def save(self) -> None:
        """Keep state and places, as one file would."""
        state: State = {name: array.copy() for name, array in self._monitor.state().items()}
        places = {name: cursor.after for name, cursor in self._cursors.items()}
        self._saved = (state, places, list(self.findings))

    def die(self) -> None:
        """Start again from what was saved."""
        state, places, findings = self._saved
        self._monitor = DriftMonitor.resume(state)
        self._cursors = {name: self._reader.follow(name, after) for name, after in places.items()}
        self.findings = list(findings)

    def expected(self) -> list[Finding]:
        """Return what a watcher finds that was never interrupted."""
        other = Watcher(self._reader, self._cast)
        other.catch_up()
        return other.findings

    def same(self) -> bool:
        """Tell whether the findings are those that were expected."""
        return msgspec.json.encode(self.findings) == msgspec.json.encode(self.expected())
