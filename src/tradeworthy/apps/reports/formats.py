"""Numbers as people write them: thousands apart, a true minus, the unit behind.

Undefined: NaN is written as a dash.
"""

import math

from tradeworthy.apps.reports.scales import signed

DASH = "\N{EN DASH}"


def count(value: float) -> str:
    """Write a whole number."""
    return signed(f"{value:,.0f}")


def decimal(value: float, places: int = 3) -> str:
    """Write a number with fixed decimals."""
    return signed(f"{value:,.{places}f}") if math.isfinite(value) else DASH


def amount(value: float) -> str:
    """Write an amount of money: two decimals below 10,000, none above."""
    return decimal(value, 2 if abs(value) < 1e4 else 0)


def compact(value: float, digits: int = 4) -> str:
    """Write a number of any size with so many significant digits."""
    return signed(f"{value:.{digits}g}") if math.isfinite(value) else DASH


def decimal_or_nothing(value: float | None, places: int) -> str:
    """Write a number with fixed decimals; nothing for what is undefined."""
    return "" if value is None else decimal(value, places)


def compact_or_nothing(value: float | None, digits: int = 6) -> str:
    """Write a number with so many significant digits, thousands apart; nothing for what is undefined."""
    if value is None:
        return ""
    return compact(value, digits) if abs(value) < 1_000 else decimal(value, 2 if value % 1 else 0)


def readable(value: float) -> str:
    """Write a number of any size: below a thousand four significant digits, above it whole, thousands apart."""
    return compact(value) if abs(value) < 1e3 or not math.isfinite(value) else count(value)


def interval(low: float, high: float, places: int = 3) -> str:
    """Write two bounds."""
    return f"{decimal(low, places)} to {decimal(high, places)}"


def share(part: float, whole: float) -> str:
    """Write a part of a whole in percent."""
    return f"{part / whole:.1%}" if whole else DASH


def size(count_bytes: float) -> str:
    """Write a number of bytes in the unit that fits."""
    for unit in ("bytes", "kB", "MB"):
        if count_bytes < 1000:
            return f"{count_bytes:,.0f} {unit}" if unit == "bytes" else f"{count_bytes:,.1f} {unit}"
        count_bytes /= 1000
    return f"{count_bytes:,.1f} GB"


def plural(number: int, one: str, many: str = "") -> str:
    """Write a count with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def short(digest: str) -> str:
    """Return the beginning of a digest, enough to tell versions apart."""
    return digest[:12]
