"""Bad candidates whose fault is in the artifact: the gate refuses each by the right check, and runs none of them."""

import json
import shutil

import msgspec
import numpy as np
import pytest
from change_desk import EVERY_LIMIT, INSTRUMENTS, START_NS, STRATEGY, desk, market, trained
from gate_candidates import candidate, register
from onnx import TensorProto, helper

from tradeworthy.change.evidence.gather import gather
from tradeworthy.change.registry import Registry
from tradeworthy.core import facts
from tradeworthy.core.errors import BundleRefused
from tradeworthy.core.time import VirtualClock
from tradeworthy.judge.validate.artifact import Artifact
from tradeworthy.judge.validate.gate import judge
from tradeworthy.judge.validate.performance import Performance
from tradeworthy.model.bundle import MANIFEST_FILE, SIGNATURE_FILE, write_folder
from tradeworthy.model.manifest import Manifest, digest_of
from tradeworthy.model.running import machine_here, packages_here
from tradeworthy.model.trust import SigningKey, TrustStore

NETWORK = (
    STRATEGY[: STRATEGY.index("def train")]
    + '''
def train(rows, labels):
    """Fit a linear model, which is served as ONNX."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(rows, labels)
'''
)


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


def planted(home, digest, data):
    """Let an insider register, under its own digest and with a good signature, a version with another network."""
    files = {path.name: path.read_bytes() for path in bundle_of(home, digest).iterdir()}
    manifest = Manifest.from_bytes(files.pop(MANIFEST_FILE))
    del files[SIGNATURE_FILE]
    files["model.onnx"] = data
    hashes = {name: digest_of(content) for name, content in files.items()}
    made = write_folder(home.folder / "planted", msgspec.structs.replace(manifest, files=hashes), files, home.key)
    (home.folder / "planted").rename(bundle_of(home, made))
    shutil.copytree(home.folder / "candidates" / digest[:16], home.folder / "candidates" / made[:16])
    fact = facts.VersionRegistered(version=made, name="planted", author="ada", env="paper")
    home.ledger.append(fact, actor="ada", reason="a test")
    return made


def network(*, domain="", external=False):
    """Return an ONNX model of three features and one score: plain, of a custom operator, or with data elsewhere."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [3, 1], [0.1, 0.2, 0.3])
    if external:
        weights.ClearField("float_data")
        weights.data_location = TensorProto.EXTERNAL
        weights.external_data.add(key="location", value="../../../../etc/passwd")
    node = helper.make_node("MatMul" if not domain else "Opened", ["rows", "w"], ["score"], domain=domain)
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, 3])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph([node], "network", [rows], [score], [weights])
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


@pytest.mark.parametrize(
    ("hostile", "said"),
    [
        ({"external": True}, "outside"),
        ({"domain": "attacker.example"}, "attacker.example"),
    ],
)
def test_bad_candidate_whose_network_reaches_out_is_refused(home, hostile, said):
    """A network that a trusted insider signed is refused before it is built: data elsewhere, a custom operator."""
    digest = register(home, candidate(NETWORK))
    assert home.registry.load(digest).predictor.format == "onnx", "the version that it is exchanged in is a good one"
    verdicts, why = judged(home, planted(home, digest, network(**hostile)))
    assert verdicts["artifact_safety"] == "fail"
    assert said in why


def test_bad_candidate_that_scores_otherwise_than_it_did_is_refused_when_it_is_loaded(home):
    """An exchanged network that is harmless, and signed by an insider, does not give the recorded golden scores."""
    digest = register(home, candidate(NETWORK))
    exchanged = planted(home, digest, network())
    with pytest.raises(BundleRefused, match=r"golden rows score up to .* away .*register it on this machine"):
        home.registry.load(exchanged)
    verdicts, why = judged(home, exchanged)
    assert verdicts["artifact_safety"] == "fail"
    assert "golden rows" in why


def test_a_manifest_names_the_machine_and_the_packages_that_scored_its_golden_rows(home):
    """What the golden rows were scored with is signed, and the gate compares it with what runs here."""
    version = home.registry.load(home.registered())
    assert version.manifest.machine == machine_here()
    assert version.manifest.packages == packages_here()
    evidence = gather(home.registry, version.digest, instruments=INSTRUMENTS, limits=EVERY_LIMIT, events=market(300))
    found = {each.name: each for each in judge(evidence, clock=VirtualClock(START_NS)).results}
    assert found["packages_locked"].verdict == "pass"
    assert f"numpy {np.__version__}" in found["packages_locked"].measured
    assert f"recorded and scored on {machine_here()}" in found["parity_golden"].measured


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
