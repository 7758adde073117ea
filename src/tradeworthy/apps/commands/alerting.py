"""Where alerts of a deployment go: how each way fares, and trying one."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from tradeworthy.change.alerts.alert import Alert, AlertFailed
from tradeworthy.change.alerts.delivery import STATES, SinkState
from tradeworthy.change.alerts.settings import (
    AlertSettings,
    AppriseAlert,
    EmailAlert,
    FileAlert,
    WebhookAlert,
    located,
)
from tradeworthy.change.alerts.sinks import make_sink
from tradeworthy.core.errors import NotFound, near
from tradeworthy.core.findings import Finding

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way of telling people.

    Attributes
    ----------
    kind, where : str
        What it is, and where it leads; of an address the host alone, since the rest of it may be a secret.
    severity_min : str
        Only alerts at least so grave go this way.
    sent, failed : int
        Alerts delivered; alerts given up. 0 before the watcher has run.
    error : str
        What the last failure said; empty after a delivery.
    """

    name: str
    kind: str
    where: str
    severity_min: str
    sent: int
    failed: int
    error: str


def ways_of(project: "Project") -> list[Way]:
    """Return every way of telling that the settings name."""
    return [_way(project, alert) for alert in _located(project)]


def try_way(project: "Project", name: str, *, actor: str) -> None:
    """Send one alert, marked as a test, the way that the settings describe; the ledger and its findings stay untouched.

    Raises
    ------
    NotFound
        No way is called so.
    SettingsInvalid
        Its secret cannot be used.
    AlertFailed
        It did not take the alert.
    """
    known = {alert.name: alert for alert in _located(project)}
    if name not in known:
        there = ", ".join(known) or "none; add an [[alert]] section to tradeworthy.toml"
        raise NotFound(f"no way of telling is called {name!r}{near(name, known)}; there are {there}")
    sink = make_sink(known[name])
    try:
        sink.send(_test_alert(project, actor))
    except AlertFailed as error:
        raise AlertFailed(f"{name} did not take the test alert: {error}") from error


def _located(project: "Project") -> list[AlertSettings]:
    return [located(alert, project.folder, place) for place, alert in enumerate(project.settings.alert, 1)]


def _way(project: "Project", alert: AlertSettings) -> Way:
    path = project.places.watcher / STATES / f"{alert.name}.json"
    state = msgspec.json.decode(path.read_bytes(), type=SinkState) if path.exists() else SinkState(name=alert.name)
    return Way(
        name=alert.name,
        kind=str(alert.__struct_config__.tag),
        where=_where(alert),
        severity_min=alert.severity_min,
        sent=state.sent,
        failed=state.failed,
        error=state.error,
    )


def _where(alert: AlertSettings) -> str:
    match alert:
        case FileAlert(path=path):
            return path
        case WebhookAlert(url=url):
            return urlsplit(url).hostname or ""
        case EmailAlert(recipients=recipients):
            return ", ".join(recipients)
        case AppriseAlert():
            return ""


def _test_alert(project: "Project", actor: str) -> Alert:
    """Return an alert that nobody can take for a finding."""
    now_ns = project.clock.now_ns()
    finding = Finding(
        monitor="test",
        subject="test",
        kind="test",
        severity="info",
        sequence=0,
        ts_event_ns=now_ns,
        since_ns=now_ns,
        observed=0.0,
        reference=0.0,
        unit="",
        statistic=0.0,
        threshold=0.0,
        false_alarms_per_10k=0.0,
        sentence=f"This is a test by {actor}: nothing was found, nothing is to be done.",
    )
    return Alert(
        desk=project.settings.desk.name,
        env=project.env,
        number=0,
        entry=0,
        count=1,
        version=project.registry.standing().champion or "",
        severity="info",
        ts_event_ns=now_ns,
        ts_raised_ns=now_ns,
        ts_emit_ns=now_ns,
        delay_ns=0,
        finding=finding,
    )
