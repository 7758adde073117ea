"""Is everything what it was? The tape, the ledger's chain, every version's signature, in one answer."""

from typing import TYPE_CHECKING

from tradeworthy.apps.commands.results import Verified
from tradeworthy.apps.deployment.keeping import recorded
from tradeworthy.core.errors import TradeworthyError
from tradeworthy.record.verify import verify

if TYPE_CHECKING:
    from tradeworthy.apps.commands.project import Project


def verify_project(project: "Project") -> Verified:
    """Check a whole deployment; damage is listed, never raised.

    Raises
    ------
    NotFound
        Nothing was recorded yet.
    """
    heads = project.places.heads
    keys = {key_id: bytes.fromhex(project.trust.find(key_id).key) for key_id in project.trust.key_ids()}
    tape = verify(recorded(project).folder, heads=heads if heads.is_dir() else None, public_keys=keys)
    problems = [str(problem) for problem in tape.problems]
    problems += [f"ledger: {problem}" for problem in project.ledger.verify()]
    versions = project.registry.list()
    for info in versions:
        try:
            project.registry.load(info.version)
        except TradeworthyError as error:
            problems.append(f"version {info.version[:16]}: {error}")
    return Verified(
        ok=not problems,
        records=tape.records,
        size_bytes=tape.bytes,
        facts=len(project.ledger.facts()),
        versions=len(versions),
        problems=problems,
        notes=list(tape.notes),
    )
