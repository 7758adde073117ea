"""A new project: settings, a strategy, market data, a CI workflow, ready for `tradeworthy train`.

Idea:   on somebody's own bars everything is as on the shipped ones, but for what reads another market.
"""

import re
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import msgspec

from tradeworthy.apps.commands.own_bars import NOTIONAL, check_bar_time, read_own_bars
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


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """What a project trades on: its files by their name in `data`, and the words of the templates that depend on it."""

    sources: dict[str, Path]
    words: dict[str, str]
    strategy: str


def init_project(
    folder: Path, *, bars: Path | None = None, symbol: str | None = None, bar_time: str | None = None
) -> Started:
    """Make a project in a new or empty folder.

    Parameters
    ----------
    folder : Path
        New, or empty.
    bars : Path, optional
        Somebody's own bars, CSV or Parquet; the shipped prices of ETH and BTC if left out.
    symbol : str, optional
        What the bars are of; the file's name if left out.
    bar_time : str, optional
        Whether their stamps are opens or closes: ``open`` or ``close``; must be said of own bars.

    Raises
    ------
    SettingsInvalid
        The folder already holds something, `bar_time` is not said of own bars, or something is said of bars that are
        not given.
    NotFound
        There is no such file, or the wheel with the market data is not installed.
    DataInvalid
        The file's columns, stamps or prices cannot be told.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SettingsInvalid(f"{folder} is not empty; name a new folder, or empty this one first")
    if bars is None and (symbol is not None or bar_time is not None):
        raise SettingsInvalid("--symbol and --bar-time say something of your own bars; name their file with --bars")
    market = _shipped() if bars is None else _own(bars, symbol, check_bar_time(bar_time))
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name, source in market.sources.items():
        shutil.copyfile(source, folder / "data" / name)
    words = {"name": folder.resolve().name} | market.words
    (folder / "tradeworthy.toml").write_text(_filled("tradeworthy.toml.tmpl", words), "utf-8")
    (folder / "strategy.py").write_text(market.strategy, "utf-8")
    for name, path in WORKFLOW.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(_template(name), "utf-8")
    (folder / ".gitignore").write_text("desk/\n__pycache__/\n", "utf-8")
    made = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return Started(folder=str(folder), files=made, next=f"cd {folder} && tradeworthy look && tradeworthy train")


def _shipped() -> Market:
    """Trade ETH, and read BTC."""
    words = {
        "market": _template("market_shipped.toml.tmpl"),
        "traded": "ETH",
        "period": "30m",
        "data": "ETH and BTC 30-minute bars, 2017-10 to 2019-10.",
        "order_quantity": "500.0",
        "position_quantity": "250.0",
    }
    sources = {f"{symbol}.csv": data_path(symbol) for symbol in SYMBOLS}
    return Market(sources=sources, words=words, strategy=_template("strategy.py.tmpl"))


def _own(bars: Path, symbol: str | None, bar_time: str) -> Market:
    """Trade what a file holds; no feature reads another market."""
    found = read_own_bars(bars)
    full = NOTIONAL / found.lowest
    words = {
        "traded": _symbol(symbol or bars.name.partition(".")[0]),
        "path": _quoted(f"data/{bars.name}"),
        "period": found.period,
        "bar_time": bar_time,
        "time_unit": found.time_unit,
        "tick": f"{found.tick:.10g}",
        "lot": f"{found.lot:.10g}",
        "columns": "{ " + ", ".join(f"{field} = {_quoted(name)}" for field, name in found.columns.items()) + " }",
        "data": _quoted(f"{bars.name}, {found.span}.")[1:-1],
        "order_quantity": f"{float(f'{4 * full:.2g}'):.10g}",
        "position_quantity": f"{float(f'{2 * full:.2g}'):.10g}",
    }
    lines = [line for line in _template("strategy.py.tmpl").splitlines(keepends=True) if "btc" not in line.lower()]
    market = _filled("market_own.toml.tmpl", words)
    return Market(sources={bars.name: bars}, words=words | {"market": market}, strategy="".join(lines))


def _symbol(word: str) -> str:
    """Return a symbol that settings, features and the command line can all name."""
    if not re.fullmatch(r"[\w./:-]+", word):
        raise SettingsInvalid(f"symbol is {word!r}, allowed are letters, digits and . / : - _; name it with --symbol")
    return word


def _quoted(text: str) -> str:
    """Write text as TOML does."""
    return msgspec.json.encode(text).decode()


def _template(name: str) -> str:
    return files("tradeworthy.apps").joinpath("templates", name).read_text("utf-8")


def _filled(name: str, words: Mapping[str, str]) -> str:
    """Return a template with words in the place of their names in braces."""
    text = _template(name)
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", value)
    return text
