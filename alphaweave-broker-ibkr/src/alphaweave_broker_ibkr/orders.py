"""Orders in AlphaWeave's words and in the gateway's, as its client library holds them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ib_async import Contract, Order

from alphaweave.core.errors import Unsupported
from alphaweave.core.money import ZERO
from alphaweave.core.order import (
    OrderGroup,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    Trail,
)
from alphaweave_broker_ibkr.figures import exact, plain
from alphaweave_broker_ibkr.order_wire import OrderWire

__all__ = ["contract_of", "order_of", "refuse_unsendable", "request_of", "status_of"]

_TYPE: Final = {
    OrderType.MARKET: "MKT",
    OrderType.LIMIT: "LMT",
    OrderType.STOP: "STP",
    OrderType.STOP_LIMIT: "STP LMT",
    OrderType.TRAILING_STOP: "TRAIL",
}
_AT_CLOSE: Final = {OrderType.MARKET: "MOC", OrderType.LIMIT: "LOC"}
_TYPE_OF: Final = {word: kind for table in (_TYPE, _AT_CLOSE) for kind, word in table.items()}
# An auction's close is a type of order, which is for the day.
_TIF: Final = {
    TimeInForce.DAY: "DAY",
    TimeInForce.GTC: "GTC",
    TimeInForce.GTD: "GTD",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.AT_OPEN: "OPG",
    TimeInForce.AT_CLOSE: "DAY",
}
_TIF_OF: Final = {word: tif for tif, word in _TIF.items() if tif is not TimeInForce.AT_CLOSE}
_STATUS: Final = {
    # Sent by the gateway and confirmed by nobody, or not even sent.
    "PendingSubmit": OrderStatus.PENDING,
    "ApiPending": OrderStatus.PENDING,
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELLED,
    "ApiCancelled": OrderStatus.CANCELLED,
}
# Of a group, what is filled of one is taken off the other, and both are never at the market at once.
_REDUCE_WITH_BLOCK: Final = 2
_GTD: Final = "%Y%m%d-%H:%M:%S"


def refuse_unsendable(request: OrderRequest | OrderGroup, kind: str) -> None:
    """What no capability can say, for it depends on what is traded.

    Args:
        kind: what is traded, in the gateway's word.

    Raises:
        Unsupported: the gateway would refuse it.
    """
    for one in request.legs if isinstance(request, OrderGroup) else (request,):
        quantity = one.quantity
        what = ""
        if kind == "CRYPTO":
            if one.type not in {OrderType.MARKET, OrderType.LIMIT} or one.tif is not TimeInForce.IOC:
                what = "takes market and limit orders that are filled at once or cancelled (ioc)"
            elif one.type is OrderType.MARKET and one.side is Side.BUY and one.quote_quantity is None:
                what = "is bought at the market for an amount of money, not by units"
        elif one.quote_quantity is not None and kind == "FUT":
            what = "is traded by contracts, not by an amount of money"
        elif quantity is not None and quantity % 1 != ZERO:
            what = f"is traded in whole units, not {quantity}"
        if what:
            raise Unsupported(f"{one.symbol} {what}", code="unsupported", text=what)


def contract_of(wire: OrderWire) -> Contract:
    """The contract that an order is for: its number says all, and where to send it."""
    listing = wire.listing
    return Contract(
        conId=listing.con_id, secType=listing.kind, exchange=listing.exchange, currency=listing.currency
    )


def order_of(wire: OrderWire, name: str, account: str) -> Order:
    """An order to be placed, or placed again under its number with other terms.

    Each number in it is a plain text: as floats they would be sent in all their digits.

    Args:
        name: the client order id.
    """
    terms = wire.terms
    closing = terms.tif is TimeInForce.AT_CLOSE
    words: dict[str, Any] = {
        "orderId": wire.order,
        "clientId": wire.client,
        "action": terms.side.name,
        "orderType": (_AT_CLOSE if closing else _TYPE)[terms.type],
        # Without one the gateway puts one in from its presets, and says so in an error.
        "tif": _TIF[terms.tif],
        "account": account,
        "orderRef": name,
        "transmit": not wire.held,
        "parentId": wire.parent,
        "outsideRth": terms.extended_hours,
    }
    trail = terms.trail
    numbers = {
        "totalQuantity": ZERO if terms.quantity is None else terms.quantity,
        "cashQty": terms.quote_quantity,
        "lmtPrice": terms.limit_price,
        "auxPrice": terms.stop_price if trail is None else trail.amount,
        "trailingPercent": None if trail is None else trail.percent,
    }
    words |= {field: plain(number) for field, number in numbers.items() if number is not None}
    if terms.expire_at is not None:
        words["goodTillDate"] = terms.expire_at.astimezone(UTC).strftime(_GTD)
    if wire.oca:
        words |= {"ocaGroup": wire.oca, "ocaType": _REDUCE_WITH_BLOCK}
    return Order(**words)


def request_of(order: Order, symbol: str) -> OrderRequest | None:
    """The terms of an order as the gateway has them; None where they cannot be said here."""
    try:
        kind = _TYPE_OF[order.orderType]
        quantity, cash = _given(order.totalQuantity), _given(order.cashQty)
        limited = kind in {OrderType.LIMIT, OrderType.STOP_LIMIT}
        stopped = kind in {OrderType.STOP, OrderType.STOP_LIMIT}
        closing = order.orderType in _AT_CLOSE.values()
        tif = TimeInForce.AT_CLOSE if closing else _TIF_OF[order.tif]
        return OrderRequest(
            symbol=symbol,
            side=Side[order.action],
            # What was filled has no quantity left in the list of what is over.
            quantity=None if cash else quantity or _given(order.filledQuantity),
            quote_quantity=cash,
            type=kind,
            tif=tif,
            expire_at=_until(order.goodTillDate) if tif is TimeInForce.GTD else None,
            limit_price=_given(order.lmtPrice) if limited else None,
            stop_price=_given(order.auxPrice) if stopped else None,
            trail=_trail(order) if kind is OrderType.TRAILING_STOP else None,
            extended_hours=bool(order.outsideRth),
        )
    except (KeyError, ValueError, ZoneInfoNotFoundError):
        return None


def _given(number: float | Decimal | None) -> Decimal | None:
    value = None if number is None else exact(number)
    return value if value is not None and value > ZERO else None


def _trail(order: Order) -> Trail:
    percent = _given(order.trailingPercent)
    return Trail(percent=percent) if percent else Trail(amount=_given(order.auxPrice))


def _until(text: str) -> datetime:
    day, _, rest = text.replace("-", " ").partition(" ")
    clock, _, zone = rest.partition(" ")
    naive = datetime.strptime(f"{day} {clock}", "%Y%m%d %H:%M:%S")  # noqa: DTZ007 - its zone is in the text
    return naive.replace(tzinfo=ZoneInfo(zone) if zone else UTC).astimezone(UTC)


def status_of(word: str, filled: Decimal) -> OrderStatus:
    """Where an order stands. A word that is not known is an order that works, and so is Inactive: it may be
    held back, and one that was refused has an error."""
    known = _STATUS.get(word)
    if known is not None:
        return known
    return OrderStatus.PARTIALLY_FILLED if filled > ZERO else OrderStatus.ACCEPTED
