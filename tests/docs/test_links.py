"""Links between our own pages lead somewhere."""

import re

from source_tree import ROOT

LINK = re.compile(r"\[[^\]]+\]\(([^)\s#]+)(#[^)\s]*)?\)")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def test_every_relative_link_leads_to_a_file():
    """A page that names another page names one that exists."""
    links = [(page, m[1]) for page in PAGES for m in LINK.finditer(page.read_text(encoding="utf-8"))]
    own = [(page, target) for page, target in links if "://" not in target]
    assert own
    assert [f"{page.relative_to(ROOT)} -> {t}" for page, t in own if not (page.parent / t).exists()] == []


def test_every_page_opens_with_a_title():
    """The first line of a page is its title."""
    assert [p.name for p in PAGES if not p.read_text(encoding="utf-8").startswith("# ")] == []
