"""Capabilities: what an adapter can do, as data, and the one function that checks a request against it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from attrs import field, fields, frozen
from attrs.validators import ge

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

__all__ = [
    "Capabilities",
    "ClientIdRules",
    "ClientIdUniqueness",
    "check_change",
    "check_request",
    "refuse_undeclared",
    "usual_group_tif",
    "usual_tif",
]

_USUAL_TIF: Final = (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC)
_CHANGEABLE: Final = tuple(each.name for each in fields(OrderChange))


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


def _read_only(
    given: Mapping[OrderType, tuple[TimeInForce, ...]],
) -> Mapping[OrderType, tuple[TimeInForce, ...]]:
    return MappingProxyType(dict(given))


@frozen(kw_only=True)
class Capabilities:
    """What an adapter declares. Undeclared means refused as `Unsupported` before anything is sent.

    It is data about the broker, not about an instrument or an account: those narrow it
    (``Instrument.order_types``, ``fractional``, ``shortable``). What data cannot say, ``Broker.prepare``
    refuses. There is no flag for reduce only: a rule of the core holds it for every broker, and an adapter
    may ignore it.

    Attributes:
        order_types: the (type, time in force) pairs.
        quote_quantity: pairs that may be sized in quote currency.
        fractional: pairs that may have a size that is no whole number of units, where the instrument
            allows it. Elsewhere sizes are rounded down to whole units, whatever the size step.
        extended_hours: pairs that may work outside the regular session.
        default_tif: the time in force of an order whose strategy names none, by type, in order of
            preference: the first that the instrument allows. A type that is absent has DAY, else GTC,
            else IOC.
        shorting: positions may become negative, where the instrument allows it.
        fractional_short: also by, or to, a size that is no whole number of units.
        groups: bracket and OCO, where the venue keeps the link itself.
        fractional_groups: the legs of a group may be fractional, as far as their pairs may.
        replace: what a replacement may change, as names of `OrderChange` fields. A field belongs here
            only if the venue itself keeps old and new fills together within the total when it changes;
            for others the engine cancels, waits for the final filled size, and submits.
        post_only: the flag is honoured.
        trail_amount, trail_percent: which trails a trailing stop may carry.
        fee_reports: the fees of every execution become known, in the fill or by a `FeeReport`. Where
            they do not, ``BrokerFill.fees`` may stay None and cash is settled by `CashFlow`.
        simulated: the venue is simulated here; it can serve a replay.
        caveats: what an order may turn out to be here, each a sentence for the operator, said before a
            run starts (a buy stop that is held as a stop-limit, say).
        client_ids: what client order ids may look like, and how far they are unique.
        not_found_is_final_after: seconds from the last moment at which a byte of the request could
            have left, after which "no such order" is final.
    """

    order_types: frozenset[tuple[OrderType, TimeInForce]]
    quote_quantity: frozenset[tuple[OrderType, TimeInForce]] = frozenset()
    fractional: frozenset[tuple[OrderType, TimeInForce]] = frozenset()
    extended_hours: frozenset[tuple[OrderType, TimeInForce]] = frozenset()
    # A mapping has no hash, and all else tells two declarations apart.
    default_tif: Mapping[OrderType, tuple[TimeInForce, ...]] = field(
        factory=dict, converter=_read_only, hash=False
    )
    shorting: bool = False
    fractional_short: bool = False
    groups: frozenset[GroupKind] = frozenset()
    fractional_groups: bool = False
    replace: frozenset[str] = field(default=frozenset())
    post_only: bool = False
    trail_amount: bool = False
    trail_percent: bool = False
    fee_reports: bool = False
    simulated: bool = False
    caveats: tuple[str, ...] = ()
    client_ids: ClientIdRules = ClientIdRules()
    not_found_is_final_after: float = field(default=60.0, validator=ge(0))

    @replace.validator
    def _check_replace(self, attribute: object, value: frozenset[str]) -> None:
        unknown = sorted(value.difference(_CHANGEABLE))
        if unknown:
            raise ValueError(
                f"replace names {', '.join(unknown)}; an OrderChange has {', '.join(_CHANGEABLE)}"
            )


def _refuse(request: OrderRequest, what: str) -> Unsupported:
    return Unsupported(f"{request.symbol}: {what}", code="unsupported", text=what)


def _check_order(
    capabilities: Capabilities, instrument: Instrument, request: OrderRequest, *, grouped: bool
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
        if pair not in capabilities.fractional:
            kind, tif = request.type.value, request.tif.value
            return _refuse(
                request, f"this broker takes {kind} {tif} orders in whole units only, not {quantity}"
            )
        if grouped and not capabilities.fractional_groups:
            return _refuse(request, f"this broker takes groups in whole units only, not {quantity}")
        if not instrument.fractional:
            return _refuse(request, f"this instrument is traded in whole units, not {quantity}")
    if request.post_only and not capabilities.post_only:
        return _refuse(request, "this broker knows no post_only")
    if request.extended_hours and pair not in capabilities.extended_hours:
        kind, tif = request.type.value, request.tif.value
        return _refuse(request, f"this broker takes no {kind} {tif} order for extended hours")
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

    What depends on the position is checked by risk: short sales and reduce only.
    """
    if isinstance(request, OrderRequest):
        return _check_order(capabilities, instrument, request, grouped=False)
    if request.kind not in capabilities.groups:
        return _refuse(request.take_profit, f"this broker takes no {request.kind.value} group")
    for leg in request.legs:
        refusal = _check_order(capabilities, instrument, leg, grouped=True)
        if refusal is not None:
            return refusal
    return None


