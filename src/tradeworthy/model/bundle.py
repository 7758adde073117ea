"""A version's folder on disk: written whole or not at all, read only as far as it is trusted.

Flow:   list the folder (nothing extra, no links) → check the signature over the manifest's bytes → read the manifest →
        read every file once, within its cap, and compare its SHA-256 → only then hand out bytes. Parsers get the very
        bytes that were hashed; nothing is read twice.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tradeworthy.core.errors import BundleRefused, NotFound
from tradeworthy.model.manifest import Manifest, digest_of
from tradeworthy.model.trust import SigningKey, TrustStore

MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "signature.json"

MIB = 1024 * 1024
FILE_BYTES_MAX = 512 * MIB
SMALL_BYTES_MAX: Mapping[str, int] = {MANIFEST_FILE: 4 * MIB, SIGNATURE_FILE: 4_096, "program.json": 16 * MIB}
FILES_MAX = 16

_SIGNED = b"tradeworthy version 1\n"  # no other kind of document can be passed off as a version


class SignatureFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who signed the manifest; `signature` is hexadecimal Ed25519 over the manifest's bytes."""

    digest: str
    key_id: str
    signature: str


_BACK = "; bring the folder back from a copy, or train and register anew"


def write_folder(folder: Path, manifest: Manifest, files: Mapping[str, bytes], key: SigningKey) -> str:
    """Write a signed bundle into a new folder and return its digest.

    The folder appears complete and on disk, or not at all.

    Raises
    ------
    BundleRefused
        The folder exists already: a version never changes.
    """
    if folder.exists():
        raise BundleRefused(f"folder {folder} exists already, and a version never changes; choose a new folder")
    data = manifest.to_bytes()
    digest = digest_of(data)
    signed = SignatureFile(digest=digest, key_id=key.key_id, signature=key.sign(_SIGNED + data).hex())
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.parent))
    try:
        for name, content in {**files, MANIFEST_FILE: data, SIGNATURE_FILE: msgspec.json.encode(signed)}.items():
            _write(part / name, content)
        part.chmod(0o755)
        _sync_folder(part)
        part.rename(folder)
        _sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return digest


def read_folder(folder: Path, trust: TrustStore, *, digest: str | None = None) -> tuple[Manifest, dict[str, bytes]]:
    """Verify a bundle and return its manifest and the verified bytes of every other file.

    Parameters
    ----------
    folder : Path
        The bundle.
    trust : TrustStore
        Whose signatures count.
    digest : str, optional
        The digest (or its first characters) that it must have.

    Raises
    ------
    BundleRefused
        Anything is not as signed; the message names the file and the reason.
    NotFound
        There is no such folder.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"there is no version folder {folder}{_BACK}") from error
    try:
        names = set(os.listdir(handle))  # noqa: PTH208 - of the open folder, which nobody can exchange
        data, found = _verified_manifest(handle, names, trust)
        if digest is not None and not found.startswith(digest):
            raise BundleRefused(f"folder {folder} holds version {found[:16]}, asked for was {digest[:16]}")
        manifest = Manifest.from_bytes(data)
        return manifest, _verified_files(handle, names, manifest)
    finally:
        os.close(handle)


def _verified_manifest(handle: int, names: set[str], trust: TrustStore) -> tuple[bytes, str]:
    if len(names) > FILES_MAX:
        raise BundleRefused(f"the bundle holds {len(names)} files, allowed are {FILES_MAX}")
    signature_data = _read(handle, SIGNATURE_FILE)
    data = _read(handle, MANIFEST_FILE)
    try:
        signed = msgspec.json.decode(signature_data, type=SignatureFile)
        signature = bytes.fromhex(signed.signature)
    except (msgspec.DecodeError, ValueError) as error:
        raise BundleRefused(f"{SIGNATURE_FILE} is not a signature: {error}{_BACK}") from error
    found = digest_of(data)
    if signed.digest != found:
        raise BundleRefused(
            f"{MANIFEST_FILE} has digest {found[:16]}, signed was {signed.digest[:16]}: a byte changed, or it is the "
            "manifest of another version"
        )
    trust.verify(signed.key_id, signature, _SIGNED + data)
    return data, found


def _verified_files(handle: int, names: set[str], manifest: Manifest) -> dict[str, bytes]:
    allowed = {*manifest.files, MANIFEST_FILE, SIGNATURE_FILE}
    if names != allowed:
        extra, missing = sorted(names - allowed), sorted(allowed - names)
        raise BundleRefused(f"the bundle's files are not those signed: extra {extra}, missing {missing}{_BACK}")
    files = {}
    for name, expected in manifest.files.items():
        data = _read(handle, name)
        found = digest_of(data)
        if found != expected:
            raise BundleRefused(f"{name} has SHA-256 {found[:16]}, signed was {expected[:16]}: a byte changed{_BACK}")
        files[name] = data
    return files


def _read(handle: int, name: str) -> bytes:
    """Read one plain file of the folder, refusing links, devices and sizes over its cap."""
    cap = SMALL_BYTES_MAX.get(name, FILE_BYTES_MAX)
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
    except OSError as error:
        raise BundleRefused(f"{name} of the bundle cannot be read as a plain file: {error.strerror}{_BACK}") from error
    with os.fdopen(file, "rb") as source:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise BundleRefused(f"{name} of the bundle is not a plain file")
        if status.st_size > cap:
            raise BundleRefused(f"{name} of the bundle has {status.st_size} bytes, allowed are {cap}")
        data = source.read(cap + 1)
    if len(data) > cap:
        raise BundleRefused(f"{name} of the bundle grew over {cap} bytes while it was read")
    return data


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as target:
        target.write(content)
        target.flush()
        os.fsync(target.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
