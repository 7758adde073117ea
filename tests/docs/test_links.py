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


def test_the_index_names_every_decision_by_its_title():
    """Whoever asks why finds all decisions in one list, in their order."""
    folder = ROOT / "docs" / "decisions"
    titles = [(page.name, page.read_text(encoding="utf-8").splitlines()[0]) for page in sorted(folder.glob("0*.md"))]
    wanted = [f"{title[2:].replace('. ', '. [', 1)}]({name})" for name, title in titles]
    lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line[:1].isdigit()] == wanted


def test_readme_leads_to_every_page():
    """No page is without a way to it from the first one."""
    linked = {m[1] for m in LINK.finditer((ROOT / "README.md").read_text(encoding="utf-8"))}
    pages = {str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")}
    assert pages - linked == set()
