"""What can be asked of a broker: orders, groups, changes, and the names they are known by."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType

from attrs import field, frozen

__all__ = [
    "GroupKind",
    "OrderChange",
    "OrderGroup",
    "OrderRef",
    "OrderRequest",
    "OrderStatus",
    "OrderType",
    "RejectReason",
    "Side",
    "TimeInForce",
    "Trail",
]


class Side(Enum):
    BUY = "buy"
    SELL = "sell"

    sign: int
    """+1 for a buy, -1 for a sell."""

    def __init__(self, text: str) -> None:
        self.sign = 1 if text == "buy" else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(Enum):
    """What an order waits for, and what it is then.

    A stop becomes an order when the price has gone against it: a buy from below. A take profit becomes one
    when the price has come its way, a buy from above: some call it market-if-touched, and limit-if-touched.
    """

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"
    TAKE_PROFIT = "take_profit"
    TAKE_PROFIT_LIMIT = "take_profit_limit"


class TimeInForce(Enum):
    """How long an order works. AT_OPEN and AT_CLOSE are the auctions of a session."""

    DAY = "day"
    GTC = "gtc"
    GTD = "gtd"
    IOC = "ioc"
    FOK = "fok"
    AT_OPEN = "at_open"
    AT_CLOSE = "at_close"


class OrderStatus(Enum):
    """Where an order stands.

    PENDING: decided and journaled, no answer yet. ACCEPTED: working at the broker (or held there until
    its trigger or parent). PARTIALLY_FILLED: working, some of it done. UNKNOWN: its outcome is not
    known and its full exposure stays reserved. The other five are terminal; DENIED never left this
    machine, REJECTED was refused by the broker.
    """

    PENDING = "pending"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    UNKNOWN = "unknown"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    DENIED = "denied"

    terminal: bool
    """Whether nothing more is expected of the order."""

    def __init__(self, text: str) -> None:
        # An attribute of each member: a property over a set costs a replay several percent.
        self.terminal = text in {"filled", "cancelled", "expired", "rejected", "denied"}


class RejectReason(Enum):
    """Why a broker refused an order, in words that are the same for every broker.

    INSUFFICIENT_FUNDS: cash, buying power or holdings do not carry it. INVALID_PRICE: off the grid, too
    far from the market, a stop on the wrong side. INVALID_SIZE: off the step, or too small or too large
    in units or in value. UNKNOWN_SYMBOL: no such instrument at the broker. MARKET_CLOSED: not traded
    now (closed, halted, outside an auction's hours). NOT_SHORTABLE: it would open a short position that
    cannot be had. WOULD_CROSS: it would take liquidity though post only, or trade with an order of the
    same account. RATE_LIMITED: too many requests or orders; ``retry_after`` may say for how long.
    ACCOUNT_BLOCKED: the account or the key may not trade this, or at all. UNSUPPORTED: the broker does
    not take this type, time in force or combination. OTHER: none of these.

    There is none for a client order id that was used before: that refusal is
    `alphaweave.core.errors.OutcomeUnknown`.
    """

    INSUFFICIENT_FUNDS = "insufficient_funds"
    INVALID_PRICE = "invalid_price"
    INVALID_SIZE = "invalid_size"
    UNKNOWN_SYMBOL = "unknown_symbol"
    MARKET_CLOSED = "market_closed"
    NOT_SHORTABLE = "not_shortable"
    WOULD_CROSS = "would_cross"
    RATE_LIMITED = "rate_limited"
    ACCOUNT_BLOCKED = "account_blocked"
    UNSUPPORTED = "unsupported"
    OTHER = "other"


def _positive(instance: object, attribute: object, value: Decimal | None) -> None:
    if value is not None and not value > 0:
        name = getattr(attribute, "name", "value")
        raise ValueError(f"{name} must be greater than zero, not {value}")


def _check_positive(request: OrderRequest) -> None:
    for name in ("quantity", "quote_quantity", "limit_price", "stop_price"):
        value = getattr(request, name)
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be greater than zero, not {value}")


@frozen
class Trail:
    """How far a trailing stop follows: an absolute ``amount`` in quote currency, or a ``percent``
    of the best price seen (5 means 5 %). Exactly one is given."""

    amount: Decimal | None = field(default=None, validator=_positive)
    percent: Decimal | None = field(default=None, validator=_positive)

    def __attrs_post_init__(self) -> None:
        if (self.amount is None) == (self.percent is None):
            raise ValueError("a trail has exactly one of amount and percent")


@frozen
class OrderRequest:
    """One order as the contract words it; ``side`` gives the direction, sizes are positive.

    Attributes:
        symbol: the config's symbol.
        quantity: units of the instrument; exactly one of it and ``quote_quantity`` is given.
        quote_quantity: amount of quote currency to spend or to raise (market orders).
        expire_at: UTC instant at which a GTD order ends.
        limit_price, stop_price: quote currency per unit; ``stop_price`` is what triggers a take profit, too.
        trail: for TRAILING_STOP.
        post_only: refuse rather than take liquidity.
        reduce_only: never open or enlarge a position. The core denies it where it could, with every open
            order filled; a broker that knows the flag may be told, and the simulated venue cuts the order
            at its fill as well.
        extended_hours: may work outside the regular session.
    """

    symbol: str
    side: Side
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    type: OrderType = OrderType.MARKET
    tif: TimeInForce = TimeInForce.DAY
    expire_at: datetime | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Trail | None = None
    post_only: bool = False
    reduce_only: bool = False
    extended_hours: bool = False

    def __attrs_post_init__(self) -> None:
        # One test passes the plain market order, by far the most frequent; the rest takes its time.
        if (
            self.type is OrderType.MARKET
            and self.quantity is not None
            and self.quantity > 0
            and self.quote_quantity is None
            and self.limit_price is None
            and self.stop_price is None
            and self.trail is None
            and self.expire_at is None
            and self.tif is not TimeInForce.GTD
        ):
            return
        _check_positive(self)
        if (self.quantity is None) == (self.quote_quantity is None):
            raise ValueError("an order has exactly one of quantity and quote_quantity")
        wanted = _PRICES[self.type]
        if (self.limit_price is not None) != wanted[0]:
            raise ValueError(_complaint(self.type, "limit_price", wanted[0]))
        if (self.stop_price is not None) != wanted[1]:
            raise ValueError(_complaint(self.type, "stop_price", wanted[1]))
        if (self.trail is not None) != wanted[2]:
            raise ValueError(_complaint(self.type, "trail", wanted[2]))
        if (self.expire_at is not None) != (self.tif is TimeInForce.GTD):
            raise ValueError("expire_at belongs to time in force GTD, and GTD needs it")
        if self.expire_at is not None and not isinstance(self.expire_at, datetime):
            raise TypeError(f"expire_at is an aware datetime, not {self.expire_at!r}")
        if self.expire_at is not None and self.expire_at.tzinfo is None:
            raise ValueError(f"expire_at {self.expire_at.isoformat()} has no time zone")


# (limit_price, stop_price, trail) that each type carries
_PRICES: Mapping[OrderType, tuple[bool, bool, bool]] = MappingProxyType(
    {
        OrderType.MARKET: (False, False, False),
        OrderType.LIMIT: (True, False, False),
        OrderType.STOP: (False, True, False),
        OrderType.STOP_LIMIT: (True, True, False),
        OrderType.TRAILING_STOP: (False, False, True),
        OrderType.TAKE_PROFIT: (False, True, False),
        OrderType.TAKE_PROFIT_LIMIT: (True, True, False),
    }
)


def _complaint(kind: OrderType, name: str, wanted: bool) -> str:
    return f"a {kind.value} order {'needs' if wanted else 'has no'} {name}"


class GroupKind(Enum):
    BRACKET = "bracket"
    OCO = "oco"


# Exits protect a position until they fill, so they rest.
_RESTING = frozenset({TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD})
_STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})


@frozen
class OrderGroup:
    """Orders that belong together: one intent set, each leg with its own client id.

    A BRACKET has an entry; its exits wait (held) until the entry is completely filled, then behave as
    an OCO. An OCO has no entry: when one leg fills or is cancelled, the other is cancelled. For
    exposure the two exits count as the larger of them, not as their sum.

    The take profit is a LIMIT, the stop loss a STOP or a STOP_LIMIT. All legs have one symbol, one
    quantity in units and one time in force that rests (DAY, GTC, or GTD until one instant): there are
    venues with one field for each, and what a group may be does not depend on the broker that gets it.
    """

    kind: GroupKind
    take_profit: OrderRequest
    stop_loss: OrderRequest
    entry: OrderRequest | None = None

    def __attrs_post_init__(self) -> None:
        if (self.entry is not None) != (self.kind is GroupKind.BRACKET):
            raise ValueError("a bracket has an entry, an OCO has none")
        if self.take_profit.side is not self.stop_loss.side:
            raise ValueError("both exits of a group are on one side")
        if self.entry is not None and self.entry.side is self.take_profit.side:
            raise ValueError("the exits of a bracket are opposite to its entry")
        if self.take_profit.type is not OrderType.LIMIT:
            raise ValueError(f"a take profit is a limit order, not {self.take_profit.type.value}")
        if self.stop_loss.type not in _STOPS:
            raise ValueError(f"a stop loss is a stop or stop_limit order, not {self.stop_loss.type.value}")
        legs = self.legs
        if len({leg.symbol for leg in legs}) != 1:
            raise ValueError("all legs of a group are in one symbol")
        if any(leg.quantity is None for leg in legs) or len({leg.quantity for leg in legs}) != 1:
            raise ValueError("all legs of a group have one quantity, in units")
        if len({(leg.tif, leg.expire_at) for leg in legs}) != 1:
            raise ValueError("all legs of a group have one time in force")
        if self.take_profit.tif not in _RESTING:
            raise ValueError(f"a group is day, gtc or gtd, not {self.take_profit.tif.value}")

    @property
    def legs(self) -> tuple[OrderRequest, ...]:
        """The legs in wire order: entry (if any), take profit, stop loss."""
        exits = (self.take_profit, self.stop_loss)
        return exits if self.entry is None else (self.entry, *exits)


@frozen
class OrderChange:
    """What a replacement changes; None keeps the present value.

    Attributes:
        quantity: the new *total*, the filled part included.
    """

    quantity: Decimal | None = field(default=None, validator=_positive)
    limit_price: Decimal | None = field(default=None, validator=_positive)
    stop_price: Decimal | None = field(default=None, validator=_positive)
    trail: Trail | None = None

    def __attrs_post_init__(self) -> None:
        if (self.quantity, self.limit_price, self.stop_price, self.trail) == (None, None, None, None):
            raise ValueError("a replacement changes at least one thing")


_NO_WIRE: Mapping[str, str] = MappingProxyType({})


@frozen
class OrderRef:
    """The names of one order version.

    Attributes:
        client_order_id: AlphaWeave's own id; deterministic, unique for ever in the account.
        symbol: the config's symbol.
        broker_order_id: the broker's id once it is known.
        wire: what ``Broker.prepare`` reserved for this version (the venue's symbol, an IBKR orderId). It
            was committed with the intent and comes back unchanged for ever, also when the config's
            symbol maps to another venue symbol by then.
        decided_at: UTC instant of the input that the order was decided on. No byte of it left before,
            so an answer that reaches back to it covers the order's whole life. None: not known.
    """

    client_order_id: str
    symbol: str
    broker_order_id: str | None = None
    wire: Mapping[str, str] = field(default=_NO_WIRE, hash=False)
    decided_at: datetime | None = None
