"""The doorkeeper: holds every caller to a key, its scopes, its rate and its budget, and locks out who guesses.

Idea:   a caller without a good key learns nothing but that; a refusal is a value with an HTTP status and, where waiting
        helps, how long. Who fails too often, from an address or at a key, is refused unheard for a while: others
        from that address keep what they were let in with.
State:  rates and budgets are counted in this process, from its start; keys come from the facts (`hear`). Several doors
        of one house tell each other what they let pass (`take_passed`, `hear_others`), so that limits hold for all.
Time:   rates on the monotonic clock, expiry and days on UTC.
"""

from collections.abc import Mapping

import msgspec

from tradeworthy.change.access.incidents import Incident, Incidents
from tradeworthy.change.access.keys import Key, id_in, matches
from tradeworthy.core.time import NS_PER_DAY, NS_PER_MINUTE, NS_PER_S, Clock

_NOBODY = "0" * 64
FAILED_MAX = 10_000
"""Wrong credentials that are kept to be passed on."""
BEARER = "bearer "


class DoorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a caller is locked out.

    Attributes
    ----------
    failures_per_key_max : int
        Wrong secrets for one key from one address within a minute, before that pair is locked out.
    failures_per_address_max : int
        Wrong credentials of any kind from one address within a minute, before it is locked out.
    lock_out_s : float
        How long; doubled each time it happens again, up to 64 times.
    bad_requests_per_minute_max : int
        Requests that made no sense, from one caller within a minute, before it is told as probing.
    """

    failures_per_key_max: int = 5
    failures_per_address_max: int = 50
    lock_out_s: float = 30.0
    bad_requests_per_minute_max: int = 100

    def __post_init__(self) -> None:
        """Refuse a door that could not open."""
        for name in ("failures_per_key_max", "failures_per_address_max", "lock_out_s", "bad_requests_per_minute_max"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed is a positive number")


class Passed(msgspec.Struct, frozen=True):
    """What happened at one door, for the others of the same house.

    Attributes
    ----------
    spent : dict of str to (int, int)
        Requests and rows, by key, of keys that have a rate or a budget.
    failed : list of (str, str)
        The address and key (empty for an unknown one) of each wrong credential.
    """

    spent: dict[str, tuple[int, int]] = {}
    failed: list[tuple[str, str]] = []

    def plus(self, other: "Passed") -> "Passed":
        """Return both together."""
        spent = dict(self.spent)
        for key, (requests, rows) in other.spent.items():
            had = spent.get(key, (0, 0))
            spent[key] = had[0] + requests, had[1] + rows
        return Passed(spent, [*self.failed, *other.failed][-FAILED_MAX:])


class Refused(msgspec.Struct, frozen=True):
    """Why a caller was not let in: an HTTP status, words, and after how many seconds it may be worth trying again."""

    status: int
    message: str
    retry_after_s: float = 0.0


class Holder:
    """A key in somebody's hand: what it allows now.

    Attributes
    ----------
    key : Key
        As the facts have it last.
    """

    __slots__ = ("_day", "_filled_ns", "_keeper", "_tokens", "key", "requests_new", "rows_new", "rows_today", "scopes")

    def __init__(self, key: Key, keeper: "Doorkeeper") -> None:
        self.key, self._keeper = key, keeper
        self.scopes = frozenset(key.scopes)
        self._tokens, self._filled_ns = max(1.0, key.rate_per_s or 0.0), keeper.clock.monotonic_ns()
        self._day, self.rows_today = 0, 0
        self.requests_new, self.rows_new = 0, 0  # since others were last told

    @property
    def name(self) -> str:
        """Whom to name in a finding."""
        return f"{self.key.owner} ({self.key.key})"

    def enter(self, scope: str) -> Refused | None:
        """Count one request in a scope, and say why it may not go on."""
        key = self.key
        if key.revoked or key.expires_ns is not None:
            dead = self._keeper.refuse_dead(key)
            if dead is not None:
                return dead
        if scope not in self.scopes:
            allowed = ", ".join(key.scopes)
            return Refused(403, f"this key may not do this: it needs the scope {scope!r}, the key has {allowed}")
        return None if key.rate_per_s is None else self._spend(key.rate_per_s)

    def _spend(self, rate: float) -> Refused | None:
        now_ns = self._keeper.clock.monotonic_ns()
        grown = self._tokens + (now_ns - self._filled_ns) / NS_PER_S * rate
        self._tokens, self._filled_ns = min(max(1.0, rate), grown), now_ns
        if self._tokens < 1.0:
            wait_s = (1.0 - self._tokens) / rate
            return Refused(429, f"too many requests: this key may make {rate:g} a second", wait_s)
        self._tokens -= 1.0
        self.requests_new += 1
        return None

    def spend_elsewhere(self, requests: int, rows: int) -> None:
        """Count what was spent at other doors: it is missing here."""
        self._tokens -= requests
        if rows:
            self._turn_day(self._keeper.clock.now_ns() // NS_PER_DAY)
            self.rows_today += rows

    def used_today(self) -> int:
        """Return how many rows or events of this UTC day's budget are used."""
        return self.rows_today if self._day == self._keeper.clock.now_ns() // NS_PER_DAY else 0

    def take_rows(self, count: int) -> Refused | None:
        """Count rows or events against the day's budget, and say why there are no more."""
        allowed = self.key.rows_per_day
        if allowed is None:
            return None
        now_ns = self._keeper.clock.now_ns()
        day = now_ns // NS_PER_DAY
        self._turn_day(day)
        if self.rows_today + count <= allowed:
            self.rows_today += count
            self.rows_new += count
            return None
        left_ns = (day + 1) * NS_PER_DAY - now_ns
        self._keeper.note("budget", self.name, self.rows_today + count, allowed, "rows a day")
        used = f"{self.rows_today} of {allowed} rows of this UTC day are used"
        return Refused(429, f"the key's budget is used up: {used}, {count} more were asked for", left_ns / NS_PER_S)

    def _turn_day(self, day: int) -> None:
        """Begin a new day's budget."""
        if day != self._day:
            self._day, self.rows_today = day, 0


