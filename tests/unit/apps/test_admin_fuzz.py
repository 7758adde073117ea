"""The interface for programs is asked everything that its own description allows, and what it does not allow."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies
from page_visitors import visiting
from small_project import at

from tradeworthy.apps.commands.access import create_key
from tradeworthy.change.access.roles import SCOPE_ROLES

KNOWN = {"word": "newest", "number": 1, "sequence": 1, "action": "halt"}
CASES = 30
careful = settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[*HealthCheck],
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return at("traded", tmp_path_factory.mktemp("fuzz"))


@pytest.fixture(scope="module")
def caller(project):
    """Return the headers of a key that may do everything."""
    secret = create_key(project, "fuzz", [*SCOPE_ROLES], actor="test", reason="test").secret
    return {"authorization": f"Bearer {secret}"}


def send(client, case, caller):
    """Send one case as the key's caller."""
    wanted = case.as_transport_kwargs(base_url="http://page.test")
    headers = {name: value for name, value in wanted.pop("headers", {}).items() if name.lower() != "authorization"}
    wanted.pop("cookies", None)
    wanted["content"] = wanted.pop("data", None)
    return client.request(wanted.pop("method"), wanted.pop("url"), headers=headers | caller, **wanted)


def cases_of(operation):
    """Return what fits an operation's description, and what does not."""
    wrong = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
    return strategies.one_of(operation.as_strategy(), wrong)


def asker(client, operation, caller, told):
    """Return a test of one operation that notes the statuses told."""

    @careful
    @given(case=cases_of(operation), known=strategies.booleans())
    def ask(case, known) -> None:
        if known and case.path_parameters:
            case.path_parameters |= {word: KNOWN[word] for word in case.path_parameters if word in KNOWN}
        answer = send(client, case, caller)
        told.add(answer.status_code)
        assert answer.status_code < 500, (case.body, case.path_parameters, case.query, answer.text)
        assert "Traceback" not in answer.text
        assert answer.status_code < 400 or answer.json()["error"]

    return ask


def test_no_request_meets_a_fault_of_ours(project, caller):
    """Every operation answers 2xx or 4xx, in words, never with a trace; not all of it is refused by its shape."""
    with visiting(project) as client:
        document = client.get("/api/openapi.json", headers=caller).json()
        statuses = {}
        for found in schemathesis.openapi.from_dict(document).get_all_operations():
            operation = found.ok()
            asker(client, operation, caller, statuses.setdefault(operation.label, set()))()
    assert len(statuses) > 25
    assert all(any(status < 400 or status in (404, 409) for status in told) for told in statuses.values()), statuses


def test_the_description_tells_how_a_program_comes_in(project, caller):
    """Every operation is documented, and asks for a key; each refusal that it can give is 4xx."""
    with visiting(project) as client:
        document = client.get("/api/openapi.json", headers=caller).json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert {"key": []} in document["security"]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert all(operation.get("description") or operation.get("summary") for operation in operations)
