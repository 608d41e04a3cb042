"""What a day came to."""

from __future__ import annotations

from collections import Counter

from attrs import define, field

from simulation.invariants import Violation
from simulation.script import FaultKind

__all__ = ["DayReport", "Violated"]


class Violated(Exception):
    """An invariant does not hold: the day is over."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.text)
        self.violation = violation


@define
class DayReport:
    """What a day came to."""

    seed: int
    violation: Violation | None = None
    faults: Counter[FaultKind] = field(factory=Counter)
    orders: int = 0
    fills: int = 0
    crashes: int = 0
    events: int = 0
    outcomes: tuple[int, int] = (0, 0)
