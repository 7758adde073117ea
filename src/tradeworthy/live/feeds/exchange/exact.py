"""Prices as whole ticks, read from an exchange's text without a rounding error.

Idea:   a price is a whole number of ticks. As text it becomes that number exactly or is refused; as a float it becomes
        the double nearest to the true decimal, the same that a market file's ``"303.03"`` becomes. So levels of a book
        are compared as integers, and live features see the very bits that training saw.
Units:  ticks of the instrument; floats in its currency.
"""

from decimal import Decimal

from tradeworthy.core.errors import DataInvalid

DIGITS_MAX = 30
"""Text of a number longer than this is no price or size."""


class TickGrid:
    """The prices that an instrument can have.

    Parameters
    ----------
    tick : float
        The step, as its shortest decimal says: 0.01 is one hundredth exactly.

    >>> grid = TickGrid(0.05)
    >>> grid.ticks("303.15"), grid.price(6063)
    (6063, 303.15)
    """

    __slots__ = ("_down", "_scales", "_up")

    def __init__(self, tick: float) -> None:
        self._up, self._down = Decimal(repr(tick)).as_integer_ratio()
        self._scales: list[int] = [self._up * 10**places for places in range(DIGITS_MAX + 1)]

    def ticks(self, text: str) -> int:
        """Return how many ticks a decimal is.

        Raises
        ------
        DataInvalid
            It is no plain positive decimal, or lies between two ticks.
        """
        whole, _, part = text.partition(".")
        number = _digits(whole + part, text)
        ticks, rest = divmod(number * self._down, self._scales[len(part)])
        if rest:
            raise DataInvalid(f"price {text!r} is no whole number of ticks of {self._up / self._down:g}")
        return ticks

    def price(self, ticks: int) -> float:
        """Return the double nearest to so many ticks; integer division rounds correctly."""
        return float(ticks * self._up / self._down)


def size_of(text: str) -> float:
    """Return a size: the double nearest to a plain decimal of zero or more.

    Raises
    ------
    DataInvalid
        It is anything else: a sign, an exponent, NaN.

    >>> size_of("0.10")
    0.1
    """
    whole, _, part = text.partition(".")
    _digits(whole + part, text)
    return float(text)


def _digits(digits: str, text: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= DIGITS_MAX):
        raise DataInvalid(f"{text[:40]!r} is no plain decimal of at most {DIGITS_MAX} digits")
    return int(digits)
