"""The command line: each command is one method of `Project`, its result printed as a table or as JSON.

Exit codes: 0 done; 1 the answer is no (gate not passed, record damaged, replay differs, doctor found a fault);
2 the command could not be carried out, with one line that says what was found, allowed and to do next.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tradeworthy.apps.cli import findings, keys, limits, people, reporting, serving, steering, watching
from tradeworthy.apps.cli.examining import add_to as add_examining
from tradeworthy.apps.cli.explaining import add_to as add_explaining
from tradeworthy.apps.cli.options import HERE, Actor, Folder, Json, Reason, Version
from tradeworthy.apps.cli.options import open_project as _project
from tradeworthy.apps.cli.progress import bar, waiting
from tradeworthy.apps.cli.show import (
    errors,
    finish,
    show,
    show_examination,
    show_gate,
    show_look,
    show_status,
)
from tradeworthy.core.errors import TradeworthyError

app = typer.Typer(
    name="tradeworthy",
    help="Take a trained model to a live market and keep it worthy of trading there.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

ROOMS = {
    "Begin": ("init", "look", "doctor", "demo"),
    "Change: make versions, judge them, release them": (
        *("train", "import", "features", "register", "gate", "override", "approve", "promote", "rollback"),
        *("shadows", "correct-prior", "policy"),
    ),
    "Live: trade, serve, look on, stop": (
        *("run", "serve", "page", "status", "watch", "halt", "resume", "resize", "limits", "fallback"),
        *("override-order",),
    ),
    "Judge: what was found, and why it decided so": ("findings", "calibrate", "explain", "reasons"),
    "Record: prove what happened": (
        *("verify", "replay", "report", "query", "reconcile", "surveil", "stress", "drill", "rescore", "archive"),
    ),
    "People and keys": ("people", "who-can", "keys"),
}
"""Every command by the room of the house that it belongs to, as help shows them."""

Scope = Annotated[str, typer.Option(help="all, a symbol (or instrument:SYMBOL), or version:DIGEST.")]

REFUSED, INTERRUPTED = 2, 130
JOB_SUMMARY = "GITHUB_STEP_SUMMARY"
"""The environment variable in which a CI system names the file of its job's summary."""


def _summarise(written: Sequence[Path], summary: str | None) -> None:
    """Append the Markdown report to the summary of a CI job, if there is one."""
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.writelines(path.read_text("utf-8") for path in written if path.suffix == ".md")


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    *,
    bars: Annotated[Path | None, typer.Option(help="Your own CSV or Parquet file of bars, copied.")] = None,
    symbol: Annotated[str | None, typer.Option(help="What they are of; the file's name if left out.")] = None,
    bar_time: Annotated[str | None, typer.Option(help="Whether their stamps are opens or closes: open, close.")] = None,
    as_json: Json = False,
) -> None:
    """Make a project, ready to train: settings, a strategy, a CI gate; on your own bars or on real ETH prices."""
    from tradeworthy.apps.commands.starting import init_project  # noqa: PLC0415

    finish(init_project(folder, bars=bars, symbol=symbol, bar_time=bar_time), as_json=as_json)


@app.command()
def look(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Look at the market data: span, gaps, duplicates, broken bars, and what was done with each."""
    with waiting("reading the files"):
        result = _project(project).look()
    show_look(result, as_json=as_json)


@app.command()
def train(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Train a candidate: walk-forward folds, then a fit on all of the training part."""
    with bar("compiling") as report:
        result = _project(project).train(report=report)
    finish(result, as_json=as_json)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A pickle, joblib or torch file: these can run code.")],
    *,
    output: Annotated[Path, typer.Option(help="Folder to make, for the model as data.")] = Path("model"),
    features: Annotated[int | None, typer.Option(help="Width of a row, where the model does not say.", min=1)] = None,
    seconds: Annotated[int, typer.Option(help="Time that opening it may take.", min=1, max=3_600)] = 120,
    as_json: Json = False,
) -> None:
    """Open a model file in a confined process, and keep what it holds as trees or ONNX; it is opened nowhere else."""
    from tradeworthy.apps.commands.importing import import_file  # noqa: PLC0415

    with waiting("opening the file where it can do no harm"):
        result = import_file(file, output, features=features, seconds_max=seconds)
    finish(result, as_json=as_json)


@app.command()
def register(
    project: Folder = HERE,
    *,
    name: Annotated[str, typer.Option(help="What people call it; its digest is its identity.")] = "model",
    actor: Actor,
    as_json: Json = False,
) -> None:
    """Sign the newest candidate and store it as a version."""
    with waiting("signing"):
        result = _project(project).register(name=name, actor=actor)
    finish(result, as_json=as_json)


