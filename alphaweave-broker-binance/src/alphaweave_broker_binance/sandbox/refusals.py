"""What the venue says no with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Refused", "check_time_unit", "engine", "filtered", "illegal", "missing", "unneeded"]


class Refused(Exception):
    """A request that is not done.

    Attributes:
        status: of HTTP, and of the answer on the WebSocket API.
        code: Binance's number.
        data: what some refusals bear besides.
        retry_after: seconds to wait, where the rate limit is the reason.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: int = 400,
        data: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.data, self.retry_after = data, retry_after

    def body(self) -> dict[str, Any]:
        """As it is told."""
        found: dict[str, Any] = {"code": self.code, "msg": self.message}
        if self.data is not None:
            found["data"] = dict(self.data)
        return found


def check_time_unit(unit: str | None) -> None:
    """
    Raises:
        Refused: it is not milliseconds.
    """
    if unit is not None and unit.upper() != "MILLISECOND":
        raise Refused(-1130, "Data sent for parameter 'timeUnit' is not valid: this is a sandbox.")


def engine(message: str) -> Refused:
    """A refusal by the matching engine: only its text tells why."""
    return Refused(-2010, message)


def filtered(name: str) -> Refused:
    """A refusal by a filter, before the engine."""
    return Refused(-1013, f"Filter failure: {name}")


def missing(name: str) -> Refused:
    return Refused(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def unneeded(name: str) -> Refused:
    return Refused(-1106, f"Parameter '{name}' sent when not required.")


def illegal(name: str, pattern: str) -> Refused:
    return Refused(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")
