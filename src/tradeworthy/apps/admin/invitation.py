"""A link that signs one person in, once: for whoever starts the page in a terminal and opens it in a browser.

Idea:   the link's word is random, lives in this process only, is good for a few minutes, and is gone when it is used.
        It gives no role: the person must have one.
"""

import hmac

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tradeworthy.core.time import NS_PER_MINUTE, Clock

GOOD_FOR_NS = 10 * NS_PER_MINUTE


class Invitation:
    """One invitation.

    Parameters
    ----------
    name : str
        Whom it signs in.
    clock : Clock
        Ends it.
    """

    def __init__(self, name: str, *, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._until_ns = clock.monotonic_ns() + GOOD_FOR_NS
        self._word: str | None = AESGCM.generate_key(256).hex()

    @property
    def path(self) -> str:
        """The link's path, while it is good."""
        return f"/invited?word={self._word or ''}"

    def accept(self, word: str) -> str | None:
        """Return whom a word signs in; nobody if it is wrong, late, or was used."""
        good = self._word is not None and hmac.compare_digest(self._word.encode(), word.encode())
        if not good or self._clock.monotonic_ns() > self._until_ns:
            return None
        self._word = None
        return self.name
