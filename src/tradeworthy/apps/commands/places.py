"""Where a deployment keeps what: every path of a project's state, in one place."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """The files and folders of one deployment.

    Attributes
    ----------
    root : Path
        The state folder. Bundles, candidates and gate reports lie directly in it (`change.registry.Registry`).
    heads : Path
        Signed heads of the tape, published outside the state folder, so that whoever rewrites the record inside
        cannot rewrite them too.
    """

    root: Path
    heads: Path

    @classmethod
    def of(cls, project: Path, state: str) -> "Places":
        """Return the places of the project in folder `project`, its state in `state` below it."""
        return cls(root=project / state, heads=project / f"{state}-heads")

    @property
    def tape(self) -> Path:
        """The tape's folder."""
        return self.root / "tape"

    @property
    def ledger(self) -> Path:
        """The ledger's database."""
        return self.root / "ledger.db"

    @property
    def control(self) -> Path:
        """The control block."""
        return self.root / "control"

    @property
    def trust(self) -> Path:
        """Public keys whose signatures count."""
        return self.root / "trust"

    @property
    def author_key(self) -> Path:
        """The key that signs versions."""
        return self.root / "keys" / "author.key"

    @property
    def tape_key(self) -> Path:
        """The key that signs the tape's heads."""
        return self.root / "keys" / "tape.key"

    @property
    def candidate(self) -> Path:
        """The newest candidate that a person trained."""
        return self.root / "candidate"

    @property
    def watcher(self) -> Path:
        """The watcher's own state and its trainings."""
        return self.root / "watcher"

    @property
    def feed(self) -> Path:
        """How the live feed fares."""
        return self.root / "feed"

    @property
    def pages(self) -> Path:
        """Reports for people."""
        return self.root / "pages"

    @property
    def policy_key(self) -> Path:
        """The key that signs what the policy retrains."""
        return self.root / "keys" / "policy.key"

    @property
    def runs(self) -> Path:
        """Summaries of runs."""
        return self.root / "runs"

    @property
    def passwords(self) -> Path:
        """The hashes of people's passwords."""
        return self.root / "access" / "passwords.json"

    @property
    def caption(self) -> Path:
        """What a story that plays on the desk tells at this moment."""
        return self.root / "caption.json"
