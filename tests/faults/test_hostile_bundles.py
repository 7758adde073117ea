"""FAULTS 24: a hostile bundle is refused before any of it is built, and the message says why."""

import io
import json
import os
import shutil
import zipfile

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tradeworthy.core.errors import BundleRefused, NotFound
from tradeworthy.model import bundle
from tradeworthy.model.arrays import pack
from tradeworthy.model.bundle import MANIFEST_FILE, SIGNATURE_FILE, write_folder
from tradeworthy.model.manifest import digest_of
from tradeworthy.model.predictors.onnx import Onnx
from tradeworthy.model.predictors.trees import TREES_FILE, Trees
from tradeworthy.model.trust import SigningKey, TrustStore
from tradeworthy.model.version import load_version
from tradeworthy.testing.versions import trusted_key, write_small_version

FILES = ("manifest.json", "signature.json", "program.json", TREES_FILE, "profile.npz", "golden.npz")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Return a good bundle, its key, the store that trusts it, and its digest."""
    home = tmp_path_factory.mktemp("good")
    key, trust = trusted_key(home / "keys")
    digest = write_small_version(home / "version", key, np.random.default_rng(1))
    return home / "version", key, trust, digest


@pytest.fixture
def copy(good, tmp_path):
    """Return a copy of the good bundle that a test may spoil."""
    shutil.copytree(good[0], tmp_path / "version")
    return tmp_path / "version"


def resign(folder, key, change):
    """Let an insider with a trusted key change the files, and sign the result."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    manifest = bundle.Manifest.from_bytes(files.pop(MANIFEST_FILE))
    del files[SIGNATURE_FILE]
    change(files)
    hashes = {name: digest_of(data) for name, data in files.items()}
    shutil.rmtree(folder)
    write_folder(folder, msgspec.structs.replace(manifest, files=hashes), files, key)


def test_the_good_bundle_loads(good):
    """The bundle that all these tests spoil is a good one."""
    folder, _, trust, digest = good
    version = load_version(folder, trust, digest=digest)
    assert version.digest == digest
    assert version.golden_error_max() == 0.0
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.37, 0.99])
def test_one_changed_byte(good, copy, name, place):
    """One changed byte, in any file, at the start, inside or at the end, is refused."""
    data = bytearray((copy / name).read_bytes())
    data[int(place * (len(data) - 1))] ^= 0x01
    (copy / name).write_bytes(data)
    with pytest.raises(BundleRefused, match=r"byte changed|signature|key|digest"):
        load_version(copy, good[2])


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file(good, copy, name):
    """A file that lost its last byte is refused."""
    (copy / name).write_bytes((copy / name).read_bytes()[:-1])
    with pytest.raises(BundleRefused):
        load_version(copy, good[2])


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(good, copy, name):
    """A file that is gone is refused."""
    (copy / name).unlink()
    with pytest.raises(BundleRefused, match=name):
        load_version(copy, good[2])


@pytest.mark.parametrize("name", ["extra.json", "model.pkl", ".hidden", "sitecustomize.py"])
def test_an_extra_file(good, copy, name):
    """A file that nobody signed is refused, even if nothing would read it."""
    (copy / name).write_bytes(b"\x80\x04N.")
    with pytest.raises(BundleRefused, match="extra"):
        load_version(copy, good[2])


def test_an_extra_folder(good, copy):
    """A folder inside the bundle is refused."""
    (copy / "more").mkdir()
    with pytest.raises(BundleRefused, match="more"):
        load_version(copy, good[2])


@pytest.mark.parametrize("name", FILES)
def test_a_link_in_place_of_a_file(good, copy, tmp_path, name):
    """A symbolic link is refused even if it leads to the right bytes."""
    (copy / name).rename(tmp_path / "elsewhere")
    (copy / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleRefused, match=name):
        load_version(copy, good[2])


def test_a_pipe_in_place_of_a_file(good, copy):
    """A named pipe is refused at once; nobody waits for a writer."""
    (copy / TREES_FILE).unlink()
    os.mkfifo(copy / TREES_FILE)
    with pytest.raises(BundleRefused, match="not a plain file"):
        load_version(copy, good[2])


