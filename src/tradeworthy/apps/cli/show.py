"""How a command's result reaches a person or a program: a table, or one JSON document."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tradeworthy.apps.commands.doctor import Examination
    from tradeworthy.apps.commands.results import Look, Status
    from tradeworthy.judge.validate.gate import GateReport

MARKS = {
    "pass": ("✓", "green"),
    "fail": ("✗", "bold red"),
    "missing": ("?", "yellow"),
    "info": ("i", "cyan"),
    "inapplicable": ("-", "dim"),
    "overridden": ("!", "bold yellow"),
}

SHORT = 16

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def show(result: msgspec.Struct, *, as_json: bool) -> None:
    """Print one result: JSON on one line with `as_json`, else its fields as a table."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
        return
    console.print(table_of(result))


def finish(result: msgspec.Struct, *, as_json: bool, good: bool = True) -> None:
    """Print a result and leave with 1 where the answer is no."""
    show(result, as_json=as_json)
    if not good:
        raise typer.Exit(1)


def show_gate(report: "GateReport", *, path: Path, as_json: bool) -> None:
    """Print a gate report: a line a check, what was required where one did not pass, and what to do next."""
    if as_json:
        show(report, as_json=True)
        return
    for result in report.results:
        mark, style = MARKS[result.verdict]
        console.print(Text.assemble((f"{mark} ", style), (result.name, "bold"), f"  {result.measured}"))
        if result.stops:
            console.print(Text(f"    required: {result.requirement}"))
    console.print(f"version {report.version[:SHORT]} {report.outcome}, profile {report.profile}")
    promote = 'then: tradeworthy promote newest --to champion --reason "..."'
    then = promote if report.passed else "mend what it names, then: tradeworthy train"
    console.print(f"read {path.with_suffix('.html')}, {then}", soft_wrap=True, markup=False)


def show_look(found: "Look", *, as_json: bool) -> None:
    """Print what is in each file, a sentence a line."""
    if as_json:
        show(found, as_json=True)
        return
    for file in found.files:
        for number, sentence in enumerate(file.said):
            console.print(Text(f"  {sentence}") if number else Text(sentence, "bold"))
    for rows in found.rows:
        console.print(Text(rows.said))


def show_examination(found: "Examination", *, as_json: bool) -> None:
    """Print a line for each thing looked at, and what to do where one needs mending."""
    if as_json:
        show(found, as_json=True)
        return
    for item in found.items:
        mark, style = MARKS["pass" if item.ok else "fail"]
        console.print(Text.assemble((f"{mark} ", style), (item.name, "bold"), f"  {item.found}"))
        if item.advice:
            console.print(Text(f"    {item.advice}"))
    console.print("healthy" if found.healthy else "something needs mending")


def show_status(found: "Status", *, as_json: bool) -> None:
    """Print where a deployment stands; versions one to a line, by the beginning of their digests."""
    if as_json:
        show(found, as_json=True)
        return
    table = Table("version", "name", "author", "role", "gate", "approved by", box=None, pad_edge=False)
    for info in found.versions:
        words = (info.name, info.author, info.role, info.gate, ", ".join(info.approved_by) or "nobody")
        table.add_row(info.version[:SHORT], *(escape(word) for word in words))
    parts = {name: getattr(found, name) for name in found.__struct_fields__ if name != "versions"}
    shadows = [version[:SHORT] for version in found.shadows]
    parts |= {"champion": _short(found.champion), "previous": _short(found.previous), "shadows": shadows}
    console.print(_grid(parts))
    console.print(table if found.versions else "no version is registered; run: tradeworthy train")


def table_of(result: msgspec.Struct) -> Table:
    """Lay a struct out as name and value; a list of structs becomes a table of its own."""
    return _grid({name: getattr(result, name) for name in result.__struct_fields__})


def _grid(parts: dict[str, Any]) -> Table:
    """Lay out names and values."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in parts.items():
        table.add_row(name.replace("_", " "), cell(value))
    return table


def _short(digest: str | None) -> str:
    return digest[:SHORT] if digest else "none"


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
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")  # a narrow window breaks words, and hides none
    for value in values:
        table.add_row(*(_flat(getattr(value, name)) for name in names))
    return table


def _flat(value: Any) -> str:
    """Write a value inside a row of a table."""
    shown = cell(value)
    return shown if isinstance(shown, str) else str(value)
