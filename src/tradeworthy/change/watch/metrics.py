"""Figures of the watcher as Prometheus reads them: a text file for the node exporter's textfile collector.

Idea:   `METRICS` is the only list of names; writing one that is not in it fails, and the documented table is held
        against it by a test. Counters start again from what the state files remember, so they never fall back.
Units:  seconds and plain counts, as Prometheus wants them.
Reference: Prometheus text exposition format, version 0.0.4.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from tradeworthy.change.alerts.delivery import SinkState, replace_file
from tradeworthy.change.watch.findings import Cases
from tradeworthy.change.watch.pulse import Pulse
from tradeworthy.core.time import NS_PER_S
from tradeworthy.judge.monitor.base import Monitor
from tradeworthy.judge.monitor.gauges import Gauged

FILE = "metrics.prom"
PREFIX = "tradeworthy_"


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One family of figures: its kind, its labels, and what it says."""

    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...] = ()
    text: str


def _counter(text: str, *labels: str) -> Metric:
    return Metric(kind="counter", labels=labels, text=text)


def _gauge(text: str, *labels: str) -> Metric:
    return Metric(kind="gauge", labels=labels, text=text)


METRICS: Mapping[str, Metric] = {
    "watcher_timestamp_seconds": _gauge("When these figures were written, seconds since 1970"),
    "watcher_caught_up_timestamp_seconds": _gauge("When the watcher last had nothing left to read"),
    "watcher_records_total": _counter("Tape records observed"),
    "watcher_decisions_total": _counter("Decisions of the champion observed"),
    "watcher_sequence": _gauge("The last tape record observed"),
    "watcher_step_seconds_last": _gauge("How long the last look took"),
    "watcher_step_seconds_max": _gauge("The longest look since there is a champion; no alert waits longer for one"),
    "record_behind_seconds": _gauge("How long the oldest record read has waited to be on the disk"),
    "champion_info": _gauge("1 for the version that is watched", "version"),
    "findings_total": _counter("Findings raised, repeats included", "monitor", "kind"),
    "findings_open": _gauge("Cases that nobody has closed", "kind", "severity", "state"),
    "monitor_alarms_total": _counter("Findings of a monitor at work, under any champion", "monitor"),
    "monitor_last_look_timestamp_seconds": _gauge("When a monitor was last given records", "monitor"),
    "monitor_evidence_ratio": _gauge(
        "Evidence of a change as a share of the alarm's limit; 1 is an alarm", "monitor", "subject", "instrument"
    ),
    "monitor_value": _gauge("What a monitor measures, in its own unit", "monitor", "subject", "instrument"),
    "alerts_sent_total": _counter("Alerts that a sink took", "sink"),
    "alerts_failed_total": _counter("Alerts that were given up", "sink"),
    "alert_retries_total": _counter("Attempts at an alert beyond the first", "sink"),
    "alert_delay_seconds_max": _gauge("The largest delay from an event to the sink having its alert", "sink"),
    "alert_delay_seconds_last": _gauge("The same for the last alert", "sink"),
}
"""Every family, without `PREFIX`."""


class Sample(msgspec.Struct, frozen=True):
    """One figure: family, the values of its labels in their order, value; of a histogram, which part of it.

    A part ``_bucket`` has its upper bound as one more label, the last.
    """

    name: str
    labels: tuple[str, ...]
    value: float
    part: Literal["", "_bucket", "_sum", "_count"] = ""


def samples(pulse: Pulse, cases: Cases, monitors: Mapping[str, Monitor]) -> list[Sample]:
    """Return every figure of one moment."""
    plain = {
        "watcher_timestamp_seconds": pulse.ts_ns / NS_PER_S,
        "watcher_caught_up_timestamp_seconds": pulse.caught_up_ns / NS_PER_S,
        "watcher_records_total": pulse.records,
        "watcher_decisions_total": pulse.decisions,
        "watcher_sequence": pulse.reached,
        "watcher_step_seconds_last": pulse.step_ns_last / NS_PER_S,
        "watcher_step_seconds_max": pulse.step_ns_max / NS_PER_S,
        "record_behind_seconds": pulse.behind_ns / NS_PER_S,
    }
    found = [Sample(name, (), value) for name, value in plain.items()]
    if pulse.version:
        found.append(Sample("champion_info", (pulse.version,), 1))
    return [*found, *_of_cases(cases), *_of_monitors(monitors, cases, pulse), *_of_sinks(pulse.sinks)]