def test_an_unknown_key(good, tmp_path):
    """A good signature by a key that this desk does not trust is refused."""
    stranger = SigningKey.create(tmp_path / "stranger.key", "stranger")
    write_small_version(tmp_path / "version", stranger, np.random.default_rng(1))
    with pytest.raises(BundleRefused, match="not trusted"):
        load_version(tmp_path / "version", good[2])


def test_a_signature_that_claims_a_trusted_key(good, tmp_path):
    """A stranger's signature under a trusted key's id is refused."""
    stranger = SigningKey.create(tmp_path / "stranger.key", "stranger")
    write_small_version(tmp_path / "version", stranger, np.random.default_rng(1))
    path = tmp_path / "version" / SIGNATURE_FILE
    path.write_bytes(path.read_bytes().replace(stranger.key_id.encode(), good[1].key_id.encode()))
    with pytest.raises(BundleRefused, match="not by"):
        load_version(tmp_path / "version", good[2])


def test_a_store_whose_key_was_exchanged(good, copy, tmp_path):
    """A trusted key's file that holds another key is refused: the id follows from the key."""
    stranger = SigningKey.create(tmp_path / "stranger.key", "stranger")
    forged = TrustStore(tmp_path / "trust")
    forged.add(stranger.public)
    (forged.folder / f"{stranger.key_id}.json").rename(forged.folder / f"{good[1].key_id}.json")
    with pytest.raises(BundleRefused, match="exchanged"):
        load_version(copy, forged)


@pytest.mark.parametrize("key_id", ["", "../trust/x", "0" * 16, "A" * 16, "0" * 17, "\x00"])
def test_a_key_id_that_is_a_path(good, copy, key_id):
    """A key id that is no id is never used as a path."""
    signed = json.loads((copy / SIGNATURE_FILE).read_bytes())
    (copy / SIGNATURE_FILE).write_text(json.dumps({**signed, "key_id": key_id}))
    with pytest.raises(BundleRefused, match="not trusted"):
        load_version(copy, good[2])


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"null", b"[" * 4000, b'{"digest":1}', b"\xff\xfe"])
def test_a_signature_file_that_is_none(good, copy, text):
    """Anything but a signature in the signature's place is refused."""
    (copy / SIGNATURE_FILE).write_bytes(text)
    with pytest.raises(BundleRefused):
        load_version(copy, good[2])


@pytest.mark.parametrize("name", FILES)
def test_an_oversized_file(good, copy, name):
    """A file over its cap is refused by its size alone, before it is read."""
    with (copy / name).open("r+b") as target:
        target.truncate(bundle.FILE_BYTES_MAX + 1)
    with pytest.raises(BundleRefused, match="bytes, allowed are"):
        load_version(copy, good[2])


def test_too_many_files(good, copy):
    """A bundle with more files than any format has is refused before one is opened."""
    for number in range(20):
        (copy / f"file{number}").touch()
    with pytest.raises(BundleRefused, match="allowed are"):
        load_version(copy, good[2])


def test_the_manifest_of_another_version(good, copy, tmp_path):
    """Another version's manifest, with its own good signature, does not fit these files."""
    write_small_version(tmp_path / "other", good[1], np.random.default_rng(2))
    for name in (MANIFEST_FILE, SIGNATURE_FILE):
        shutil.copy(tmp_path / "other" / name, copy / name)
    with pytest.raises(BundleRefused, match="byte changed"):
        load_version(copy, good[2])


def test_a_manifest_without_its_signature(good, copy, tmp_path):
    """Another version's manifest under this one's signature is refused."""
    write_small_version(tmp_path / "other", good[1], np.random.default_rng(2))
    shutil.copy(tmp_path / "other" / MANIFEST_FILE, copy / MANIFEST_FILE)
    with pytest.raises(BundleRefused, match="another version"):
        load_version(copy, good[2])


def test_a_good_version_in_another_ones_place(good):
    """A good version that is not the one asked for is refused."""
    with pytest.raises(BundleRefused, match="asked for"):
        load_version(good[0], good[2], digest="0123456789abcdef")


def test_no_folder(good, tmp_path):
    """A folder that is not there is not found, rather than refused."""
    with pytest.raises(NotFound):
        load_version(tmp_path / "nothing", good[2])


# What an insider could do who holds a trusted key: the parsers still refuse.


