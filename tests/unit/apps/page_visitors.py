"""A page of a small project, and people who visit it."""

import re
from contextlib import contextmanager

from litestar.testing import TestClient

from tradeworthy.apps.admin.app import make_app

PASSWORD = "a long enough password"  # noqa: S105
EVERYBODY = {"tom": ["trader"], "rita": ["risk"], "paul": ["approver"], "adam": ["admin"]}
TOKEN = re.compile(r'name="_csrf_token" value="([^"]+)"')


@contextmanager
def visiting(project, name=None):
    """Open a client of the project's page, signed in as somebody, or as nobody."""
    for person, roles in EVERYBODY.items():
        if project.people.find(person) is None:
            project.people.add(person, roles, PASSWORD, actor="test", reason="test")
    with TestClient(make_app(project), base_url="http://page.test") as client:
        client.follow_redirects = False
        if name is not None:
            sign_in(client, name)
        yield client


def token(client, path="/signin"):
    """Return the token that forms of a page carry."""
    return TOKEN.search(client.get(path).text)[1]


def sign_in(client, name, password=PASSWORD):
    """Send the form of signing in."""
    fields = {"_csrf_token": token(client), "name": name, "password": password}
    return client.post("/signin", data=fields)


def do(client, path, **fields: object):
    """Send a form as the page would."""
    return client.post(path, data={"_csrf_token": token(client, "/halt"), **fields})


def ask(client, path, **fields: object):
    """Send JSON as a program would."""
    return client.post(path, json=fields, headers={"x-csrftoken": token(client, "/halt")})
