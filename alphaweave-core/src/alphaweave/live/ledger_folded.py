"""The beginning of a position's history that is kept elsewhere, and what it came to."""

from __future__ import annotations

from decimal import Decimal

from attrs import frozen

__all__ = ["Folded"]


@frozen(kw_only=True)
class Folded:
    """What a position had come to when the history that is still here begins.

    Attributes:
        since, until: it was archived after these decisions, from the first to the last.
        count: how many items it has.
        at: when the last of them was executed (ns); nothing before that can be entered without them.
        quantity, cost, realised: as `alphaweave.live.ledger_entries.Position` has them.
    """

    since: int
    until: int
    count: int
    at: int
    quantity: Decimal
    cost: Decimal
    realised: Decimal

    def has(self, seq: int) -> bool:
        """Whether what was archived after this decision is of it."""
        return self.since <= seq <= self.until
