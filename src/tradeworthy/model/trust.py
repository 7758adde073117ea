"""Who signed a version: Ed25519 keys, and the store of public keys that a desk believes.

Idea:   a signature says *who*, and that no byte changed; the store says whom this desk believes. A key that is not in
        the store is refused however good its signature is.
State:  a private key is one PEM file with mode 0600; a public key is one JSON file in the store, named by its id (the
        first 16 hexadecimal characters of the SHA-256 of the raw key).
"""

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Self

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tradeworthy.core.errors import BundleRefused, NotFound, SettingsInvalid

_PUBLIC_BYTES_MAX = 4_096
_KEY_ID = re.compile(r"[0-9a-f]{16}")


class PublicKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A public key and the name of its owner, as the store keeps it."""

    name: str
    key: str  # 32 raw bytes, hexadecimal

    @property
    def key_id(self) -> str:
        """Return the key's id, which follows from its bytes."""
        return hashlib.sha256(bytes.fromhex(self.key)).hexdigest()[:16]


class SigningKey:
    """A private key and its owner's name.

    Parameters
    ----------
    private : Ed25519PrivateKey
        The key.
    name : str
        Who signs with it.
    """

    def __init__(self, private: Ed25519PrivateKey, name: str) -> None:
        self._private = private
        self.name = name
        raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.public = PublicKey(name=name, key=raw.hex())

    @property
    def key_id(self) -> str:
        """Return the id under which a store keeps the public half."""
        return self.public.key_id

    @classmethod
    def create(cls, path: Path, name: str) -> Self:
        """Make a key and write it to a new file that only its owner can read.

        Raises
        ------
        SettingsInvalid
            The file exists already.
        """
        key = cls(Ed25519PrivateKey.generate(), name)
        pem = key._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise SettingsInvalid(f"key file {path} exists already; choose another name or load it") from error
        with os.fdopen(file, "wb") as target:
            target.write(f"tradeworthy-key-of: {msgspec.json.encode(name).decode()}\n".encode() + pem)
        return key

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file that `create` wrote.

        Raises
        ------
        NotFound
            There is no such file.
        SettingsInvalid
            Others may read the file, or it is not a key.
        """
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"there is no key file {path}; make one with `tradeworthy keys create`") from error
        if mode & 0o077:
            raise SettingsInvalid(f"key file {path} has mode {mode:04o}, allowed is 0600; run chmod 600 on it")
        head, _, pem = data.partition(b"\n")
        try:
            name = msgspec.json.decode(head.partition(b": ")[2], type=str)
            private = serialization.load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm, msgspec.DecodeError) as error:
            raise SettingsInvalid(f"{path} is not a key file of tradeworthy: {error}") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise SettingsInvalid(f"{path} holds a {type(private).__name__}, allowed is Ed25519")
        return cls(private, name)

    def sign(self, data: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of `data`."""
        return self._private.sign(data)


class TrustStore:
    """A folder of public keys that this desk believes.

    Parameters
    ----------
    folder : Path
        Made when the first key is added.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, key: PublicKey) -> str:
        """Believe a key from now on, and return its id."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{key.key_id}.json").write_bytes(msgspec.json.format(msgspec.json.encode(key)))
        return key.key_id

    def key_ids(self) -> list[str]:
        """Return the ids of all keys believed, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def find(self, key_id: str) -> PublicKey:
        """Return a key by its id.

        Raises
        ------
        BundleRefused
            The store does not believe it, or its file is not the key that its name says.
        """
        path = self.folder / f"{key_id}.json"
        if not _KEY_ID.fullmatch(key_id) or not path.is_file():
            raise BundleRefused(
                f"key {key_id[:80]!r} is not trusted here; trusted are {self.key_ids()}; add it if you believe it"
            )
        try:
            key = msgspec.json.decode(path.read_bytes()[:_PUBLIC_BYTES_MAX], type=PublicKey)
            found = key.key_id
        except (msgspec.DecodeError, ValueError) as error:
            raise BundleRefused(f"trusted key file {path} is damaged: {error}; add the key again") from error
        if found != key_id:
            raise BundleRefused(f"trusted key file {path} holds key {found}; someone exchanged it, add the key again")
        return key

    def verify(self, key_id: str, signature: bytes, data: bytes) -> PublicKey:
        """Return the trusted key that signed `data`.

        Raises
        ------
        BundleRefused
            The key is not trusted, or the signature is not of these bytes.
        """
        key = self.find(key_id)
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.key)).verify(signature, data)
        except (InvalidSignature, ValueError) as error:
            raise BundleRefused(
                f"the signature is not by {key.name!r} (key {key_id}) over these bytes; fetch the version again"
            ) from error
        return key
