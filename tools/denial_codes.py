"""Write `docs/denial-codes.md` from `core.denials`: every code, its number, what it says to a person.

Usage:  python tools/denial_codes.py
Idea:   the code is the only source; a test compares the page with `page()`, so the page cannot go stale.
"""

from source_tree import ROOT

from tradeworthy.core.denials import DenialCode

PATH = ROOT / "docs" / "denial-codes.md"

OPENING = """# Denial codes

A refusal is a value: it is recorded on the tape and counted, never raised. Every decision record carries a
`verdict`, one of the codes below, and beside it the value that was `observed` and the `limit` it was held against.
`0` means that nothing was refused.

Codes are for ever: a number that was once on a tape never gets another meaning.

This page is written by `python tools/denial_codes.py`; a test compares it with the code.
"""

RANGES = {
    100: (
        "An event was refused",
        "The engine recorded it and did not act on it: the decision that answers it asks for no order.",
    ),
    200: (
        "A score was refused",
        "The event was good, but the version could not give a usable score, so it asked for no order.",
    ),
    300: ("An order was refused", "The version wanted to trade; a check of the desk's limits, or a halt, said no."),
}


def page() -> str:
    """Return the whole page as Markdown."""
    parts = [OPENING]
    for start, (title, meaning) in RANGES.items():
        rows = [f"| {code.value} | `{code.name}` | {code.text} |" for code in DenialCode if start <= code < start + 100]
        parts.append(
            "\n".join(
                [
                    f"## {start}s: {title.lower()}",
                    "",
                    meaning,
                    "",
                    "| number | code | why |",
                    "| ---: | --- | --- |",
                    *rows,
                    "",
                ]
            )
        )
    return "\n".join(parts)


if __name__ == "__main__":
    PATH.write_text(page(), encoding="utf-8")
    print(f"wrote {PATH.relative_to(ROOT)}: {len(DenialCode) - 1} codes")
