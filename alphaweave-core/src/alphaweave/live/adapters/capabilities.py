"""Capabilities: what an adapter can do, as data, and the one function that checks a request against it."""

from __future__ import annotations

import re
from enum import Enum

from attrs import frozen

from alphaweave.core.errors import Unsupported
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import (
    GroupKind,
    OrderChange,
    OrderGroup,
    OrderRequest,
    OrderType,
    TimeInForce,
)

__all__ = ["Capabilities", "ClientIdRules", "ClientIdUniqueness", "check_change", "check_request"]


class ClientIdUniqueness(Enum):
    """How far the broker itself refuses a client order id it has seen."""

    FOREVER = "forever"
    WHILE_OPEN = "while_open"
    NOT_ENFORCED = "not_enforced"


@frozen
class ClientIdRules:
    """What the broker accepts as a client order id.

    Attributes:
        alphabet: a regular expression that one character matches.
        max_length: in characters.
        unique: whether a repeated id is refused.
    """

    alphabet: str = "[A-Za-z0-9_-]"
    max_length: int = 36
    unique: ClientIdUniqueness = ClientIdUniqueness.NOT_ENFORCED

    def accepts(self, client_order_id: str) -> bool:
        """Whether the broker would take this id."""
        pattern = f"(?:{self.alphabet}){{1,{self.max_length}}}"
        return re.fullmatch(pattern, client_order_id) is not None


@frozen(kw_only=True)
class Capabilities:
    """What an adapter declares. Undeclared means refused as `Unsupported` before anything is sent.

    Attributes:
        order_types: the (type, time in force) pairs; ``Instrument.order_types`` narrows them.
        quote_quantity: (type, time in force) pairs that may be sized in quote currency.
        fractional: sizes below one unit, where the instrument allows them.
        shorting: positions may become negative, where the instrument allows it.
        replace: what a replacement may change: names of `OrderChange` fields.
        groups: bracket and OCO, where the venue keeps the link itself.
        post_only, reduce_only, extended_hours: whether the flag is honoured.
        trail_amount, trail_percent: which trails a trailing stop may carry.
        simulated: the venue is simulated here; it can serve a replay.
        client_ids: what client order ids may look like, and how far they are unique.
        not_found_is_final_after: seconds from the last moment at which a byte of the request could
            have left, after which "no such order" is final.
    """

    order_types: frozenset[tuple[OrderType, TimeInForce]]
    quote_quantity: frozenset[tuple[OrderType, TimeInForce]] = frozenset()
    fractional: bool = False
    shorting: bool = False
    replace: frozenset[str] = frozenset()
    groups: frozenset[GroupKind] = frozenset()
    post_only: bool = False
    reduce_only: bool = False
    extended_hours: bool = False
    trail_amount: bool = False
    trail_percent: bool = False
    simulated: bool = False
    client_ids: ClientIdRules = ClientIdRules()
    not_found_is_final_after: float = 60.0


def _refuse(request: OrderRequest, what: str) -> Unsupported:
    return Unsupported(f"{request.symbol}: {what}", code="unsupported", text=what)


def _check_order(
    capabilities: Capabilities, instrument: Instrument, request: OrderRequest
) -> Unsupported | None:
    pair = (request.type, request.tif)
    if pair not in capabilities.order_types:
        return _refuse(request, f"this broker takes no {request.type.value} order with {request.tif.value}")
    if instrument.order_types is not None and pair not in instrument.order_types:
        return _refuse(request, f"no {request.type.value} order with {request.tif.value} in this instrument")
    if request.quote_quantity is not None and pair not in capabilities.quote_quantity:
        return _refuse(
            request,
            f"this broker takes no {request.type.value} {request.tif.value} order by quote quantity",
        )
    quantity = request.quantity
    if quantity is not None and quantity % 1 != 0:
        if not capabilities.fractional:
            return _refuse(request, f"this broker takes whole units only, not {quantity}")
        if not instrument.fractional:
            return _refuse(request, f"this instrument is traded in whole units, not {quantity}")
    for flag in ("post_only", "reduce_only", "extended_hours"):
        if getattr(request, flag) and not getattr(capabilities, flag):
            return _refuse(request, f"this broker knows no {flag}")
    if request.trail is not None:
        if request.trail.amount is not None and not capabilities.trail_amount:
            return _refuse(request, "this broker takes no trail by amount")
        if request.trail.percent is not None and not capabilities.trail_percent:
            return _refuse(request, "this broker takes no trail by percent")
    return None


def check_request(
    capabilities: Capabilities, instrument: Instrument, request: OrderRequest | OrderGroup
) -> Unsupported | None:
    """Why this adapter cannot take this request in this instrument; None if it can.

    Whether a sale would open a short position depends on the position and is checked by risk.
    """
    if isinstance(request, OrderRequest):
        return _check_order(capabilities, instrument, request)
    if request.kind not in capabilities.groups:
        return _refuse(request.take_profit, f"this broker takes no {request.kind.value} group")
    for leg in request.legs:
        refusal = _check_order(capabilities, instrument, leg)
        if refusal is not None:
            return refusal
    return None


def check_change(capabilities: Capabilities, symbol: str, change: OrderChange) -> Unsupported | None:
    """Why this adapter cannot replace these fields; None if it can."""
    for name in ("quantity", "limit_price", "stop_price", "trail"):
        if getattr(change, name) is not None and name not in capabilities.replace:
            what = f"this broker cannot replace the {name} of an order"
            return Unsupported(f"{symbol}: {what}", code="unsupported", text=what)
    return None


