"""A new project: settings, a strategy, real market data, a CI workflow, ready for `tradeworthy train`."""

import shutil
from importlib.resources import files
from pathlib import Path

import msgspec

from tradeworthy.core.errors import SettingsInvalid
from tradeworthy.live.feeds.crypto import data_path

SYMBOLS = ("ETH", "BTC")
WORKFLOW = {"gate.yml.tmpl": ".github/workflows/gate.yml", "pre-commit-config.yaml.tmpl": ".pre-commit-config.yaml"}
"""What runs the gate for people: on a pull request, and before a commit."""


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """What `init` made, and what to type next."""

    folder: str
    files: list[str]
    next: str


def init_project(folder: Path) -> Started:
    """Make a project in a new or empty folder.

    Raises
    ------
    SettingsInvalid
        The folder already holds something.
    NotFound
        The wheel with the market data is not installed.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SettingsInvalid(f"{folder} is not empty; name a new folder, or empty this one first")
    sources = {symbol: data_path(symbol) for symbol in SYMBOLS}
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for symbol, source in sources.items():
        shutil.copyfile(source, folder / "data" / f"{symbol}.csv")
    for name in ("tradeworthy.toml", "strategy.py"):
        text = files("tradeworthy.apps").joinpath("templates", f"{name}.tmpl").read_text("utf-8")
        (folder / name).write_text(text.replace("{name}", folder.resolve().name), "utf-8")
    for name, path in WORKFLOW.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(files("tradeworthy.apps").joinpath("templates", name).read_text("utf-8"), "utf-8")
    (folder / ".gitignore").write_text("desk/\n__pycache__/\n", "utf-8")
    made = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return Started(folder=str(folder), files=made, next=f"cd {folder} && tradeworthy train")