@app.command()
def gate(
    version: Version = "newest",
    project: Folder = HERE,
    *,
    profile: Annotated[str, typer.Option(help="How much evidence: quick or full.")] = "quick",
    ci: Annotated[
        Path | None,
        typer.Option(help="Also write gate.json, .xml (JUnit), .md and .html into this folder, and the job's summary."),
    ] = None,
    actor: Actor,
    as_json: Json = False,
) -> None:
    """Judge a version; exit code 1 unless every check passes."""
    with bar("reading the history") as report:
        desk = _project(project)
        result = desk.gate(version, profile=profile, actor=actor, report=report)
    if ci is not None:
        _summarise(desk.write_gate(result, ci), os.environ.get(JOB_SUMMARY))
    show_gate(result, path=desk.registry.gate_path(result.version), as_json=as_json)
    if not result.passed:
        raise typer.Exit(1)


@app.command()
def features(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Try the strategy's features: they compile, look back only, and step within the budget; exit code 1 if not."""
    with waiting("compiling and trying features"):
        result = _project(project).check_features()
    finish(result, as_json=as_json, good=result.ok)


@app.command()
def approve(version: Version, project: Folder = HERE, *, actor: Actor, reason: Reason, as_json: Json = False) -> None:
    """Approve a version for this environment; an approver is never its author."""
    finish(_project(project).approve(version, actor=actor, reason=reason), as_json=as_json)


@app.command()
def rollback(project: Folder = HERE, *, actor: Actor, reason: Reason, as_json: Json = False) -> None:
    """Put the previous champion back; it decides the next event."""
    finish(_project(project).rollback(actor=actor, reason=reason), as_json=as_json)


@app.command()
def halt(
    project: Folder = HERE,
    *,
    scope: Scope = "all",
    actor: Actor,
    reason: Reason = "from the command line",
    as_json: Json = False,
) -> None:
    """Refuse every order from the next event on; needs no server and no network."""
    finish(_project(project).halt(scope, actor=actor, reason=reason), as_json=as_json)


@app.command()
def resume(
    project: Folder = HERE,
    *,
    scope: Scope = "all",
    actor: Actor,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Allow orders again, and release the repeated-execution latch."""
    finish(_project(project).resume(scope, actor=actor, reason=reason), as_json=as_json)


@app.command()
def run(
    project: Folder = HERE,
    *,
    speed: Annotated[float | None, typer.Option(help="Events a second; as fast as possible if left out.")] = None,
    watch: Annotated[bool, typer.Option(help="Run the watcher beside the engine.")] = True,
    wait: Annotated[bool, typer.Option(help="At the files' end, wait for what is judged or retrained.")] = True,
    page: Annotated[str | None, typer.Option(help="Serve the page beside it; its link signs this person in.")] = None,
    port: serving.PortBeside = None,
    as_json: Json = False,
) -> None:
    """Trade on the paper venue: the market files that follow the training part, or the live market of `[feed]`."""
    opened = _project(project)
    with people.beside(opened, page), bar("getting ready") as report:
        result = opened.run(speed=speed, watch=watch, wait=wait, report=report, beside=serving.beside(opened, port))
    finish(result, as_json=as_json)


@app.command()
def replay(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Decide every recorded event again and compare, bit for bit; exit code 1 where one differs."""
    with waiting("replaying the tape"):
        result = _project(project).replay()
    finish(result, as_json=as_json, good=result.identical)


@app.command()
def verify(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Check every byte of the tape, the ledger's chain and all signatures; exit code 1 on damage."""
    with waiting("verifying the record"):
        result = _project(project).verify()
    finish(result, as_json=as_json, good=result.ok)


@app.command()
def archive(
    project: Folder = HERE,
    *,
    hold: Annotated[str | None, typer.Option(help="Only place a legal hold of this name on everything.")] = None,
    lift: Annotated[str | None, typer.Option(help="Only lift the legal hold of this name.")] = None,
    actor: Actor,
    reason: Annotated[str, typer.Option("--reason", help="Why; recorded.")] = "storage policy",
    as_json: Json = False,
) -> None:
    """Move sealed segments into the archive, delete what is past its days; exit code 1 on damage."""
    from tradeworthy.record.retention import Hold  # noqa: PLC0415

    desk = _project(project)
    if hold is not None or lift is not None:
        if hold is not None:
            finish(desk.hold(Hold(name=hold), actor=actor, reason=reason), as_json=as_json)
        if lift is not None:
            finish(desk.lift_hold(lift, actor=actor, reason=reason), as_json=as_json)
        return
    with waiting("archiving"):
        result = desk.archive(actor=actor, reason=reason)
    finish(result, as_json=as_json, good=not result.problems)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One query, such as: SELECT * FROM pnl_by_hour")],
    project: Folder = HERE,
    *,
    rows: Annotated[int, typer.Option(help="Rows shown at most.", min=1)] = 1_000,
    as_json: Json = False,
) -> None:
    """Ask tape, archive and ledger in SQL; SHOW TABLES lists what there is. Nothing can be changed."""
    answer = _project(project).query(sql, rows_max=rows)
    if as_json:
        show(answer, as_json=True)
        return
    from tradeworthy.apps.cli.answers import show_answer  # noqa: PLC0415

    show_answer(answer)


@app.command()
def status(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Say what runs, which versions have which role, and what was found."""
    show_status(_project(project).status(), as_json=as_json)


@app.command()
def doctor(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Check this machine and this project, and say what to mend."""
    from tradeworthy.apps.commands.doctor import examine  # noqa: PLC0415

    result = examine(project)
    show_examination(result, as_json=as_json)
    if not result.healthy:
        raise typer.Exit(1)


@app.command()
def demo(
    *,
    exit_: Annotated[bool, typer.Option("--exit", help="End by itself when the story is told.")] = False,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the summary to this file.")] = None,
    speed: Annotated[
        float, typer.Option(help="At 1 events take 10 s, at 2 half of it; what trains is waited for.")
    ] = 1.0,
    folder: Annotated[Path, typer.Option(help="Where the demo's project goes; made anew.")] = Path("demo"),
) -> None:
    """Tell the whole story on real ETH prices: train, gate, trade, drift, retrain, harm, roll back, verify."""
    from tradeworthy.apps.demo.story import tell  # noqa: PLC0415

    tell(folder, speed=speed, stay=not exit_, summary_path=json_path)


app.command()(serving.serve)
add_explaining(app)
add_examining(app)
app.command()(serving.rescore)
watching.add_to(app)
app.add_typer(findings.app, name="findings")
app.add_typer(keys.app, name="keys")
app.add_typer(limits.app, name="limits")
app.add_typer(people.app, name="people")
app.command("who-can")(people.who_can)
app.command("page")(people.page)
app.command("override")(steering.override)
app.command("override-order")(steering.override_order)
app.command("promote")(steering.promote)
app.command("correct-prior")(steering.correct_prior)
app.command("resize")(steering.resize)
app.command("fallback")(steering.fallback)
app.command("report")(reporting.report)
app.command("shadows")(steering.shadows)
app.add_typer(steering.policy, name="policy")


def _put_into_rooms() -> None:
    """Order the commands as `ROOMS` does; one that stands in no room is a mistake that stops every test."""
    rooms = {name: room for room, names in ROOMS.items() for name in names}
    for command in app.registered_commands:
        name = command.name = command.name or str(getattr(command.callback, "__name__", ""))
        command.rich_help_panel = rooms[name]
    for group in app.registered_groups:
        group.rich_help_panel = rooms[str(group.name)]
    app.registered_commands.sort(key=lambda command: list(rooms).index(str(command.name)))


_put_into_rooms()


def run_command_line(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code; what a person can mend becomes one line and exit code 2.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after ``tradeworthy``; the process's own if left out.
    """
    try:
        code = app(arguments, prog_name="tradeworthy", standalone_mode=False)
    except TradeworthyError as error:
        _refuse(type(error).__name__, str(error))
    except typer.TyperException as error:
        if not error.format_message():  # a group without a command: its help was printed, and says it all
            sys.exit(REFUSED)
        _refuse("Usage", _usage(error))
    except OSError as error:
        _refuse(type(error).__name__, f"{error.filename or 'a file'}: {error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        errors.print("interrupted")
        sys.exit(INTERRUPTED)
    sys.exit(code or 0)


def _refuse(kind: str, message: str) -> None:
    """Say on one line why the command could not be carried out, and leave with 2."""
    errors.print(f"error  {kind}: {' '.join(message.split())}")
    sys.exit(REFUSED)


def _usage(error: typer.TyperException) -> str:
    """Return what is wrong with the words given, and where help is."""
    context = getattr(error, "ctx", None)
    return f"{error.format_message().rstrip('.')}; see: {context.command_path if context else 'tradeworthy'} --help"
