"""Alpaca's words and AlphaWeave's: tables and pure functions.

Words that are not known here are borne with, and what is missing is a `ValueError` or a `KeyError` of the
field's name: the caller makes an answer that cannot be used of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

from alphaweave.core.errors import OrderState
from alphaweave.core.instrument import Instrument, PriceStep
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
    "EVENT_STATUS",
    "activity_time",
    "amount",
    "cancel_state",
    "flow_kind",
    "group_body",
    "instrument_of",
    "is_combination",
    "is_ours",
    "is_repeated_id",
    "leg_role",
    "moment",
    "order_body",
    "reject_reason",
    "request_of",
    "status_of",
    "text_of",
]

_OURS: Final = re.compile(r"aw[a-z0-9]{5}-[a-z0-9]{22}")
_TIF: Final = {
    TimeInForce.DAY: "day",
    TimeInForce.GTC: "gtc",
    TimeInForce.IOC: "ioc",
    TimeInForce.FOK: "fok",
    TimeInForce.AT_OPEN: "opg",
    TimeInForce.AT_CLOSE: "cls",
}
_TIF_OF: Final = {word: tif for tif, word in _TIF.items()}
_ENDS: Final = {
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "replaced": OrderStatus.CANCELLED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}
EVENT_STATUS: Final[Mapping[str, OrderStatus]] = {
    word: status for word, status in _ENDS.items() if word != "filled"
}
"""What an event that ends an order says, whatever the order in it does."""

_FLOWS: Final[Sequence[tuple[str, str]]] = (
    ("CSD", "deposit"),
    ("CSW", "withdrawal"),
    ("DIV", "dividend"),
    ("INT", "interest"),
    ("FEE", "fee"),
    ("CFEE", "fee"),
)
_NEW_YORK: Final = "America/New_York"
_STAMP: Final = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:?\d\d)")
_REASONS: Final[Sequence[tuple[str, RejectReason]]] = (
    ("insufficient buying power", RejectReason.INSUFFICIENT_FUNDS),
    ("insufficient balance", RejectReason.INSUFFICIENT_FUNDS),
    ("insufficient qty", RejectReason.INSUFFICIENT_FUNDS),
    ("wash trade", RejectReason.WOULD_CROSS),
    ("sold short", RejectReason.NOT_SHORTABLE),
    ("short", RejectReason.NOT_SHORTABLE),
    ("cost basis", RejectReason.INVALID_SIZE),
    ("sub-penny", RejectReason.INVALID_PRICE),
    ("_price", RejectReason.INVALID_PRICE),
    ("not tradable", RejectReason.MARKET_CLOSED),
    ("not active", RejectReason.MARKET_CLOSED),
    ("asset", RejectReason.UNKNOWN_SYMBOL),
    ("qty", RejectReason.INVALID_SIZE),
    ("fractional", RejectReason.UNSUPPORTED),
    ("order type", RejectReason.UNSUPPORTED),
)


def is_ours(client_order_id: str | None) -> bool:
    """Whether an id is one of AlphaWeave's."""
    return client_order_id is not None and _OURS.fullmatch(client_order_id) is not None


def is_combination(order: Mapping[str, Any]) -> bool:
    """Whether an order is in several options at once, which are its legs."""
    return order.get("order_class") == "mleg" and not order.get("symbol")


def moment(text: str) -> datetime:
    """An RFC 3339 time of up to nanoseconds, with any offset, as UTC, cut at microseconds.

    Raises:
        ValueError: it is none.
    """
    found = _STAMP.fullmatch(text)
    if found is None:
        raise ValueError(f"a time is RFC 3339 with an offset, not {text!r}")
    whole, fraction, zone = found.groups()
    offset = "+00:00" if zone == "Z" else zone
    micro = ((fraction or "") + "000000")[:6]
    return datetime.fromisoformat(f"{whole}.{micro}{offset}").astimezone(UTC)


def activity_time(told: Mapping[str, Any]) -> datetime:
    """When something other than an execution happened: its id begins with New York's local time.

    Raises:
        ValueError: neither the id nor the date tells it.
    """
    made = told.get("created_at")
    if made:
        return moment(str(made))
    zone = ZoneInfo(_NEW_YORK)
    digits = text_of(told, "id").partition("::")[0]
    if len(digits) == 17 and digits.isdigit():
        local = datetime.strptime(digits + "000", "%Y%m%d%H%M%S%f").replace(tzinfo=zone)
    else:
        local = datetime.fromisoformat(text_of(told, "date")).replace(tzinfo=zone)
    return local.astimezone(UTC)


def flow_kind(word: str) -> str:
    """Why money moved; Alpaca's own word where it has no other."""
    return next((kind for begin, kind in _FLOWS if word.startswith(begin)), word)


