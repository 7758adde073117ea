"""``promote``, ``override``, ``override-order``, ``resize``, ``fallback``, ``shadows`` and more: what may act."""

import math
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from tradeworthy.apps.cli.options import HERE, Actor, Folder, Json, Reason, Version, open_project
from tradeworthy.apps.cli.progress import waiting
from tradeworthy.apps.cli.show import console, show
from tradeworthy.change.release.canary import symbols_in

if TYPE_CHECKING:
    from tradeworthy.apps.dashboard.shadowing import ShadowLine

policy = typer.Typer(help="What the policy would have done, before it may do it.", no_args_is_help=True)

Share = Annotated[
    float | None, typer.Option(help="Of a canary: the part of its full size, above 0 and below 1; 0.1 if left out.")
]
Instruments = Annotated[
    str | None, typer.Option(help="Of a canary: the instruments on which it acts in full, such as ETH,BTC; others not.")
]
InstrumentShare = Annotated[
    float | None, typer.Option(help="Of a canary: the part of the instruments on which it acts in full, drawn.")
]


def promote(
    version: Version,
    project: Folder = HERE,
    *,
    to: Annotated[str, typer.Option(help="shadow, canary, champion or retired.")],
    share: Share = None,
    instruments: Instruments = None,
    instrument_share: InstrumentShare = None,
    actor: Actor,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Give a version a role; refused without a passed gate."""
    told = open_project(project).promote(
        version,
        to=to,
        actor=actor,
        reason=reason,
        share=share,
        instruments=None if instruments is None else symbols_in(instruments),
        instrument_share=instrument_share,
    )
    show(told, as_json=as_json)


def override(
    version: Version,
    check: Annotated[str, typer.Argument(help="A check that stops it, such as after_costs.")],
    project: Folder = HERE,
    *,
    until: Annotated[str, typer.Option(help="The last day, such as 2027-01-31 (UTC); within 92 days.")],
    actor: Actor,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Set a check that stops a version aside for a time; it counts once a second person says so."""
    told = open_project(project).override(version, check, until=until, actor=actor, reason=reason)
    show(told, as_json=as_json)


def correct_prior(
    version: Version,
    project: Folder = HERE,
    *,
    since: Annotated[
        str, typer.Option(help="UTC time from which outcomes count; since the latest finding of a changed mix.")
    ] = "",
    actor: Actor,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Make a version's scores right for the recorded mix of classes, as a version of its own that the gate judges."""
    with waiting("joining scores with what came of them"):
        found = open_project(project).correct_prior(version, since=since, actor=actor, reason=reason)
    show(found, as_json=as_json)


def override_order(
    decision: Annotated[int, typer.Argument(help="The decision whose order was refused: its id.")],
    project: Folder = HERE,
    *,
    minutes: Annotated[int, typer.Option(help="For how long, from now; at most a day.")] = 30,
    up_to: Annotated[float | None, typer.Option(help="What the check may reach; what it observed if left out.")] = None,
    actor: Actor,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Let one refused order pass the check that refused it; it counts once a second person of another role says so."""
    desk = open_project(project)
    told = desk.override_order(decision, minutes=minutes, up_to=up_to, actor=actor, reason=reason)
    show(told, as_json=as_json)


def resize(
    share: Annotated[float, typer.Argument(help="0 (flat) to 1 (full size).")],
    project: Folder = HERE,
    *,
    actor: Actor,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Let the acting version take a share of its full size, from the next event on."""
    show(open_project(project).resize(share, actor=actor, reason=reason), as_json=as_json)


def fallback(
    to: Annotated[str, typer.Argument(help="previous, flat, hold, base_rate; none to let the version decide again.")],
    project: Folder = HERE,
    *,
    actor: Actor,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Let the version before, or a rule that needs no model, decide in the champion's place from the next event on."""
    show(open_project(project).fall_back(to, actor=actor, reason=reason), as_json=as_json)


def shadows(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Say how every shadow fares beside the champion: loss, profit, disagreement, reasons, valid at any time."""
    from tradeworthy.apps.dashboard.shadowing import shadows_of  # noqa: PLC0415

    found = shadows_of(open_project(project))
    if as_json:
        show(found, as_json=True)
        return
    if not found.shadows:
        console.print("no shadow was compared yet; tradeworthy promote VERSION --to shadow starts one")
    for line in found.shadows:
        console.print(
            Text.assemble(
                (line.version, "bold"),
                f" ({line.role}) beside {line.champion}, on {line.decisions:,} of at most "
                f"{line.decisions_max:,} labelled decisions",
            ),
            soft_wrap=True,
        )
        console.print(_figures(line))
        console.print(f"so far {line.decided}", soft_wrap=True)


def _figures(line: "ShadowLine") -> Table:
    """Lay out the figures of one shadow."""
    table = Table("figure", "mean", "95% at all times", "decisions", "unit", "better", box=None, pad_edge=False)
    for each in line.figures:
        mean = each.mean
        bounds = "too few yet" if math.isnan(mean.low) else f"{mean.low:+.4g} to {mean.high:+.4g}"
        estimate = "-" if math.isnan(mean.estimate) else f"{mean.estimate:+.4g}"
        table.add_row(each.name, estimate, bounds, f"{mean.n:,}", each.unit, each.better or "-")
    return table


@policy.command("test")
def rehearse(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Say what the settings' policy would have done about every finding so far; nothing is done."""
    told = open_project(project).rehearse()
    if as_json:
        show(told, as_json=True)
        return
    if not told.findings:
        console.print("nothing was found yet, so there is nothing to rehearse")
    for line in told.findings:
        head = f"{line.finding:>5}  {line.time[:16]}  {line.kind} ({line.severity}): "
        console.print(Text.assemble(head, (line.did, "bold" if line.did != "nothing" else "dim")), soft_wrap=True)
        console.print(Text(f"       {line.sentence}", style="dim"), soft_wrap=True)
    for each in told.promotions:
        head = f"{each.number:>5}  {each.time[:16]}  challenger {each.version}: "
        console.print(Text.assemble(head, (each.did, "bold")), soft_wrap=True)
        console.print(Text(f"       with it, since a person let one act: {each.distance}", style="dim"), soft_wrap=True)
