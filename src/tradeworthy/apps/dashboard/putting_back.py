"""A form that was refused, put back as it was typed: each field as it was sent, each fault beside its field.

Idea:   whoever builds a view need not know of it. The finished page is read once more, the form is found by its
        address and hidden fields, its tags are written anew; so it needs no script, and every form is served alike.
Flow:   page -> pieces (tags, text) -> the form's own pieces changed -> page.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

import msgspec

from tradeworthy.apps.reports.markup import Markup, join, tag

FIELDS = ("input", "select", "textarea")
TICKED = ("checkbox", "radio")


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """What a refused form sent.

    Attributes
    ----------
    action : str
        The form's address.
    fields : dict
        What was sent by each field's name; several values of one name are a list.
    wrong : dict of str to str
        What is wrong, by the field's name; by no name what is no single field's.
    """

    action: str
    fields: dict[str, str | list[str]]
    wrong: dict[str, str]

    def sent(self, name: str | None) -> list[str]:
        """Return the values sent under a name."""
        value = self.fields.get(name or "", [])
        return [value] if isinstance(value, str) else value


@dataclass(slots=True)
class _Piece:
    """A tag or a text of the page; `attributes` of a tag that begins an element."""

    text: str
    name: str = ""
    attributes: dict[str, str | None] | None = None
    around: tuple[str, str] = ("", "")

    def begins(self, *names: str) -> bool:
        return self.attributes is not None and self.name in names

    def ends(self, name: str) -> bool:
        return self.attributes is None and self.name == name

    def get(self, attribute: str) -> str:
        return (self.attributes or {}).get(attribute) or ""

    def turn(self, attribute: str, *, on: bool) -> None:
        """Set or take away an attribute that has no value."""
        (self.attributes or {}).pop(attribute, None)
        self.write(**({attribute: None} if on else {}))

    def write(self, **attributes: str | None) -> None:
        """Set attributes, and write the tag anew."""
        own = (self.attributes or {}) | {name.replace("_", "-"): value for name, value in attributes.items()}
        self.attributes = own
        self.text = tag(self.name, **{name: True if value is None else value for name, value in own.items()})
        self.text = self.text.removesuffix(f"</{self.name}>")


class _Reader(HTMLParser):
    """Cuts a page into pieces that add up to it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.pieces: list[_Piece] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.pieces.append(_Piece(self.get_starttag_text() or "", tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self.pieces.append(_Piece(f"</{tag}>", tag))

    def handle_data(self, data: str) -> None:
        self.pieces.append(_Piece(data))

    def handle_entityref(self, name: str) -> None:
        self.pieces.append(_Piece(f"&{name};"))

    def handle_charref(self, name: str) -> None:
        self.pieces.append(_Piece(f"&#{name};"))

    def handle_decl(self, decl: str) -> None:
        self.pieces.append(_Piece(f"<!{decl}>"))


def put_back(page: str, typed: Typed) -> str:
    """Return a page with what a refused form sent put back into it; as it is where the form is not on it."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    found = next(_forms(reader.pieces, typed), None)
    if found is None:
        return page
    form, folded = found
    for fold in folded:
        fold.turn("open", on=True)
    _fill(form, typed)
    _mark(form, typed.wrong)
    return "".join(f"{each.around[0]}{each.text}{each.around[1]}" for each in reader.pieces)


def _forms(pieces: Sequence[_Piece], typed: Typed) -> Iterator[tuple[Sequence[_Piece], list[_Piece]]]:
    """Yield the forms of this address and these hidden fields, each with the folds that it stands in."""
    folds: list[_Piece] = []
    for place, piece in enumerate(pieces):
        if piece.begins("details"):
            folds.append(piece)
        elif piece.ends("details"):
            folds.pop()
        elif piece.begins("form") and piece.get("action") == typed.action:
            end = next(at for at in range(place, len(pieces)) if pieces[at].ends("form"))
            form = pieces[place:end]
            hidden = [each for each in form if each.begins("input") and each.get("type") == "hidden"]
            ours = (each.get("value") in typed.sent(each.get("name")) for each in hidden if each.get("name")[:1] != "_")
            if all(ours):
                yield form, list(folds)


def _fill(form: Sequence[_Piece], typed: Typed) -> None:
    """Give every field what was sent under its name; a box that was not ticked was not sent."""
    chosen: list[str] | None = None
    for place, piece in enumerate(form):
        name = piece.get("name")
        if piece.begins("input") and piece.get("type") in TICKED:
            piece.turn("checked", on=piece.get("value") in typed.sent(name))
        elif piece.begins("select"):
            chosen = typed.sent(name) if name in typed.fields else None
        elif piece.begins("option") and chosen is not None:
            piece.turn("selected", on=piece.get("value") in chosen)
        elif name not in typed.fields or piece.get("type") == "hidden":
            continue
        elif piece.begins("input"):
            piece.write(value=typed.sent(name)[0])
        elif piece.begins("textarea"):
            end = next(at for at in range(place, len(form)) if form[at].ends("textarea"))
            for inner in form[place + 1 : end]:
                inner.text = ""
            piece.text += join(typed.sent(name)[0])


def _mark(form: Sequence[_Piece], wrong: Mapping[str, str]) -> None:
    """Say what is wrong beside each field; the first one, or the form's first field, is where one goes on."""
    fields = [place for place, piece in enumerate(form) if _is_field(piece)]
    buttons = [place for place, piece in enumerate(form) if piece.begins("button")]
    marked = []
    for number, (name, said) in enumerate(wrong.items()):
        own = [place for place in fields if name and form[place].get("name") == name]
        words = tag("small", said, id=f"wrong-{number}", class_="wrong")
        at = own[0] if own else buttons[-1]
        if len(own) > 1:
            _put(form[_next(form, at, "fieldset")], before=words)
        elif own:
            _put(form[at if form[at].name == "input" else _next(form, at, form[at].name)], after=words)
        else:
            _put(form[_row(form, at)], before=words)
        form[at].write(aria_describedby=f"wrong-{number}", **({"aria_invalid": "true"} if own else {}))
        marked += own[:1]
    form[(marked or fields or buttons)[0]].turn("autofocus", on=True)


def _is_field(piece: _Piece) -> bool:
    return piece.begins(*FIELDS) and piece.get("type") != "hidden"


def _next(form: Sequence[_Piece], place: int, name: str) -> int:
    """Return where the element of this name that a place stands in, or begins, ends."""
    return next(at for at in range(place, len(form)) if form[at].ends(name))


def _row(form: Sequence[_Piece], place: int) -> int:
    """Return where the row of buttons begins that a button stands in; the button itself where there is none."""
    rows = [at for at in range(place) if form[at].begins("div") and "buttons" in form[at].get("class").split()]
    return rows[-1] if rows else place


def _put(piece: _Piece, *, before: Markup | str = "", after: Markup | str = "") -> None:
    piece.around = f"{piece.around[0]}{before}", f"{after}{piece.around[1]}"
