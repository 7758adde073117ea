"""Every version of one deployment: bundles on disk, and the ledger's facts about them.

Idea:   a bundle is named by its digest and never changes; what it may do is read from the facts, never from the folder.
Flow:   candidate → bundle written, signed → fact → gate report stored, fact. A step cut off in the middle is repeated
        with the same result: the same candidate gives the same digest.
State:  ``versions/<digest16>/`` bundles, ``candidates/<digest16>/`` how each was trained, ``reports/`` gate reports.
"""

import hashlib
import os
import shutil
from pathlib import Path

import msgspec

from tradeworthy.change.release.standing import Standing, stand
from tradeworthy.change.train.candidate import Candidate, load_candidate, save_candidate
from tradeworthy.core import facts
from tradeworthy.core.decisions import SHORT, version_name
from tradeworthy.core.errors import BundleRefused, NotFound, SettingsInvalid, near
from tradeworthy.core.limits import Limits
from tradeworthy.judge.validate.gate import GateReport
from tradeworthy.model.manifest import Card, Signal
from tradeworthy.model.thresholds import GroupThresholds
from tradeworthy.model.trust import SigningKey, TrustStore
from tradeworthy.model.version import Version, load_version, write_version
from tradeworthy.record.ledger import Ledger

WORDS = ("champion", "previous", "shadow", "newest")


class VersionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a desk adds to a trained model to make it a version."""

    name: str
    signal: Signal = Signal()
    thresholds: GroupThresholds | None = None
    bounds: Limits = Limits()
    card: Card = Card()

    def __post_init__(self) -> None:
        """Refuse a version that nobody could call by its name."""
        if not self.name.strip():
            raise SettingsInvalid("the version has no name; give one with --name")


class VersionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of versions.

    `gate` is ``passed``, ``overridden``, ``failed`` or ``missing``; `distance` is told of a version that a policy let
    act by itself; `waits` of one that good figures do not let act, because such distances have added up to too much.
    """

    version: str
    name: str
    author: str
    env: str
    role: str
    gate: str
    approved_by: list[str]
    parent: str | None
    distance: facts.Distance | None = None
    waits: bool = False


