"""One deployment's settings: the sections of `tradeworthy.toml`, each defined beside the code that it configures.

This module only reads the file and checks how the sections fit together; it defines no section but `[desk]`.
"""

import tomllib
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from tradeworthy.apps.server.settings import ServeSettings
from tradeworthy.change.alerts.settings import AlertSettings
from tradeworthy.change.release.canary import require_part
from tradeworthy.change.release.policy import PolicySettings
from tradeworthy.change.train.training import TrainingSettings
from tradeworthy.core.errors import SettingsInvalid, near
from tradeworthy.core.instruments import Instrument
from tradeworthy.core.limits import Limits
from tradeworthy.judge.explain.settings import ExplainSettings
from tradeworthy.judge.monitor.standing import MonitorSettings
from tradeworthy.judge.surveillance import SurveillanceSettings
from tradeworthy.judge.validate.gate import GateSettings
from tradeworthy.live.engine import EngineSettings
from tradeworthy.live.feeds.exchange.settings import FeedSettings
from tradeworthy.live.feeds.files import MarketFile
from tradeworthy.live.feeds.rows import RowFile
from tradeworthy.live.venues.paper import PaperSettings
from tradeworthy.model.manifest import Card, Signal
from tradeworthy.model.thresholds import GroupThresholds
from tradeworthy.record.archive import ArchiveSettings
from tradeworthy.record.syncer import SyncerSettings

FILE_NAME = "tradeworthy.toml"
EVERYTHING = "all"
"""What people call the scope of the whole desk, and so no instrument."""


class DeskSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[desk]` section: what this deployment is called and where it keeps its state.

    Attributes
    ----------
    name : str
        What people call the deployment.
    env : str
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
    feed: FeedSettings = FeedSettings()
    training: TrainingSettings = TrainingSettings()
    signal: Signal = Signal()
    thresholds: GroupThresholds | None = None
    limits: Limits = Limits()
    bounds: Limits = Limits()
    engine: EngineSettings = EngineSettings()
    paper: PaperSettings = PaperSettings()
    gate: GateSettings = GateSettings()
    monitor: MonitorSettings = MonitorSettings()
    explain: ExplainSettings = ExplainSettings()
    surveillance: SurveillanceSettings = SurveillanceSettings()
    policy: PolicySettings = PolicySettings()
    alert: list[AlertSettings] = []
    syncer: SyncerSettings = SyncerSettings()
    archive: ArchiveSettings = ArchiveSettings()
    serve: ServeSettings = ServeSettings()
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
        check_keys(data, Settings)
        settings = msgspec.convert(data, Settings)
    except (FileNotFoundError, NotADirectoryError):
        raise SettingsInvalid(
            f"no {FILE_NAME} in {folder.resolve()}; name a project with --project, or run: tradeworthy init my-desk"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path} is not valid TOML: {error}") from None
    except (msgspec.ValidationError, ValueError, SettingsInvalid) as error:
        raise SettingsInvalid(f"{path}: {error}") from None
    _check_symbols(settings)
    require_part(settings.instrument, settings.policy.canary_instrument_share)
    return _with_columns(settings)


def _with_columns(settings: Settings) -> Settings:
    """Tell fairness what stands in pushed rows, as far as all `[[rows]]` say the same: groups are made of any of it.

    Raises
    ------
    SettingsInvalid
        Files disagree on the words of a column that they share, or fairness on what stands in a place.
    """
    places = zip(*(rows.fields for rows in settings.rows), strict=False)
    columns = tuple(names[0] for names in takewhile(lambda names: len({*names}) == 1, places))
    monitor = settings.monitor
    require_columns(monitor.fairness.columns, columns, "[[rows]]")
    fairness = msgspec.structs.replace(
        monitor.fairness,
        columns=monitor.fairness.columns or columns,
        words=monitor.fairness.words or _words(settings.rows),
    )
    return msgspec.structs.replace(settings, monitor=msgspec.structs.replace(monitor, fairness=fairness))


def require_columns(columns: Sequence[str], fields: Sequence[str], whose: str) -> None:
    """Refuse `[monitor.fairness] columns` that name another field than stands in a place of rows: groups go by place.

    Raises
    ------
    SettingsInvalid
        With the first place in which they differ.
    """
    for place, (column, field) in enumerate(zip(columns, fields, strict=False), 1):
        if column != field:
            raise SettingsInvalid(
                f"[monitor.fairness] columns has {column!r} in place {place}{near(column, fields)}, {whose} has "
                f"{field!r} there; write {list(fields)} in this order, behind them what callers send as groups, or "
                "leave it out"
            )


def _words(files: Sequence[RowFile]) -> dict[str, tuple[str, ...]]:
    """Return the words of every column of text."""
    words: dict[str, tuple[str, ...]] = {}
    for file in files:
        for name, own in file.categories.items():
            if words.setdefault(name, own) != own:
                raise SettingsInvalid(
                    f"[[rows]] {file.path}: categories of {name!r} are {list(own)}, another file has "
                    f"{list(words[name])}; a word is a number on the tape, so write the same words in the same order"
                )
    return words


def check_keys(data: Mapping[str, Any], kind: type[msgspec.Struct], place: str = "") -> None:
    """Refuse a key that a section does not have, or a word that a key does not allow, with the nearest that it does.

    Raises
    ------
    SettingsInvalid
        There is such a key or word.
    """
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in data.items():
        if key not in fields:
            where = f"[{place}] has no key" if place else "there is no section"
            raise SettingsInvalid(f"{where} {key!r}{near(key, fields)}; allowed are {', '.join(fields)}")
        for part in value if isinstance(value, list) else [value]:
            _check_word(part, fields[key], f"[{place}] {key}")
            for section in sections_of(fields[key]):
                if isinstance(part, Mapping) and _is_meant(part, section):
                    told = {name: held for name, held in part.items() if name != section.__struct_config__.tag_field}
                    check_keys(told, section, f"{place}.{key}" if place else key)


def _check_word(value: Any, kind: Any, where: str) -> None:
    """Refuse a word that a field's type does not allow, with the nearest that it does."""
    allowed = words_of(kind)
    if allowed and isinstance(value, str) and value not in allowed:
        raise SettingsInvalid(f"{where} is {value!r}{near(value, allowed)}; allowed are {', '.join(allowed)}")


def sections_of(kind: Any) -> list[type[msgspec.Struct]]:
    """Return the structs that a field's type holds, alone, in a list, or as one of several; none for plain values.

    >>> [section.__name__ for section in sections_of(list[Instrument])]
    ['Instrument']
    """
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return [kind]
    return [section for part in get_args(kind) for section in sections_of(part)]


def words_of(kind: Any) -> list[str]:
    """Return the words that a field's type allows, alone or in a list; none where it allows every text or no text.

    >>> words_of(tuple[Literal["bar", "trade"], ...])
    ['bar', 'trade']
    """
    parts = get_args(kind)
    if get_origin(kind) is Literal:
        return [part for part in parts if isinstance(part, str)]
    return [] if str in parts else [word for part in parts for word in words_of(part)]


def _is_meant(data: Mapping[str, Any], section: type[msgspec.Struct]) -> bool:
    """Tell whether a section of several kinds is of this one."""
    config = section.__struct_config__
    return config.tag_field is None or data.get(config.tag_field) == config.tag


def _check_symbols(settings: Settings) -> None:
    """Refuse market data of instruments that are not declared, and a desk that trades nothing."""
    symbols = [instrument.symbol for instrument in settings.instrument]
    for symbol in symbols:
        if symbol in {"", EVERYTHING} or symbol != symbol.strip():
            raise SettingsInvalid(
                f"[[instrument]] symbol is {symbol!r}, allowed is a word without spaces around it, other than "
                f"{EVERYTHING!r}: that halts the whole desk"
            )
    if len(set(symbols)) != len(symbols):
        raise SettingsInvalid(f"[[instrument]] names a symbol twice: {symbols}")
    named: list[tuple[str, str | None]] = [("[[market]]", file.instrument) for file in settings.market]
    named += [("[[rows]]", file.instrument) for file in settings.rows]
    named += [("[feed] symbols:", symbol) for symbol in settings.feed.symbols]
    named.append(("[training]", settings.training.instrument))
    for section, name in named:
        if name is not None and name not in symbols:
            hint = near(name, symbols)
            raise SettingsInvalid(f"{section} instrument {name!r} is not declared{hint}; declared are {symbols}")
    if not any(instrument.traded for instrument in settings.instrument):
        raise SettingsInvalid("no [[instrument]] has traded = true; declare at least one that may be traded")
