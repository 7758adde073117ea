"""The page of denial codes is the one that the code would write today."""

import denial_codes

from tradeworthy.core.denials import DenialCode


def test_the_page_is_up_to_date():
    """`docs/denial-codes.md` is what `tools/denial_codes.py` writes."""
    assert denial_codes.PATH.read_text(encoding="utf-8") == denial_codes.page(), "run: python tools/denial_codes.py"


def test_every_code_is_on_the_page():
    """Each code stands on the page with its number and its words."""
    page = denial_codes.page()
    rows = [f"| {code.value} | `{code.name}` | {code.text} |" for code in DenialCode if code]
    assert [row for row in rows if row not in page] == []
