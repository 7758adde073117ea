"""A story in the terminal and on the page."""

import io

from rich.console import Console

from tradeworthy.apps.captions import read_caption
from tradeworthy.apps.demo.showing import Stage


def stage():
    return Stage(Console(file=io.StringIO(), width=100))


def test_chapters_are_numbered_and_shown_on_the_page(tmp_path):
    """Each chapter is a caption: its number and name, and what happens in it."""
    told = stage()
    told.captions = tmp_path / "caption.json"
    told.chapter("Look", "what there is")
    told.chapter("Train", "what is learned")
    caption = read_caption(tmp_path / "caption.json")
    assert (caption.chapter, caption.about) == ("2. Train", "what is learned")
    assert "1. Look" in told.console.file.getvalue()


def test_what_happens_in_a_chapter_is_its_caption(tmp_path):
    """While the desk trades, each thing that happens is told once, under the chapter's name."""
    told = stage()
    told.captions = tmp_path / "caption.json"
    told.chapter("Live", "the rest arrives")
    with told.live() as show:
        show.tell("finding 3", "something has moved")
        show.tell("gate", "the gate judged it")
        show.tell("finding 3", "told already")
    caption = read_caption(tmp_path / "caption.json")
    assert (caption.chapter, caption.about) == ("1. Live", "the gate judged it")
    assert [each.about for each in caption.before] == ["something has moved", "the rest arrives"]


def test_a_pointed_sentence_leads_somewhere(tmp_path):
    """It is said in the terminal, and shown on the page with where to look."""
    told = stage()
    told.captions = tmp_path / "caption.json"
    told.chapter("Explain", "the largest trade")
    told.point("It bought because of momentum.", "/decisions/7")
    caption = read_caption(tmp_path / "caption.json")
    assert (caption.about, caption.link) == ("It bought because of momentum.", "/decisions/7")
    assert "because of momentum" in told.console.file.getvalue()


def test_without_a_page_nothing_is_written(tmp_path):
    """A story that is only told in a terminal leaves no caption."""
    told = stage()
    told.chapter("Look", "what there is")
    with told.live() as show:
        show.tell("a", "b")
    assert list(tmp_path.iterdir()) == []


def test_the_address_of_the_page_is_said_whole():
    """A long link is not broken over two lines, or nobody could follow it."""
    told = stage()
    address = "http://127.0.0.1:8080/invited?word=" + "0" * 128
    told.open(address)
    assert address in told.console.file.getvalue()
