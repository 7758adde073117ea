"""How the answer to a query reaches a person: its rows as a table."""

from rich.table import Table

from tradeworthy.apps.cli.show import cell, console
from tradeworthy.record.query import Answer


def show_answer(answer: Answer) -> None:
    """Print an answer's rows under its columns, and say if there are more."""
    table = Table(*answer.columns, box=None, pad_edge=False)
    for row in answer.rows:
        table.add_row(*(_word(value) for value in row))
    console.print(table)
    if answer.more:
        console.print(f"the first {len(answer.rows):,} rows; ask for more with --rows")


def _word(value: object) -> str:
    """Write one value; the whole digits of integers, as they may be identifiers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    shown = cell(value)
    return shown if isinstance(shown, str) else str(value)
