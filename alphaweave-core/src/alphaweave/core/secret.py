"""A value that must not be seen."""

from __future__ import annotations

from hmac import compare_digest
from typing import Any, NoReturn, Self, final

__all__ = ["REDACTED", "Secret"]

REDACTED = "[redacted]"
"""What stands in a repr, a log or a report where a secret is."""


@final
class Secret:
    """A key, token or password. It prints as ``[redacted]``, and only `reveal` gives the value.

    An adapter's options class declares the type; a config holds a reference to the value
    (``${env:NAME}``, ``file:PATH``, ``keyring:SERVICE/NAME``), never the value.
    """

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        """Raises ValueError for an empty value."""
        if not value:
            raise ValueError("a secret is never empty")
        self.__value = value

    def reveal(self) -> str:
        """The value itself: for the call that needs it, never for a log, a message or a file."""
        return self.__value

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, spec: str) -> str:
        return format(REDACTED, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self.__value.encode(), other.__value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self.__value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is never pickled; store the reference to it instead")
