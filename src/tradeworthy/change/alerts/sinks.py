"""The ways of telling that are built in: a file, a webhook, e-mail, and what Apprise knows.

Idea:   each is the `AlertSink` contract and nothing else; waiting, trying again and counting are `delivery`'s.
Reference: RFC 2104 (HMAC).
"""

import hashlib
import hmac
import http.client
import os
import smtplib
import ssl
import stat
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tradeworthy.change.alerts.alert import Alert, AlertFailed, AlertRefused, AlertSink
from tradeworthy.change.alerts.settings import AlertSettings, AppriseAlert, EmailAlert, FileAlert, WebhookAlert
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.time import NS_PER_S, iso

TIMESTAMP, SIGNATURE, ENTRY = "Tradeworthy-Timestamp", "Tradeworthy-Signature", "Tradeworthy-Entry"
SECRET_MIN = 16
AGAIN_STATUS = (408, 425, 429)
"""Answers that mean: later."""


def make_sink(settings: AlertSettings) -> AlertSink:
    """Return the sink of a section.

    Raises
    ------
    SettingsInvalid
        Its secret cannot be used.
    """
    match settings:
        case FileAlert():
            return FileSink(Path(settings.path))
        case WebhookAlert():
            return WebhookSink(settings, read_secret(Path(settings.secret_file)))
        case EmailAlert():
            password = read_secret(Path(settings.password_file)).decode() if settings.password_file else ""
            return EmailSink(settings, password)
        case AppriseAlert():
            return AppriseSink(settings, read_secret(Path(settings.url_file)).decode())


