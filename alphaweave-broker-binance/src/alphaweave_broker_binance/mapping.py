"""Binance's words and AlphaWeave's: tables and pure functions.

Words that are not known here are borne with, and what is missing is a `ValueError` or a `KeyError` of the
field's name: the caller makes an answer that cannot be used of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from alphaweave.core.errors import Unsupported
from alphaweave.core.money import ZERO, plain
from alphaweave.core.order import (
    OrderGroup,
    OrderRequest,
    OrderStatus,
    OrderType,
    RejectReason,
    Side,
    TimeInForce,
    Trail,
)

__all__ = [
    "amount",
    "basis_points",
    "is_final",
    "is_ours",
    "is_repeated_id",
    "list_params",
    "moment",
    "order_params",
    "reject_reason",
    "request_of",
    "status_of",
    "text_of",
]

_OURS: Final = re.compile(r"aw[a-z0-9]{5}-[a-z0-9]{22}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIF: Final = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}
_LIMITED: Final = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT})
_TIF_OF: Final = {word: tif for tif, word in _TIF.items()}
_ENDS: Final = {
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELLED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
    "REJECTED": OrderStatus.REJECTED,
}
# An order that was refused so may work all the same, or be refused by another than the engine.
_NOT_FINAL: Final = frozenset({"-1000", "-1001", "-1006", "-1007", "-1008", "-1016"})
_REASONS: Final[Sequence[tuple[str, RejectReason]]] = (
    ("insufficient balance", RejectReason.INSUFFICIENT_FUNDS),
    ("immediately match and take", RejectReason.WOULD_CROSS),
    ("would trigger immediately", RejectReason.INVALID_PRICE),
    ("market is closed", RejectReason.MARKET_CLOSED),
    ("filter failure: price_filter", RejectReason.INVALID_PRICE),
    ("filter failure: percent_price", RejectReason.INVALID_PRICE),
    ("filter failure: trailing_delta", RejectReason.INVALID_PRICE),
    ("filter failure: lot_size", RejectReason.INVALID_SIZE),
    ("filter failure: market_lot_size", RejectReason.INVALID_SIZE),
    ("filter failure: notional", RejectReason.INVALID_SIZE),
    ("filter failure: min_notional", RejectReason.INVALID_SIZE),
    ("filter failure: max_position", RejectReason.INVALID_SIZE),
    ("filter failure: max_num", RejectReason.RATE_LIMITED),
    ("filter failure: exchange_max_num", RejectReason.RATE_LIMITED),
    ("action is disabled", RejectReason.ACCOUNT_BLOCKED),
    ("may not place", RejectReason.ACCOUNT_BLOCKED),
    ("not permitted for this account", RejectReason.ACCOUNT_BLOCKED),
    ("restricted for this account", RejectReason.ACCOUNT_BLOCKED),
    ("trading is not enabled", RejectReason.ACCOUNT_BLOCKED),
    ("not support", RejectReason.UNSUPPORTED),
    ("unsupported order combination", RejectReason.UNSUPPORTED),
    ("qty is zero or less", RejectReason.INVALID_SIZE),
    ("parameter 'price'", RejectReason.INVALID_PRICE),
    ("parameter 'stopprice'", RejectReason.INVALID_PRICE),
    ("parameter 'quantity'", RejectReason.INVALID_SIZE),
    ("parameter 'quoteorderqty'", RejectReason.INVALID_SIZE),
    ("relationship of the prices", RejectReason.INVALID_PRICE),
)
_CODES: Final = {
    "-1003": RejectReason.RATE_LIMITED,
    "-1015": RejectReason.RATE_LIMITED,
    "-1034": RejectReason.RATE_LIMITED,
    "-1002": RejectReason.ACCOUNT_BLOCKED,
    "-1022": RejectReason.ACCOUNT_BLOCKED,
    "-2014": RejectReason.ACCOUNT_BLOCKED,
    "-2015": RejectReason.ACCOUNT_BLOCKED,
    "-1121": RejectReason.UNKNOWN_SYMBOL,
    "-1114": RejectReason.UNSUPPORTED,
    "-1115": RejectReason.UNSUPPORTED,
    "-1116": RejectReason.UNSUPPORTED,
    "-1128": RejectReason.UNSUPPORTED,
}


def is_ours(client_order_id: str | None) -> bool:
    """Whether an id is one of AlphaWeave's."""
    return client_order_id is not None and _OURS.fullmatch(client_order_id) is not None


