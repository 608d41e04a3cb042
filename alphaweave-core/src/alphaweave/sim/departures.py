"""What market orders of one instant are about to take off the account: room for what is bought next."""

from __future__ import annotations

from decimal import Decimal

from alphaweave.core.order import OrderType
from alphaweave.sim.orders import SimOrder

__all__ = ["Departures"]

# An enum member looked up in its class costs several times what a module's own name costs.
_MARKET = OrderType.MARKET


class Departures:
    """The working market orders in units that arrived last, all at one instant.

    Attributes:
        at: that instant, nanoseconds.
        orders: in the order of arrival; those that ended since are still among them.
        counted: how many of ``orders`` are in the sums below, which whoever values the account keeps.
        left: the symbol that prices a position -> units on the other side of it that are left to fill.
        worth: the same symbol -> what they will take off gross exposure.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Know of no order."""
        self.at = -1
        self.orders: list[SimOrder] = []
        self.counted = 0
        self.left: dict[str, Decimal] = {}
        self.worth: dict[str, Decimal] = {}

    def arrived(self, order: SimOrder) -> None:
        """Take note of an order that has just begun to work."""
        if order.request.type is not _MARKET or order.quantity is None:
            return
        if order.submitted != self.at:
            self.at = order.submitted
            self.orders = []
            self.recount()
        self.orders.append(order)

    def recount(self) -> None:
        """Forget the sums: an order ended or was filled, or prices moved."""
        if self.counted:
            self.counted = 0
            self.left.clear()
            self.worth.clear()