def read_secret(path: Path) -> bytes:
    """Read a secret from a file that only its owner may read.

    Raises
    ------
    SettingsInvalid
        The file is missing, open to others, or too short.
    """
    try:
        mode, secret = stat.S_IMODE(path.stat().st_mode), path.read_bytes().strip()
    except OSError as error:
        raise SettingsInvalid(f"the secret {path} cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise SettingsInvalid(f"the secret {path} has mode {mode:04o}, allowed is 0600; run chmod 600 on it")
    if len(secret) < SECRET_MIN:
        raise SettingsInvalid(f"the secret {path} has {len(secret)} bytes, allowed is at least {SECRET_MIN}")
    return secret


class FileSink:
    """Alerts as JSON lines, each durable before `send` returns.

    Parameters
    ----------
    path : Path
        Made if absent, with its folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, alert: Alert) -> None:
        """Append one line."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(alert) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise AlertFailed(f"{self._path}: {error}") from error


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return what proves that a body is ours: the HMAC-SHA256 of the timestamp, a dot, and the body.

    >>> signature(b"k" * 16, "1", b"{}")[:16]
    'sha256=e2eb2cf31'
    """
    return "sha256=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class WebhookSink:
    """Alerts as signed HTTP POST requests; an answer of 2xx is a delivery. Redirects are not followed.

    Parameters
    ----------
    settings : WebhookAlert
        Address, and how long to wait.
    secret : bytes
        Signs every request.
    """

    def __init__(self, settings: WebhookAlert, secret: bytes) -> None:
        self._settings, self._secret = settings, secret
        self._parts = urlsplit(settings.url)

    def send(self, alert: Alert) -> None:
        """Post one alert."""
        body = msgspec.json.encode({"text": alert.headline()} if self._settings.body == "slack" else alert)
        timestamp = str(alert.ts_emit_ns // NS_PER_S)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "tradeworthy",
            TIMESTAMP: timestamp,
            ENTRY: str(alert.entry),
            SIGNATURE: signature(self._secret, timestamp, body),
        }
        status = self._post(body, headers)
        if 200 <= status < 300:
            return
        said = f"{self._parts.hostname} answered {status}"
        if status >= 500 or status in AGAIN_STATUS:
            raise AlertFailed(said)
        raise AlertRefused(said)

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        connection = self._connection()
        path = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        try:
            connection.request("POST", path, body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise AlertFailed(f"{self._parts.hostname}: {type(error).__name__} {error}") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port, wait = self._parts.hostname or "", self._parts.port, self._settings.timeout_s
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=wait, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=wait)


class EmailSink:
    """Alerts as plain text e-mail.

    Parameters
    ----------
    settings : EmailAlert
        Server and addresses.
    password : str
        Empty if the server asks for none.
    """

    def __init__(self, settings: EmailAlert, password: str = "") -> None:
        self._settings, self._password = settings, password

    def send(self, alert: Alert) -> None:
        """Send one message to all recipients."""
        try:
            with self._connect() as server:
                if self._settings.user:
                    server.login(self._settings.user, self._password)
                server.send_message(message_of(alert, self._settings))
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPAuthenticationError) as error:
            raise AlertRefused(f"{self._settings.host}: {type(error).__name__}") from error
        except (OSError, smtplib.SMTPException) as error:
            raise AlertFailed(f"{self._settings.host}: {type(error).__name__} {error}") from error

    def _connect(self) -> smtplib.SMTP:
        host, port, wait = self._settings.host, self._settings.port, self._settings.timeout_s
        own_name = self._settings.sender.partition("@")[2]
        if self._settings.tls == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port, local_hostname=own_name, timeout=wait, context=context)
        server = smtplib.SMTP(host, port, local_hostname=own_name, timeout=wait)
        if self._settings.tls == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server


class AppriseSink:
    """Alerts to a service that Apprise knows, as plain text.

    Parameters
    ----------
    settings : AppriseAlert
        How long to wait.
    address : str
        The service's address with its secrets; no message of ours repeats it.

    Raises
    ------
    SettingsInvalid
        Apprise is not installed, or does not know such an address.
    """

    def __init__(self, settings: AppriseAlert, address: str) -> None:
        try:
            import apprise  # noqa: PLC0415  # an extra
        except ImportError:
            raise SettingsInvalid("this alert needs Apprise; run: pip install 'tradeworthy[alerts]'") from None
        self._name, self._service = settings.name, apprise.Apprise()
        if not self._service.add(address) or len(self._service) != 1:
            raise SettingsInvalid(
                f"{settings.url_file} holds no address that Apprise knows; see its list, for example slack://..."
            )
        for plugin in self._service:
            plugin.socket_connect_timeout = plugin.socket_read_timeout = settings.timeout_s
        self._plain = apprise.NotifyFormat.TEXT
        self._types = {"info": apprise.NotifyType.INFO, "critical": apprise.NotifyType.FAILURE}
        self._usual = apprise.NotifyType.WARNING

    def send(self, alert: Alert) -> None:
        """Send one message; Apprise says whether it was taken, not why not."""
        kind = self._types.get(alert.severity, self._usual)
        taken = self._service.notify(
            title=alert.headline(), body=words_of(alert), notify_type=kind, body_format=self._plain
        )
        if not taken:
            raise AlertFailed(f"{self._name or 'apprise'}: the service did not take it; is its address right?")


def message_of(alert: Alert, settings: EmailAlert) -> EmailMessage:
    """Write one alert as a message; the same alert has the same id, so that a mailbox knows it when it comes twice."""
    message = EmailMessage()
    message["Subject"] = alert.headline()[:200]
    message["From"], message["To"] = settings.sender, ", ".join(settings.recipients)
    message["Date"] = format_datetime(datetime.fromtimestamp(alert.ts_emit_ns // NS_PER_S, UTC))
    mark = hashlib.sha256(f"{alert.desk} {alert.env} {alert.entry} {alert.ts_raised_ns}".encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{mark}@{settings.sender.partition('@')[2]}>"
    message.set_content(words_of(alert))
    return message


def words_of(alert: Alert) -> str:
    """Write one alert as text, with what to do next."""
    finding = alert.finding
    return "\n".join(
        [
            finding.sentence,
            "",
            f"desk: {alert.desk} ({alert.env}), champion {alert.version[:16] or 'none'}",
            f"monitor: {finding.monitor}, {finding.kind}, {finding.subject}",
            f"event: {iso(finding.ts_event_ns)}, tape record {finding.sequence}; since {iso(finding.since_ns)}",
            f"now {finding.observed:.6g}, before {finding.reference:.6g} ({finding.unit})",
            f"false alarms: {finding.false_alarms_per_10k:g} per 10,000 events; findings of this cause: {alert.count}",
            "",
            f'To take it on:  tradeworthy findings ack {alert.number} --reason "..."',
            f'To settle it:   tradeworthy findings close {alert.number} --reason "..."',
            "",
        ]
    )
