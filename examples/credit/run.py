"""A credit model from its rows to a reason code, in one command: ``python examples/credit/run.py [FOLDER]``.

Flow:   applications (simulated) -> train -> register -> gate -> promote -> run what follows -> findings -> one decision
        explained -> replayed and verified. FOLDER is a new project then, for every command.
"""

import shutil
import sys
from pathlib import Path

import polars as pl

import tradeworthy as tw

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from applicants import applications  # noqa: E402  # beside this file

FILES = ("strategy.py", "tradeworthy.toml", "reasons.toml")


def make_project(folder: Path, frame: pl.DataFrame) -> tw.Project:
    """Write the example's files and some applications into a new folder."""
    folder.mkdir(parents=True)
    for name in FILES:
        shutil.copy(HERE / name, folder)
    frame.write_parquet(folder / "applications.parquet")
    return tw.Project(folder)


def release(project: tw.Project) -> None:
    """Train, register, gate and promote."""
    trained = project.train()
    print(f"trained: AUC {trained.auc:.3f} [{trained.auc_low:.3f}, {trained.auc_high:.3f}] out of fold")
    version = project.register(name="credit", actor="ada").version
    report = project.gate(version, profile="full", actor="ada")
    print(f"gate: {'passed' if report.passed else 'FAILED'}")
    for result in report.results:
        print(f"  {result.verdict:<12} {result.name:<22} {result.measured}")
    if not report.passed:
        sys.exit("nothing is run that the gate refused")
    project.promote(version, to="champion", actor="ada", reason="first")


def main(folder: Path) -> None:
    """Tell the whole story in a new folder."""
    if folder.exists():
        sys.exit(f"{folder} is there already; name a new folder: python examples/credit/run.py FOLDER")
    frame = applications()
    print(f"{len(frame):,} applications, {frame['bad'].mean():.1%} of those whose end is known are bad")
    project = make_project(folder, frame)
    release(project)
    run = project.run()
    print(f"run: {run.decisions:,} decisions, {run.fills} fills")
    for case in project.findings().cases:
        print(f"finding {case.number}, {case.first[:10]} to {case.last[:10]}: {case.sentence}")
        for other in case.others:
            print(f"  with it: {other}")
    print(riskiest(project))
    print(f"replay identical: {project.replay().identical}; record whole: {project.verify().ok}")
    print(f"look at it: tradeworthy findings --project {folder}; tradeworthy report monitoring --project {folder}")


def riskiest(project: tw.Project) -> str:
    """Explain the application with the highest score, in the words of the catalogue."""
    asked = (
        "SELECT d.sequence, i.reference FROM decisions d JOIN inputs i ON i.sequence = d.input_sequence "
        "ORDER BY d.score DESC LIMIT 1"
    )
    decision, application = project.query(asked).rows[0]
    why = project.explain(str(decision))
    codes = [f"  {code.code} {code.text} ({code.contribution:+.2f})" for code in why.codes.codes]
    return "\n".join([f"application {application}, score {why.score:.3f}: {why.said}", *codes])


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "credit-desk"))
