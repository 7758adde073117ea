"""Keys and the store of those that are believed."""

import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tradeworthy.core.errors import BundleRefused, NotFound, SettingsInvalid
from tradeworthy.model.trust import PublicKey, SigningKey, TrustStore


@pytest.fixture
def key(tmp_path):
    return SigningKey.create(tmp_path / "ann.key", "Ann Example")


@pytest.fixture
def store(tmp_path, key):
    store = TrustStore(tmp_path / "trust")
    store.add(key.public)
    return store


def test_a_signature_is_verified(key, store):
    """What a trusted key signed is believed, and names its owner."""
    found = store.verify(key.key_id, key.sign(b"words"), b"words")
    assert found.name == "Ann Example"


def test_a_key_comes_back_from_its_file(tmp_path, key, store):
    """A loaded key is the same key, with its owner's name."""
    again = SigningKey.load(tmp_path / "ann.key")
    assert (again.key_id, again.name) == (key.key_id, "Ann Example")
    store.verify(key.key_id, again.sign(b"words"), b"words")


def test_only_the_owner_can_read_a_key_file(tmp_path, key):
    """A private key's file has mode 0600, and one that others may read is refused."""
    path = tmp_path / "ann.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(SettingsInvalid, match="0640"):
        SigningKey.load(path)


def test_a_key_file_is_never_overwritten(tmp_path, key):
    """Creating a key where one is does nothing but say so."""
    before = (tmp_path / "ann.key").read_bytes()
    with pytest.raises(SettingsInvalid, match="exists already"):
        SigningKey.create(tmp_path / "ann.key", "someone else")
    assert (tmp_path / "ann.key").read_bytes() == before


def test_a_missing_key_file(tmp_path):
    """A key that is not there is not found."""
    with pytest.raises(NotFound, match="no key file"):
        SigningKey.load(tmp_path / "none.key")


@pytest.mark.parametrize("content", [b"", b"words", b'tradeworthy-key-of: "x"\nnot pem', b"\xff\xff\n\xff"])
def test_a_file_that_is_no_key(tmp_path, content):
    """Anything else in a key's place is refused."""
    path = tmp_path / "bad.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SettingsInvalid, match="not a key file"):
        SigningKey.load(path)


def test_a_key_of_another_kind(tmp_path):
    """Only Ed25519 keys sign versions."""
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "ec.key"
    path.write_bytes(b'tradeworthy-key-of: "x"\n' + pem)
    path.chmod(0o600)
    with pytest.raises(SettingsInvalid, match="allowed is Ed25519"):
        SigningKey.load(path)


@pytest.mark.parametrize(
    ("data", "cut"), [(b"other", slice(None)), (b"words", slice(0, 63)), (b"words", slice(0, 0)), (b"", slice(None))]
)
def test_other_bytes_or_signatures_are_refused(key, store, data, cut):
    """Other data, a cut signature and none at all are refused."""
    with pytest.raises(BundleRefused, match="not by 'Ann Example'"):
        store.verify(key.key_id, key.sign(b"words")[cut], data)


def test_an_unknown_key_is_refused_with_the_known_ones(tmp_path, key, store):
    """The message lists whom the desk trusts."""
    stranger = SigningKey.create(tmp_path / "bob.key", "Bob")
    with pytest.raises(BundleRefused, match=key.key_id):
        store.verify(stranger.key_id, stranger.sign(b"words"), b"words")


def test_an_empty_store_trusts_nobody(tmp_path, key):
    """A store whose folder does not exist yet trusts nobody."""
    assert TrustStore(tmp_path / "nowhere").key_ids() == []
    with pytest.raises(BundleRefused, match="not trusted"):
        TrustStore(tmp_path / "nowhere").find(key.key_id)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"name":"x","key":"zz"}', b'{"name":"x","key":"00","more":1}'])
def test_a_damaged_public_key_is_refused(key, store, content):
    """A public key's file that cannot be read is refused, not skipped."""
    (store.folder / f"{key.key_id}.json").write_bytes(content)
    with pytest.raises(BundleRefused, match="damaged"):
        store.find(key.key_id)


def test_the_id_follows_from_the_key(key, store):
    """Two names for one key have one id; the store lists it once."""
    assert PublicKey(name="other", key=key.public.key).key_id == key.key_id
    store.add(PublicKey(name="other", key=key.public.key))
    assert store.key_ids() == [key.key_id]
