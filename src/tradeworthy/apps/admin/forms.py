"""What forms send: text, read as what it means, or refused in words."""

from collections.abc import Iterator
from typing import Annotated, Any

from litestar.enums import RequestEncodingType
from litestar.params import Body

from tradeworthy.apps.dashboard.policy import CHOICES, MAY_BE_EMPTY, NUMBERS, SWITCHES, WHOLE
from tradeworthy.change.release.policy import PolicySettings, policy_of
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


def policy_sent(data: dict[str, Any]) -> PolicySettings:
    """Return the policy that the form of the settings asks for.

    Raises
    ------
    SettingsInvalid
        A field does not fit; the message says what is allowed, and what to do next.
    """
    ticked = {name: words_of(data, name) for name in CHOICES}
    switches = {name: text_of(data, name) == "yes" for name in SWITCHES}
    try:
        wanted = {name: _policy_number(data, name) for name in NUMBERS}
        return policy_of({**wanted, **ticked, **switches, "reaction": list(_rules(data))})
    except SettingsInvalid as error:
        raise SettingsInvalid(
            f"{error}. Nothing was changed: correct it under Change the policy, and ask again"
        ) from None


def _policy_number(data: dict[str, Any], name: str) -> float | None:
    """Return one number of the policy, a share sent in percent; whole numbers as such."""
    number = number_of(data, name)
    if number is None and name not in MAY_BE_EMPTY:
        raise SettingsInvalid(f"{name} is empty, allowed is a number")
    if number is None or name not in WHOLE:
        return number if number is None or name != "canary_share" else number / 100.0
    if not number.is_integer():
        raise SettingsInvalid(f"{name} is {number:g}, allowed is a whole number")
    return int(number)


def _rules(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rules that are on something, in their order."""
    places = (name.removeprefix("on-") for name in data if name.startswith("on-"))
    for place in sorted((place for place in places if place.isdecimal()), key=int):
        if on := text_of(data, f"on-{place}"):
            rule: dict[str, Any] = {
                "on": on,
                "severity": text_of(data, f"severity-{place}"),
                "do": text_of(data, f"do-{place}"),
            }
            share = number_of(data, f"share-{place}")
            if share is not None and rule["do"] == "reduce":
                rule["share"] = share / 100.0
            if rule["do"] == "fallback":
                rule["to"] = text_of(data, f"to-{place}")
            yield rule