def spoil(changes):
    """Return a change of a bundle that puts other arrays into the trees."""

    def change(files) -> None:
        stored = Trees.from_files(files)
        table = stored.table
        arrays = {
            "nodes": table.nodes.copy(),
            "slots": table.slots.copy(),
            "categories": table.categories,
            "roots": stored.roots.copy(),
            "covers": stored.covers.copy(),
            "numbers": np.array([table.bases[0], table.scale]),
            "counts": np.array([stored.n_features, table.link], np.int64),
        }
        for name, apply in changes.items():
            arrays[name] = apply(arrays[name])
        files[TREES_FILE] = pack(arrays)

    return change


def first_split(nodes):
    return int(np.flatnonzero(nodes["slot"] > 0)[0])


def last_split(nodes):
    return int(np.flatnonzero(nodes["slot"] > 0)[-1])


def edited(field, value, place=first_split):
    """Return an edit of one field of one node."""

    def apply(nodes) -> np.ndarray:
        at = place(nodes)
        nodes[field][at] = value(nodes, at) if callable(value) else value
        return nodes

    return apply


HOSTILE_TREES = {
    "cycle": {"nodes": edited("child", lambda _, at: at, last_split)},
    "back to the root": {"nodes": edited("child", 2, last_split)},
    "child outside": {"nodes": edited("child", lambda nodes, _: len(nodes) - 1)},
    "child far outside": {"nodes": edited("child", 2**32 - 1)},
    "two parents": {"nodes": edited("child", lambda nodes, _: nodes["child"][last_split(nodes)])},
    "slot outside": {"nodes": edited("slot", 2**20)},
    "leaf that walks on": {"nodes": edited("child", 5, lambda nodes: len(nodes) - 1)},
    "leaf that is NaN": {"nodes": edited("threshold", np.nan, lambda nodes: len(nodes) - 1)},
    "empty leaf with a value": {"nodes": edited("threshold", 1.0, lambda _: 1)},
    "empty leaf that splits": {"nodes": edited("slot", 1, lambda _: 1)},
    "feature outside": {"slots": edited("feature", 10**6, lambda slots: len(slots) - 1)},
    "unknown reading": {"slots": edited("reading", 99, lambda slots: len(slots) - 1)},
    "set outside": {"slots": edited("words", 2**31, lambda slots: len(slots) - 1)},
    "no slots": {"slots": lambda slots: slots[:0]},
    "roots shuffled": {"roots": lambda roots: roots[::-1]},
    "no roots": {"roots": lambda roots: roots[:0]},
    "root outside": {"roots": lambda roots: np.append(roots, np.uint32(2**31))},
    "cover negative": {"covers": lambda covers: -covers - 1},
    "cover short": {"covers": lambda covers: covers[:-1]},
    "base NaN": {"numbers": lambda _: np.array([np.nan, 1.0])},
    "link unknown": {"counts": lambda counts: np.array([counts[0], 77])},
    "width negative": {"counts": lambda counts: np.array([-1, counts[1]])},
    "width huge": {"counts": lambda counts: np.array([2**40, counts[1]])},
    "counts short": {"counts": lambda counts: counts[:1]},
    "nodes of another type": {"nodes": lambda nodes: nodes["threshold"].copy()},
    "nodes in a square": {"nodes": lambda nodes: nodes[:4].reshape(2, 2)},
}


@pytest.mark.parametrize("changes", HOSTILE_TREES.values(), ids=HOSTILE_TREES.keys())
def test_signed_arrays_that_are_no_trees(good, copy, changes):
    """Cyclic, shared, outside, undefined or mistyped trees are refused, even with a good signature."""
    resign(copy, good[1], spoil(changes))
    with pytest.raises(BundleRefused):
        load_version(copy, good[2])


def test_a_tree_deeper_than_any_model_needs(good, copy):
    """A chain of splits deeper than the cap is refused."""

    def change(files) -> None:
        depth = 1_100
        stored = Trees.from_files(files)
        nodes = np.zeros(2 + 2 * depth + 1, stored.table.nodes.dtype)
        splits = np.concatenate([[2], np.arange(3, 2 * depth + 1, 2)])
        nodes["child"] = np.arange(len(nodes)) - 1
        nodes["child"][:2] = 0
        nodes["slot"][splits], nodes["child"][splits] = 1, np.arange(3, 2 * depth + 3, 2)
        change_to = {"nodes": lambda _: nodes, "covers": lambda _: np.ones(len(nodes)), "roots": lambda r: r[:1]}
        spoil(change_to)(files)

    resign(copy, good[1], change)
    with pytest.raises(BundleRefused, match="deeper"):
        load_version(copy, good[2])


