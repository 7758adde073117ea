"""Input checks: what an event must be to change anything.

Flow:   `admit` judges each market event before features and desk see it, writes the verdict into the event's `flags`
        (so the tape shows why an input changed nothing) and, if it passed, remembers it and the price it gives.
State:  for each instrument and kind the time and reference consumed last; for rows also the entities seen at that time.
        So a repeated or late event is known and changes nothing: consuming is idempotent.
Policy: late events are refused, not sorted in. A venue's own sequence (`reference`), where it has one, tells a repeat;
        without it a bar is known by its time, and trades, quotes and books of one time are taken as different ones.
        A price that jumps is refused until a second one near it confirms the new level; the same event sent again
        confirms nothing.
Gaps:   a feed that cannot vouch for a lane says so; the instrument's price is then unknown until its next event.
"""

# ruff: noqa: PLR0917 - kernels have no keyword arguments

import numpy as np
import numpy.typing as npt

from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import FIELDS, Gap, Kind
from tradeworthy.core.kernel import kernel
from tradeworthy.live.inbox import (
    REFERENCE,
    TS_EVENT,
    TS_RECV,
    VALUES,
    Numbers,
    Words,
    instrument_of,
    kind_of,
    set_flags,
)
from tradeworthy.live.positions import mark_position
from tradeworthy.live.state import LANE_WORDS, DeskState

VALUE_MAX = 1e15
"""A price or size beyond this is no market's; its products would overflow."""

FUTURE_MS_MAX = 3_600_000.0
"""No event happened this much later than it was seen. If one were believed, all true ones after it would come late."""

_BAR, _TRADE, _QUOTE, _ROW, _OUTCOME = (int(k) for k in (Kind.BAR, Kind.TRADE, Kind.QUOTE, Kind.ROW, Kind.OUTCOME))
_BOOK, _TIMER, _GAP = int(Kind.BOOK), int(Kind.TIMER), int(Kind.GAP)
_CAUSES = (float(Gap.CUT), float(Gap.LOST))
_BAR_FIELDS, _QUOTE_FIELDS = len(FIELDS[Kind.BAR]), len(FIELDS[Kind.QUOTE])
_TRADE_FIELDS = 2  # price and size; the side may be unknown

_NONE = int(DenialCode.NONE)
_NOT_FINITE = int(DenialCode.INPUT_NOT_FINITE)
_NOT_POSITIVE = int(DenialCode.INPUT_NOT_POSITIVE)
_INCONSISTENT = int(DenialCode.INPUT_INCONSISTENT)
_CROSSED = int(DenialCode.INPUT_CROSSED)
_OUT_OF_ORDER = int(DenialCode.INPUT_OUT_OF_ORDER)
_DUPLICATE = int(DenialCode.INPUT_DUPLICATE)
_JUMP = int(DenialCode.INPUT_JUMP)
_UNKNOWN = int(DenialCode.INPUT_UNKNOWN_INSTRUMENT)
_UNKNOWN_KIND = int(DenialCode.INPUT_UNKNOWN_KIND)
_STALE = int(DenialCode.INPUT_STALE)
_UNSORTED = int(DenialCode.INPUT_UNSORTED)

_BPS_PER_ONE = 10_000.0
_NS_PER_MS = 1_000_000.0
_LANE_TS, _LANE_REFERENCE, _LANE_COUNT, _LANE_ENTITIES = range(4)
_ENTITIES_MAX = LANE_WORDS - _LANE_ENTITIES


@kernel
def values_are_numbers(numbers: Numbers, place: int, first: int, count: int) -> bool:
    """Tell whether values are finite and of a size that arithmetic survives."""
    for column in range(first, first + count):  # noqa: SIM110  # kernels have no generators
        if not abs(numbers[place, VALUES + column]) <= VALUE_MAX:
            return False
    return True


@kernel
def check_bar(numbers: Numbers, place: int) -> int:
    """Return why a bar cannot be believed."""
    if not values_are_numbers(numbers, place, 0, _BAR_FIELDS):
        return _NOT_FINITE
    opened, high, low = numbers[place, VALUES], numbers[place, VALUES + 1], numbers[place, VALUES + 2]
    close, volume = numbers[place, VALUES + 3], numbers[place, VALUES + 4]
    if min(opened, high, low, close) <= 0.0 or volume < 0.0:
        return _NOT_POSITIVE
    return _NONE if low <= min(opened, close) and max(opened, close) <= high else _INCONSISTENT


@kernel
def check_trade(numbers: Numbers, place: int) -> int:
    """Return why a trade cannot be believed."""
    if not values_are_numbers(numbers, place, 0, _TRADE_FIELDS):
        return _NOT_FINITE
    return _NONE if numbers[place, VALUES] > 0.0 and numbers[place, VALUES + 1] >= 0.0 else _NOT_POSITIVE


