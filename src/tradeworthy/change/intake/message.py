"""What the confined process says to the one that started it; read as data from a stranger."""

import msgspec

ANSWER_BYTES_MAX = 512 * 1024 * 1024


class Layers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which layers of the confinement hold; sent before the file is opened."""

    filter: bool
    landlock: bool
    network_namespace: bool
    unprivileged: bool


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model as data, or why there is none.

    Attributes
    ----------
    form : str
        The predictor's format.
    files : dict of str to bytes
        Its files.
    model : str
        What the file held, in words.
    features : int
        Width of a row.
    golden : bytes
        Random rows and the library's scores of them, as `model.arrays.pack` wrote them.
    refusal : str
        Why there is no model.
    """

    form: str = ""
    files: dict[str, bytes] = {}
    model: str = ""
    features: int = 0
    golden: bytes = b""
    refusal: str = ""