def zipped(compression, members):
    """Return a zip file of some members."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return target.getvalue()


def npy(array, *, allow_pickle=False):
    """Return an array in numpy's file format."""
    target = io.BytesIO()
    np.lib.format.write_array(target, array, allow_pickle=allow_pickle)
    return target.getvalue()


class Marker:
    """An object whose unpickling would leave a trace."""

    ran = False

    def __reduce__(self) -> tuple:
        return (setattr, (Marker, "ran", True))


@pytest.mark.parametrize("name", [TREES_FILE, "profile.npz", "golden.npz"])
def test_a_pickle_inside_an_array_file(good, copy, name):
    """An object array inside an .npz is refused, and its code does not run."""
    hostile = npy(np.array([Marker()], dtype=object), allow_pickle=True)

    def change(files) -> None:
        with np.load(copy / name, allow_pickle=False) as stored:
            members = [(f"{array}.npy", hostile) for array in stored.files]
        files[name] = zipped(zipfile.ZIP_STORED, members)

    Marker.ran = False
    resign(copy, good[1], change)
    with pytest.raises(BundleRefused, match="not a plain array"):
        load_version(copy, good[2])
    assert not Marker.ran


@pytest.mark.parametrize("name", [TREES_FILE, "profile.npz", "golden.npz", "program.json"])
@pytest.mark.parametrize("data", [b"", b"\x80\x04N.", b"PK\x03\x04", b"\x93NUMPY", b"{" * 10_000])
def test_another_format_under_the_name(good, copy, name, data):
    """A pickle, an empty file or nonsense in the place of any file is refused."""
    resign(copy, good[1], lambda files: files.update({name: data}))
    with pytest.raises(BundleRefused):
        load_version(copy, good[2])


def test_a_compressed_bomb(good, copy):
    """A compressed array file, small on disk and huge in memory, is refused before it is unpacked."""
    members = [(f"{name}.npy", npy(np.zeros(4_000_000))) for name in ("rows", "scores")]
    bomb = zipped(zipfile.ZIP_DEFLATED, members)
    resign(copy, good[1], lambda files: files.update({"golden.npz": bomb}))
    with pytest.raises(BundleRefused, match="compressed"):
        load_version(copy, good[2])


def test_a_header_that_promises_more_than_there_is(good, copy):
    """An array whose header claims a size that the file does not have is refused without the memory."""
    honest = npy(np.zeros((2, 4)))
    lying = honest.replace(b"(2, 4), }" + b" " * 12, b"(2000000000000, 4), }")
    assert lying != honest
    members = [("rows.npy", lying), ("scores.npy", honest)]
    resign(copy, good[1], lambda files: files.update({"golden.npz": zipped(zipfile.ZIP_STORED, members)}))
    with pytest.raises(BundleRefused, match="not a plain array"):
        load_version(copy, good[2])


@pytest.mark.parametrize(
    "names", [["rows"], ["rows", "scores", "more"], ["../rows", "scores"], ["rows", "rows", "scores"]]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_that_do_not_belong(good, copy, names):
    """An array file with a missing, extra, doubled or path-like member is refused."""
    members = [(f"{name}.npy", npy(np.zeros((2, 4)))) for name in names]
    resign(copy, good[1], lambda files: files.update({"golden.npz": zipped(zipfile.ZIP_STORED, members)}))
    with pytest.raises(BundleRefused, match="allowed are exactly"):
        load_version(copy, good[2])


def test_a_program_that_is_not_the_manifests(good, copy):
    """A signed program that is not the one the manifest names is refused."""
    resign(
        copy,
        good[1],
        lambda files: files.update({"program.json": files["program.json"].replace(b"return_1", b"return_9")}),
    )
    with pytest.raises(BundleRefused, match="does not fit together"):
        load_version(copy, good[2])


# ONNX


def onnx_model(*, nodes=None, initializers=(), domain="", n_features=4):
    """Return a small ONNX model: scores = rows x weights, or the nodes given."""
    weights = numpy_helper.from_array(np.ones((n_features, 1), np.float32), "weights")
    nodes = nodes or [helper.make_node("MatMul", ["rows", "weights"], ["scores"], domain=domain)]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, n_features])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 1])],
        [weights, *initializers],
    )
    imports = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=imports, ir_version=9)


