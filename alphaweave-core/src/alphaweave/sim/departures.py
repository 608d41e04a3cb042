"""What market orders of one instant are about to take off the account: room for what is bought next."""

from __future__ import annotations

from decimal import Decimal

__all__ = ["Departures"]


class Departures:
    """Sums over the working market orders in units that arrived at the instant of the account's valuation.

    The account keeps them, when a purchase asks for room.

    Attributes:
        counted: how many of the orders that are awake were looked at.
        left: the symbol that prices a position -> units on the other side of it that are left to fill.
        worth: the same symbol -> what they will take off gross exposure.
    """

    def __init__(self) -> None:
        self.counted = 0
        self.left: dict[str, Decimal] = {}
        self.worth: dict[str, Decimal] = {}

    def recount(self) -> None:
        """Forget the sums: an order ended or was filled, or prices moved."""
        self.counted = 0
        self.left.clear()
        self.worth.clear()
