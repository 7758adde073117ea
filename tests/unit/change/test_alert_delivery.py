"""Alerts on their way: tried again, never lost, never in each other's way, and measured."""

import threading
from pathlib import Path

import msgspec
import pytest
from alert_receivers import DESK, Dead, Scripted, alert_of, webhook
from change_facts import finding, raised

from tradeworthy.change.alerts.alert import Alert, AlertFailed, AlertRefused
from tradeworthy.change.alerts.delivery import LOG, Deliveries, Delivery, SinkState
from tradeworthy.change.alerts.settings import FileAlert, WebhookAlert
from tradeworthy.core import facts
from tradeworthy.core.time import NS_PER_S, SystemClock, VirtualClock
from tradeworthy.record.ledger import Ledger

SETTINGS = FileAlert(name="test", path="unused", tries=3, backoff_s=0.5)


class Home:
    """A ledger, a clock, and pauses that only move the clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock(1_000 * NS_PER_S)
        self.ledger = Ledger(folder / "ledger.db", clock=self.clock)
        self.pauses = []

    def raise_finding(self, sequence=10, *, origin_s=None, **changes: object):
        """Write a finding down whose event happened so many seconds ago; another subject began at another time."""
        began = 1_000 * len(str(changes.get("subject", ""))) + sequence
        made = msgspec.structs.replace(finding(sequence=sequence, since_ns=began), ts_event_ns=began, **changes)
        origin_ns = 0 if origin_s is None else self.clock.now_ns() - int(origin_s * NS_PER_S)
        fact = facts.FindingRaised(finding=made, ts_origin_ns=origin_ns)
        return self.ledger.append(fact, actor="watcher", reason="found")

    def delivery(self, sink, settings=SETTINGS):
        """Open a sink's way, as after a restart."""
        return Delivery(sink, settings, self.ledger, self.folder / "alerts", DESK, clock=self.clock)

    def wait(self, seconds):
        """Let time pass."""
        self.pauses.append(seconds)
        self.clock.advance_to(self.clock.now_ns() + int(seconds * NS_PER_S))
        return False


@pytest.fixture
def home(tmp_path):
    """A desk's home."""
    made = Home(tmp_path)
    yield made
    made.ledger.close()


def test_a_finding_is_told_once(home):
    """What the sink took is done with; repeats of the cause are not told."""
    sink = Scripted()
    delivery = home.delivery(sink)
    home.raise_finding(10)
    assert delivery.step(home.wait) == 1
    home.raise_finding(20)
    assert delivery.step(home.wait) == 0
    (alert,) = sink.sent
    assert (alert.desk, alert.env, alert.number, alert.entry, alert.count) == ("eth", "paper", 1, 1, 1)


def test_failures_are_tried_again_with_growing_pauses(home):
    """Two failures, two pauses, the second twice as long, one delivery."""
    sink = Scripted(AlertFailed("busy"), AlertFailed("busy"))
    delivery = home.delivery(sink)
    home.raise_finding()
    delivery.step(home.wait)
    assert home.pauses == [0.5, 1.0]
    assert (delivery.state.sent, delivery.state.failed, delivery.state.retries, delivery.state.error) == (1, 0, 2, "")


def test_a_dead_sink_is_given_up_and_the_next_finding_tried(home):
    """Attempts are bounded; what was given up is counted with its last words, and later findings have their turn."""
    delivery = home.delivery(Dead())
    home.raise_finding(subject="a")
    home.raise_finding(subject="bb")
    assert delivery.step(home.wait) == 0
    assert (delivery.state.failed, delivery.state.retries, delivery.state.error) == (2, 4, "nobody there")
    assert delivery.state.up_to == 2


def test_a_refusal_is_not_tried_again(home):
    """What will never be taken is given up at once."""
    sink = Scripted(AlertRefused("404"))
    delivery = home.delivery(sink)
    home.raise_finding()
    delivery.step(home.wait)
    assert (sink.attempts, delivery.state.failed, home.pauses) == (1, 1, [])


def test_a_sink_that_breaks_is_a_failure_like_any_other(home):
    """A user's sink may raise anything; it is tried again and named."""
    sink = Scripted(ZeroDivisionError("oops"))
    delivery = home.delivery(sink)
    home.raise_finding()
    delivery.step(home.wait)
    assert (sink.attempts, delivery.state.sent) == (2, 1)


def test_the_delay_ends_when_the_sink_has_it(home):
    """Retries are part of the delay; the largest is kept; the alert itself says what it was when handed over."""
    sink = Scripted(AlertFailed("busy"))
    delivery = home.delivery(sink)
    home.raise_finding(origin_s=2.0)
    delivery.step(home.wait)
    home.raise_finding(origin_s=1.0, subject="other")
    delivery.step(home.wait)
    assert (delivery.state.delay_ns_max, delivery.state.delay_ns_last) == (2_500_000_000, 1_000_000_000)
    assert [alert.delay_ns for alert in sink.sent] == [2_500_000_000, 1_000_000_000]