def amount(value: Any, name: str) -> Decimal:
    """A number as Alpaca writes it, mostly text, exactly.

    Raises:
        ValueError: it is none, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError(f"{name} is a number, not {value!r}")
    try:
        exact = Decimal(str(value))
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
        raise ValueError(f"{name} is missing from Alpaca's answer")
    return value


def order_body(request: OrderRequest, venue_symbol: str, client_order_id: str) -> dict[str, Any]:
    """What is posted for one order; every number is a plain text."""
    body: dict[str, Any] = {
        "symbol": venue_symbol,
        "side": request.side.value,
        "type": request.type.value,
        "time_in_force": _TIF[request.tif],
        "client_order_id": client_order_id,
    }
    numbers = {
        "qty": request.quantity,
        "notional": request.quote_quantity,
        "limit_price": request.limit_price,
        "stop_price": request.stop_price,
        "trail_price": request.trail.amount if request.trail else None,
        "trail_percent": request.trail.percent if request.trail else None,
    }
    body |= {name: plain(value) for name, value in numbers.items() if value is not None}
    if request.extended_hours:
        body["extended_hours"] = True
    return body


def group_body(group: OrderGroup, venue_symbol: str, client_order_id: str) -> dict[str, Any]:
    """What is posted for a bracket or an OCO: the first leg, with the others inside."""
    body = order_body(group.legs[0], venue_symbol, client_order_id)
    body["order_class"] = group.kind.value
    stop = group.stop_loss
    loss = {"stop_price": stop.stop_price, "limit_price": stop.limit_price}
    body["take_profit"] = {"limit_price": plain(_given(group.take_profit.limit_price))}
    body["stop_loss"] = {name: plain(value) for name, value in loss.items() if value is not None}
    return body


def _given(price: Decimal | None) -> Decimal:
    if price is None:
        raise ValueError("a take profit has a limit price")
    return price


def leg_role(order: Mapping[str, Any]) -> str:
    """Which exit of a group an order among the ``legs`` of another is."""
    return "take_profit" if order.get("type") == "limit" else "stop_loss"


def status_of(word: Any, filled: Decimal) -> OrderStatus:
    """Where an order stands; a word that is not known is an order that works."""
    ended = _ENDS.get(word)
    if ended is not None:
        return ended
    return OrderStatus.PARTIALLY_FILLED if filled > ZERO else OrderStatus.ACCEPTED


def request_of(order: Mapping[str, Any], symbol: str) -> OrderRequest | None:
    """The terms of an order as Alpaca has them; None where they cannot be said here."""

    def number(name: str) -> Decimal | None:
        value = order.get(name)
        return None if value is None else amount(value, name)

    try:
        price, percent = number("trail_price"), number("trail_percent")
        return OrderRequest(
            symbol=symbol,
            side=Side(order["side"]),
            quantity=number("qty"),
            quote_quantity=number("notional"),
            type=OrderType(order["type"]),
            tif=_TIF_OF[order["time_in_force"]],
            limit_price=number("limit_price"),
            stop_price=None if price or percent else number("stop_price"),
            trail=Trail(amount=price, percent=None if price else percent) if price or percent else None,
            extended_hours=bool(order.get("extended_hours")),
        )
    except (KeyError, ValueError):
        return None


def is_repeated_id(text: str) -> bool:
    """Whether a refusal says that the client order id was used before, under whatever code."""
    return "client_order_id must be unique" in text


def reject_reason(status: int, text: str) -> RejectReason:
    """The refusal in AlphaWeave's words."""
    if status == 429:
        return RejectReason.RATE_LIMITED
    if status == 401:
        return RejectReason.ACCOUNT_BLOCKED
    said = text.lower()
    return next((reason for words, reason in _REASONS if words in said), RejectReason.OTHER)


def cancel_state(text: str) -> OrderState:
    """What a refused cancel says of the order."""
    for word in re.findall(r"[a-z_]+", text.lower()):
        if word in _ENDS:
            return OrderState.GONE
        if word in {"pending_cancel", "pending_replace", "pending_new", "accepted"}:
            return OrderState.ALIVE
    return OrderState.UNKNOWN


def instrument_of(asset: Mapping[str, Any], symbol: str, *, shorting: bool) -> Instrument:
    """The rules of an asset.

    Args:
        shorting: the account may sell short.
    """
    venue_symbol = text_of(asset, "symbol")
    tradable = bool(asset.get("tradable")) and asset.get("status", "active") == "active"
    if asset.get("class") == "crypto":
        base, _, quote = venue_symbol.partition("/")
        kinds = (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT)
        return Instrument(
            symbol=symbol,
            venue_symbol=venue_symbol,
            kind="spot",
            base=base,
            quote=quote or "USD",
            settle=quote or "USD",
            price_steps=(PriceStep(ZERO, amount(asset.get("price_increment"), "price_increment")),),
            size_step=amount(asset.get("min_trade_increment"), "min_trade_increment"),
            min_size=amount(asset.get("min_order_size"), "min_order_size"),
            min_notional=Decimal(1),
            fractional=True,
            shortable=False,
            tradable=tradable,
            calendar="24/7",
            order_types=frozenset(
                (kind, tif)
                for kind in kinds
                for tif in (TimeInForce.GTC, TimeInForce.IOC)
                if (kind, tif) != (OrderType.STOP_LIMIT, TimeInForce.IOC)
            ),
        )
    fractional = bool(asset.get("fractionable"))
    return Instrument(
        symbol=symbol,
        venue_symbol=venue_symbol,
        # Below a dollar a price has four digits, from there on two.
        price_steps=(PriceStep(ZERO, Decimal("0.0001")), PriceStep(Decimal(1), Decimal("0.01"))),
        size_step=Decimal("1e-9") if fractional else Decimal(1),
        min_notional=Decimal(1) if fractional else None,
        quote_step=Decimal("0.01"),
        fractional=fractional,
        shortable=shorting and bool(asset.get("shortable")),
        tradable=tradable,
        calendar="XNYS",
    )
