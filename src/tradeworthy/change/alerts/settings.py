"""The `[[alert]]` sections of tradeworthy.toml: who is told, about what, how.

Idea:   secrets are never in the settings: a section names a file that only its owner may read.
"""

import ipaddress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from tradeworthy.change.watch.findings import SEVERITIES
from tradeworthy.core.errors import SettingsInvalid

TRIES_MAX = 20


class _Common(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="to"):
    """What every way of telling is asked.

    Attributes
    ----------
    name : str
        Of this way, unique; made from `to` and its place if left out.
    severity_min : str
        Only alerts at least so grave.
    kinds : tuple of str
        Only of these kinds; of all if left out.
    tries : int
        Attempts at one alert.
    backoff_s : float
        The first pause between two attempts, seconds; doubled each time.
    timeout_s : float
        The longest wait for an answer, seconds.
    """

    name: str = ""
    severity_min: Literal["info", "warning", "critical"] = "warning"
    kinds: tuple[str, ...] = ()
    tries: int = 5
    backoff_s: float = 0.25
    timeout_s: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what could never end or never begin."""
        if not 1 <= self.tries <= TRIES_MAX:
            raise SettingsInvalid(f"alert.tries is {self.tries}, allowed is 1 to {TRIES_MAX}")
        for key, value, most in (("backoff_s", self.backoff_s, 60.0), ("timeout_s", self.timeout_s, 60.0)):
            if not 0.0 < value <= most:
                raise SettingsInvalid(f"alert.{key} is {value}, allowed is above 0, at most {most:g}")

    def wants(self, severity: str, kind: str) -> bool:
        """Tell whether an alert of this severity and kind is to go this way."""
        unknown = severity not in SEVERITIES
        grave = unknown or SEVERITIES.index(severity) >= SEVERITIES.index(self.severity_min)
        return grave and (not self.kinds or kind in self.kinds)


class FileAlert(_Common, frozen=True, kw_only=True, tag="file"):
    """Alerts as JSON lines in a file.

    Attributes
    ----------
    path : str
        The file; made if absent.
    """

    path: str


class WebhookAlert(_Common, frozen=True, kw_only=True, tag="webhook"):
    """Alerts as HTTP POST requests, signed with HMAC-SHA256.

    Attributes
    ----------
    url : str
        an ``https`` address; plain ``http`` only to this machine.
    secret_file : str
        A file with the key that both sides know; only its owner may read it.
    body : {'tradeworthy', 'slack'}
        The whole alert as JSON, or ``{"text": ...}``, which Slack, Mattermost and others take.
    """

    url: str
    secret_file: str
    body: Literal["tradeworthy", "slack"] = "tradeworthy"

    def __post_init__(self) -> None:
        """Refuse an address at which strangers could read along."""
        super().__post_init__()
        parts = urlsplit(self.url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        if not (safe and parts.hostname):
            raise SettingsInvalid(f"alert.url is {self.url!r}, allowed is https, or http to this machine")


class EmailAlert(_Common, frozen=True, kw_only=True, tag="email"):
    """Alerts as e-mail.

    Attributes
    ----------
    host : str
        The mail server.
    port : int
        Its port.
    sender : str
        The address that alerts come from.
    recipients : tuple of str
        The addresses that they go to.
    tls : {'starttls', 'tls', 'none'}
        How the connection is protected; a password is never sent without.
    user : str
        For the server, if it asks.
    password_file : str
        Its password; only the owner may read the file.
    """

    host: str
    sender: str
    recipients: tuple[str, ...]
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password_file: str = ""

    def __post_init__(self) -> None:
        """Refuse mail to nobody, addresses that would break a header, and a password in the clear."""
        super().__post_init__()
        for address in (self.sender, *self.recipients):
            if "@" not in address or not address.isprintable() or any(c in address for c in " ,<>"):
                raise SettingsInvalid(f"alert address {address!r} is not one; allowed is name@host")
        if not self.recipients:
            raise SettingsInvalid("alert.recipients is empty, allowed is at least one address")
        if self.tls == "none" and self.user:
            raise SettingsInvalid('alert.tls is "none" with a user: others could read the password; use "starttls"')


class AppriseAlert(_Common, frozen=True, kw_only=True, tag="apprise"):
    """Alerts to any of the services that Apprise knows: Slack, Mattermost, Teams, Telegram, PagerDuty and many more.

    Attributes
    ----------
    url_file : str
        A file with the service's address as Apprise writes it, which holds its secrets; only the owner may read it.
    """

    url_file: str


AlertSettings = FileAlert | WebhookAlert | EmailAlert | AppriseAlert
"""One ``[[alert]]`` section; its key `to` says which."""


def is_loopback(host: str) -> bool:
    """Tell whether a host name is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def located(alert: AlertSettings, folder: Path, place: int) -> AlertSettings:
    """Return the section with a name, and with whole paths; relative ones start in `folder`."""
    kind = str(alert.__struct_config__.tag)
    changes = {"name": alert.name or f"{kind}-{place}"}
    for key in ("path", "secret_file", "password_file", "url_file"):
        value = getattr(alert, key, "")
        if value:
            changes[key] = str((folder / value).resolve())
    return msgspec.structs.replace(alert, **changes)
