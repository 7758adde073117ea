"""From history to rows and labels: the program folded over events, joined with what happened next.

Idea:   features come from the very kernel that runs live, stepped over history; nothing is computed a second way.
Shape:  one dataset row for every event that gave a ready row and has a known label.
Time:   `starts` and `ends` count the events of the price that is foreseen, so a gap in time does not shorten a purge.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradeworthy.change.train.groups import column_of, crossed, groups_of
from tradeworthy.core.errors import DataInvalid, near
from tradeworthy.core.events import EventBatch
from tradeworthy.core.instruments import Instrument
from tradeworthy.model.features.labels import Label
from tradeworthy.model.features.program import Program
from tradeworthy.model.features.runtime import FeatureState

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


class Training(NamedTuple):
    """What one fit learns from: rows (m, n), labels (m,), and perhaps groups (m,) that it is reweighed by."""

    rows: Floats
    labels: Floats
    groups: Places | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows to learn from, in order of time.

    Attributes
    ----------
    rows : (m, n) float64
        Features.
    labels : (m,) float64
        What to foresee.
    values : (m,) float64
        Forward log returns behind the labels; an outcome again.
    ts_event_ns : (m,) int64
        When each row's event happened.
    places : (m,) int64
        Of those events in the batch given.
    starts, ends : (m,) int64
        First and last event of the price that each label reads, counted.
    digest : str
        SHA-256 of the events that it was made from, without their place on a tape.
    groups : (m,) int64 or None
        By which what is learned is reweighed; see `grouped`.
    """

    rows: Floats
    labels: Floats
    values: Floats
    ts_event_ns: npt.NDArray[np.int64]
    places: Places
    starts: Places
    ends: Places
    digest: str
    groups: Places | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def last(self, rows: int) -> "Dataset":
        """Return the latest rows only."""
        return self._cut(slice(max(len(self) - rows, 0), None))

    def between(self, first_ns: int, last_ns: int) -> "Dataset":
        """Return the rows whose events happened within a span, both ends included."""
        return self._cut(
            slice(
                int(np.searchsorted(self.ts_event_ns, first_ns, "left")),
                int(np.searchsorted(self.ts_event_ns, last_ns, "right")),
            )
        )

    def grouped(self, names: Sequence[str], program: Program, label: Label, events: EventBatch) -> "Dataset":
        """Return the same rows, to be reweighed by the groups of some columns; none of them leaves all as it is.

        Raises
        ------
        DataInvalid
            There is no such column, or labels are not 0 and 1.
        """
        if not names:
            return self
        if not np.isin(self.labels, (0.0, 1.0)).all():
            raise DataInvalid(f"labels of {label} are not 0 and 1, so no group's share of them can be weighed")
        own, kept = {"features": program.names, "fields": label.row_fields}, events[self.places]
        columns = [groups_of(column_of(name, self.rows, kept, **own), name)[0] for name in names]
        return replace(self, groups=crossed(columns))

    def training(self, places: Places | slice = slice(None)) -> Training:
        """Return what a fit on some of the rows learns from; on all, if left out."""
        return Training(self.rows[places], self.labels[places], None if self.groups is None else self.groups[places])

    def _cut(self, kept: slice) -> "Dataset":
        """Return a stretch of the rows."""
        arrays = ("rows", "labels", "values", "ts_event_ns", "places", "starts", "ends")
        groups = None if self.groups is None else self.groups[kept]
        return Dataset(**{name: getattr(self, name)[kept] for name in arrays}, digest=self.digest, groups=groups)


def build_dataset(
    program: Program, label: Label, events: EventBatch, instruments: Sequence[Instrument], instrument: int
) -> Dataset:
    """Fold a program over events and join the rows of one instrument with its labels.

    Parameters
    ----------
    program : Program
        Compiled features.
    label : Label
        What happened next.
    events : (k,) event records
        In the order in which a live engine would have consumed them.
    instruments : sequence of Instrument
        The desk's list, to which instrument numbers refer.
    instrument : int
        Whose rows to keep.

    Raises
    ------
    DataInvalid
        No event gave both a ready row and a label, or an outcome is neither 1 nor 0.
    """
    rows, row_places = FeatureState(program, instruments).many(events)
    labels, values, label_places = label.compute(events, instrument, instruments)
    if label.is_reported and not np.isin(labels, (0.0, 1.0)).all():
        found = np.unique(labels[~np.isin(labels, (0.0, 1.0))])[:3].tolist()
        raise DataInvalid(f"the column of {label} holds {found}; allowed are 1, 0 and nothing (not known yet)")
    of_instrument = events["instrument"][row_places] == instrument
    known = np.isfinite(labels)
    places, from_rows, from_labels = np.intersect1d(
        row_places[of_instrument], label_places[known], assume_unique=True, return_indices=True
    )
    if len(places) == 0:
        raise DataInvalid(
            f"{len(events)} events of which {int(of_instrument.sum())} gave a ready row and {int(known.sum())} "
            "a label, never both; use more history, shorter windows or a shorter label"
        )
    starts = _rank(label, events, instrument)[places]
    return Dataset(
        rows=np.ascontiguousarray(rows[of_instrument][from_rows]),
        labels=labels[known][from_labels],
        values=values[known][from_labels],
        ts_event_ns=events["ts_event_ns"][places],
        places=places,
        starts=starts,
        ends=starts + label.horizon,
        digest=events_digest(events),
    )


def traded_instrument(instruments: Sequence[Instrument], symbol: str | None) -> int:
    """Return the number of the named instrument, or of the first traded one.

    Raises
    ------
    DataInvalid
        The desk does not know the symbol, or trades nothing.
    """
    symbols = [instrument.symbol for instrument in instruments]
    if symbol is not None and symbol not in symbols:
        raise DataInvalid(f"instrument {symbol!r} is not on the desk{near(symbol, symbols)}; found {symbols}")
    if symbol is not None:
        return symbols.index(symbol)
    for number, instrument in enumerate(instruments):
        if instrument.traded:
            return number
    raise DataInvalid(f"no instrument of {symbols} is traded; set traded = true on one")


def _rank(label: Label, events: EventBatch, instrument: int) -> Places:
    """Return, at each event, how many events of the label's price came before it, as (k,) int64."""
    asks = (events["instrument"] == instrument) & (events["kind"] == label.trigger)
    rank: Places = np.cumsum(asks, dtype=np.int64) - 1
    return rank


def events_digest(events: EventBatch) -> str:
    """Return the SHA-256 of what events say; when and where they were recorded does not count."""
    digest = hashlib.sha256(f"{len(events)} events".encode())
    for name in ("ts_event_ns", "instrument", "kind", "values"):
        digest.update(np.ascontiguousarray(events[name]).tobytes())
    return digest.hexdigest()
