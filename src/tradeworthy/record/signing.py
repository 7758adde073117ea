"""Signatures of the record's heads: Ed25519, one key file, public keys by id.

Idea:   the record must be checkable without the rest of the house, so it signs through one small contract (`Signer`)
        and reads the same key files as the desk: a private key in PKCS 8 PEM with mode 0600.
Units:  a public key is 32 raw bytes; its id is the first 16 hexadecimal characters of their SHA-256.
"""

import hashlib
import stat
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tradeworthy.core.errors import NotFound, SettingsInvalid


class Signer(Protocol):
    """Who signs heads."""

    @property
    def key_id(self) -> str:
        """Return the id under which the public key is known."""

    def sign(self, data: bytes, /) -> bytes:
        """Return the 64-byte Ed25519 signature of `data`."""


def key_id(public_key: bytes) -> str:
    """Return the id of a raw public key."""
    return hashlib.sha256(public_key).hexdigest()[:16]


class FileSigner:
    """Signs with the private key in a file.

    Parameters
    ----------
    path : Path
        PKCS 8 PEM, not encrypted, mode 0600; anything before the PEM block is ignored.

    Raises
    ------
    NotFound
        There is no such file.
    SettingsInvalid
        Others may read it, or it holds no Ed25519 key.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise NotFound(f"there is no key file {path}")
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise SettingsInvalid(f"key file {path} has mode {mode:04o}, allowed is 0600; run chmod 600 on it")
        data = path.read_bytes()
        try:
            key = load_pem_private_key(data[max(data.find(b"-----BEGIN"), 0) :], None)
        except (ValueError, TypeError) as error:
            raise SettingsInvalid(f"{path} holds no private key: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise SettingsInvalid(f"{path} holds a {type(key).__name__}, allowed is Ed25519")
        self._key = key
        self.public_key = key.public_key().public_bytes_raw()

    @property
    def key_id(self) -> str:
        """Return the id under which the public key is known."""
        return key_id(self.public_key)

    def sign(self, data: bytes, /) -> bytes:
        """Return the 64-byte Ed25519 signature of `data`."""
        return self._key.sign(data)


def signed_by(public_key: bytes, signature: bytes, data: bytes) -> bool:
    """Tell whether `signature` is of `data` by the owner of a raw public key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
