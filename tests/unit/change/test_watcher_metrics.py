"""What the watcher says of itself: its pulse, and figures as Prometheus reads them."""

import math
import re

import msgspec
import pytest
from change_facts import lines, promoted, raised

from tradeworthy.change.alerts.delivery import SinkState
from tradeworthy.change.watch.findings import cases_of
from tradeworthy.change.watch.metrics import FILE, METRICS, PREFIX, Sample, exposition, samples, write_metrics
from tradeworthy.change.watch.pulse import Pulse, read_pulse, write_pulse
from tradeworthy.judge.monitor.gauges import Gauge

PULSE = Pulse(
    ts_ns=1_700_000_000_500_000_000,
    version="ab" * 8,
    reached=120,
    records=110,
    decisions=40,
    caught_up_ns=1_700_000_000_000_000_000,
    sinks=[SinkState(name="log", sent=3, delay_ns_max=250_000_000), SinkState(name="hook", failed=1, retries=4)],
    looked_ns=1_700_000_000_250_000_000,
    step_ns_last=2_000_000,
    step_ns_max=750_000_000,
)
LINE = re.compile(r'^[a-z_]+(\{([a-z]+="(\\.|[^"\\])*",?)+\})? (NaN|[+-]Inf|-?[0-9.e+-]+)$')


class Showing:
    """A monitor that shows two figures."""

    def gauges(self):
        """Return them."""
        return [
            Gauge(family="evidence", subject="spread", instrument="ETH", value=0.25),
            Gauge(family="value", subject="accuracy", value=math.nan),
        ]


def parse(text):
    """Return values by name and labels, and kinds by name, from a text exposition."""
    values, kinds = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE"):
            _, _, name, kind = line.split()
            kinds[name] = kind
        elif not line.startswith("#"):
            assert LINE.match(line), line
            name, _, value = line.rpartition(" ")
            assert name not in values
            values[name] = float(value)
    return values, kinds


def figures():
    """Return a whole exposition."""
    cases = cases_of(lines(promoted("a"), raised(), raised(), raised("performance")))
    return parse(exposition(samples(PULSE, cases, {"drift": Showing(), "silent": object()})))


def test_every_family_is_shown_once_with_its_kind():
    """Each family of the list appears under its kind, none beside it."""
    _, kinds = figures()
    assert kinds == {PREFIX + name: metric.kind for name, metric in METRICS.items()}


def test_the_figures_are_the_pulses():
    """Seconds and counts stand as they were."""
    values, _ = figures()
    assert values["tradeworthy_watcher_timestamp_seconds"] == 1_700_000_000.5
    assert values["tradeworthy_watcher_decisions_total"] == 40
    assert values["tradeworthy_watcher_step_seconds_last"] == 0.002
    assert values["tradeworthy_watcher_step_seconds_max"] == 0.75
    assert values['tradeworthy_champion_info{version="abababababababab"}'] == 1
    assert values['tradeworthy_alert_delay_seconds_max{sink="log"}'] == 0.25
    assert values['tradeworthy_alerts_failed_total{sink="hook"}'] == 1


def test_findings_count_repeats_and_cases_do_not():
    """The counter counts every finding, the gauge what somebody has to handle."""
    values, _ = figures()
    assert values['tradeworthy_findings_total{monitor="drift",kind="data_drift"}'] == 2
    assert values['tradeworthy_findings_open{kind="data_drift",severity="warning",state="open"}'] == 1


def test_monitors_that_show_figures_are_shown():
    """Evidence and values carry monitor, subject and instrument; a monitor without figures is left out."""
    values, _ = figures()
    assert values['tradeworthy_monitor_evidence_ratio{monitor="drift",subject="spread",instrument="ETH"}'] == 0.25
    assert math.isnan(values['tradeworthy_monitor_value{monitor="drift",subject="accuracy",instrument=""}'])


def test_every_monitor_is_counted_silent_ones_too():
    """Alarms and the last look are shown of every monitor at work, whether it shows figures or not."""
    values, _ = figures()
    assert values['tradeworthy_monitor_alarms_total{monitor="drift"}'] == 3
    assert values['tradeworthy_monitor_alarms_total{monitor="silent"}'] == 0
    assert values['tradeworthy_monitor_last_look_timestamp_seconds{monitor="silent"}'] == 1_700_000_000.25


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (0.1, "0.1"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN"), (7, "7")]
)
def test_numbers_are_written_as_prometheus_reads_them(value, text):
    """Special values have their own words, and no digit is lost."""
    assert (
        exposition([Sample("watcher_sequence", (), value)]).splitlines()[-1] == f"tradeworthy_watcher_sequence {text}"
    )


def test_labels_are_escaped():
    """A quote, a backslash or a line break in a feature's name breaks no line."""
    text = exposition([Sample("monitor_value", ("m", 'a"b\\c\nd', ""), 1.0)])
    assert 'subject="a\\"b\\\\c\\nd"' in text
    parse(text)


def test_an_unknown_family_is_our_mistake():
    """Nothing is shown that the list does not name."""
    with pytest.raises(KeyError):
        exposition([Sample("made_up", (), 1.0)])


def test_the_file_is_replaced_whole(tmp_path):
    """A second write leaves one file, with the new figures."""
    for value in (1.0, 2.0):
        write_metrics(tmp_path, [Sample("watcher_sequence", (), value)])
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert (tmp_path / FILE).read_text().endswith("tradeworthy_watcher_sequence 2\n")


def test_a_pulse_is_read_as_it_was_written(tmp_path):
    """Whoever reads it sees the same moment; where no watcher ever ran there is none."""
    assert read_pulse(tmp_path) is None
    write_pulse(tmp_path, PULSE)
    assert read_pulse(tmp_path) == PULSE


def test_the_largest_delay_is_that_of_the_slowest_sink():
    """One figure answers whether alerts were in time, in seconds; failures are added up."""
    assert (PULSE.alert_delay_s_max, PULSE.alerts_failed) == (0.25, 1)
    assert msgspec.structs.replace(PULSE, sinks=[]).alert_delay_s_max == 0.0