class Registry:
    """Registers, finds and loads versions.

    Parameters
    ----------
    folder : Path
        Where bundles, candidates and reports are kept; made if absent.
    ledger : Ledger
        The deployment's facts.
    trust : TrustStore
        Whose signatures count.
    env : str
        ``paper`` or ``live``; versions of another env are not registered here.
    """

    def __init__(self, folder: Path, *, ledger: Ledger, trust: TrustStore, env: str) -> None:
        self.folder = folder
        self.ledger = ledger
        self.trust = trust
        self.env = env
        for name in ("versions", "candidates", "reports"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def register(
        self, candidate: Candidate, settings: VersionSettings, *, key: SigningKey, author: str, reason: str
    ) -> str:
        """Write, sign and record a version; the same candidate twice is one version.

        Returns
        -------
        str
            The version's digest.

        Raises
        ------
        BundleRefused
            The bundle cannot be loaded back, for example because the key is not trusted here.
        """
        digest = self._store(candidate, settings, key, author)
        version = self.load(digest)
        if digest not in self.standing().registered:
            fact = facts.VersionRegistered(
                version=digest,
                name=settings.name,
                author=author,
                env=self.env,
                parent=version.manifest.lineage.parent,
            )
            self.ledger.append(fact, actor=author, reason=reason)
        return digest

    def record_gate(self, report: GateReport, *, actor: str, reason: str) -> Path:
        """Store a gate report and record what it found; return the report's path."""
        digest = self.resolve(report.version)
        path = self.folder / "reports" / f"{digest[:SHORT]}-{report.created_ns}.json"
        path.write_bytes(report.to_json())
        fact = facts.GateJudged(
            version=digest,
            profile=report.profile,
            passed=report.passed,
            failed_checks=report.failed,
            report_path=str(path.relative_to(self.folder)),
            report_digest=report.digest,
            overridden=report.overridden,
            until_ns=report.until_ns,
        )
        self.ledger.append(fact, actor=actor, reason=reason)
        return path

    def gate_path(self, digest: str) -> Path:
        """Return where the latest gate report of a judged version lies, as JSON; its other formats beside it."""
        return self.folder / self.standing().gates[digest].report_path

    def gate_report(self, version: str) -> bytes:
        """Return the latest gate report of a version, as JSON, checked against its fact.

        Raises
        ------
        NotFound
            The gate never judged the version.
        BundleRefused
            The report is not the one that was recorded.
        """
        digest = self.resolve(version)
        judged = self.standing().gates.get(digest)
        if judged is None or not self.gate_path(digest).is_file():
            raise NotFound(f"no gate report of version {digest[:SHORT]}; run: tradeworthy gate {digest[:SHORT]}")
        path = self.gate_path(digest)
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != judged.report_digest:
            raise BundleRefused(f"{path} is not the gate report that was recorded; judge the version again")
        return data

    def resolve(self, word: str) -> str:
        """Return the digest of an alias, a digest's beginning, or a name (its latest version).

        An alias is a role, or ``newest`` for the version that was registered last.

        Raises
        ------
        NotFound
            Nothing, or more than one version, answers to the word.
        """
        standing = self.standing()
        if word in WORDS:
            return _of_role(standing, word)
        registered = standing.registered
        starting = [digest for digest in registered if word and digest.startswith(word)]
        named = [digest for digest, fact in registered.items() if fact.name == word]
        if len(starting) > 1 and word not in registered:
            raise NotFound(f"{word!r} begins {len(starting)} versions; write more of the digest")
        if starting and named and starting[0] not in named:
            raise NotFound(f"{word!r} is a name, and begins version {starting[0][:SHORT]}; write more of the digest")
        if starting or named:
            return starting[0] if starting else named[-1]
        known = [*WORDS, *(fact.name for fact in registered.values()), *(digest[:SHORT] for digest in registered)]
        raise NotFound(f"no version {word!r}{near(word, known)}; see: tradeworthy status")

    def load(self, which: int | str) -> Version:
        """Verify and load a bundle by its 64-bit number, or by its digest (or its first 16 characters).

        Raises
        ------
        NotFound
            There is no such bundle.
        BundleRefused
            Its bytes are not what was signed, or it belongs to another env.
        """
        digest = version_name(which) if isinstance(which, int) else which
        folder = self.folder / "versions" / digest[:SHORT]
        try:
            version = load_version(folder, self.trust, digest=digest)
        except BundleRefused as error:
            raise BundleRefused(f"version {digest[:SHORT]} in {folder}: {error}") from error
        if version.manifest.env != self.env:
            raise BundleRefused(
                f"version {version.short} is of env {version.manifest.env!r}, this deployment is {self.env!r}; "
                "train and register it here"
            )
        return version

    def candidate(self, version: str) -> Candidate:
        """Return how a registered version was trained."""
        return load_candidate(self.folder / "candidates" / self.resolve(version)[:SHORT])

    def standing(self) -> Standing:
        """Return where every version stands now."""
        return stand(self.ledger.facts())

    def list(self) -> list[VersionInfo]:
        """Return all registered versions, the earliest first."""
        standing = self.standing()
        roles = standing.roles()
        return [
            VersionInfo(
                version=digest,
                name=fact.name,
                author=fact.author,
                env=fact.env,
                role=roles.get(digest, "registered"),
                gate=_gate_word(standing, digest),
                approved_by=[actor for actor, _ in standing.approvals.get(digest, [])],
                parent=fact.parent,
                distance=standing.steps.get(digest),
                waits=digest in standing.frozen,
            )
            for digest, fact in standing.registered.items()
        ]

    def _store(self, candidate: Candidate, settings: VersionSettings, key: SigningKey, author: str) -> str:
        """Write bundle and candidate under the bundle's digest; what is there already stays."""
        fresh = self.folder / "versions" / f".registering-{os.getpid()}"
        shutil.rmtree(fresh, ignore_errors=True)
        digest = write_version(
            fresh,
            name=settings.name,
            created_ns=candidate.created_ns,
            author=author,
            env=self.env,
            program=candidate.program,
            predictor=candidate.predictor,
            profile=candidate.profile,
            golden_rows=candidate.golden_rows,
            key=key,
            label=candidate.label.to_json(),
            signal=settings.signal,
            thresholds=settings.thresholds,
            bounds=settings.bounds,
            lineage=candidate.lineage,
            card=settings.card,
            prior=candidate.prior,
        )
        save_candidate(candidate, self.folder / "candidates" / digest[:SHORT])
        home = self.folder / "versions" / digest[:SHORT]
        if home.exists():
            shutil.rmtree(fresh)
        else:
            fresh.rename(home)
        return digest


def _of_role(standing: Standing, role: str) -> str:
    """Return the version that has a role; the latest shadow, where there are several."""
    if not standing.registered:
        raise NotFound("no version is registered; run: tradeworthy train, then tradeworthy register")
    found = {
        "champion": standing.champion,
        "previous": standing.previous,
        "shadow": standing.shadows[-1] if standing.shadows else None,
        "newest": [*standing.registered][-1],
    }[role]
    if found is None:
        raise NotFound(f"no version is {role}; promote one with: tradeworthy promote VERSION --to {role}")
    return found


def _gate_word(standing: Standing, digest: str) -> str:
    if digest not in standing.gates:
        return "missing"
    judged = standing.gates[digest]
    return "failed" if not judged.passed else "overridden" if judged.overridden else "passed"
