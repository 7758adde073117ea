"""One deployment's settings: the sections of `tradeworthy.toml`, each defined beside the code that it configures.

This module only reads the file and checks how the sections fit together; it defines no section but `[desk]`.
"""

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from tradeworthy.change.release.policy import PolicySettings
from tradeworthy.change.train.training import TrainingSettings
from tradeworthy.core.errors import SettingsInvalid, near
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import Limits
from tradeworthy.judge.monitor.standing import MonitorSettings
from tradeworthy.judge.validate.gate import GateSettings
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.feeds.files import MarketFile
from tradeworthy.live.feeds.rows import RowFile
from tradeworthy.live.venues.paper import PaperSettings
from tradeworthy.model.manifest import Card, Signal
from tradeworthy.record.archive import ArchiveSettings
from tradeworthy.record.syncer import SyncerSettings

FILE_NAME = "tradeworthy.toml"


class DeskSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[desk]` section: what this deployment is called and where it keeps its state.

    Attributes
    ----------
    env : {'paper', 'live'}
        Part of every version's identity: a paper version never reaches a live venue.
    strategy : str
        The Python file that says what to learn; read only when training.
    state : str
        Folder of the tape, the ledger, versions, keys and reports, beside the settings file.
    """

    name: str
    env: Literal["paper", "live"] = "paper"
    strategy: str = "strategy.py"
    state: str = "desk"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of `tradeworthy.toml`."""

    desk: DeskSettings
    instrument: list[Instrument]
    market: list[MarketFile] = []
    rows: list[RowFile] = []
    training: TrainingSettings = TrainingSettings()
    signal: Signal = Signal()
    limits: Limits = Limits()
    bounds: Limits = Limits()
    engine: EngineSettings = EngineSettings()
    paper: PaperSettings = PaperSettings()
    gate: GateSettings = GateSettings()
    monitor: MonitorSettings = MonitorSettings()
    policy: PolicySettings = PolicySettings()
    syncer: SyncerSettings = SyncerSettings()
    archive: ArchiveSettings = ArchiveSettings()
    card: Card = Card()


def load_settings(folder: Path) -> Settings:
    """Read `tradeworthy.toml` in `folder`.

    Raises
    ------
    SettingsInvalid
        The file is missing, is not TOML, or a value does not fit; the message names the key.
    """
    path = folder / FILE_NAME
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        settings = msgspec.convert(data, Settings)
    except FileNotFoundError:
        raise SettingsInvalid(f"no {FILE_NAME} in {folder}; make a project with: tradeworthy init {folder}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path} is not valid TOML: {error}") from None
    except (msgspec.ValidationError, ValueError) as error:
        raise SettingsInvalid(f"{path}: {error}") from None
    _check_symbols(settings)
    return settings


def _check_symbols(settings: Settings) -> None:
    """Refuse market data of instruments that are not declared, and a desk that trades nothing."""
    symbols = [instrument.symbol for instrument in settings.instrument]
    if len(set(symbols)) != len(symbols):
        raise SettingsInvalid(f"[[instrument]] names a symbol twice: {symbols}")
    for market in settings.market:
        if market.instrument not in symbols:
            hint = near(market.instrument, symbols)
            raise SettingsInvalid(f"[[market]] instrument {market.instrument!r} is not declared{hint}; found {symbols}")
    if not any(instrument.traded for instrument in settings.instrument):
        raise SettingsInvalid("no [[instrument]] has traded = true; declare at least one that may be traded")
