"""The tables that the record is asked as: SQL over the streams, a view for each kind of input, and profit and loss.

Idea:   base tables hold the streams' columns as they are; views give them the names and words that people use. A view
        costs nothing until a query reads it, and then only the columns that the query names.
Units:  `ts_event`, `ts_decided`, ... are UTC timestamps; columns ending in `_ns` are UTC nanoseconds; money is in the
        instrument's currency.
P&L:    in every period, the change of (cash from fills, fees paid) plus (quantity held times the last price decided
        at). Fills that the desk refused do not count.
"""

# ruff: noqa: S608  # statements are made of names of our own; every other string goes through `text` or `quoted`

from collections.abc import Mapping, Sequence

from tradeworthy.core.decisions import THRESHOLD_BITS, Role
from tradeworthy.core.denials import DenialCode
from tradeworthy.core.events import FIELDS, Kind
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.time import NS_PER_DAY, NS_PER_HOUR

KINDS = {
    "bars": Kind.BAR,
    "trades": Kind.TRADE,
    "quotes": Kind.QUOTE,
    "outcomes": Kind.OUTCOME,
    "fills": Kind.FILL,
    "rejects": Kind.REJECT,
    "controls": Kind.CONTROL,
    "gaps": Kind.GAP,
}
"""Views of inputs, by the kind that they show."""

REFERENCES = {"outcomes": "decision", "fills": "order_id", "rejects": "order_id", "controls": "version"}
"""What an input's `reference` is called in a view."""

PNL = ("pnl_by", "pnl_by_hour", "pnl_by_day")

NEEDS: Mapping[str, tuple[str, ...]] = {
    "inputs": ("inputs",),
    **dict.fromkeys(KINDS, ("inputs",)),
    "decisions": ("decisions",),
    "orders": ("orders",),
    "rows": ("rows",),
    **dict.fromkeys(PNL, ("inputs", "decisions")),
    "facts": (),
    "instruments": (),
    "denials": (),
}
"""Every table and view, and the streams that it reads (``rows`` stands for every version's)."""


