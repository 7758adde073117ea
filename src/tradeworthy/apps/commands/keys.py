"""The keys of a deployment: one for each hand that signs, made when first needed, trusted here, kept private."""

from pathlib import Path

from tradeworthy.model.trust import SigningKey, TrustStore


def own_key(path: Path, name: str, trust: TrustStore) -> SigningKey:
    """Return the key at `path`; where there is none yet, make one for `name` and trust it.

    Raises
    ------
    SettingsInvalid
        The file is no private key, or others may read it.
    """
    if path.exists():
        return SigningKey.load(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = SigningKey.create(path, name)
    trust.add(key.public)
    return key
