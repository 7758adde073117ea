"""How a command's result reaches a person or a program: a table, or one JSON document."""

import sys
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tradeworthy.apps.results import Explained
    from tradeworthy.judge.validate.gate import GateReport

MARKS = {"pass": ("✓", "green"), "fail": ("✗", "bold red"), "missing": ("?", "yellow")}

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def show(result: msgspec.Struct, *, as_json: bool) -> None:
    """Print one result: JSON on one line with `as_json`, else its fields as a table."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
        return
    console.print(table_of(result))


def show_gate(report: "GateReport", *, as_json: bool) -> None:
    """Print a gate report: a line a check, and what was required where one did not pass."""
    if as_json:
        show(report, as_json=True)
        return
    for result in report.results:
        mark, style = MARKS[result.verdict]
        console.print(Text.assemble((f"{mark} ", style), (result.name, "bold"), f"  {result.measured}"))
        if result.verdict != "pass":
            console.print(Text(f"    required: {result.requirement}"))
    verdict = "passed" if report.passed else "refused"
    console.print(f"version {report.version[:16]} {verdict}, profile {report.profile}")


def show_explanation(found: "Explained", *, as_json: bool) -> None:
    """Print why a decision was made: in words, then every contribution."""
    if as_json:
        show(found, as_json=True)
        return
    console.print(Text(found.said))
    table = Table("feature", "value", "contribution", box=None, pad_edge=False)
    for reason in found.reasons:
        table.add_row(escape(reason.feature), f"{reason.value:.6g}", f"{reason.contribution:+.6f}")
    console.print(table)
    console.print(
        f"baseline {found.baseline:+.6f} + contributions = margin {found.margin:+.6f} (off by {found.sum_error:.1e}), "
        f"score {found.score:.6f}"
    )
    console.print(Text(f"{found.method}; decision {found.decision} of version {found.version[:16]}"))


def table_of(result: msgspec.Struct) -> Table:
    """Lay a struct out as name and value; a list of structs becomes a table of its own."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name in result.__struct_fields__:
        table.add_row(name.replace("_", " "), cell(getattr(result, name)))
    return table


def cell(value: Any) -> Any:
    """Write one value for a person."""
    match value:
        case bool():
            shown: Any = "yes" if value else "no"
        case float():
            shown = f"{value:,.6g}"
        case int():
            shown = f"{value:,}"
        case msgspec.Struct():
            shown = table_of(value)
        case dict():
            shown = "\n".join(f"{key}: {cell(part)}" for key, part in value.items()) or "none"
        case list() | tuple():
            shown = _list_cell(value)
        case _:
            shown = "none" if value is None or value == "" else escape(str(value))
    return shown


def _list_cell(values: Any) -> Any:
    """Write a list: structs as rows under their field names, anything else a line each."""
    if not values:
        return "none"
    if not isinstance(values[0], msgspec.Struct):
        return "\n".join(str(cell(value)) for value in values)
    names = values[0].__struct_fields__
    table = Table(*(name.replace("_", " ") for name in names), box=None, pad_edge=False)
    for value in values:
        table.add_row(*(_flat(getattr(value, name)) for name in names))
    return table


def _flat(value: Any) -> str:
    """Write a value inside a row of a table."""
    shown = cell(value)
    return shown if isinstance(shown, str) else str(value)
