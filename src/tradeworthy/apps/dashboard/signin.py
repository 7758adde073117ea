"""The page of somebody who is not signed in."""

from tradeworthy.apps.dashboard.layout import document, entry
from tradeworthy.apps.reports.markup import tag


def signin_page(token: str, *, failure: str = "", nobody: bool = False) -> str:
    """Build the form; where nobody has a role yet, say how the first person gets one."""
    first = "Nobody can sign in yet. Run: tradeworthy people add NAME --role admin" if nobody else ""
    return document(
        "Sign in",
        tag(
            "main",
            tag("h1", "tradeworthy"),
            tag("p", first, class_="told") if first else None,
            tag("p", failure, class_="told bad", role="alert") if failure else None,
            tag(
                "form",
                tag("input", type="hidden", name="_csrf_token", value=token),
                entry("name", "Name", autofocus=True),
                entry("password", "Password", type_="password"),
                tag("button", "Sign in", type="submit"),
                method="post",
                action="/signin",
                class_="form",
            ),
            class_="signin",
            id="content",
        ),
        signed_in=False,
    )
