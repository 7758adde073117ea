"""The deployment as the admin process sees it: read from its record, for any number of pages.

Idea:   looking costs the engine nothing, and ten open pages cost what one does: they share one look,
        at most `LOOK_EVERY_S` old.
State:  a follower of the tape and its curves, each behind a lock; handlers run in threads.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from tradeworthy.apps.admin.invitation import Invitation
from tradeworthy.apps.captions import Caption, read_caption
from tradeworthy.apps.commands.project import Project
from tradeworthy.apps.commands.results import Verified
from tradeworthy.apps.dashboard.curves import Curves
from tradeworthy.apps.dashboard.following import Follower, Frame
from tradeworthy.apps.dashboard.insight import Insight, insight_of
from tradeworthy.apps.dashboard.telling import difference
from tradeworthy.apps.deployment.limits import SCOPE, change_limits, chosen, every_scope
from tradeworthy.apps.reports.case_story import CasePage
from tradeworthy.apps.reports.monitored import Told, case_page, told_of
from tradeworthy.change.release.standing import Standing, stand
from tradeworthy.change.watch.findings import Case
from tradeworthy.change.watch.sight import SIGHT, Sight, read_sight
from tradeworthy.core.errors import TradeworthyError
from tradeworthy.core.limits import Limits
from tradeworthy.core.time import NS_PER_S
from tradeworthy.record.ledger import Entry
from tradeworthy.record.reader import Cursor

Made = TypeVar("Made")

LOOK_EVERY_S = 0.25
INSIGHT_EVERY_S = 30.0
"""Groups and reasons are read again after so long: they are of thousands of decisions."""


class Deployment:
    """One project with what pages share.

    Parameters
    ----------
    project : Project
        The deployment's settings and calls.
    invitation : Invitation, optional
        A link that signs one person in.

    Attributes
    ----------
    pieces : (Frame, dict of str to str) or None
        What open pages are sent of one moment, built once for all of them.
    """

    def __init__(self, project: Project, invitation: Invitation | None = None) -> None:
        self.project, self.invitation = project, invitation
        self.people = project.people
        self._lock, self._drawing = threading.Lock(), threading.Lock()
        self._follower, self._curves = Follower(project), Curves(project.settings.instrument)
        self._cursors: dict[str, Cursor] = {}
        self._frame: Frame | None = None
        self.pieces: tuple[Frame, dict[str, str]] | None = None
        self._looked_ns = 0
        self._explaining, self._insight_ns = threading.Lock(), 0
        self._insight: Insight | None = None
        self._reading = threading.Lock()
        self._entries: list[Entry] = []
        self._told: Told | None = None
        self._sight: tuple[int, Sight | None] | None = None
        self._verified: Verified | None = None
        self._kept: dict[str, tuple[tuple[object, ...], Any]] = {}
        self._lately: dict[str, tuple[int, Any]] = {}
        self._bounds: tuple[str, Limits] | None = None
        self.instruments = project.settings.instrument
        self.symbols = [instrument.symbol for instrument in self.instruments]

    def kept(self, name: str, of: tuple[object, ...], make: Callable[[], Made]) -> Made:
        """Return what is made of these very objects; made again only when one of them is another."""
        before = self._kept.get(name)
        if before is None or any(a is not b for a, b in zip(before[0], of, strict=True)):
            before = self._kept[name] = of, make()
        made: Made = before[1]
        return made

    def lately(self, name: str, seconds: float, make: Callable[[], Made]) -> Made:
        """Return what was made within so many seconds; made again when that is longer ago."""
        now_ns, before = self.project.clock.monotonic_ns(), self._lately.get(name)
        if before is None or now_ns - before[0] > seconds * NS_PER_S:
            before = self._lately[name] = now_ns, make()
        made: Made = before[1]
        return made

    def scopes(self) -> tuple[str, ...]:
        """Return what can be halted by itself: everything, each traded instrument, each version at work."""
        traded = (f"instrument:{each.symbol}" for each in self.instruments if each.traded)
        roles = self.standing().roles()
        at_work = (f"version:{digest[:16]}" for digest, role in roles.items() if role != "retired")
        return ("all", *traded, *at_work)

    def caption(self) -> Caption | None:
        """Return what a story that plays on this desk tells now."""
        return read_caption(self.project.places.caption)

    def limits(self, scope: str = SCOPE) -> Limits:
        """Return the limits of a scope, as the facts have them.

        Raises
        ------
        NotFound
            The desk has no such scope.
        """
        return chosen(self.kept("limits", (self.facts(),), lambda: every_scope(self.project)), scope)

    def change_limits(self, wanted: Limits, *, actor: str, reason: str, scope: str = SCOPE) -> str:
        """Change the limits of a scope from the next event on, and say what differs; empty where nothing does."""
        changed = change_limits(self.project, lambda _: wanted, scope=scope, actor=actor, reason=reason)
        return "" if changed.before == wanted else difference(*changed)

    def bounds(self) -> Limits | None:
        """Return the bounds that the champion was validated for; None without a champion."""
        digest = self.standing().champion
        if digest is None:
            return None
        if self._bounds is None or self._bounds[0] != digest:
            self._bounds = digest, self.project.registry.load(digest).manifest.bounds
        return self._bounds[1]

    def facts(self) -> list[Entry]:
        """Return every fact, the oldest first; only those that are new are read."""
        with self._reading:
            fresh = self.project.ledger.facts(after=self._entries[-1].number if self._entries else 0)
            if fresh:
                self._entries = [*self._entries, *fresh]
            return self._entries

    def standing(self) -> Standing:
        """Return where every version stands now; added up again only when the ledger has grown."""
        entries = self.facts()
        return self.kept("standing", (entries,), lambda: stand(entries))

    def cases(self) -> list[Case]:
        """Return every case, the oldest first."""
        return [*self.told().cases.by_number.values()]

    def case_page(self, number: int) -> CasePage:
        """Return one case with what is known of it.

        Raises
        ------
        NotFound
            There is no such case.
        """
        return case_page(self.project, self.told(), number)

    def told(self) -> Told:
        """Return what the facts add up to, case by case; added up again only when the ledger has grown."""
        entries, kept = self.facts(), self._told
        if kept is None or kept.entries is not entries:
            kept = self._told = told_of(entries)
        return kept

    def sight(self) -> Sight | None:
        """Return what each monitor at work sees; None where no watcher has said it. The same until it says more."""
        said = self.project.places.watcher / SIGHT
        stamp = said.stat().st_mtime_ns if said.exists() else 0
        if self._sight is None or self._sight[0] != stamp:
            self._sight = stamp, read_sight(self.project.places.watcher)
        return self._sight[1]

    def insight(self) -> Insight:
        """Return how the champion serves its groups and what it goes by, read at most every `INSIGHT_EVERY_S`.

        Raises
        ------
        NotFound
            There is nothing to say yet.
        """
        with self._explaining:
            now_ns, champion = self.project.clock.monotonic_ns(), self.standing().champion
            kept = self._insight
            stale = kept is None or kept.version != champion or now_ns - self._insight_ns > INSIGHT_EVERY_S * NS_PER_S
            if kept is None or stale:
                kept = self._insight = insight_of(self.project)
                self._insight_ns = now_ns
            return kept

    @property
    def verified(self) -> Verified | None:
        """What the last verification asked for here found; None before the first."""
        return self._verified

    def verify(self) -> Verified:
        """Check every byte of the record."""
        self._verified = self.project.verify()
        return self._verified

    def frame(self) -> Frame:
        """Return the present moment, at most `LOOK_EVERY_S` old."""
        with self._lock:
            now_ns = self.project.clock.monotonic_ns()
            if self._frame is None or now_ns - self._looked_ns > LOOK_EVERY_S * NS_PER_S:
                self._frame = self._follower.frame()
                self._looked_ns = now_ns
            return self._frame

    def read_ahead(self) -> None:
        """Read the record before somebody looks, so that who looks first need not wait for all of a long tape."""
        with suppress(TradeworthyError):  # whoever looks at a record that cannot be read is told so
            self.frame()
            with self.curves():
                pass

    def look_again(self) -> None:
        """Have the next look read the record, however young the last one is: somebody has just changed it."""
        with self._lock:
            self._frame = None

    @contextmanager
    def curves(self) -> Iterator[Curves]:
        """Give the curves up to now, which stay as they are inside the block: nobody else makes them grow."""
        with self._drawing:
            if not self._cursors:
                self.frame()
                self._curves.begin(self._follower.beginning)
                self._cursors = self._follower.cursors()
            takes = {"inputs": self._curves.take, "decisions": self._curves.take_decisions}
            for stream, cursor in self._cursors.items():
                while len(records := cursor.poll()):
                    takes[stream](records)
            yield self._curves
