"""The page of settings is the one that the structs would write today, and leaves nothing unsaid."""

import msgspec
import settings_docs

from tradeworthy.apps.commands.settings import Settings, sections_of

SECTIONS = list(settings_docs.sections())


def test_the_page_is_up_to_date():
    """`docs/settings.md` is what `tools/settings_docs.py` writes."""
    assert settings_docs.PATH.read_text(encoding="utf-8") == settings_docs.page(), "run: python tools/settings_docs.py"


def test_every_section_is_on_the_page():
    """Each section of the settings has a heading, in brackets as it stands in the file."""
    page = settings_docs.page()
    for field in msgspec.structs.fields(Settings):
        assert f"[{field.encode_name}]" in page


def test_every_key_has_a_meaning():
    """No key is listed without a word on what it means."""
    keys = [
        (place, field.name, settings_docs.meanings(kind).get(field.name))
        for place, kind, _ in SECTIONS
        for field in msgspec.structs.fields(kind)
        if not sections_of(field.type)
    ]
    assert [f"{place}.{name}" for place, name, meaning in keys if not meaning] == []


def test_attributes_are_read_from_a_docstring():
    """Several names share one meaning; a meaning may go on over lines; what follows the part is left out."""

    class Base(msgspec.Struct):
        """A base.

        Attributes
        ----------
        first, second : int
            Both of
            these.
        """

        first: int = 1
        second: int = 2

    class More(Base):
        """More.

        Attributes
        ----------
        third : str
            Alone.

        Notes
        -----
        never : seen
            Here.
        """

        third: str = "x"

    assert settings_docs.meanings(More) == {"first": "Both of these.", "second": "Both of these.", "third": "Alone."}


def test_types_and_defaults_read_as_toml():
    """A type is said in words, a default as it would be typed."""

    class Section(msgspec.Struct):
        """A section."""

        name: str
        several: tuple[int, ...] = (1, 2)
        on: bool = True
        limit: float | None = None

    assert settings_docs.rows(Section) == [
        "| `name` | text | required |  |",
        "| `several` | list of whole number | `[1, 2]` |  |",
        "| `on` | true or false | `true` |  |",
        "| `limit` | number | not set |  |",
    ]
