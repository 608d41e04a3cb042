"""Commands of operators and what they latch, as records; ``live/control.py`` keeps them in a file."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from attrs import frozen

__all__ = ["ACTIVE", "HALTED", "REDUCING", "Command", "Latch", "Verb"]

ACTIVE: Final = "ACTIVE"
REDUCING: Final = "REDUCING"
HALTED: Final = "HALTED"


class Verb(StrEnum):
    """What a run can be told. HALT, FLATTEN and RESUME also change what is latched, at once."""

    STATUS = "status"
    HALT = "halt"
    RESUME = "resume"
    FLATTEN = "flatten"
    STOP = "stop"


@frozen
class Command:
    """One of them. Times are nanoseconds since the epoch, UTC; ``scope`` is a symbol, or empty for all."""

    id: int
    verb: Verb
    scope: str
    operator: str
    reason: str
    at_ns: int
    taken_at: int | None
    answered_at: int | None
    answer: Mapping[str, Any] | None


@frozen
class Latch:
    """A trading state, ACTIVE, REDUCING or HALTED, and who said so, when and why."""

    state: str
    operator: str
    reason: str
    at_ns: int