class _Failures:
    """How often somebody failed lately, and until when that locks them out."""

    __slots__ = ("count", "locks", "since_ns", "until_ns")

    def __init__(self) -> None:
        self.count, self.since_ns, self.until_ns, self.locks = 0, 0, 0, 0

    def add(self, now_ns: int) -> int:
        """Count one, and return how many there are within a minute."""
        if now_ns - self.since_ns > NS_PER_MINUTE:
            self.count, self.since_ns = 0, now_ns
        self.count += 1
        return self.count


class Doorkeeper:
    """Lets callers in.

    Parameters
    ----------
    clock : Clock
    settings : DoorSettings, optional

    Attributes
    ----------
    incidents : Incidents
        What somebody should know of.
    tells_locks : bool
        Note lock-outs; False at a door whose failures are told at another.
    """

    CALLERS_MAX = 10_000

    def __init__(self, clock: Clock, settings: DoorSettings | None = None) -> None:
        self.clock, self.settings = clock, settings or DoorSettings()
        self.incidents, self.tells_locks = Incidents(), True
        self._failed_new: list[tuple[str, str]] = []
        self._holders: dict[str, Holder] = {}
        self._failures: dict[tuple[str, str], _Failures] = {}
        self._bad: dict[tuple[str, str], _Failures] = {}

    def hear(self, keys: Mapping[str, Key]) -> None:
        """Take in the keys as the facts have them now; rates and budgets go on."""
        for name, key in keys.items():
            held = self._holders.get(name)
            if held is None:
                self._holders[name] = Holder(key, self)
            else:
                held.key = key

    def holders(self) -> list[Holder]:
        """Return every key that was heard of."""
        return [*self._holders.values()]

    def take_passed(self) -> Passed:
        """Return what happened here since this was last asked, for the other doors."""
        spent: dict[str, tuple[int, int]] = {}
        for name, holder in self._holders.items():
            if holder.requests_new or holder.rows_new:
                spent[name] = holder.requests_new, holder.rows_new
                holder.requests_new = holder.rows_new = 0
        failed, self._failed_new = self._failed_new, []
        return Passed(spent, failed)

    def today(self) -> Passed:
        """Return what all doors that were heard of used of this day's budgets, for one that opens now."""
        return Passed({name: (0, used) for name, holder in self._holders.items() if (used := holder.used_today())})

    def hear_others(self, passed: Passed) -> None:
        """Count what happened at another door as if it had happened here."""
        for name, (requests, rows) in passed.spent.items():
            if name in self._holders:
                self._holders[name].spend_elsewhere(requests, rows)
        now_ns = self.clock.monotonic_ns()
        for address, name in passed.failed:
            self._count_both(address, name, now_ns)

    def let_in(self, authorization: str, address: str) -> Holder | Refused:
        """Return who holds the secret of an Authorization header.

        Parameters
        ----------
        authorization : str
            The header; empty for none.
        address : str
            Where the caller is.
        """
        secret = authorization[len(BEARER) :].strip() if authorization[: len(BEARER)].lower() == BEARER else ""
        if not secret:
            return Refused(401, "no key: send Authorization: Bearer with a secret of `tradeworthy keys create`")
        name, now_ns = id_in(secret), self.clock.monotonic_ns()
        locked = self._locked((address, name), now_ns) or self._locked((address, ""), now_ns)
        if locked is not None:
            return locked
        holder = self._holders.get(name)
        if not matches(secret, holder.key.digest if holder else _NOBODY) or holder is None:
            return self._failed(address, name if holder else "", now_ns)
        return self.refuse_dead(holder.key) or holder

    def refuse_dead(self, key: Key) -> Refused | None:
        """Refuse a key that is revoked or expired; somebody still has it."""
        if not key.is_over(self.clock.now_ns()):
            return None
        state = "revoked" if key.revoked else "expired"
        self.note("dead key", f"{key.owner} ({key.key})", 1, 0, f"uses of a key that is {state}")
        return Refused(401, f"this key is {state}; ask for another")

    def saw_bad_request(self, who: str) -> None:
        """Count a request that made no sense; many from one caller are told as probing."""
        failures = self._of(self._bad, (who, ""))
        count, allowed = failures.add(self.clock.monotonic_ns()), self.settings.bad_requests_per_minute_max
        if count > allowed:
            self.note("probing", who, count, allowed, "senseless requests a minute")

    def note(self, what: str, who: str, count: float, allowed: float, unit: str) -> None:
        """Note an incident."""
        now_ns = self.clock.now_ns()
        self.incidents.note(
            Incident(
                what=what,
                who=who,
                severity="critical" if what in {"brute force", "dead key"} else "warning",
                count=count,
                allowed=allowed,
                unit=unit,
                since_ns=now_ns,
                now_ns=now_ns,
                sentence=f"{what} by {who}: {count:g} {unit}, allowed are {allowed:g}.",
            )
        )

    def _locked(self, pair: tuple[str, str], now_ns: int) -> Refused | None:
        failures = self._failures.get(pair)
        if failures is None or now_ns >= failures.until_ns:
            return None
        return Refused(429, "locked out: too many wrong credentials", (failures.until_ns - now_ns) / NS_PER_S)

    def _failed(self, address: str, name: str, now_ns: int) -> Refused:
        """Count a wrong credential, and lock out where there were too many."""
        self._count_both(address, name, now_ns)
        if len(self._failed_new) < FAILED_MAX:
            self._failed_new.append((address, name))
        return Refused(401, "this key is not known here")

    def _count_both(self, address: str, name: str, now_ns: int) -> None:
        self._count(address, "", self.settings.failures_per_address_max, now_ns)
        if name:
            self._count(address, name, self.settings.failures_per_key_max, now_ns)

    def _count(self, address: str, name: str, allowed: int, now_ns: int) -> None:
        failures = self._of(self._failures, (address, name))
        count = failures.add(now_ns)
        if count >= allowed:
            failures.until_ns = now_ns + int(self.settings.lock_out_s * NS_PER_S) * 2 ** min(failures.locks, 6)
            failures.locks, failures.count = failures.locks + 1, 0
            if self.tells_locks:
                who = f"{address} at {name or 'any key'}"
                self.note("brute force", who, count, allowed, "wrong credentials a minute")

    def _of(self, known: dict[tuple[str, str], _Failures], who: tuple[str, str]) -> _Failures:
        """Return somebody's failures; where too many are remembered, the oldest are forgotten."""
        if who not in known:
            if len(known) >= self.CALLERS_MAX:
                known.pop(next(iter(known)))
            known[who] = _Failures()
        return known[who]
