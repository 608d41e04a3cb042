"""What a request for an order says, checked as far as no market is needed."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

from attrs import frozen

from alphaweave.core.money import ZERO
from alphaweave_broker_binance.sandbox.orders import CONDITIONAL
from alphaweave_broker_binance.sandbox.pairs import ORDER_TYPES, STP_MODES
from alphaweave_broker_binance.sandbox.parameters import CLIENT_ID, Parameters
from alphaweave_broker_binance.sandbox.refusals import Refused, missing, unneeded

__all__ = [
    "Terms",
    "answer_kind",
    "limit_terms",
    "new_id",
    "plain_names",
    "prefixed",
    "read_side",
    "read_stp",
    "read_terms",
]

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 22
_LEAST_STRATEGY_TYPE = 1_000_000
_USUAL_STP = "EXPIRE_MAKER"
_TIFS = ("GTC", "IOC", "FOK")
_LIMITED = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})
_TIMED = frozenset({"LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"})

_Names = Callable[[str], str]


@frozen(kw_only=True)
class Terms:
    """An order as it was asked for; zero is nothing."""

    side: str
    type: str
    tif: str
    quantity: Decimal
    quote_quantity: Decimal
    price: Decimal
    stop_price: Decimal
    trailing: int
    client_id: str
    stp: str
    strategy_id: int | None
    strategy_type: int | None


def limit_terms(side: str, quantity: Decimal, price: Decimal, client_id: str) -> Terms:
    """A limit order that nobody sent over the wire."""
    return Terms(
        side=side,
        type="LIMIT",
        tif="GTC",
        quantity=quantity,
        quote_quantity=ZERO,
        price=price,
        stop_price=ZERO,
        trailing=0,
        client_id=client_id,
        stp=_USUAL_STP,
        strategy_id=None,
        strategy_type=None,
    )


def new_id(rng: random.Random) -> str:
    """An id as the venue gives to what came without one."""
    return "".join(rng.choices(_LETTERS, k=_ID_LENGTH))


def plain_names(field: str) -> str:
    """What a request for one order calls its fields."""
    return "newClientOrderId" if field == "clientOrderId" else field


def prefixed(prefix: str) -> _Names:
    """What a request for a list calls the fields of one of its orders."""
    return lambda field: prefix + field[0].upper() + field[1:]


def read_side(parameters: Parameters, name: str = "side") -> str:
    side = parameters.choice(name, ("BUY", "SELL"), Refused(-1117, "Invalid side."))
    if side is None:
        raise missing(name)
    return side


def answer_kind(parameters: Parameters, usual: str) -> str:
    found = parameters.choice(
        "newOrderRespType", ("ACK", "RESULT", "FULL"), Refused(-1190, "Invalid newOrderRespType.")
    )
    return found or usual


def read_terms(
    parameters: Parameters,
    rng: random.Random,
    *,
    side: str,
    names: _Names = plain_names,
    quantity: Decimal | None = None,
    stp: str | None = None,
) -> Terms:
    """
    Args:
        names: what the request calls each field.
        quantity: where the request says it once for several orders.

    Raises:
        Refused: it is no order.
    """
    kind = parameters.choice(names("type"), ORDER_TYPES, Refused(-1116, "Invalid orderType."))
    if kind is None:
        raise missing(names("type"))
    if quantity is None:
        quantity = parameters.decimal(names("quantity"))
    quote = parameters.decimal("quoteOrderQty") if names is plain_names else None
    price = parameters.decimal(names("price"))
    stop = parameters.decimal(names("stopPrice"))
    trailing = parameters.long(names("trailingDelta"))
    tif = parameters.choice(names("timeInForce"), _TIFS, Refused(-1115, "Invalid timeInForce."))
    if parameters.decimal(names("icebergQty")):
        raise Refused(-1013, "Iceberg orders are not supported for this symbol.")
    _check_size(kind, quantity, quote, names)
    _need(kind in _LIMITED, price, names("price"))
    _need(kind in _TIMED, tif, names("timeInForce"))
    if kind in CONDITIONAL:
        if stop is None and trailing is None:
            raise Refused(
                -1102, "Param 'stopPrice' or 'trailingDelta' must be sent, but both were empty/null!"
            )
    else:
        _need(False, stop, names("stopPrice"))
        _need(False, trailing, names("trailingDelta"))
    for value, what in ((quantity, "quantity"), (quote, "quoteOrderQty"), (price, "price")):
        if value is not None and not value:
            raise Refused(-1013, f"Invalid {what}.")
    if stop is not None and not stop:
        raise Refused(-1013, "Stop price must be greater than 0.")
    return Terms(
        side=side,
        type=kind,
        tif=tif or "GTC",
        quantity=quantity or ZERO,
        quote_quantity=quote or ZERO,
        price=price or ZERO,
        stop_price=stop or ZERO,
        trailing=trailing or 0,
        client_id=parameters.text(names("clientOrderId"), CLIENT_ID) or new_id(rng),
        stp=stp or read_stp(parameters),
        strategy_id=parameters.long(names("strategyId")),
        strategy_type=_strategy_type(parameters, names("strategyType")),
    )


def read_stp(parameters: Parameters) -> str:
    """How the order behaves towards others of its account."""
    refusal = Refused(-1130, "Data sent for parameter 'selfTradePreventionMode' is not valid.")
    return parameters.choice("selfTradePreventionMode", STP_MODES, refusal) or _USUAL_STP


def _check_size(kind: str, quantity: Decimal | None, quote: Decimal | None, names: _Names) -> None:
    if kind != "MARKET":
        _need(True, quantity, names("quantity"))
        _need(False, quote, "quoteOrderQty")
    elif quantity is None and quote is None:
        raise Refused(-1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!")
    elif quantity is not None and quote is not None:
        raise Refused(-1128, "Combination of optional parameters invalid.")


def _need(wanted: bool, value: object, name: str) -> None:
    if wanted and value is None:
        raise missing(name)
    if not wanted and value is not None:
        raise unneeded(name)


def _strategy_type(parameters: Parameters, name: str) -> int | None:
    found = parameters.long(name)
    if found is not None and found < _LEAST_STRATEGY_TYPE:
        raise Refused(-1130, f"Data sent for parameter '{name}' is not valid.")
    return found
