"""A project, opened: the parts of a deployment in a folder, each made when first asked for.

Idea:   `Project` adds what can be done with it; what has no need of commands takes this.
State:  none but what is on disk.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tradeworthy.apps.commands.places import Places
from tradeworthy.apps.commands.settings import load_settings
from tradeworthy.change.registry import Registry, VersionSettings
from tradeworthy.change.release.release import Release
from tradeworthy.core.errors import NotFound
from tradeworthy.core.events import EventBatch
from tradeworthy.core.time import Clock, SystemClock, iso
from tradeworthy.live.control import ControlBlock
from tradeworthy.live.feeds.quality import FileReport
from tradeworthy.live.feeds.rows import read_events
from tradeworthy.model.trust import TrustStore
from tradeworthy.record.ledger import Ledger

if TYPE_CHECKING:
    from tradeworthy.change.access.people import People


class Opened:
    """A deployment in a folder: what it is made of, opened when first asked for.

    Parameters
    ----------
    folder : str or Path
        Where `tradeworthy.toml` is.
    clock : Clock, optional
        The machine's, if left out.

    Raises
    ------
    SettingsInvalid
        The settings are missing or do not fit.
    """

    def __init__(self, folder: str | Path = ".", *, clock: Clock | None = None) -> None:
        self.folder = Path(folder)
        self.settings = load_settings(self.folder)
        self.clock = clock or SystemClock()
        self.places = Places.of(self.folder, self.settings.desk.state)
        self.places.root.mkdir(parents=True, exist_ok=True)

    @property
    def env(self) -> str:
        """``paper`` or ``live``."""
        return self.settings.desk.env

    @cached_property
    def ledger(self) -> Ledger:
        """The deployment's facts."""
        return Ledger(self.places.ledger, clock=self.clock)

    @cached_property
    def trust(self) -> TrustStore:
        """Whose signatures count here."""
        return TrustStore(self.places.trust)

    @cached_property
    def registry(self) -> Registry:
        """Every version of the deployment."""
        return Registry(self.places.root, ledger=self.ledger, trust=self.trust, env=self.env)

    @cached_property
    def control(self) -> ControlBlock:
        """The words that the running engine reads."""
        return ControlBlock(self.places.control)

    @cached_property
    def people(self) -> "People":
        """Who may sign in, and with which roles."""
        try:
            from tradeworthy.change.access.people import People  # noqa: PLC0415  # an optional package
        except ImportError as error:
            raise NotFound("people need further packages: pip install 'tradeworthy[page]'") from error

        return People(self.ledger, self.places.passwords, clock=self.clock)

    @property
    def release(self) -> Release:
        """The steps that change what the engine does."""
        return Release(self.registry, self.control, self.settings.instrument)

    @cached_property
    def market(self) -> tuple[EventBatch, list[FileReport]]:
        """All declared market data, merged in the order of event time, and what was found in it."""
        settings = self.settings
        return read_events(settings.market, settings.rows, settings.instrument, folder=self.folder)

    @property
    def training_end_ns(self) -> int:
        """The event time up to which is trained; what follows is traded."""
        events, _ = self.market
        traded = [n for n, instrument in enumerate(self.settings.instrument) if instrument.traded]
        stamps = events["ts_event_ns"][np.isin(events["instrument"], traded)]
        return int(stamps[max(int(len(stamps) * self.settings.training.share) - 1, 0)])

    def history(self) -> EventBatch:
        """Return the events of the training part."""
        events, _ = self.market
        return events[events["ts_event_ns"] <= self.training_end_ns]

    def version_settings(self, name: str) -> VersionSettings:
        """Return what this desk adds to a trained model: thresholds, bounds and the card."""
        settings = self.settings
        return VersionSettings(
            name=name,
            signal=settings.signal,
            thresholds=settings.thresholds,
            bounds=settings.bounds,
            card=settings.card,
        )

    def resolve(self, word: str) -> str:
        """Return the digest of a version; see `Registry.resolve`."""
        return self.registry.resolve(word)

    def _scope(self, word: str) -> str:
        """Return a scope's full name; people in a hurry write the symbol alone."""
        symbols = [instrument.symbol for instrument in self.settings.instrument]
        return f"instrument:{word}" if word in symbols else word

    def timestamp(self) -> str:
        """Return this moment as text, for file names and captions."""
        return iso(self.clock.now_ns())
