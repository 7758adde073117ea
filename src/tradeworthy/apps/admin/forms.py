"""What forms send: text, read as what it means, or refused in words."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any

from litestar.enums import RequestEncodingType
from litestar.params import Body

from tradeworthy.apps.dashboard.policy import CHOICES, MAY_BE_EMPTY, NUMBERS, PERCENT, SWITCHES, WHOLE
from tradeworthy.change.release.policy import PolicySettings, policy_of
from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.core.limits import LIMIT_FIELDS, Limits

Fields = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]


class FieldsInvalid(SettingsInvalid):
    """Fields of a form cannot be used.

    Parameters
    ----------
    wrong : mapping of str to str
        By the field's name, what was found and what is allowed; under no name, what is wrong with all of them together.
    """

    def __init__(self, wrong: Mapping[str, str]) -> None:
        super().__init__(f"{'; '.join(wrong.values())}. Nothing was changed: correct it in the form, and ask again")
        self.wrong = dict(wrong)


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


def whole_of(data: dict[str, Any], name: str) -> int:
    """Return a whole number.

    Raises
    ------
    SettingsInvalid
        It is none.
    """
    number = number_of(data, name)
    if number is None or not number.is_integer():
        raise SettingsInvalid(f"{name} is {text_of(data, name)!r}, allowed is a whole number")
    return int(number)


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
    FieldsInvalid
        Fields do not fit; of each it says what is allowed, and what to do next.
    """
    readers: dict[str, Callable[[], Any]] = {name: partial(_policy_number, data, name) for name in NUMBERS}
    readers |= {name: partial(words_of, data, name) for name in CHOICES}
    wanted: dict[str, Any] = {name: text_of(data, name) == "yes" for name in SWITCHES}
    wrong: dict[str, str] = {}
    for name, read in readers.items():
        try:
            wanted[name] = read()
            policy_of({name: wanted[name]})
        except SettingsInvalid as error:
            wrong[name] = str(error)
    wanted["reaction"] = []
    for place in _places(data):
        try:
            wanted["reaction"] += policy_of({"reaction": [_rule(data, place)]}).reaction
        except SettingsInvalid as error:
            wrong[f"on-{place}"] = str(error)
    if wrong:
        raise FieldsInvalid(wrong)
    try:
        return policy_of(wanted)
    except SettingsInvalid as error:
        raise FieldsInvalid({"": str(error)}) from None


def _policy_number(data: dict[str, Any], name: str) -> float | None:
    """Return one number of the policy, a share sent in percent; whole numbers as such."""
    number = number_of(data, name)
    if number is None and name not in MAY_BE_EMPTY:
        raise SettingsInvalid(f"{name} is empty, allowed is a number")
    if number is None or name not in WHOLE:
        return number if number is None or name not in PERCENT else number / 100.0
    return whole_of(data, name)


def _places(data: dict[str, Any]) -> Iterator[str]:
    """Yield the places of the rules that are on something, in their order."""
    places = (name.removeprefix("on-") for name in data if name.startswith("on-"))
    return (p for p in sorted((p for p in places if p.isdecimal()), key=int) if text_of(data, f"on-{p}"))


def _rule(data: dict[str, Any], place: str) -> dict[str, Any]:
    """Return one rule as the form sends it."""
    rule: dict[str, Any] = {name: text_of(data, f"{name}-{place}") for name in ("on", "severity", "do")}
    share = number_of(data, f"share-{place}")
    if share is not None and rule["do"] == "reduce":
        rule["share"] = share / 100.0
    if rule["do"] == "fallback":
        rule["to"] = text_of(data, f"to-{place}")
    return rule
