"""The command line: each command is one method of `Project`, its result printed as a table or as JSON.

Exit codes: 0 done; 1 the answer is no (gate not passed, record damaged, replay differs, doctor found a fault);
2 the command could not be carried out, with one line that says what was found, allowed and to do next.
"""

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from tradeworthy.apps.cli.show import console, errors, show, show_explanation, show_gate
from tradeworthy.core.errors import TradeworthyError

if TYPE_CHECKING:
    from tradeworthy.apps.project import Project

app = typer.Typer(
    name="tradeworthy",
    help="Take a trained model to a live market and keep it worthy of trading there.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

Folder = Annotated[Path, typer.Option("--project", "-p", help="Folder of tradeworthy.toml.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Actor = Annotated[str, typer.Option("--actor", help="Who does it; recorded.", default_factory=getpass.getuser)]
Reason = Annotated[str, typer.Option("--reason", help="Why; recorded.")]
Version = Annotated[str, typer.Argument(help="Digest (or its beginning), or champion, shadow, newest.")]

HERE = Path()


def _project(folder: Path) -> "Project":
    """Open the project; imported late so that --help answers at once."""
    from tradeworthy.apps.project import Project  # noqa: PLC0415

    return Project(folder)


def _finish(result: msgspec.Struct, *, as_json: bool, good: bool = True) -> None:
    """Print a result and leave with 1 where the answer is no."""
    show(result, as_json=as_json)
    if not good:
        raise typer.Exit(1)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Folder to make.")], *, as_json: Json = False) -> None:
    """Make a project: settings, a strategy, keys; ready to train on real market data."""
    from tradeworthy.apps.starting import init_project  # noqa: PLC0415

    _finish(init_project(folder), as_json=as_json)


@app.command()
def look(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Look at the market data: span, gaps, duplicates, broken bars, and what was done with each."""
    _finish(_project(project).look(), as_json=as_json)


@app.command()
def train(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Train a candidate: walk-forward folds, then a fit on all of the training part."""
    with console.status("training: walk-forward folds, then the final fit"):
        result = _project(project).train()
    _finish(result, as_json=as_json)


@app.command()
def register(project: Folder = HERE, *, name: str = "model", actor: Actor, as_json: Json = False) -> None:
    """Sign the newest candidate and store it as a version."""
    _finish(_project(project).register(name=name, actor=actor), as_json=as_json)


@app.command()
def gate(
    version: Version = "newest", project: Folder = HERE, *, profile: str = "quick", actor: Actor, as_json: Json = False
) -> None:
    """Judge a version; exit code 1 unless every check passes."""
    with console.status("gathering evidence and judging it"):
        result = _project(project).gate(version, profile=profile, actor=actor)
    show_gate(result, as_json=as_json)
    if not result.passed:
        raise typer.Exit(1)


@app.command()
def approve(version: Version, project: Folder = HERE, *, actor: Actor, reason: Reason, as_json: Json = False) -> None:
    """Approve a version for this environment; an approver is never its author."""
    _finish(_project(project).approve(version, actor=actor, reason=reason), as_json=as_json)


@app.command()
def promote(
    version: Version,
    project: Folder = HERE,
    *,
    to: Annotated[str, typer.Option(help="shadow or champion.")],
    actor: Actor,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Give a version a role; refused without a passed gate."""
    _finish(_project(project).promote(version, to=to, actor=actor, reason=reason), as_json=as_json)


@app.command()
def rollback(project: Folder = HERE, *, actor: Actor, reason: Reason, as_json: Json = False) -> None:
    """Put the previous champion back; it decides the next event."""
    _finish(_project(project).rollback(actor=actor, reason=reason), as_json=as_json)


@app.command()
def halt(
    project: Folder = HERE,
    *,
    scope: Annotated[str, typer.Option(help="all, or an instrument's symbol.")] = "all",
    actor: Actor,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Refuse every order from the next event on; needs no server and no network."""
    _finish(_project(project).halt(scope, actor=actor, reason=reason), as_json=as_json)


@app.command()
def resume(
    project: Folder = HERE,
    *,
    scope: Annotated[str, typer.Option(help="all, or an instrument's symbol.")] = "all",
    actor: Actor,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Allow orders again, and release the repeated-execution latch."""
    _finish(_project(project).resume(scope, actor=actor, reason=reason), as_json=as_json)


@app.command()
def run(
    project: Folder = HERE,
    *,
    speed: Annotated[float | None, typer.Option(help="Events a second; as fast as possible if left out.")] = None,
    watch: Annotated[bool, typer.Option(help="Run the watcher beside the engine.")] = True,
    as_json: Json = False,
) -> None:
    """Trade the market files that follow the training part, on the paper venue."""
    with console.status("trading"):
        result = _project(project).run(speed=speed, watch=watch)
    _finish(result, as_json=as_json)


@app.command()
def replay(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Decide every recorded event again and compare, bit for bit; exit code 1 where one differs."""
    with console.status("replaying the tape"):
        result = _project(project).replay()
    _finish(result, as_json=as_json, good=result.identical)


@app.command()
def explain(
    decision: Annotated[str, typer.Argument(help="Tape sequence of a decision, a UTC time, or largest.")],
    project: Folder = HERE,
    *,
    as_json: Json = False,
) -> None:
    """Say why a decision was made: exact contributions that sum to the score."""
    show_explanation(_project(project).explain(decision), as_json=as_json)


@app.command()
def report(project: Folder = HERE, *, output: Path | None = None, as_json: Json = False) -> None:
    """Write one HTML file with what happened, charts included."""
    _finish(_project(project).report(output), as_json=as_json)


@app.command()
def verify(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Check every byte of the tape, the ledger's chain and all signatures; exit code 1 on damage."""
    with console.status("verifying the record"):
        result = _project(project).verify()
    _finish(result, as_json=as_json, good=result.ok)


@app.command()
def status(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Say what runs, which versions have which role, and what was found."""
    _finish(_project(project).status(), as_json=as_json)


@app.command()
def doctor(project: Folder = HERE, *, as_json: Json = False) -> None:
    """Check this machine and this project, and say what to mend."""
    from tradeworthy.apps.doctor import examine  # noqa: PLC0415

    result = examine(project)
    _finish(result, as_json=as_json, good=result.healthy)


@app.command()
def demo(
    *,
    exit_: Annotated[bool, typer.Option("--exit", help="End by itself when the story is told.")] = False,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the summary to this file.")] = None,
    speed: Annotated[float, typer.Option(help="1 tells the live part in about 25 s; 2 in half of it.")] = 1.0,
    folder: Annotated[Path, typer.Option(help="Where the demo's project goes; made anew.")] = Path("demo"),
) -> None:
    """Tell the whole story on real ETH prices: train, gate, trade, watch, retrain, roll back, explain, verify."""
    from tradeworthy.apps.demo import tell  # noqa: PLC0415

    tell(folder, speed=speed, stay=not exit_, summary_path=json_path)


def run_command_line() -> None:
    """Run one command; operating errors become one line and exit code 2."""
    try:
        app()
    except TradeworthyError as error:
        errors.print(f"error  {type(error).__name__}: {error}")
        sys.exit(2)
