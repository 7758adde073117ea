"""Bad candidates whose fault is in the artifact: the gate refuses each by the right check, and runs none of them."""

import json
import shutil

import msgspec
import pytest
from change_desk import EVERY_LIMIT, INSTRUMENTS, START_NS, desk, market, trained

from tradeworthy.change.evidence.gather import gather
from tradeworthy.change.registry import Registry
from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.validate.artifact import Artifact
from tradeworthy.judge.validate.gate import judge
from tradeworthy.judge.validate.performance import Performance
from tradeworthy.model.bundle import MANIFEST_FILE, SIGNATURE_FILE, write_folder
from tradeworthy.model.manifest import Manifest, digest_of
from tradeworthy.model.trust import SigningKey, TrustStore


@pytest.fixture
def home(tmp_path):
    """A paper deployment."""
    made = desk(tmp_path / "desk")
    yield made
    made.close()


def bundle_of(home, digest):
    """Return a version's folder."""
    return home.folder / "versions" / digest[:16]


def judged(home, digest, registry=None):
    """Gather and judge; return the verdicts by name, and why the artifact was refused."""
    evidence = gather(
        registry or home.registry, digest, instruments=INSTRUMENTS, limits=EVERY_LIMIT, events=market(300)
    )
    report = judge(evidence, clock=VirtualClock(START_NS))
    assert not report.passed
    assert evidence.part(Performance) is None, "nothing of a refused bundle was run or read"
    return {result.name: result.verdict for result in report.results}, evidence.part(Artifact).refusal


def resigned(home, digest, change):
    """Let an insider change a bundle's files and sign them again, in the folder of the old name."""
    folder = bundle_of(home, digest)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    manifest = Manifest.from_bytes(files.pop(MANIFEST_FILE))
    del files[SIGNATURE_FILE]
    change(files)
    hashes = {name: digest_of(data) for name, data in files.items()}
    shutil.rmtree(folder)
    write_folder(folder, msgspec.structs.replace(manifest, files=hashes), files, home.key)


def test_bad_candidate_unsigned_is_refused(home):
    """Without a signature nothing of a bundle is believed."""
    digest = home.registered()
    (bundle_of(home, digest) / SIGNATURE_FILE).unlink()
    verdicts, why = judged(home, digest)
    assert verdicts["artifact_safety"] == verdicts["manifest_complete"] == "fail"
    assert SIGNATURE_FILE in why


def test_bad_candidate_signed_by_a_stranger_is_refused(home, tmp_path):
    """A perfect signature of somebody whom this desk does not know is no signature."""
    digest = home.registered()
    store = TrustStore(tmp_path / "others")
    store.add(SigningKey.create(tmp_path / "stranger.key", "stranger").public)
    verdicts, why = judged(home, digest, Registry(home.folder, ledger=home.ledger, trust=store, env="paper"))
    assert verdicts["artifact_safety"] == "fail"
    assert "not trusted" in why


@pytest.mark.parametrize("name", ["trees.npz", "program.json", "profile.npz", "golden.npz", MANIFEST_FILE])
def test_bad_candidate_tampered_is_refused(home, name):
    """One changed byte, in whichever file, is found before that file is parsed."""
    digest = home.registered()
    path = bundle_of(home, digest) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    verdicts, why = judged(home, digest)
    assert verdicts["artifact_safety"] == "fail"
    assert "a byte changed" in why


def test_bad_candidate_with_anothers_manifest_is_refused(home):
    """A manifest that was signed for another version does not speak for this one."""
    one, other = home.registered(1), home.registered(2)
    for name in (MANIFEST_FILE, SIGNATURE_FILE):
        shutil.copy(bundle_of(home, other) / name, bundle_of(home, one) / name)
    verdicts, why = judged(home, one)
    assert verdicts["artifact_safety"] == "fail"
    assert other[:8] in why or "asked for" in why


def test_bad_candidate_with_a_pickle_inside_is_refused(home):
    """Even a trusted insider cannot put a pickle into a bundle: no format of ours holds one."""
    digest = home.registered()
    resigned(home, digest, lambda files: files.update({"trees.npz": b"\x80\x04cos\nsystem\n(S'true'\ntR."}))
    verdicts, _ = judged(home, digest)
    assert verdicts["artifact_safety"] == "fail"


def test_bad_candidate_with_one_more_file_is_refused(home):
    """A file that the manifest does not name has no business in a bundle."""
    digest = home.registered()
    (bundle_of(home, digest) / "hook.py").write_text("print('hello')")
    verdicts, why = judged(home, digest)
    assert verdicts["artifact_safety"] == "fail"
    assert "hook.py" in why


def test_a_manifest_names_the_library_and_its_version(home):
    """What trained a version, and which release of it, can be read from its manifest; the gate asks for it."""
    digest = home.registered()
    told = json.loads((bundle_of(home, digest) / MANIFEST_FILE).read_bytes())["lineage"]["parameters"]
    assert told["library"] == "lightgbm"
    assert told["library_version"][0].isdigit()
    evidence = gather(home.registry, digest, instruments=INSTRUMENTS, limits=EVERY_LIMIT, events=market(300))
    assert evidence.part(Artifact).lacking == []
    assert evidence.part(Artifact).bytes_total > 500
    assert trained().lineage.parameters["library"] == "lightgbm"
