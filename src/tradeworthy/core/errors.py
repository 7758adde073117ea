"""Operating errors: what went wrong outside the code, for a caller to handle.

Every message says what was found, what was allowed and what to do next. A refusal of an order or an event is
a value (`core.denials.Denied`), never one of these; a programmer's mistake is left to crash.
"""

import difflib
from collections.abc import Iterable

import msgspec

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises of bytes that are not what was expected; wrong UTF-8 and deep nesting raise Python's own."""


class TradeworthyError(Exception):
    """The root of every error that tradeworthy raises on purpose."""


class SettingsInvalid(TradeworthyError):
    """A settings file or a command's argument cannot be used."""


class DataInvalid(TradeworthyError):
    """Market data or rows do not have the declared shape."""


class FeatureInvalid(TradeworthyError):
    """An expression cannot be compiled into a feature or a label."""


class ModelMismatch(TradeworthyError):
    """A model does not fit the program, or cannot be represented exactly."""


class BundleRefused(TradeworthyError):
    """A version's bytes are not what was signed, or are not safe to load."""


class RecordBusy(TradeworthyError):
    """Another process already writes this record."""


class RecordCorrupt(TradeworthyError):
    """The record is damaged where it was durable; nothing was truncated."""


class RecordNewer(TradeworthyError):
    """The record was written by a newer release in a format that this one does not know."""


class RecordUnwritable(TradeworthyError):
    """The record cannot be made durable: trading must stop."""


class QueryInvalid(TradeworthyError):
    """A question to the record is not one query, changes something, or names what is not there."""


class ReleaseRefused(TradeworthyError):
    """A version may not take the step asked for: gate, approval or state is missing."""


class Overtaken(ReleaseRefused):
    """Another fact was written since the ones that this one was decided on; look again before deciding anew."""


class FeedRefused(TradeworthyError):
    """An exchange refuses what a feed asks it for."""


class NotAllowed(TradeworthyError):
    """Somebody asked for a step that none of their roles may take."""


class NotFound(TradeworthyError):
    """The named version, decision, file or project does not exist."""


def near(name: str, known: Iterable[str]) -> str:
    """Return a hint naming the closest known word, or nothing.

    >>> near("clsoe", ["open", "close"])
    " (near: 'close')"
    """
    found = difflib.get_close_matches(name, list(known), n=1)
    return f" (near: {found[0]!r})" if found else ""
