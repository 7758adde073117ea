"""What every contract kit shares: the error of a broken promise, and how one is asked for."""


class ContractBroken(AssertionError):
    """An implementation does not keep its contract; the message says which promise and what was seen."""


def require(kept: object, promise: str) -> None:
    """Raise `ContractBroken` with the promise unless `kept` is true."""
    if not kept:
        raise ContractBroken(promise)
