"""What monitors are told of orders and fills."""

from __future__ import annotations

from datetime import datetime

from alphaweave.core.drafts import drafted
from alphaweave.core.money import ZERO
from alphaweave.core.order import OrderStatus, OrderType
from alphaweave.live.ledger import Booking
from alphaweave.live.orders import DeniedOrder, Order, SymbolBook
from alphaweave.live.reports import BrokerFill
from alphaweave.monitoring.monitor import OrderRecord, TradeRecord

__all__ = ["denial_record", "order_record", "trade_record"]

_OrderRecord = drafted(OrderRecord)
_TradeRecord = drafted(TradeRecord)


def order_record(order: Order, when: datetime) -> OrderRecord:
    """An order as it stands."""
    request = order.request
    # `_value_` is a plain attribute; `value` is a descriptor that costs as much as the rest of this.
    return _OrderRecord(
        when,
        order.id,
        order.symbol,
        order.side._value_,
        request.type._value_,
        request.tif._value_,
        order.status._value_,
        order.quantity,
        order.filled,
        request.limit_price,
        request.stop_price,
        float(order.filled_value / order.filled) if order.filled else None,
        order.reason,
        order.text,
        order.adjustments,
    )


def denial_record(order: DeniedOrder, kind: OrderType, when: datetime) -> OrderRecord:
    """A request that never became an order."""
    return OrderRecord(
        when,
        order.id,
        order.symbol,
        "",
        kind.value,
        "",
        OrderStatus.DENIED.value,
        None,
        ZERO,
        reason=order.reason,
        text=order.text,
    )


def trade_record(
    fill: BrokerFill, booking: Booking, order: Order | None, book: SymbolBook, index: int
) -> TradeRecord:
    """A fill as the ledger booked it, with what it slipped against the price it was decided on."""
    price = float(fill.price)
    slippage = None
    if order is not None and order.reference is not None:
        slippage = (price - order.reference) * fill.side.sign
    return _TradeRecord(
        fill.executed_at,
        fill.symbol,
        fill.side._value_,
        price,
        float(fill.size),
        float(booking.fees),
        order.id if order is not None else (fill.client_order_id or fill.broker_order_id),
        fill.execution_key,
        book.units,
        slippage,
        None if booking.realised is None else float(booking.realised),
        None,
        index,
        book.worth(float(fill.size), price),
    )