def text(value: str) -> str:
    """Write a string for SQL."""
    return "'" + value.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """Write a column's name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def _symbol(instruments: Sequence[Instrument]) -> str:
    names = ", ".join(text(instrument.symbol) for instrument in instruments)
    return f"([{names}])[instrument + 1]" if names else "instrument::VARCHAR"


def _words(column: str, words: Mapping[int, str]) -> str:
    """Return SQL that turns a code into its word."""
    codes, names = ", ".join(map(str, words)), ", ".join(map(text, words.values()))
    return f"map([{codes}], [{names}])[{column}]"


def input_views(instruments: Sequence[Instrument]) -> list[str]:
    """Return the statements that create `inputs` and a view for each of its kinds."""
    kinds = _words("kind", {kind.value: kind.name.lower() for kind in Kind})
    refused = _words("flags", {code.value: code.name for code in DenialCode if 0 < code < 256})
    symbol = _symbol(instruments)
    inputs = (
        "CREATE VIEW inputs AS SELECT * EXCLUDE (reserved), make_timestamp_ns(ts_event_ns) AS ts_event, "
        f"{symbol} AS symbol, {kinds} AS kind_name, {refused} AS refused FROM tape_inputs"
    )
    return [inputs, *(_kind_view(name, kind, symbol, refused) for name, kind in KINDS.items())]


def _kind_view(name: str, kind: Kind, symbol: str, refused: str) -> str:
    fields = ", ".join(f"values_{place} AS {field}" for place, field in enumerate(FIELDS[kind]))
    reference = f"reference AS {REFERENCES.get(name, 'venue_sequence')}"
    return (
        f"CREATE VIEW {name} AS SELECT sequence, ts_event_ns, ts_recv_ns, make_timestamp_ns(ts_event_ns) AS ts_event, "
        f"{reference}, instrument, {symbol} AS symbol, flags, {refused} AS refused, {fields} "
        f"FROM tape_inputs WHERE kind = {kind.value}"
    )


def decision_views(instruments: Sequence[Instrument]) -> list[str]:
    """Return the statement that creates `decisions`."""
    roles = _words("role", {role.value: role.name.lower() for role in Role})
    refused = _words("verdict", {code.value: code.name for code in DenialCode if code})
    statement = (
        'CREATE VIEW decisions AS SELECT * EXCLUDE ("limit"), "limit" AS limit_value, '
        "make_timestamp_ns(ts_event_ns) AS ts_event, "
        f"make_timestamp_ns(ts_decided_ns) AS ts_decided, {_symbol(instruments)} AS symbol, "
        f"printf('%016x', version) AS version_name, {roles} AS role_name, {refused} AS refused, "
        f"(flags >> {THRESHOLD_BITS})::UTINYINT AS threshold FROM tape_decisions"
    )
    return [statement]


def order_views(instruments: Sequence[Instrument]) -> list[str]:
    """Return the statement that creates `orders`."""
    statement = (
        "CREATE VIEW orders AS SELECT * EXCLUDE (reserved), make_timestamp_ns(ts_sent_ns) AS ts_sent, "
        f"{_symbol(instruments)} AS symbol, printf('%016x', version) AS version_name FROM tape_orders"
    )
    return [statement]


def pnl_views(instruments: Sequence[Instrument]) -> list[str]:
    """Return the statements that create the views of profit and loss by period, hour and day."""
    multipliers = ", ".join(repr(instrument.multiplier) for instrument in instruments)
    factor = f"([{multipliers}]::DOUBLE[])[instrument + 1]" if multipliers else "1.0"
    marks = (
        "SELECT ts_event_ns // (seconds::BIGINT * 1000000000) AS period, instrument, count(*) AS decisions, "
        "arg_max(CASE WHEN isfinite(price) THEN price END, sequence::BIGINT) AS mark "
        f"FROM tape_decisions WHERE role = {Role.CHAMPION.value} GROUP BY ALL"
    )
    done = (
        f"SELECT ts_event_ns // (seconds::BIGINT * 1000000000) AS period, instrument, count(*) AS fills, "
        "sum(values_0) AS bought, sum(values_0 * values_1) AS paid, sum(abs(values_0 * values_1)) AS turnover, "
        f"sum(values_2) AS fees FROM tape_inputs WHERE kind = {Kind.FILL.value} AND flags = 0 GROUP BY ALL"
    )
    held = (
        "SELECT *, coalesce(sum(bought) OVER past, 0) AS position, last_value(mark IGNORE NULLS) OVER past AS price, "
        "coalesce(sum(paid) OVER past, 0) AS cost, coalesce(sum(fees) OVER past, 0) AS all_fees "
        "FROM marks FULL JOIN done USING (period, instrument) "
        "WINDOW past AS (PARTITION BY instrument ORDER BY period)"
    )
    worth = (
        f"SELECT *, {factor} AS factor, factor * (CASE WHEN position = 0 THEN 0 ELSE position * price END - cost) "
        "- all_fees AS equity FROM held"
    )
    macro = (
        f"CREATE MACRO pnl_by(seconds) AS TABLE WITH marks AS ({marks}), done AS ({done}), held AS ({held}), "
        f"worth AS ({worth}) SELECT make_timestamp_ns(period * seconds::BIGINT * 1000000000) AS period, instrument, "
        f"{_symbol(instruments)} AS symbol, coalesce(decisions, 0) AS decisions, coalesce(fills, 0) AS fills, "
        "coalesce(factor * turnover, 0) AS turnover, coalesce(fees, 0) AS fees, position, price, "
        "equity - coalesce(lag(equity) OVER same, 0) AS pnl, equity FROM worth "
        "WINDOW same AS (PARTITION BY instrument ORDER BY period) ORDER BY period, instrument"
    )
    periods = {"pnl_by_hour": NS_PER_HOUR, "pnl_by_day": NS_PER_DAY}
    views = [f"CREATE VIEW {name} AS SELECT * FROM pnl_by({ns // 10**9})" for name, ns in periods.items()]
    return [macro, *views]
