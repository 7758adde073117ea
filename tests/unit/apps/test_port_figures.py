"""What the port tells Prometheus of itself: requests, times, decisions, budgets; in the format, and of this process."""

import re

import pytest
from served import PATH, served

from tradeworthy.apps.server.figures import NOWHERE, PORT_METRICS, Figures
from tradeworthy.change.watch.metrics import PREFIX, exposition

LINE = re.compile(r"^(\w+?)(?:\{(.*)\})? (\S+)$")
ROW = {"inputs": [{"name": "row", "shape": [1, 5], "datatype": "FP64", "data": [0.0] * 5}]}


@pytest.fixture
def desk():
    """A served desk."""
    with served() as made:
        yield made


def parsed(text):
    """Return every figure of a text by its name and labels."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = LINE.match(line).groups()
            found[name.removeprefix(PREFIX), *re.findall(r'="((?:[^"\\]|\\.)*)"', labels or "")] = float(value)
    return found


def figures(desk, **more: object):
    """Scrape the port."""
    status, text, headers = desk.ask("GET", "/metrics", **more)
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    return parsed(text.decode())


def test_requests_are_counted_by_route_and_code(desk):
    """The route as the table has it, whatever stood in its places; what found no route is counted as none."""
    for _ in range(3):
        assert desk.ask("POST", f"{PATH}/infer", ROW)[0] == 200
    assert desk.ask("POST", f"{PATH}/versions/none/infer", ROW)[0] == 404
    assert desk.ask("POST", f"{PATH}/infer", {"inputs": []})[0] == 400
    assert desk.ask("GET", "/v1/nothing")[0] == 404
    assert desk.ask("GET", "/v1/decisions")[0] == 200
    with desk.raw() as caller:
        caller.sendall(b"this is no HTTP\r\n\r\n")
        assert caller.recv(100).startswith(b"HTTP/1.1 400")
    found = figures(desk)
    infer = "/v2/models/{model}/infer"
    assert found["port_requests_total", infer, "200"] == 3
    assert found["port_requests_total", infer, "400"] == 1
    assert found["port_requests_total", "/v2/models/{model}/versions/{version}/infer", "404"] == 1
    assert found["port_requests_total", "/v1/decisions", "200"] == 1
    assert found["port_requests_total", NOWHERE, "404"] == 1
    assert found["port_requests_total", NOWHERE, "400"] == 1


def test_who_is_not_let_in_is_counted_too(desk):
    """401 of a route that is there stands under no route: who asks has not been heard."""
    assert desk.ask("POST", f"{PATH}/infer", ROW, secret=None)[0] == 401
    assert figures(desk)["port_requests_total", NOWHERE, "401"] == 1


def test_times_are_a_histogram(desk):
    """Buckets grow, the last holds everything, the count is that of the requests, the sum lies between the bounds."""
    for _ in range(20):
        desk.ask("POST", f"{PATH}/infer", ROW)
    found = figures(desk)
    infer = "/v2/models/{model}/infer"
    buckets = [
        (float(key[2]), value) for key, value in found.items() if key[:2] == ("port_request_seconds_bucket", infer)
    ]
    assert [bound for bound, _ in buckets] == sorted(bound for bound, _ in buckets)
    counts = [count for _, count in buckets]
    assert counts == sorted(counts)
    assert buckets[-1] == (float("inf"), 20)
    assert found["port_request_seconds_count", infer] == 20
    above = [bound for (bound, count), before in zip(buckets, [0, *counts], strict=False) if count > before]
    assert 0 < found["port_request_seconds_sum", infer] <= sum(20 * bound for bound in above)


@pytest.mark.parametrize("taken_ns", [0, 1, 8_191, 8_192, 2**33 - 1, 2**33, 2**40])
def test_a_time_is_in_the_bucket_whose_bound_is_above_it(taken_ns):
    """At the bounds too; what takes longer than the last bound is in +Inf alone."""
    told = Figures(lambda: taken_ns)
    told.answered("/x", b"200", 0)
    text = exposition([*told._samples()], PORT_METRICS)
    holding = [float(key[2]) for key, value in parsed(text).items() if key[0].endswith("_bucket") and value == 1]
    assert all(bound > taken_ns / 1e9 for bound in holding)
    assert len(holding) == 1 or min(holding) / 2 <= max(taken_ns / 1e9, min(holding) / 2)
    assert float("inf") in holding


def test_decisions_and_what_was_not_believed(desk):
    """By verdict and by code; an event that asks for nothing is neither."""
    desk.warm()
    assert desk.ask("POST", "/v1/decide", desk.event(40))[0] == 200
    assert desk.ask("POST", "/v1/decide", desk.event(41, close=-1.0))[0] == 200
    assert desk.ask("POST", "/v1/decide", desk.event(41) | {"instrument": "BTC"})[0] == 200
    found = figures(desk)
    decided = sum(value for key, value in found.items() if key[0] == "port_decisions_total")
    assert decided == desk.desk.engine.counters.decisions
    denied = {key[1]: value for key, value in found.items() if key[0] == "port_denied_inputs_total"}
    assert sum(denied.values()) == 1
    assert "NONE" not in denied


def test_budgets_of_keys_are_told_without_their_secrets(desk):
    """A key with a budget: what was used of it, and what there is; others are not told."""
    secret = desk.key(["infer"], rows_per_day=10)
    desk.follow()
    for _ in range(4):
        assert desk.ask("POST", f"{PATH}/infer", ROW, secret=secret)[0] == 200
    status, text, _ = desk.ask("GET", "/metrics")
    assert (status, secret in text.decode(), desk.secret in text.decode()) == (200, False, False)
    found, name = parsed(text.decode()), secret.split("_")[1]
    assert found["port_key_rows_today", name, "test"] == 4
    assert found["port_key_rows_per_day", name, "test"] == 10
    assert sum(key[0] == "port_key_rows_today" for key in found) == 1


def test_what_stands_now_is_looked_up(desk):
    """Connections that are open, and nothing at work."""
    with desk.raw() as one, desk.raw() as other:
        for caller in (one, other):
            caller.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n")
            assert caller.recv(100).startswith(b"HTTP/1.1 200")
        found = figures(desk)
    assert found["port_connections",] >= 3
    assert found["port_waiting_requests",] == found["port_slow_requests",] == 0


def test_every_figure_is_of_a_family_with_its_kind(desk):
    """HELP and TYPE stand before each family; no figure is outside the table."""
    desk.ask("POST", f"{PATH}/infer", ROW)
    text = desk.ask("GET", "/metrics")[1].decode()
    kinds = dict(re.findall(rf"^# TYPE {PREFIX}(\w+) (\w+)$", text, re.MULTILINE))
    assert kinds.items() <= {name: metric.kind for name, metric in PORT_METRICS.items()}.items()
    families = {re.sub("_(bucket|sum|count)$", "", key[0]) for key in parsed(text)}
    assert families == set(kinds)
