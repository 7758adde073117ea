"""Who may ask the port for what: every route, every scope, rates, budgets, lock-out, TLS, and what is told of it."""

import datetime as dt
import http.client
import logging
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from served import CLOCK, PATH, Served, served

from tradeworthy.apps.server.routes import OPEN
from tradeworthy.change.access.keys import SCOPES, revoke
from tradeworthy.core import facts
from tradeworthy.core.errors import RecordUnwritable

ROW = {"inputs": [{"name": "row", "shape": [1, 5], "datatype": "FP64", "data": [0.0] * 5}]}
PLACES = {"{model}": "small%20desk", "{version}": "champion", "{decision}": "1"}


@pytest.fixture(scope="module")
def desk():
    """A served desk."""
    with served() as made:
        yield made


def path_of(route):
    """Return a path that a route answers."""
    path = route.path
    for word, value in PLACES.items():
        path = path.replace(word, value)
    return path


def security(desk):
    """Return the sentences of the security findings in the ledger, once the port has written them."""
    desk.follow()
    return [
        entry.fact.finding.sentence
        for entry in desk.ledger.facts(facts.FindingRaised)
        if entry.fact.finding.kind == "security"
    ]


def test_every_route_asks_for_its_scope(desk):
    """The whole table: no key 401, all scopes but the right one 403, the right one is heard; health needs none."""
    secrets = {scope: desk.key([scope]) for scope in SCOPES}
    others = {scope: desk.key([each for each in SCOPES if each != scope]) for scope in SCOPES}
    desk.follow()
    for route in desk.port.routes.table:
        path = path_of(route)
        if route.scope == OPEN:
            assert desk.ask(route.method, path, secret=None)[0] == 200
            continue
        assert desk.ask(route.method, path, secret=None)[0] == 401, route
        status, told, _ = desk.ask(route.method, path, secret=others[route.scope])
        assert (status, f"'{route.scope}'" in told["error"]) == (403, True), route
        status, told, _ = desk.ask(route.method, path, secret=secrets[route.scope])
        assert status not in {401, 500}, route
        assert status != 403 or "parameters.version" in told["error"], route


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
def test_methods_without_a_route_are_refused(desk, method):
    """405 on every path of the table; nothing is answered by accident."""
    for path in {path_of(route) for route in desk.port.routes.table}:
        caller = desk.caller()
        caller.request(method, path, headers={"Authorization": f"Bearer {desk.secret}"})
        assert caller.getresponse().status == 405, path
        caller.close()


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/small%20desk/../../v1/decide",
        "/v2//models/small%20desk",
        "/v1/decide/",
        "/%76%31/decide",
        "//v1/decide",
    ],
)
def test_odd_spellings_of_a_path_ask_for_the_same_scope(desk, path):
    """Whatever a path looks like, it is another route's or none; never one without a key."""
    assert desk.ask("POST", path, ROW, secret=None)[0] in {401, 404, 405}


def test_a_revoked_key_is_refused_on_a_connection_that_is_open(desk):
    """The next request of the same connection is 401 once the fact was read, and its use is told."""
    secret = desk.key(["infer"])
    desk.follow()
    caller = desk.caller()
    assert desk.ask("POST", f"{PATH}/infer", ROW, secret=secret, connection=caller)[0] == 200
    revoke(desk.ledger, secret.split("_")[1], actor="ops", reason="left")
    desk.follow()
    assert desk.ask("POST", f"{PATH}/infer", ROW, secret=secret, connection=caller)[0] == 401
    caller.close()
    assert any("revoked" in sentence for sentence in security(desk))


def test_another_key_on_an_open_connection_is_another_caller(desk):
    """What a connection may do follows each request's own key."""
    low = desk.key(["explain"])
    desk.follow()
    caller = desk.caller()
    assert desk.ask("POST", f"{PATH}/infer", ROW, connection=caller)[0] == 200
    assert desk.ask("POST", f"{PATH}/infer", ROW, secret=low, connection=caller)[0] == 403
    assert desk.ask("POST", f"{PATH}/infer", ROW, connection=caller)[0] == 200
    caller.close()


def test_the_rate_of_a_key(desk):
    """Three at once, then 429 with Retry-After; another key is not held by it."""
    secret = desk.key(["infer"], rate_per_s=3)
    desk.follow()
    answers = [desk.ask("POST", f"{PATH}/infer", ROW, secret=secret) for _ in range(12)]
    assert [status for status, _, _ in answers[:3]] == [200] * 3
    refused = next(answer for answer in answers if answer[0] == 429)
    assert refused[2]["retry-after"] == "1"
    assert "3 a second" in refused[1]["error"]
    assert desk.ask("POST", f"{PATH}/infer", ROW)[0] == 200