def usual_tif(capabilities: Capabilities, instrument: Instrument, kind: OrderType) -> TimeInForce:
    """The time in force of an order of this type where the strategy names none.

    Where neither broker nor instrument has any that is usual it is DAY, which `check_request` refuses.
    """
    for tif in capabilities.default_tif.get(kind, _USUAL_TIF):
        if _declared(capabilities, instrument, kind, tif):
            return tif
    return TimeInForce.DAY


def usual_group_tif(
    capabilities: Capabilities, instrument: Instrument, kinds: Iterable[OrderType]
) -> TimeInForce:
    """The time in force of a group with legs of these types where the strategy names none.

    Exits protect a position, which lasts: it is GTC where every leg can have it, else DAY.
    """
    lasting = all(_declared(capabilities, instrument, kind, TimeInForce.GTC) for kind in kinds)
    return TimeInForce.GTC if lasting else TimeInForce.DAY


def _declared(capabilities: Capabilities, instrument: Instrument, kind: OrderType, tif: TimeInForce) -> bool:
    pair, narrowed = (kind, tif), instrument.order_types
    return pair in capabilities.order_types and (narrowed is None or pair in narrowed)


def check_change(capabilities: Capabilities, symbol: str, change: OrderChange) -> Unsupported | None:
    """Why this adapter cannot replace these fields; None if it can."""
    for name in _CHANGEABLE:
        if getattr(change, name) is not None and name not in capabilities.replace:
            what = f"this broker cannot replace the {name} of an order"
            return Unsupported(f"{symbol}: {what}", code="unsupported", text=what)
    return None


def refuse_undeclared(
    capabilities: Capabilities, request: OrderRequest | OrderGroup | OrderChange, symbol: str
) -> None:
    """What an adapter's ``prepare`` begins with: nothing that is not declared goes further.

    The engine has looked already, at the instrument too. This holds for whoever else calls.

    Raises:
        Unsupported: the capabilities do not have it.
    """
    if isinstance(request, OrderChange):
        refusal = check_change(capabilities, symbol, request)
    else:
        refusal = check_request(
            capabilities, Instrument(symbol=symbol, venue_symbol=symbol, fractional=True), request
        )
    if refusal is not None:
        raise refusal