def test_a_finding_of_unknown_origin_has_no_delay(home):
    """Where the event's moment is not known, no delay is made up."""
    sink = Scripted()
    delivery = home.delivery(sink)
    home.raise_finding()
    delivery.step(home.wait)
    assert (sink.sent[0].delay_ns, delivery.state.delay_ns_max) == (None, 0)


def test_a_restart_goes_on_where_it_was(home):
    """What was told before is not told again; what came while nobody delivered is told."""
    first, second = Scripted(), Scripted()
    delivery = home.delivery(first)
    home.raise_finding(subject="a")
    delivery.step(home.wait)
    home.raise_finding(subject="a")
    home.raise_finding(subject="bb")
    again = home.delivery(second)
    again.step(home.wait)
    assert [alert.finding.subject for alert in second.sent] == ["bb"]
    assert again.state.sent == 2


def test_a_kill_before_the_first_delivery_loses_nothing(home):
    """The place of a new sink is on disk before the first finding."""
    home.delivery(Scripted())
    home.raise_finding()
    sink = Scripted()
    home.delivery(sink).step(home.wait)
    assert len(sink.sent) == 1


def test_a_stop_between_two_attempts_leaves_the_alert_for_the_next_start(home):
    """An alert that was not given up is taken up again."""
    delivery = home.delivery(Dead())
    home.raise_finding()
    delivery.step(lambda _: True)
    assert delivery.state.failed == 0
    sink = Scripted()
    home.delivery(sink).step(home.wait)
    assert len(sink.sent) == 1


def test_a_new_sink_is_not_told_the_past(home):
    """A sink that is added to a desk begins with the next finding."""
    home.raise_finding()
    sink = Scripted()
    delivery = home.delivery(sink)
    assert delivery.step(home.wait) == 0
    assert delivery.state == SinkState(name="test", up_to=1)


def test_a_sink_gets_only_what_it_asked_for(home):
    """Severity and kind choose."""
    sink = Scripted()
    delivery = home.delivery(sink, msgspec.structs.replace(SETTINGS, severity_min="critical"))
    home.raise_finding(subject="a")
    home.raise_finding(subject="b", severity="critical")
    delivery.step(home.wait)
    assert [alert.finding.subject for alert in sink.sent] == ["b"]


def test_a_dead_webhook_delays_neither_the_log_nor_the_watcher(tmp_path):
    """Each sink has its thread: with one that never answers in time, waking returns at once and the log is written."""
    clock, secret = SystemClock(), tmp_path / "secret"
    secret.write_bytes(b"k" * 32)
    secret.chmod(0o600)
    ledger = Ledger(tmp_path / "ledger.db", clock=clock)
    with webhook(500, 500, 500, 200) as received:
        url = f"http://127.0.0.1:{received.port}/"
        hook = WebhookAlert(name="hook", url=url, secret_file=str(secret), backoff_s=0.01, tries=4)
        deliveries = Deliveries(tmp_path, [hook], ledger, DESK, clock=clock)
        deliveries.start()
        fact = facts.FindingRaised(finding=finding(), ts_origin_ns=clock.now_ns())
        ledger.append(fact, actor="watcher", reason="found")
        deliveries.wake()
        wait_until(lambda: all(state.sent == 1 for state in deliveries.states))
        deliveries.close()
    ledger.close()
    log, hooked = deliveries.states
    assert (log.retries, hooked.retries, len(received.requests)) == (0, 3, 4)
    assert 0 < log.delay_ns_max < 5 * NS_PER_S
    line = msgspec.json.decode((tmp_path / LOG).read_bytes(), type=Alert)
    assert line.finding == finding()


def test_closing_delivers_what_is_there(tmp_path):
    """A finding raised just before the end is told before the end."""
    clock = SystemClock()
    ledger = Ledger(tmp_path / "ledger.db", clock=clock)
    deliveries = Deliveries(tmp_path, [], ledger, DESK, clock=clock)
    deliveries.start()
    ledger.append(raised(), actor="watcher", reason="found")
    deliveries.close()
    ledger.close()
    assert [state.sent for state in deliveries.states] == [1]


def test_what_was_never_started_can_be_closed(tmp_path):
    """A watcher that fails before its first look ends in order."""
    ledger = Ledger(tmp_path / "ledger.db", clock=SystemClock())
    Deliveries(tmp_path, [], ledger, DESK, clock=SystemClock()).close()
    ledger.close()


def test_a_headline_counts_repeats():
    """An alert about a repeat says so."""
    alert = msgspec.structs.replace(alert_of(raised()), count=3)
    assert alert.headline() == "[eth paper] warning: volatility rose (finding 3 of this cause)"


def wait_until(done):
    """Wait until something is so, at most twenty seconds."""
    pause = threading.Event()
    for _ in range(1_000):
        if done():
            return
        pause.wait(0.02)
    raise AssertionError("not within twenty seconds")