@kernel
def check_quote(numbers: Numbers, place: int) -> int:
    """Return why a quote cannot be believed."""
    if not values_are_numbers(numbers, place, 0, _QUOTE_FIELDS):
        return _NOT_FINITE
    bid, ask = numbers[place, VALUES], numbers[place, VALUES + 1]
    if bid <= 0.0 or ask <= 0.0 or numbers[place, VALUES + 2] < 0.0 or numbers[place, VALUES + 3] < 0.0:
        return _NOT_POSITIVE
    return _CROSSED if bid > ask else _NONE


@kernel
def check_book(numbers: Numbers, place: int) -> int:
    """Return why a book cannot be believed: level after level, one side like the other; a side ends at a NaN price."""
    if not values_are_numbers(numbers, place, 0, _QUOTE_FIELDS):
        return _NOT_FINITE
    if numbers[place, VALUES] > numbers[place, VALUES + 1]:
        return _CROSSED
    for side in range(2):
        outward = 1.0 if side == 1 else -1.0
        last, ended = -np.inf, False
        for level in range((numbers.shape[1] - VALUES) // _QUOTE_FIELDS):
            at = VALUES + level * _QUOTE_FIELDS + side
            price, size = numbers[place, at], numbers[place, at + 2]
            if np.isnan(price) and (np.isnan(size) or size == 0.0):
                ended = True
                continue
            if not (abs(price) <= VALUE_MAX and abs(size) <= VALUE_MAX):
                return _NOT_FINITE
            if price <= 0.0 or size < 0.0:
                return _NOT_POSITIVE
            if ended or not outward * price > last:
                return _UNSORTED
            last = outward * price
    return _NONE


@kernel
def check_gap(desk: DeskState, instrument: int, numbers: Numbers, place: int) -> int:
    """Return why a gap cannot be believed: it is of no known instrument, cause or lane."""
    if desk.manners[0] < 2 or numbers[place, VALUES] not in _CAUSES:
        return _UNKNOWN_KIND
    if instrument >= desk.grid.shape[0]:
        return _UNKNOWN
    return _NONE if _BAR <= numbers[place, VALUES + 1] <= _ROW else _UNKNOWN_KIND


@kernel
def check_values(desk: DeskState, kind: int, numbers: Numbers, place: int) -> int:
    """Return why an event's values cannot be believed. Rows need every declared value; outcomes and timers none."""
    if kind == _BAR:
        return check_bar(numbers, place)
    if kind == _TRADE:
        return check_trade(numbers, place)
    if kind == _QUOTE:
        return check_quote(numbers, place)
    if kind == _BOOK:
        return check_book(numbers, place)
    if kind == _ROW:
        return _NONE if values_are_numbers(numbers, place, 0, desk.rules[0]["row_fields"]) else _NOT_FINITE
    return _NONE


@kernel
def price_of(kind: int, numbers: Numbers, place: int) -> float:
    """Return the price an event gives: a bar's close, a trade's price, a quote's or book's middle; NaN for others."""
    if kind == _BAR:
        return float(numbers[place, VALUES + 3])
    if kind == _TRADE:
        return float(numbers[place, VALUES])
    if kind in (_QUOTE, _BOOK):
        return float(0.5 * (numbers[place, VALUES] + numbers[place, VALUES + 1]))
    return np.nan


@kernel
def check_order(lane: npt.NDArray[np.int64], kind: int, ts_event_ns: int, reference: int) -> int:
    """Return whether an event comes late or again in its lane."""
    if ts_event_ns != lane[_LANE_TS]:
        return _OUT_OF_ORDER if ts_event_ns < lane[_LANE_TS] else _NONE
    if kind == _ROW:
        for place in range(min(lane[_LANE_COUNT], _ENTITIES_MAX)):
            if lane[_LANE_ENTITIES + place] == reference:
                return _DUPLICATE
        return _NONE
    if reference != 0:
        if reference == lane[_LANE_REFERENCE]:
            return _DUPLICATE
        return _OUT_OF_ORDER if reference < lane[_LANE_REFERENCE] else _NONE
    return _DUPLICATE if kind == _BAR else _NONE


@kernel
def remember(lane: npt.NDArray[np.int64], ts_event_ns: int, reference: int) -> None:
    """Make an event the last one consumed in its lane."""
    if ts_event_ns != lane[_LANE_TS]:
        lane[_LANE_COUNT] = 0
    lane[_LANE_TS] = ts_event_ns
    lane[_LANE_REFERENCE] = reference
    lane[_LANE_ENTITIES + lane[_LANE_COUNT] % _ENTITIES_MAX] = reference
    lane[_LANE_COUNT] += 1


@kernel
def confirms(suspicion: npt.NDArray[np.int64], kind: int, ts_event_ns: int, reference: int) -> bool:
    """Tell whether an event is another one than the suspect: of another kind, time or venue's number."""
    return bool(kind != suspicion[0] or ts_event_ns != suspicion[1] or reference != suspicion[2])


@kernel
def check_jump(desk: DeskState, instrument: int, price: float, kind: int, ts_event_ns: int, reference: int) -> int:
    """Return whether a price is too far from the last one, unless another event confirms the one just refused."""
    limit, last, suspect = desk.rules[0]["jump_bps_max"], desk.positions[instrument]["mark"], desk.suspects[instrument]
    if np.isnan(price):
        return _NONE
    suspicion = desk.suspicions[instrument]
    if np.isnan(limit) or np.isnan(last) or abs(price - last) <= limit / _BPS_PER_ONE * last:
        desk.suspects[instrument] = np.nan
        return _NONE
    near = abs(price - suspect) <= limit / _BPS_PER_ONE * suspect
    if near and (desk.manners[0] < 1 or confirms(suspicion, kind, ts_event_ns, reference)):
        desk.suspects[instrument] = np.nan
        return _NONE
    if not near:
        suspicion[0], suspicion[1], suspicion[2] = kind, ts_event_ns, reference
        desk.suspects[instrument] = price
    return _JUMP


@kernel
def check_input(  # noqa: PLR0911  # one return for each reason
    desk: DeskState, words: Words, numbers: Numbers, place: int, price: float
) -> int:
    """Return the first reason to refuse an event, or `DenialCode.NONE`; changes nothing but who is suspect."""
    kind, instrument = kind_of(words, place), instrument_of(words, place)
    if kind == _GAP:
        return check_gap(desk, instrument, numbers, place)
    if (kind < _BAR or kind > _OUTCOME) and kind != _TIMER:
        return _UNKNOWN_KIND
    if kind >= _OUTCOME:
        return _NONE
    if instrument >= desk.grid.shape[0]:
        return _UNKNOWN
    code = check_values(desk, kind, numbers, place)
    if code != _NONE:
        return code
    lane = desk.lanes[instrument, kind]
    code = check_order(lane, kind, words[place, TS_EVENT], words[place, REFERENCE])
    if code != _NONE:
        return code
    age_ms = (float(words[place, TS_RECV]) - float(words[place, TS_EVENT])) / _NS_PER_MS
    if abs(age_ms) > desk.rules[0]["input_age_ms_max"] or age_ms < -FUTURE_MS_MAX:
        return _STALE
    return check_jump(desk, instrument, price, kind, words[place, TS_EVENT], words[place, REFERENCE])


@kernel
def is_believable(desk: DeskState, words: Words, numbers: Numbers, place: int) -> bool:
    """Tell whether an event would be admitted now, and change nothing."""
    instrument = instrument_of(words, place)
    if instrument >= desk.grid.shape[0]:
        return False
    suspect, suspicion = desk.suspects[instrument], desk.suspicions[instrument]
    kind, ts_event_ns, reference = suspicion[0], suspicion[1], suspicion[2]
    code = check_input(desk, words, numbers, place, price_of(kind_of(words, place), numbers, place))
    desk.suspects[instrument] = suspect
    suspicion[0], suspicion[1], suspicion[2] = kind, ts_event_ns, reference
    return code == _NONE


@kernel
def admit(desk: DeskState, words: Words, numbers: Numbers, place: int) -> int:
    """Judge one market event, write the verdict into its flags and, if it passes, take in its price.

    Returns
    -------
    int
        A `DenialCode`; anything but `NONE` means that the event must change nothing.
    """
    kind, instrument = kind_of(words, place), instrument_of(words, place)
    price = price_of(kind, numbers, place)
    code = check_input(desk, words, numbers, place, price)
    set_flags(words, place, code)
    if code != _NONE:
        desk.denials[code] += 1
    elif kind <= _ROW:
        remember(desk.lanes[instrument, kind], words[place, TS_EVENT], words[place, REFERENCE])
        if not np.isnan(price):
            position, account, grid = desk.positions[instrument], desk.account[0], desk.grid[instrument]
            ts_price_ns = words[place, TS_EVENT if desk.manners[0] >= 2 else TS_RECV]
            mark_position(position, account, grid["multiplier"], price, ts_price_ns)
    elif kind == _GAP:
        desk.positions[instrument]["ts_mark_ns"] = 0
    return code