def moment(milliseconds: Any) -> datetime:
    """A time as Binance writes it, in milliseconds since the epoch, as UTC.

    Raises:
        ValueError: it is none.
    """
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int):
        raise ValueError(f"a time is in whole milliseconds, not {milliseconds!r}")
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise ValueError(f"a time is in milliseconds of this age, not {milliseconds}") from None


def amount(value: Any, name: str) -> Decimal:
    """A number as Binance writes it, as text, exactly.

    Raises:
        ValueError: it is none, or not finite.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name} is a number in text, not {value!r}")
    try:
        exact = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"{name} is a number, not {value!r}") from None
    if not exact.is_finite():
        raise ValueError(f"{name} is finite, not {value!r}")
    return exact


def text_of(answer: Mapping[str, Any], name: str) -> str:
    """A text that has to be there.

    Raises:
        ValueError: it is missing.
    """
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is missing from Binance's answer")
    return value


def basis_points(percent: Decimal, symbol: str) -> str:
    """A trail as Binance takes it: 1 % is 100.

    Raises:
        Unsupported: it is no whole number of them.
    """
    points = percent * 100
    if points != points.to_integral_value():
        what = f"a trail at Binance is a whole number of hundredths of a percent, not {plain(percent)} %"
        raise Unsupported(f"{symbol}: {what}", code="unsupported", text=what)
    return plain(points)


def order_params(request: OrderRequest, venue_symbol: str, client_order_id: str) -> dict[str, str]:
    """What is sent for one order; every number is a plain text.

    Raises:
        Unsupported: its trail cannot be said.
    """
    kind = _word(request)
    params = {
        "symbol": venue_symbol,
        "side": request.side.name,
        "type": kind,
        "newClientOrderId": client_order_id,
        # What was filled comes as events.
        "newOrderRespType": "ACK",
    }
    numbers = {
        "quantity": request.quantity,
        "quoteOrderQty": request.quote_quantity,
        "price": request.limit_price,
        "stopPrice": request.stop_price,
    }
    params |= {name: plain(value) for name, value in numbers.items() if value is not None}
    if request.trail is not None and request.trail.percent is not None:
        params["trailingDelta"] = basis_points(request.trail.percent, request.symbol)
    if kind in {"LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"}:
        params["timeInForce"] = _TIF[request.tif]
    return params


def _word(request: OrderRequest) -> str:
    if request.type is OrderType.LIMIT:
        return "LIMIT_MAKER" if request.post_only else "LIMIT"
    return {
        OrderType.MARKET: "MARKET",
        OrderType.STOP: "STOP_LOSS",
        OrderType.STOP_LIMIT: "STOP_LOSS_LIMIT",
        OrderType.TRAILING_STOP: "STOP_LOSS",
        OrderType.TAKE_PROFIT: "TAKE_PROFIT",
        OrderType.TAKE_PROFIT_LIMIT: "TAKE_PROFIT_LIMIT",
    }[request.type]


def list_params(
    group: OrderGroup, venue_symbol: str, list_id: str, client_order_ids: Sequence[str]
) -> tuple[str, dict[str, str]]:
    """Where a group is sent, and what: an OCO, or an order that places one when it is filled.

    Args:
        client_order_ids: in the order of ``group.legs``.
    """
    profit, loss = group.take_profit, group.stop_loss
    profit_id, loss_id = client_order_ids[-2:]
    # Above the market is where a sale takes its profit, and where a purchase stops its loss.
    above, below = ("Above", "Below") if profit.side is Side.SELL else ("Below", "Above")
    exits = {
        f"{above}Type": "LIMIT_MAKER",
        f"{above}Price": plain(_given(profit.limit_price)),
        f"{above}ClientOrderId": profit_id,
        f"{below}Type": _word(loss),
        f"{below}StopPrice": plain(_given(loss.stop_price)),
        f"{below}ClientOrderId": loss_id,
    }
    if loss.limit_price is not None:
        exits |= {f"{below}Price": plain(loss.limit_price), f"{below}TimeInForce": _TIF[loss.tif]}
    params = {"symbol": venue_symbol, "listClientOrderId": list_id, "newOrderRespType": "ACK"}
    size = plain(_given(profit.quantity))
    entry = group.entry
    if entry is None:
        named = {name[0].lower() + name[1:]: value for name, value in exits.items()}
        return "/api/v3/orderList/oco", {**params, "side": profit.side.name, "quantity": size, **named}
    kind = _word(entry)
    params |= {
        "workingType": kind,
        "workingSide": entry.side.name,
        "workingClientOrderId": client_order_ids[0],
        "workingPrice": plain(_given(entry.limit_price)),
        "workingQuantity": size,
        "pendingSide": profit.side.name,
        "pendingQuantity": size,
    }
    if kind == "LIMIT":
        params["workingTimeInForce"] = _TIF[entry.tif]
    pending = {f"pending{name}": value for name, value in exits.items()}
    return "/api/v3/orderList/otoco", {**params, **pending}


def _given(value: Decimal | None) -> Decimal:
    if value is None:
        raise ValueError("a leg of a group lacks a price or a quantity")
    return value


def status_of(word: Any, filled: Decimal) -> OrderStatus:
    """Where an order stands; a word that is not known is an order that works."""
    ended = _ENDS.get(word)
    if ended is not None:
        return ended
    return OrderStatus.PARTIALLY_FILLED if filled > ZERO else OrderStatus.ACCEPTED


def request_of(order: Mapping[str, Any], symbol: str) -> OrderRequest | None:
    """The terms of an order as Binance has them; None where they cannot be said here."""

    def number(name: str) -> Decimal | None:
        value = amount(order.get(name, "0"), name)
        return value if value > ZERO else None

    try:
        word, delta = order["type"], int(order.get("trailingDelta") or 0)
        trailing = delta > 0
        kind = {
            "MARKET": OrderType.MARKET,
            "LIMIT": OrderType.LIMIT,
            "LIMIT_MAKER": OrderType.LIMIT,
            "STOP_LOSS": OrderType.TRAILING_STOP if trailing else OrderType.STOP,
            "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
            "TAKE_PROFIT": OrderType.TAKE_PROFIT,
            "TAKE_PROFIT_LIMIT": OrderType.TAKE_PROFIT_LIMIT,
        }[word]
        if trailing and kind is not OrderType.TRAILING_STOP:
            return None
        quote = number("origQuoteOrderQty") if kind is OrderType.MARKET else None
        limited = kind in _LIMITED
        stopped = kind not in {OrderType.MARKET, OrderType.LIMIT, OrderType.TRAILING_STOP}
        timed = limited and word != "LIMIT_MAKER"
        usual = TimeInForce.IOC if kind is OrderType.MARKET else TimeInForce.GTC
        return OrderRequest(
            symbol=symbol,
            side=Side[order["side"]],
            quantity=None if quote else number("origQty"),
            quote_quantity=quote,
            type=kind,
            tif=_TIF_OF[order["timeInForce"]] if timed else usual,
            limit_price=number("price") if limited else None,
            stop_price=number("stopPrice") if stopped else None,
            trail=Trail(percent=Decimal(delta) / 100) if trailing else None,
            # In a list it is how a take profit is said here.
            post_only=word == "LIMIT_MAKER" and order.get("orderListId", -1) == -1,
        )
    except (KeyError, TypeError, ValueError):
        return None


def is_repeated_id(text: str) -> bool:
    """Whether a refusal says that an open order has that client order id."""
    return "duplicate order" in text.lower()


def is_final(status: int, code: str | None, text: str) -> bool:
    """Whether an order that was refused so does not exist. A page that is not Binance's own has no code."""
    if status in {418, 429}:
        return True
    if status not in {400, 401, 403} or code is None or code in _NOT_FINAL:
        return False
    return not is_repeated_id(text)


def reject_reason(status: int, code: str | None, text: str) -> RejectReason:
    """The refusal in AlphaWeave's words: by its text, where one code has many meanings."""
    if status in {418, 429}:
        return RejectReason.RATE_LIMITED
    known = _CODES.get(code or "")
    if known is not None:
        return known
    said = text.lower()
    return next((reason for words, reason in _REASONS if words in said), RejectReason.OTHER)
