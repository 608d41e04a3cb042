"""What one run of a workload comes to, for the floor and for AlphaWeave alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Disagreement", "Outcome", "Run", "agree"]

EQUITY_TOLERANCE = 1e-6  # the floor adds up in float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One finished run.

    Attributes:
        fills: executions.
        equity: cash and positions at the last price.
        marks: equity figures recorded, one a slice; with trades, the trades counted.
        denials: orders refused before or by the venue.
        rules: how often a risk rule judged an order.
    """

    fills: int
    equity: float
    marks: int
    denials: int = 0
    rules: int = 0


Run = Callable[[], Outcome]


class Disagreement(Exception):
    """Two runs of one workload did not do the same work, so their times cannot be compared."""


def agree(name: str, floor: Outcome, other: Outcome) -> None:
    """Check that the other run traded as the floor did.

    Raises:
        Disagreement: fills, equity or the number of equity figures differ, or an order was refused.
    """
    if other.fills != floor.fills or other.marks != floor.marks:
        raise Disagreement(
            f"{name}: {other.fills} fills and {other.marks} marks, "
            f"but the floor has {floor.fills} and {floor.marks}"
        )
    if not abs(other.equity - floor.equity) <= EQUITY_TOLERANCE * abs(floor.equity):
        raise Disagreement(f"{name}: final equity {other.equity!r}, but the floor has {floor.equity!r}")
    if other.denials:
        raise Disagreement(f"{name}: {other.denials} orders were refused; the workload gives no reason to")