def _of_cases(cases: Cases) -> Iterable[Sample]:
    """Count findings, and the cases that stand."""
    raised: Counter[tuple[str, ...]] = Counter()
    for case in cases.by_number.values():
        for (monitor, kind, _), count in case.causes.items():
            raised[monitor, kind] += count
    standing = Counter((case.first.kind, case.severity, case.state) for case in cases.unsettled())
    yield from (Sample("findings_total", labels, count) for labels, count in raised.items())
    yield from (Sample("findings_open", labels, count) for labels, count in standing.items())


def _of_monitors(monitors: Mapping[str, Monitor], cases: Cases, pulse: Pulse) -> Iterable[Sample]:
    """Return the figures of every monitor at work, silent ones included."""
    names = {"evidence": "monitor_evidence_ratio", "value": "monitor_value"}
    raised: Counter[str] = Counter()
    for case in cases.by_number.values():
        for (monitor, _, _), count in case.causes.items():
            raised[monitor] += count
    for monitor, watching in monitors.items():
        yield Sample("monitor_alarms_total", (monitor,), raised[monitor])
        yield Sample("monitor_last_look_timestamp_seconds", (monitor,), pulse.looked_ns / NS_PER_S)
        if isinstance(watching, Gauged):
            for gauge in watching.gauges():
                yield Sample(names[gauge.family], (monitor, gauge.subject, gauge.instrument), gauge.value)


def _of_sinks(sinks: Iterable[SinkState]) -> Iterable[Sample]:
    """Return how alerts fare."""
    for sink in sinks:
        figures = {
            "alerts_sent_total": sink.sent,
            "alerts_failed_total": sink.failed,
            "alert_retries_total": sink.retries,
            "alert_delay_seconds_max": sink.delay_ns_max / NS_PER_S,
            "alert_delay_seconds_last": sink.delay_ns_last / NS_PER_S,
        }
        yield from (Sample(name, (sink.name,), value) for name, value in figures.items())


def exposition(found: Sequence[Sample], metrics: Mapping[str, Metric] = METRICS) -> str:
    """Write figures as text, families in the order of `metrics`.

    Raises
    ------
    KeyError
        A figure belongs to no family; that is a mistake of ours.
    """
    by_name: dict[str, list[Sample]] = {name: [] for name in metrics}
    for sample in found:
        by_name[sample.name].append(sample)
    lines: list[str] = []
    for name, family in by_name.items():
        if family:
            metric = metrics[name]
            lines += [f"# HELP {PREFIX}{name} {metric.text}", f"# TYPE {PREFIX}{name} {metric.kind}"]
            lines += [_line(PREFIX + name + sample.part, _labels(metric, sample), sample) for sample in family]
    return "\n".join(lines) + "\n"


def _labels(metric: Metric, sample: Sample) -> tuple[str, ...]:
    return (*metric.labels, "le") if sample.part == "_bucket" else metric.labels


def _line(name: str, labels: tuple[str, ...], sample: Sample) -> str:
    pairs = ",".join(f'{key}="{_escaped(value)}"' for key, value in zip(labels, sample.labels, strict=True))
    return f"{name}{{{pairs}}} {_number(sample.value)}" if pairs else f"{name} {_number(sample.value)}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    """Write a number as Prometheus does: NaN, +Inf, -Inf, and no digits lost."""
    text = repr(float(value))
    return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(text, text.removesuffix(".0"))


def write_metrics(folder: Path, found: Sequence[Sample]) -> None:
    """Replace the text file whole, so that a scrape never sees half of it."""
    replace_file(folder / FILE, exposition(found).encode())
