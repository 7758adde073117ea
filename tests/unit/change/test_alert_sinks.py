"""Alert sinks against real receivers on this machine: a file, an HTTP server, a mail server."""

import email
import email.policy
import hashlib
import hmac
import json
import socket
import sys
from pathlib import Path

import msgspec
import pytest
from alert_receivers import alert_of, mail_server, webhook
from change_facts import finding, raised

from tradeworthy.change.alerts.alert import Alert, AlertFailed, AlertRefused
from tradeworthy.change.alerts.settings import AlertSettings, AppriseAlert, EmailAlert, FileAlert, WebhookAlert, located
from tradeworthy.change.alerts.sinks import EmailSink, FileSink, WebhookSink, make_sink, read_secret, signature
from tradeworthy.core import facts
from tradeworthy.core.errors import SettingsInvalid

SECRET = b"sixteen bytes or more"


def secret_file(folder: Path, data: bytes = SECRET, mode: int = 0o600) -> Path:
    """Write a secret."""
    path = folder / "secret"
    path.write_bytes(data + b"\n")
    path.chmod(mode)
    return path


def hook(port, **changes: object):
    """Return a webhook to this machine."""
    given = {"url": f"http://127.0.0.1:{port}/hook?desk=1", "secret_file": "secret", "timeout_s": 2.0} | changes
    return WebhookSink(WebhookAlert(**given), SECRET)


def mail(port, **changes: object):
    """Return e-mail to a server on this machine."""
    given = {"host": "127.0.0.1", "port": port, "sender": "desk@firm.example", "recipients": ("ann@firm.example",)}
    return EmailSink(EmailAlert(**(given | {"tls": "none"} | changes)))


def closed_port():
    """Return a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_file_gets_one_line_an_alert(tmp_path):
    """Each line is the whole alert, with event time, emit time and delay."""
    sink = FileSink(tmp_path / "deep" / "alerts.jsonl")
    for number in (1, 2):
        sink.send(alert_of(raised(sequence=number)))
    lines = (tmp_path / "deep" / "alerts.jsonl").read_bytes().splitlines()
    first = msgspec.json.decode(lines[0], type=Alert)
    assert len(lines) == 2
    assert (first.ts_event_ns, first.ts_emit_ns, first.delay_ns) == (1, 5_000_000_000, 3_000_000_000)


def test_a_file_that_cannot_be_written_may_be_tried_again(tmp_path):
    """A folder in its place is a failure, not a crash."""
    with pytest.raises(AlertFailed, match="Is a directory"):
        FileSink(tmp_path).send(alert_of(raised()))


def apprise(folder, address):
    """Return the sink of a service that Apprise knows, its address in a file."""
    return make_sink(AppriseAlert(name="chat", url_file=str(secret_file(folder, address.encode())), timeout_s=2.0))


def test_a_chat_that_takes_what_slack_takes_gets_the_alert(tmp_path):
    """Mattermost's webhook, as Slack's, is posted one text with headline and what to do next."""
    with webhook() as received:
        apprise(tmp_path, f"mmost://127.0.0.1:{received.port}/{'t' * 24}").send(alert_of(raised(), number=7))
    ((path, _, body),) = received.requests
    text = json.loads(body)["text"]
    assert path.startswith("/hooks/")
    assert "[eth paper] warning: volatility rose" in text
    assert "tradeworthy findings ack 7" in text


def test_another_service_gets_severity_and_words(tmp_path):
    """A generic receiver is told the type beside title and message; hostile words stay words."""
    hostile = facts.FindingRaised(finding=finding(subject="<b>@everyone\x1b[31m</b>"))
    with webhook() as received:
        apprise(tmp_path, f"json://127.0.0.1:{received.port}/in").send(alert_of(hostile))
    told = json.loads(received.requests[0][2])
    assert told["type"] == "warning"
    assert "<b>@everyone" in told["message"]
    assert "\x1b" not in told["title"]


@pytest.mark.parametrize("answer", [500, None])
def test_a_service_that_does_not_take_it_may_be_tried_again(tmp_path, answer):
    """Whether it answers an error or hangs up; the message does not give the address away."""
    with webhook(answer) as received, pytest.raises(AlertFailed, match="chat: the service did not take it") as failure:
        apprise(tmp_path, f"json://user:hidden-pass@127.0.0.1:{received.port}").send(alert_of(raised()))
    assert "hidden" not in str(failure.value)


@pytest.mark.parametrize("address", ["nonsense://with-a-secret-token", "no address at all here"])
def test_an_address_that_apprise_does_not_know_is_refused(tmp_path, address):
    """It is told when the watcher starts, without repeating what may be a secret."""
    with pytest.raises(SettingsInvalid, match="holds no address that Apprise knows") as refused:
        apprise(tmp_path, address)
    assert "secret-token" not in str(refused.value)


def test_without_apprise_it_says_what_to_install(tmp_path, monkeypatch):
    """An extra that is missing is one line."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SettingsInvalid, match="tradeworthy\\[alerts\\]"):
        apprise(tmp_path, "json://127.0.0.1:1/in")


