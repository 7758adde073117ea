"""The way of a statistic to its alarm runs forwards in time, whatever the order of the records."""

import msgspec
import pytest

from tradeworthy.change.watch.explaining import forwards
from tradeworthy.core.findings import Finding

FINDING = Finding(
    monitor="estimated",
    subject="expected accuracy",
    kind="estimated_performance",
    sequence=90,
    ts_event_ns=50,
    since_ns=10,
    observed=0.5,
    reference=0.6,
    unit="share",
    statistic=12.0,
    threshold=10.0,
    false_alarms_per_10k=1.0,
    sentence="Cases have become harder.",
)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ([(10, 0.1), (20, 0.2), (30, 0.9)], [10, 20, 30]),
        ([(10, 0.1), (30, 0.2), (20, 0.3), (40, 0.4)], [10, 30, 40]),
        ([(10, 0.1), (10, 0.2)], [10]),
        ([(10, 0.1), (50, 0.8), (60, 0.9)], [10]),
        ([(10, 0.1), (99, 0.2), (20, 0.3)], [10, 20]),
        ([], []),
    ],
    ids=[
        "in order",
        "a late event",
        "the same time",
        "told later than it happened",
        "a stamp of the future",
        "nothing",
    ],
)
def test_points_rise_in_time_up_to_the_alarm(path, kept):
    """What does not come after the point before it, or before the alarm, is left out; the alarm is the last."""
    found = forwards(path, FINDING)
    assert [ts_ns for ts_ns, _ in found] == [*kept, 50]
    assert found[-1] == (50, 1.2)


def test_an_alarm_at_the_first_record_is_a_path_of_itself():
    """Nothing comes before it."""
    assert forwards([(7, 0.3)], msgspec.structs.replace(FINDING, ts_event_ns=5)) == [(5, 1.2)]
