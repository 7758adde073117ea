"""The manifest: canonical JSON, and parts that refuse what contradicts itself."""

import json

import msgspec
import pytest

from tradeworthy.core.errors import BundleRefused
from tradeworthy.core.limits import Limits
from tradeworthy.model.manifest import Card, Lineage, Manifest, Signal, digest_of


def manifest(**changes: object):
    """Return a complete manifest."""
    facts = {
        "name": "eth", "created_ns": 1, "author": "ann", "env": "paper", "program_digest": "ab" * 32,
        "features": ["a", "b"], "predictor": "trees", "outputs": ["score"],
        "label": {"kind": "direction", "cost_bps": 0.0},
        "signal": Signal(), "bounds": Limits(order_value_max=100.0), "lineage": Lineage(fold_metrics={"auc": 0.55}),
        "card": Card(owner="ann"), "files": {"trees.npz": "cd" * 32},
    }  # fmt: skip
    return Manifest(**{**facts, **changes})


def test_a_manifest_comes_back_as_it_was():
    """Encoding and decoding keep every fact."""
    assert Manifest.from_bytes(manifest().to_bytes()) == manifest()


def test_the_digest_does_not_depend_on_the_order_of_words():
    """Two ways to write the same facts give one name."""
    other = manifest(label={"cost_bps": 0.0, "kind": "direction"})
    assert digest_of(other.to_bytes()) == digest_of(manifest().to_bytes())


@pytest.mark.parametrize(
    "change",
    [
        {"name": "btc"},
        {"env": "live"},
        {"signal": Signal(enter_long=0.56)},
        {"bounds": Limits(order_value_max=101.0)},
        {"features": ["b", "a"]},
        {"files": {"trees.npz": "ce" * 32}},
        {"created_ns": 2},
    ],
    ids=str,
)
def test_every_fact_is_part_of_the_name(change):
    """A version that differs in anything has another digest."""
    assert digest_of(manifest(**change).to_bytes()) != digest_of(manifest().to_bytes())


def spelled(**changes: object):
    """Return the manifest's JSON with other keys."""
    return {**json.loads(manifest().to_bytes()), **changes}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"[" * 100_000,
        b'{"name": "eth"}',
        json.dumps(spelled()).encode(),
        json.dumps(spelled(extra=1), sort_keys=True, separators=(",", ":")).encode(),
        json.dumps(spelled(env="moon"), sort_keys=True, separators=(",", ":")).encode(),
        json.dumps(spelled(schema=2), sort_keys=True, separators=(",", ":")).encode(),
        json.dumps(spelled(name=7), sort_keys=True, separators=(",", ":")).encode(),
        manifest().to_bytes().replace(b'"name":"eth"', b'"name":"x","name":"eth"'),
        manifest().to_bytes() + b"\n",
        b"\xff",
    ],
)
def test_any_other_text_is_refused(text):
    """Other spellings, unknown keys, newer schemas, doubled keys and nonsense are refused."""
    with pytest.raises(BundleRefused, match=r"manifest\.json"):
        Manifest.from_bytes(text)


@pytest.mark.parametrize("left_out", [["card", "next_review"], ["signal", "notional"], ["lineage", "parent"]])
def test_an_older_releases_text_says_what_it_lacks_and_what_to_do(left_out):
    """A canonical text without a key that this release writes is an older one's: named, and told to train again."""
    whole = msgspec.json.decode(manifest().to_bytes())
    *places, name = left_out
    place = whole
    for each in places:
        place = place[each]
    del place[name]
    old = msgspec.json.encode(whole, order="sorted")
    with pytest.raises(BundleRefused, match=f"an older tradeworthy: it does not say {'.'.join(left_out)}; train and"):
        Manifest.from_bytes(old)


def test_a_text_that_names_no_machine_is_read_as_it_was_written():
    """Releases that did not record where a version was registered wrote manifests that stay what they are."""
    whole = msgspec.json.decode(manifest(machine="x86_64", packages={"numpy": "2.0"}).to_bytes())
    old = msgspec.json.encode({k: v for k, v in whole.items() if k not in {"machine", "packages"}}, order="sorted")
    read = Manifest.from_bytes(old)
    assert (read.machine, read.packages) == ("", {})
    assert read.to_bytes() == old


def test_no_machine_is_not_said_twice():
    """An empty machine that is spelled out is another spelling of none, and refused."""
    whole = msgspec.json.decode(manifest().to_bytes())
    with pytest.raises(BundleRefused, match=r"manifest\.json"):
        Manifest.from_bytes(msgspec.json.encode({**whole, "machine": ""}, order="sorted"))


def test_a_newer_schema_says_upgrade():
    """A manifest of a newer release is told apart from a damaged one."""
    with pytest.raises(BundleRefused, match="upgrade"):
        Manifest.from_bytes(manifest(schema=2).to_bytes())


def test_the_label_goes_back_as_json():
    """The label's own JSON can be had again."""
    assert json.loads(manifest().label_json()) == {"kind": "direction", "cost_bps": 0.0}


@pytest.mark.parametrize(
    "changes",
    [
        {"exit_long": 0.6},
        {"exit_short": 0.4},
        {"notional": -5.0},
        {"enter_long": float("nan")},
        {"notional": float("inf")},
        {"enter_short": 0.6, "exit_short": 0.6, "allow_short": True},
    ],
    ids=str,
)
def test_signals_that_contradict_themselves(changes):
    """Thresholds that would flip at once, and a notional below 0 or that is no number, are refused."""
    with pytest.raises(ValueError, match="signal"):
        Signal(**changes)


def test_a_wrong_signal_in_settings_is_refused_too():
    """The same check holds where settings are read."""
    with pytest.raises(msgspec.ValidationError, match="exit_long"):
        msgspec.convert({"exit_long": 0.9}, Signal)
    with pytest.raises(msgspec.ValidationError, match="enterlong"):
        msgspec.convert({"enterlong": 0.9}, Signal)
