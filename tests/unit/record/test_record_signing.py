"""Keys that sign heads."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tradeworthy.core.errors import NotFound, SettingsInvalid
from tradeworthy.record.signing import FileSigner, key_id, signed_by


def key_file(path, key, *, head=b"", mode=0o600):
    path.write_bytes(head + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(mode)
    return path


def test_what_a_key_signs_only_its_owner_signed(tmp_path):
    """A signature holds for these bytes and this key, and for nothing else."""
    signer = FileSigner(key_file(tmp_path / "key", Ed25519PrivateKey.generate(), head=b"owner: ann\n"))
    signature = signer.sign(b"head")
    assert signed_by(signer.public_key, signature, b"head")
    assert not signed_by(signer.public_key, signature, b"heat")
    assert not signed_by(signer.public_key, signature[:-1], b"head")
    assert not signed_by(b"short", signature, b"head")
    assert signer.key_id == key_id(signer.public_key)
    assert len(signer.key_id) == 16


def test_keys_that_cannot_be_trusted_are_refused(tmp_path):
    """A missing file, one that others may read, another kind of key and no key at all are refused."""
    with pytest.raises(NotFound, match="no key file"):
        FileSigner(tmp_path / "none")
    with pytest.raises(SettingsInvalid, match="mode 0644"):
        FileSigner(key_file(tmp_path / "open", Ed25519PrivateKey.generate(), mode=0o644))
    with pytest.raises(SettingsInvalid, match="allowed is Ed25519"):
        FileSigner(key_file(tmp_path / "other", generate_private_key(SECP256R1())))
    (tmp_path / "text").write_bytes(b"no key")
    (tmp_path / "text").chmod(0o600)
    with pytest.raises(SettingsInvalid, match="no private key"):
        FileSigner(tmp_path / "text")
