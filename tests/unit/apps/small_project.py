"""One small project, taken through its stages once a process; tests get copies that they may spoil."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from tradeworthy.apps.commands.project import Project
from tradeworthy.testing.projects import write_project

ADA, BOB = "ada", "bob"


@cache
def _home() -> Path:
    folder = tempfile.mkdtemp(prefix="small-project-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def _stage(name: str) -> Path:
    """Return a project's folder at a stage, made from the stage before."""
    if name == "fresh":
        return write_project(_home() / name)
    before, step = STAGES[name]
    folder = _home() / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(_stage(before), folder)
    step(Project(folder))
    return folder


def _train(project: Project) -> None:
    project.train()


def _register(project: Project) -> None:
    project.register(name="small", actor=ADA)


def _gate(project: Project) -> None:
    assert project.gate(actor=ADA).passed


def _promote(project: Project) -> None:
    project.promote("newest", to="champion", actor=ADA, reason="first")


def _trade(project: Project) -> None:
    project.run(watch=False)


STAGES = {
    "trained": ("fresh", _train),
    "registered": ("trained", _register),
    "gated": ("registered", _gate),
    "promoted": ("gated", _promote),
    "traded": ("promoted", _trade),
}


def at(name, tmp_path):
    """Return a copy of the project at a stage: fresh, trained, registered, gated, promoted or traded."""
    return Project(shutil.copytree(_stage(name), tmp_path / "small"))


def looked_at(name):
    """Return the project at a stage, for tests that change nothing."""
    return Project(_stage(name))
