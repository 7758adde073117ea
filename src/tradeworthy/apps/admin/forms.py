"""What forms send: text, read as what it means, or refused in words."""

from typing import Annotated, Any

from litestar.enums import RequestEncodingType
from litestar.params import Body

from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.limits import LIMIT_FIELDS, Limits

Fields = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]


def reason_of(data: dict[str, Any]) -> str:
    """Return the reason that a form gives."""
    return text_of(data, "reason")


def text_of(data: dict[str, Any], name: str) -> str:
    """Return a field without the space around it; empty where it was not sent."""
    return str(data.get(name, "")).strip()


def words_of(data: dict[str, Any], name: str) -> list[str]:
    """Return what was ticked of several."""
    given = data.get(name, [])
    return [str(word) for word in (given if isinstance(given, list) else [given])]


def number_of(data: dict[str, Any], name: str) -> float | None:
    """Return a number; None where the field is empty.

    Raises
    ------
    SettingsInvalid
        It is no number.
    """
    text = text_of(data, name).replace(",", "")
    try:
        return float(text) if text else None
    except ValueError:
        raise SettingsInvalid(f"{name} is {text!r}, allowed is a number, or nothing") from None


def share_of(data: dict[str, Any]) -> float:
    """Return a share, sent in percent.

    Raises
    ------
    SettingsInvalid
        It is no number.
    """
    text = text_of(data, "share").removesuffix("%")
    try:
        return float(text) / 100.0
    except ValueError:
        raise SettingsInvalid(f"share is {text!r}, allowed is a number of percent, as 10") from None


def limits_of(data: dict[str, Any]) -> Limits:
    """Return limits; one whose field is empty is not set.

    Raises
    ------
    SettingsInvalid
        A field is not a number of zero or more.
    """
    values = {name: number for name in LIMIT_FIELDS if (number := number_of(data, name)) is not None}
    try:
        return Limits(**values)
    except ValueError as error:
        raise SettingsInvalid(str(error)) from None
