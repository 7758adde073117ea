"""What numbers in settings may be: one by which nothing is seen, asked or done is refused when it is read."""

import math
from collections.abc import Collection

import msgspec

from tradeworthy.core.errors import SettingsInvalid

RATE = "false_alarms_per_10k"
"""What the setting is called in which every monitor is told how often it may be wrong; `MonitorSettings` judges it."""


def require(
    settings: msgspec.Struct,
    section: str,
    *,
    counts: Collection[str] = (),
    positive: Collection[str] = (),
    shares: Collection[str] = (),
    signed: Collection[str] = (),
) -> None:
    """Refuse numbers of a section that are not allowed: those without a rule of their own are 0 or more, all finite.

    Parameters
    ----------
    settings : Struct
        The section.
    section : str
        Where it stands in ``tradeworthy.toml``.
    counts, positive, shares, signed : collection of str
        What is 1 or more; above 0; up to 1; any finite number.

    Raises
    ------
    SettingsInvalid
        One is not allowed.
    """
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if name == RATE or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        least, words = 0.0, "0 or more"
        if name in counts:
            least, words = 1.0, "1 or more"
        elif name in positive:
            least, words = math.ulp(0.0), "more than 0"
        elif name in signed:
            least, words = -math.inf, "any finite number"
        most = 1.0 if name in shares else math.inf
        if not (least <= value <= most and math.isfinite(value)):
            words = words if name not in shares else "more than 0, up to 1" if name in positive else "0 to 1"
            raise SettingsInvalid(f"{section}.{name} is {value:g}; allowed is {words}")
