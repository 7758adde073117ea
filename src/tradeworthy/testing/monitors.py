"""The promise of a monitor, as checks to run over one's own.

Idea:   a factory makes a fresh monitor, a list of slices stands for the tape; each check raises AssertionError with
        what was broken. `check_monitor` runs them all.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeworthy.core.findings import Finding
from tradeworthy.judge.monitor.base import Monitor, Records, Restorable

MakeMonitor = Callable[[], Monitor]

FOREIGN = np.zeros(3, np.dtype([("sequence", "<u8"), ("nothing_known", "<f8")]))
"""Records of a stream that no monitor knows."""


def run(monitor: Monitor, slices: Sequence[Records]) -> list[Finding]:
    """Feed all slices and return all findings."""
    found: list[Finding] = []
    for records in slices:
        monitor.observe(records)
        found += monitor.findings()
    return found


def check_findings_are_told_once(make: MakeMonitor, slices: Sequence[Records]) -> None:
    """Check that a finding is returned by one call of `findings` and by no later one."""
    monitor = make()
    run(monitor, slices)
    _must(monitor.findings() == [], "findings() returned a finding that it had returned before")


def check_slicing_changes_nothing(make: MakeMonitor, slices: Sequence[Records]) -> None:
    """Check that the same records in smaller slices give the same findings."""
    whole = run(make(), slices)
    halves = [part for records in slices for part in (records[: len(records) // 3], records[len(records) // 3 :])]
    _must(run(make(), halves) == whole, "findings depend on how the tape was sliced")


def check_restart_changes_nothing(make: MakeMonitor, slices: Sequence[Records]) -> None:
    """Check that a monitor restored from another's state, at any slice, finds what that one would have found."""
    whole = run(make(), slices)
    first, found = make(), list[Finding]()
    for records in slices:
        first.observe(records)
        second = make()
        _must(isinstance(second, Restorable), "the monitor has no restore(state)")
        if isinstance(second, Restorable):
            second.restore(_stored(first.state()))
        first = second
        found += first.findings()
    _must(found == whole, f"a restart changed the findings: {len(found)} instead of {len(whole)}")


def check_state_is_arrays(make: MakeMonitor, slices: Sequence[Records]) -> None:
    """Check that a state is a dict of plain arrays (no pickle), and no view of what goes on changing."""
    monitor = make()
    for records in slices[: len(slices) // 2]:
        monitor.observe(records)
    state = monitor.state()
    before = {name: array.tobytes() for name, array in state.items()}
    for name, array in state.items():
        _must(isinstance(array, np.ndarray) and not array.dtype.hasobject, f"state {name!r} is no plain array")
    for records in slices[len(slices) // 2 :]:
        monitor.observe(records)
    _must({n: a.tobytes() for n, a in state.items()} == before, "a state changed after it was returned")


def check_foreign_records_are_left(make: MakeMonitor) -> None:
    """Check that records of an unknown type, and empty slices, are left without a finding."""
    monitor = make()
    monitor.observe(FOREIGN)
    monitor.observe(FOREIGN[:0])
    _must(monitor.findings() == [], "records of an unknown type gave a finding")


def check_records_are_not_touched(make: MakeMonitor, slices: Sequence[Records]) -> None:
    """Check that records may be read-only, such as a mapped tape's."""
    frozen = [records.copy() for records in slices]
    for records in frozen:
        records.setflags(write=False)
    run(make(), frozen)


def check_findings_are_complete(make: MakeMonitor, slices: Sequence[Records]) -> None:
    """Check that a finding says what, since when, how sure, in a sentence, and does not date from the future."""
    for finding in run(make(), slices):
        _must(bool(finding.sentence and finding.subject and finding.monitor), "a finding does not say what it is")
        _must(finding.since_ns <= finding.ts_event_ns, f"{finding.subject}: the change is dated after the alarm")
        _must(finding.false_alarms_per_10k > 0.0, f"{finding.subject}: no false-alarm rate is stated")


def check_monitor(make: MakeMonitor, slices: Sequence[Records]) -> None:
    """Run every check.

    Parameters
    ----------
    make : callable
        Returns a fresh monitor; two of them must behave alike.
    slices : sequence of records
        Slices of tape streams in the order read; best with at least one change that the monitor finds.
    """
    check_foreign_records_are_left(make)
    for check in (
        check_findings_are_told_once,
        check_slicing_changes_nothing,
        check_restart_changes_nothing,
        check_state_is_arrays,
        check_records_are_not_touched,
        check_findings_are_complete,
    ):
        check(make, slices)


def _stored(state: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return the state as it comes back from a file."""
    return {name: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape).copy() for name, a in state.items()}


def _must(holds: bool, broken: str) -> None:  # noqa: FBT001  # reads as a sentence at every call
    """Raise AssertionError with what was broken."""
    if not holds:
        raise AssertionError(broken)