def test_a_webhook_is_posted_and_signed():
    """The receiver can compute the signature from timestamp, body and the shared secret."""
    with webhook() as received:
        hook(received.port).send(alert_of(raised(), number=7))
    ((path, headers, body),) = received.requests
    assert path == "/hook?desk=1"
    assert json.loads(body)["finding"]["subject"] == "volatility"
    wanted = hmac.new(SECRET, headers["Tradeworthy-Timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["Tradeworthy-Signature"] == f"sha256={wanted}"
    assert (headers["Tradeworthy-Timestamp"], headers["Tradeworthy-Entry"]) == ("5", "7")


def test_a_changed_body_or_time_has_another_signature():
    """Nobody can put other words under our signature, or send them again as new."""
    first = signature(SECRET, "5", b"{}")
    assert len({first, signature(SECRET, "6", b"{}"), signature(SECRET, "5", b"{ }"), signature(b"x", "5", b"{}")}) == 4


def test_slack_gets_a_text():
    """The body for Slack and its like is one line of text."""
    with webhook() as received:
        hook(received.port, body="slack").send(alert_of(raised()))
    assert json.loads(received.requests[0][2]) == {"text": "[eth paper] warning: volatility rose"}


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_server_in_trouble_may_be_tried_again(status):
    """Trouble on the other side is no refusal."""
    with webhook(status) as received, pytest.raises(AlertFailed, match=str(status)) as caught:
        hook(received.port).send(alert_of(raised()))
    assert not isinstance(caught.value, AlertRefused)


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_a_refusal_is_final(status):
    """A request that the server will never take is not repeated, and a redirect is not followed."""
    with webhook(status) as received, pytest.raises(AlertRefused, match=str(status)):
        hook(received.port).send(alert_of(raised()))
    assert len(received.requests) == 1


def test_no_answer_and_no_server_are_failures():
    """A server that hangs up, and one that is not there, may be tried again."""
    with webhook(None) as received, pytest.raises(AlertFailed):
        hook(received.port).send(alert_of(raised()))
    with pytest.raises(AlertFailed, match="ConnectionRefusedError"):
        hook(closed_port()).send(alert_of(raised()))


def test_a_server_that_never_answers_is_given_up():
    """The wait for an answer is bounded."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(AlertFailed, match="TimeoutError"):
            hook(silent.getsockname()[1], timeout_s=0.05).send(alert_of(raised()))


def test_mail_says_what_was_found_and_what_to_do():
    """The message names the finding, and the commands that answer it."""
    with mail_server() as received:
        mail(received.port, recipients=("ann@firm.example", "bob@firm.example")).send(alert_of(raised(), number=7))
    message = email.message_from_bytes(received.requests[0], policy=email.policy.default)
    assert message["Subject"] == "[eth paper] warning: volatility rose"
    assert message["To"] == "ann@firm.example, bob@firm.example"
    text = message.get_content()
    assert "volatility rose" in text
    assert "tradeworthy findings ack 7" in text


def test_the_same_alert_has_the_same_message_id():
    """A mailbox that is told twice after a crash can know it."""
    with mail_server() as received:
        for now_ns in (5_000_000_000, 9_000_000_000):
            mail(received.port).send(alert_of(raised(), now_ns=now_ns))
    first, again = (email.message_from_bytes(each)["Message-ID"] for each in received.requests)
    assert first == again


def test_a_sentence_cannot_add_headers():
    """Line breaks in a finding become spaces in the subject."""
    bad = msgspec.structs.replace(finding(), sentence="rose\r\nBcc: everybody@firm.example")
    with mail_server() as received:
        mail(received.port).send(alert_of(facts.FindingRaised(finding=bad)))
    message = email.message_from_bytes(received.requests[0])
    assert message["Bcc"] is None
    assert "Bcc: everybody" in message["Subject"]


def test_mail_to_nobody_is_refused_for_good():
    """An address that the server does not know will not become known."""
    with mail_server() as received, pytest.raises(AlertRefused, match="SMTPRecipientsRefused"):
        mail(received.port, recipients=("nobody@firm.example",)).send(alert_of(raised()))


@pytest.mark.parametrize("answer", ["451 later", "421 going down"])
def test_a_mail_server_in_trouble_may_be_tried_again(answer):
    """A message that was not taken now may be taken later."""
    with mail_server(answer) as received, pytest.raises(AlertFailed) as caught:
        mail(received.port).send(alert_of(raised()))
    assert not isinstance(caught.value, AlertRefused)


def test_mail_without_a_server_or_its_tls_is_a_failure():
    """Nobody there, and a server without STARTTLS: not delivered, and never in the clear instead."""
    with pytest.raises(AlertFailed, match="ConnectionRefusedError"):
        mail(closed_port()).send(alert_of(raised()))
    with mail_server() as received, pytest.raises(AlertFailed):
        mail(received.port, tls="starttls").send(alert_of(raised()))
    assert received.requests == []


def test_a_secret_is_read_only_from_a_private_file(tmp_path):
    """A secret that others may read, a short one and a missing one are refused, with what to do."""
    assert read_secret(secret_file(tmp_path)) == SECRET
    with pytest.raises(SettingsInvalid, match="mode 0644, allowed is 0600"):
        read_secret(secret_file(tmp_path, mode=0o644))
    with pytest.raises(SettingsInvalid, match="5 bytes, allowed is at least 16"):
        read_secret(secret_file(tmp_path, b"short"))
    with pytest.raises(SettingsInvalid, match="No such file"):
        read_secret(tmp_path / "missing")


def test_each_section_makes_its_sink(tmp_path):
    """The key `to` chooses; relative paths start in the project's folder; a name is made where none is given."""
    secret_file(tmp_path)
    sections = [
        {"to": "file", "path": "alerts.jsonl"},
        {"to": "webhook", "url": "https://firm.example/x", "secret_file": "secret", "name": "pager"},
        {"to": "email", "host": "mail", "sender": "a@b", "recipients": ["c@d"], "user": "u", "password_file": "secret"},
    ]
    alerts = [located(each, tmp_path, n) for n, each in enumerate(msgspec.convert(sections, list[AlertSettings]), 1)]
    assert [alert.name for alert in alerts] == ["file-1", "pager", "email-3"]
    assert isinstance(alerts[0], FileAlert)
    assert alerts[0].path == str(tmp_path / "alerts.jsonl")
    assert [type(make_sink(alert)).__name__ for alert in alerts] == ["FileSink", "WebhookSink", "EmailSink"]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"to": "file", "path": "x", "tries": 0}, "tries is 0"),
        ({"to": "file", "path": "x", "backoff_s": 0.0}, "backoff_s is 0.0"),
        ({"to": "file", "path": "x", "timeout_s": 1e9}, "timeout_s is"),
        ({"to": "webhook", "url": "http://firm.example", "secret_file": "s"}, "allowed is https"),
        ({"to": "webhook", "url": "file:///etc/passwd", "secret_file": "s"}, "allowed is https"),
        ({"to": "webhook", "url": "https://", "secret_file": "s"}, "allowed is https"),
        ({"to": "email", "host": "h", "sender": "a@b\nBcc: x@y", "recipients": ["c@d"]}, "is not one"),
        ({"to": "email", "host": "h", "sender": "a@b", "recipients": []}, "at least one"),
        ({"to": "email", "host": "h", "sender": "a@b", "recipients": ["c@d"], "tls": "none", "user": "u"}, "password"),
        ({"to": "pigeon"}, "pigeon"),
        ({"to": "file", "path": "x", "colour": 1}, "colour"),
    ],
)
def test_sections_that_could_not_work_or_would_leak_are_refused(section, words):
    """A wrong section is refused when it is read, with what is allowed."""
    with pytest.raises((SettingsInvalid, msgspec.ValidationError), match=words):
        msgspec.convert(section, AlertSettings)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_plain_http_reaches_this_machine_only(host):
    """Without TLS only loopback is allowed."""
    given = {"url": "http" + f"://{host}:8080/", "secret_file": "s"}
    assert WebhookAlert(**given).tries == 5


def test_a_section_chooses_what_it_wants():
    """Severity and kind decide; a severity that is not known always passes."""
    section = FileAlert(path="x", severity_min="critical", kinds=("performance",))
    assert section.wants("critical", "performance")
    assert not section.wants("warning", "performance")
    assert not section.wants("critical", "data_drift")
    assert section.wants("catastrophic", "performance")
