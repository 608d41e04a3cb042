"""Errors of a connection, as an operator may read them and as a contract names them."""

from __future__ import annotations

import traceback
from pathlib import Path

from alphaweave.core.errors import AlphaweaveError, BrokerError, BrokerUnavailable

__all__ = ["as_broker_error", "told_of"]


def told_of(error: BaseException) -> str:
    """What went wrong, without what must not be read.

    The words of a library can hold a URL with a key in it, so that only those of this project and of the
    operating system are repeated. Of any other error it says where it was raised.
    """
    if isinstance(error, AlphaweaveError):
        return str(error)
    text = error.strerror if isinstance(error, OSError) else None
    if isinstance(error, OSError):
        return f"{type(error).__name__}: {text}" if text else type(error).__name__
    # The last two: where a library was called, and where in it.
    frames = traceback.extract_tb(error.__traceback__)[-2:]
    places = ", ".join(f"{Path(frame.filename).name} line {frame.lineno}" for frame in frames)
    return f"{type(error).__name__} ({places})" if places else type(error).__name__


def as_broker_error(error: Exception, what: str) -> BrokerError:
    """The same error, as one that a contract lets out: what is none of those is `BrokerUnavailable`."""
    return error if isinstance(error, BrokerError) else BrokerUnavailable(f"{what}: {told_of(error)}")
