"""What a strategy is told: fills, order events, gaps in its data, and the handles of its orders."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from alphaweave.core.money import Number
from alphaweave.core.order import OrderStatus

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["Fill", "Gap", "GroupHandle", "OrderDesk", "OrderEvent", "OrderHandle", "WorkingOrder"]


class WorkingOrder(Protocol):
    """The kernel's own order, as far as a handle reads it."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> OrderStatus: ...
    @property
    def symbol(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def text(self) -> str: ...
    @property
    def quantity(self) -> Decimal | None: ...
    @property
    def filled(self) -> Decimal: ...
    @property
    def adjustments(self) -> tuple[str, ...]: ...

    def average_price(self) -> float | None: ...


class OrderDesk(Protocol):
    """What a handle asks of the kernel."""

    def cancel(self, order_id: str) -> None: ...

    def replace(
        self,
        order_id: str,
        size: Number | None,
        limit_price: Number | None,
        stop_price: Number | None,
    ) -> bool: ...


class OrderHandle:
    """A strategy's grip on one order. Its values are always the present ones."""

    __slots__ = ("_desk", "_order")

    def __init__(self, order: WorkingOrder, desk: OrderDesk) -> None:
        self._order = order
        self._desk = desk

    @property
    def id(self) -> str:
        """The order's id; it stays the same over replacements and restarts."""
        return self._order.id

    @property
    def symbol(self) -> str:
        return self._order.symbol

    @property
    def status(self) -> OrderStatus:
        return self._order.status

    @property
    def is_open(self) -> bool:
        """Whether the order may still fill, as far as is known."""
        return not self._order.status.terminal

    @property
    def reason(self) -> str | None:
        """A reason code for a denial, a rejection or an end."""
        return self._order.reason

    @property
    def text(self) -> str:
        """The same in words, the broker's own where it had any."""
        return self._order.text

    @property
    def size(self) -> float | None:
        """Units asked for, unsigned; None for an order sized in quote currency."""
        quantity = self._order.quantity
        return None if quantity is None else float(quantity)

    @property
    def filled(self) -> float:
        """Units filled so far, unsigned."""
        return float(self._order.filled)

    @property
    def average_price(self) -> float | None:
        """Average fill price in quote currency; None before the first fill."""
        return self._order.average_price()

    @property
    def adjustments(self) -> tuple[str, ...]:
        """What rounding to the instrument's rules changed, in words."""
        return self._order.adjustments

    def cancel(self) -> None:
        """Ask for a cancel; a terminal order is left alone. Fills may still come until it is confirmed."""
        self._desk.cancel(self._order.id)

    def replace(
        self,
        *,
        size: Number | None = None,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
    ) -> bool:
        """Change a working order. ``size`` is the new unsigned total, the filled part included.

        Returns:
            Whether the change was sent on; a refusal leaves the order as it was and `text` says why.
        """
        return self._desk.replace(self._order.id, size, limit_price, stop_price)

    def __repr__(self) -> str:
        return f"<order {self.id} {self.symbol} {self.status.value} filled {self._order.filled}>"


@frozen(eq=False)
class GroupHandle:
    """The legs of a bracket or an OCO (whose ``entry`` is None)."""

    entry: OrderHandle | None
    take_profit: OrderHandle
    stop_loss: OrderHandle

    @property
    def legs(self) -> tuple[OrderHandle, ...]:
        exits = (self.take_profit, self.stop_loss)
        return exits if self.entry is None else (self.entry, *exits)

    @property
    def is_open(self) -> bool:
        return any(leg.is_open for leg in self.legs)

    def cancel(self) -> None:
        """Ask for a cancel of every leg that is still open."""
        for leg in self.legs:
            leg.cancel()


@frozen(eq=False)
class Fill:
    """One execution of one of the strategy's orders; the portfolio already includes it.

    Attributes:
        size: signed units, positive for a buy.
        price: quote currency per unit.
        fees: in the run's currency, as far as known yet.
        position: signed units held after it.
    """

    order: OrderHandle
    symbol: str
    size: float
    price: float
    fees: float
    position: float
    timestamp: datetime


@frozen(eq=False)
class OrderEvent:
    """One of the strategy's orders changed its status."""

    order: OrderHandle
    status: OrderStatus
    reason: str | None
    text: str
    timestamp: datetime


@frozen
class Gap:
    """Bars of a symbol that were missed: ends after ``start``, up to and including ``end``, UTC.

    Attributes:
        filled: whether the missing bars were fetched afterwards and joined the series.
    """

    symbol: str
    start: datetime
    end: datetime
    filled: bool
