"""A finding: something a monitor believes has changed, with how sure it is."""

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What changed, where, since when, how much, how sure.

    Attributes
    ----------
    monitor, subject : str
        Which monitor, and what it watched (a feature, an instrument, a metric).
    kind : str
        ``data_drift``, ``attribution_drift``, ``concept_drift``, ``label_shift``, ``performance``,
        ``estimated_performance``, ``calibration_error``, ``fairness``, ``input_quality``, ``trading``, ``latency``,
        ``security``, ``storage``, ``clock``, ``release``,
        ``reconciliation``, ``surveillance`` or ``serving``.
    sequence, ts_event_ns : int
        The tape record at which the alarm was raised, and its event time.
    since_ns : int
        Estimated time of the change, UTC nanoseconds.
    observed, reference : float
        The quantity now and before, in `unit`.
    false_alarms_per_10k : float
        The rate, per 10,000 events with no change, to which the alarm was calibrated.
    sentence : str
        The finding in plain words.
    """

    monitor: str
    subject: str
    kind: str
    severity: str = "warning"
    sequence: int
    ts_event_ns: int
    since_ns: int
    observed: float
    reference: float
    unit: str
    statistic: float
    threshold: float
    false_alarms_per_10k: float
    sentence: str
