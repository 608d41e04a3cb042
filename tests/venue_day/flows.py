"""The money that a day takes, and which of it a run cannot have heard of."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from enum import Enum

from attrs import define, field

__all__ = ["Flow", "Flows", "Line", "Told"]

_FIRST = Decimal("-0.37")
_STEP = Decimal("-0.01")


class Told(Enum):
    """How a venue tells of money that moved for another reason than a trade."""

    AGAIN = "also afterwards, to who was not connected"
    ONCE = "to who is connected"
    NEVER = "not at all"


@define
class Line:
    """The connection of the run, from both ends.

    Attributes:
        losses: connections that the run was told to have lost; ``restored``: those that came back.
    """

    losses: int = 0
    restored: int = 0
    _unnoticed: int | None = None

    @property
    def is_up(self) -> bool:
        """Whether what is told arrives: it was not cut since the run last said so."""
        return self.losses <= self.restored and self._unnoticed != self.losses

    def cut(self) -> None:
        """The venue closes it, which the run notices later; where it is down already there is no more to."""
        if self.is_up:
            self._unnoticed = self.losses


@define
class Flow:
    """Money that was taken.

    Attributes:
        amount: no other flow of the day has the same.
        losses: of connections, when it was taken.
        missed: it fell while the connection was down, or cut before it was told.
        pending: it may still be under way.
    """

    amount: Decimal
    losses: int
    missed: bool
    pending: bool = True


@define
class Flows:
    """All of a day's."""

    line: Line
    taken: list[Flow] = field(factory=list)

    def take(self) -> Decimal:
        """What the next one is; it is taken now."""
        amount = _FIRST + _STEP * len(self.taken)
        self.taken.append(Flow(amount, self.line.losses, missed=not self.line.is_up))
        return amount

    def end_minute(self, *, held: bool) -> None:
        """``held``: the venue kept back in this minute what it had to tell."""
        for flow in self.taken:
            if flow.pending:
                flow.missed |= self.line.losses > flow.losses
                flow.pending = not flow.missed and (held or not self.line.is_up)

    def forgiven(self, booked: Collection[Decimal], told: Told) -> Decimal:
        """What a run may lack that has ``booked`` these."""
        if told is Told.AGAIN:
            return Decimal()
        lacking = [flow for flow in self.taken if flow.amount not in booked]
        return sum((flow.amount for flow in lacking if flow.missed or told is Told.NEVER), Decimal())
