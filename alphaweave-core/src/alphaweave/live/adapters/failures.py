"""Errors of a connection, as an operator may read them and as a contract names them."""

from __future__ import annotations

from alphaweave.core.errors import AlphaweaveError, AuthenticationFailed, BrokerUnavailable

__all__ = ["as_unavailable", "told_of"]


def told_of(error: BaseException) -> str:
    """What went wrong, without what must not be read.

    The words of a library can hold a URL with a key in it, so that only those of this project and of the
    operating system are repeated.
    """
    if isinstance(error, AlphaweaveError):
        return str(error)
    text = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def as_unavailable(error: Exception, what: str) -> AuthenticationFailed | BrokerUnavailable:
    """The same error, as one that a contract lets out of ``connect`` and of a query."""
    if isinstance(error, AuthenticationFailed | BrokerUnavailable):
        return error
    return BrokerUnavailable(f"{what}: {told_of(error)}")