def test_the_budget_of_a_key_counts_rows(desk):
    """Rows and events alike; a wrong request costs nothing; used up it is told."""
    secret = desk.key(["infer"], rows_per_day=5)
    desk.follow()
    four = {"inputs": [{"name": "row", "shape": [4, 5], "datatype": "FP64", "data": [0.0] * 20}]}
    assert desk.ask("POST", f"{PATH}/infer", {"inputs": []}, secret=secret)[0] == 400
    assert desk.ask("POST", f"{PATH}/infer", four, secret=secret)[0] == 200
    status, told, headers = desk.ask("POST", f"{PATH}/infer", four, secret=secret)
    assert status == 429
    assert "4 of 5 rows" in told["error"]
    assert 0 < int(headers["retry-after"]) <= 86_400
    assert desk.ask("POST", "/v1/decide", [desk.event(1), desk.event(2)], secret=secret)[0] == 429
    assert any(sentence.startswith("budget by test") for sentence in security(desk))


def test_guessing_is_locked_out_and_told():
    """Five wrong secrets for a key: 429 even for the right one from there; who is inside goes on."""
    with served() as desk:
        secret = desk.key(["infer"])
        desk.follow()
        inside = desk.caller()
        assert desk.ask("POST", f"{PATH}/infer", ROW, secret=secret, connection=inside)[0] == 200
        wrong = secret[:-4] + "BBBB"
        assert [desk.ask("GET", "/v2", secret=wrong)[0] for _ in range(7)] == [401] * 5 + [429] * 2
        status, told, headers = desk.ask("GET", "/v2", secret=secret)
        assert (status, headers["retry-after"]) == (429, "30")
        assert "locked out" in told["error"]
        assert desk.ask("POST", f"{PATH}/infer", ROW, secret=secret, connection=inside)[0] == 200
        inside.close()
        (sentence,) = security(desk)
        assert sentence.startswith("brute force by 127.0.0.1 at ")


def test_without_its_ledger_the_port_goes_on(caplog):
    """While the ledger cannot be written, callers are answered, and what was noted is told as soon as it can be."""
    with served() as desk:
        for _ in range(5):
            desk.ask("GET", "/v2", secret=desk.secret[:-4] + "BBBB")
        append, head = desk.ledger.append, desk.ledger.head

        def fail(*_: object, **__: object) -> None:
            raise RecordUnwritable("the ledger cannot be written: database is locked")

        desk.ledger.append = desk.ledger.head = fail
        desk.follow()
        assert "goes on without the ledger" in caplog.text
        assert desk.ask("GET", "/v2/health/ready", secret=None)[0] == 200
        desk.ledger.append, desk.ledger.head = append, head
        (sentence,) = security(desk)
        assert sentence.startswith("brute force")


def test_probing_is_told():
    """A caller whose requests make no sense, again and again."""
    with served() as desk:
        caller = desk.caller()
        for number in range(101):
            assert desk.ask("GET", f"/v1/secret{number}", connection=caller)[0] == 404
        caller.close()
        (sentence,) = security(desk)
        assert sentence.startswith("probing by")


def test_no_secret_is_in_a_log_a_finding_or_an_answer(desk, caplog):
    """Good or bad, a secret stays with who sent it."""
    caplog.set_level(logging.DEBUG)
    wrong = desk.secret[:-4] + "BBBB"
    told = [desk.ask("GET", path, secret=secret)[1] for path in ("/v2", "/nothing") for secret in (desk.secret, wrong)]
    desk.port.models.load = None
    everything = f"{told} {caplog.text} {desk.ledger.facts()}"
    for secret in (desk.secret, wrong):
        assert secret not in everything
        assert secret.split("_", 2)[2] not in everything


def certificate(folder):
    """Write a certificate of this machine's own address and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.fromtimestamp(CLOCK.now_ns() / 1e9, dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    (folder / "port.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "port.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )


def test_tls(tmp_path):
    """With a certificate the port speaks TLS only."""
    certificate(tmp_path)
    files = {"certificate": str(tmp_path / "port.crt"), "private_key": str(tmp_path / "port.key")}
    with served(**files) as desk:
        context = ssl.create_default_context(cafile=tmp_path / "port.crt")
        with socket.create_connection(desk.address, 30) as plain:
            secure = context.wrap_socket(plain, server_hostname="localhost")
            secure.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n")
            assert secure.recv(1_000).startswith(b"HTTP/1.1 200")
            secure.close()
        with pytest.raises((http.client.BadStatusLine, ConnectionError)):
            desk.ask("GET", "/v2/health/live", secret=None)


def test_a_unix_socket():
    """The same port on a file that only its owner may use; it is gone afterwards."""
    with served(socket="port.sock") as desk:
        path = desk.folder / "port.sock"
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(path))
            caller.sendall(b"GET /v2 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n\r\n" % desk.secret.encode())
            assert caller.recv(1_000).startswith(b"HTTP/1.1 200")
    assert not path.exists()


def test_without_any_key_nobody_is_heard(tmp_path, monkeypatch):
    """A port without keys answers health, and says how to make a key."""
    monkeypatch.setattr(Served, "key", lambda *_: "")
    with served() as desk:
        assert desk.ask("GET", "/v2/health/ready", secret=None)[0] == 200
        status, told, _ = desk.ask("GET", "/v2", secret=None)
        assert (status, "tradeworthy keys create" in told["error"]) == (401, True)