def external(location):
    """Return a tensor whose numbers lie in another file."""
    tensor = TensorProto(name="outside", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def nested(depth):
    """Return an If node whose branches hold an If node, and so on."""
    inner = [helper.make_node("Constant", [], ["leaf"], value=numpy_helper.from_array(np.ones((1, 1), np.float32)))]
    for level in range(depth):
        name = f"level{level}"
        out = [helper.make_tensor_value_info(inner[0].output[0], TensorProto.FLOAT, [1, 1])]
        branch = helper.make_graph(inner, name, [], out)
        inner = [helper.make_node("If", ["flag"], [name], then_branch=branch, else_branch=branch)]
    return inner


def branch_with(tensor):
    """Return an If node with a tensor hidden in its branch."""
    out = [helper.make_tensor_value_info("outside", TensorProto.FLOAT, [1])]
    branch = helper.make_graph([], "branch", [], out, [tensor])
    return [helper.make_node("If", ["flag"], ["scores"], then_branch=branch, else_branch=branch)]


def with_function():
    """Return a model that carries a function of its own."""
    model = onnx_model()
    body = [helper.make_node("Identity", ["x"], ["y"])]
    model.functions.append(helper.make_function("", "Own", ["x"], ["y"], body, [helper.make_opsetid("", 17)]))
    return model


HOSTILE_ONNX = {
    "external data": (lambda: onnx_model(initializers=[external("weights.bin")]), "outside the file"),
    "external path": (lambda: onnx_model(initializers=[external("../../etc/passwd")]), "outside the file"),
    "external in a branch": (lambda: onnx_model(nodes=branch_with(external("x"))), "outside the file"),
    "external in an attribute": (
        lambda: onnx_model(nodes=[helper.make_node("Constant", [], ["scores"], value=external("x"))]),
        "outside the file",
    ),
    "custom operator": (lambda: onnx_model(domain="com.evil"), "com.evil"),
    "microsoft operator": (lambda: onnx_model(domain="com.microsoft"), "com.microsoft"),
    "too deep": (lambda: onnx_model(nodes=nested(12)), "deeper"),
    "function": (with_function, "functions"),
}


def test_the_good_onnx_model_loads():
    """The model that these tests spoil is a good one."""
    predictor = Onnx(onnx_model().SerializeToString())
    assert predictor.one(np.arange(4.0)).tolist() == [6.0]


@pytest.mark.parametrize(("make", "reason"), HOSTILE_ONNX.values(), ids=HOSTILE_ONNX.keys())
def test_a_hostile_onnx_model(make, reason):
    """External data, foreign operators, functions and deep nesting are refused before the runtime sees the file."""
    with pytest.raises(BundleRefused, match=reason):
        Onnx(make().SerializeToString())


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 100, b"\x80\x04N.", b"\x3a\xff\xff\xff\xff\x0f", b"\x3b" * 9])
def test_bytes_that_are_no_onnx_model(data):
    """Nonsense is refused by the check or by the runtime, always in the same way."""
    with pytest.raises(BundleRefused):
        Onnx(data)


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9])
def test_an_onnx_model_cut_short(keep):
    """A file cut anywhere is refused."""
    data = onnx_model().SerializeToString()
    with pytest.raises(BundleRefused):
        Onnx(data[: int(keep * len(data))])


def test_a_signed_bundle_with_a_hostile_onnx_model(tmp_path, good):
    """A trusted signature does not make external data welcome."""
    predictor = Onnx(onnx_model().SerializeToString())
    write_small_version(tmp_path / "version", good[1], np.random.default_rng(1), predictor=predictor)
    hostile = onnx_model(initializers=[external("weights.bin")]).SerializeToString()
    resign(tmp_path / "version", good[1], lambda files: files.update({"model.onnx": hostile}))
    with pytest.raises(BundleRefused, match="outside the file"):
        load_version(tmp_path / "version", good[2])
