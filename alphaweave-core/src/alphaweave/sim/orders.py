"""The venue's own working order, and the groups that tie orders together."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from attrs import define, frozen

from alphaweave.core.money import CONTEXT, ZERO
from alphaweave.core.order import OrderRef, OrderRequest, OrderStatus, Side, TimeInForce
from alphaweave.live.reports import BrokerOrder

__all__ = ["SimGroup", "SimOrder", "broker_order", "one_shot"]


# An enum member looked up in its class costs several times what a module's own name costs.
_DAY, _GTC, _GTD = TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD
_ACCEPTED = OrderStatus.ACCEPTED


def one_shot(tif: TimeInForce) -> bool:
    """Whether an order with this time in force has one instant to fill in, and ends after it."""
    # By identity: hashing an enum member is slow.
    return tif is not _DAY and tif is not _GTC and tif is not _GTD


@define(eq=False)
class SimOrder:
    """One version of an order, as the venue works on it. Mutable, and never handed out.

    Attributes:
        seq: its place in the order of matching; a replacement keeps it.
        quantity: total units; None while an order in quote currency has not stated any.
        filled: units executed, by earlier versions too.
        value: sum of size times price over those executions; ``average_price`` is their average.
        submitted: nanoseconds since the epoch, UTC.
        eligible_from: it can match in bars that open at or after this instant.
        once: its time in force gives it one instant to fill in.
        met: end of the last bar it was taken to; it meets each bar once.
        quote_left: what an order in quote currency has yet to spend.
        triggered: a stop that has become a market or a limit order.
        best: best price a trailing stop has seen.
        session: a DAY order's own session; the last session that an AT_OPEN order has seen.
        expires: nanoseconds, for GTD.
        group: id of its group, 0 for none; ``held``: an exit that waits for its entry.
        replaced_by: client order id of the version that took its place.
        fee_due, fee_paid: fees before and after the minimum, so far.
    """

    seq: int
    ref: OrderRef
    request: OrderRequest
    buy: bool
    quantity: Decimal | None
    submitted: int
    eligible_from: int
    once: bool = False
    met: int = 0
    status: OrderStatus = _ACCEPTED
    reason: str | None = None
    text: str = ""
    filled: Decimal = ZERO
    value: Decimal = ZERO
    average_price: Decimal | None = None
    quote_left: Decimal | None = None
    triggered: bool = False
    best: Decimal | None = None
    session: int | None = None
    expires: int | None = None
    group: int = 0
    held: bool = False
    replaced_by: str | None = None
    fee_due: Decimal = ZERO
    fee_paid: Decimal = ZERO

    @property
    def remaining(self) -> Decimal:
        """Units left; zero for an order in quote currency, which has ``quote_left``."""
        if self.quantity is None:
            return ZERO
        return CONTEXT.subtract(self.quantity, self.filled) if self.filled else self.quantity


@frozen
class SimGroup:
    """Orders that end each other, by their places. ``entry`` is None for an OCO."""

    id: int
    entry: int | None
    take_profit: int
    stop_loss: int

    def sibling(self, seq: int) -> int:
        """The other exit."""
        return self.stop_loss if seq == self.take_profit else self.take_profit


def broker_order(order: SimOrder, as_of: datetime, submitted_at: datetime) -> BrokerOrder:
    """The order as a query finds it."""
    return BrokerOrder(
        ref=order.ref,
        client_order_id=order.ref.client_order_id,
        status=order.status,
        side=Side.BUY if order.buy else Side.SELL,
        quantity=order.quantity,
        filled=order.filled,
        as_of=as_of,
        request=order.request,
        average_price=order.average_price,
        submitted_at=submitted_at,
        reason=order.reason,
        text=order.text,
        replaced_by=order.replaced_by,
    )
