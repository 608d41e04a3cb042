"""An order as Alpaca keeps it: its fields, where it stands, its form on the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any
from uuid import uuid4

from attrs import define, field

from alphaweave.core.money import ZERO, Money, plain
from alphaweave.core.order import OrderRequest, OrderStatus, OrderType, Side, TimeInForce, Trail
from alphaweave_broker_alpaca.sandbox.assets import Asset

__all__ = ["OPEN", "Execution", "Order", "money", "stamp"]

OPEN = frozenset(
    {"new", "partially_filled", "accepted", "pending_new", "held", "pending_cancel", "pending_replace"}
)
_NINE_DIGITS = Decimal("1e-9")
_TIFS = {
    "day": TimeInForce.DAY,
    "gtc": TimeInForce.GTC,
    "ioc": TimeInForce.IOC,
    "fok": TimeInForce.FOK,
    "opg": TimeInForce.AT_OPEN,
    "cls": TimeInForce.AT_CLOSE,
}
_ENDS = {
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "replaced": OrderStatus.CANCELLED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}


def stamp(ns: int) -> str:
    """An instant as Alpaca writes it: UTC, with as many digits as it has."""
    seconds, rest = divmod(ns, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{rest:09d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def money(value: Decimal | None) -> str | None:
    """A number as a string, plainly; None stays None."""
    return None if value is None else plain(value)


@define(eq=False)
class Order:
    """One row of Alpaca's orders. Instants are nanoseconds since the epoch, UTC.

    Attributes:
        qty: units; None for an order in dollars, which has ``notional``.
        legs: children of a bracket, OCO or OTO; each knows its ``parent``.
        rested: it was not executed when it came, and waits in the book.
    """

    asset: Asset
    side: str
    type: str
    tif: str
    at: int
    client_order_id: str
    qty: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended_hours: bool = False
    order_class: str = ""
    position_intent: str = "buy_to_open"
    foreign: bool = False
    rested: bool = False
    id: str = field(factory=lambda: str(uuid4()))
    status: str = "pending_new"
    hwm: Decimal | None = None
    triggered: bool = False
    filled: Decimal = ZERO
    value: Decimal = ZERO
    updated_at: int = 0
    submitted_at: int = 0
    expires_at: int | None = None
    filled_at: int | None = None
    expired_at: int | None = None
    canceled_at: int | None = None
    failed_at: int | None = None
    replaced_at: int | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    parent: Order | None = None
    legs: list[Order] = field(factory=list)

    @property
    def buy(self) -> bool:
        return self.side == "buy"

    @property
    def sign(self) -> int:
        return 1 if self.buy else -1

    @property
    def open(self) -> bool:
        return self.status in OPEN

    @property
    def left(self) -> Decimal:
        """Units that are not filled; zero for an order in dollars."""
        return ZERO if self.qty is None else self.qty - self.filled

    def rest(self, price: Decimal) -> Decimal:
        """Units left; of an order in dollars, what the dollars left buy at ``price``."""
        if self.qty is not None:
            return self.left
        return (((self.notional or ZERO) - self.value) / price).quantize(_NINE_DIGITS, ROUND_DOWN)

    @property
    def average(self) -> Decimal | None:
        return self.value / self.filled if self.filled else None

    @property
    def bracket(self) -> bool:
        return self.order_class in {"bracket", "oto"} and self.parent is None

    @property
    def armed(self) -> bool:
        """Whether it may be executed: it works, or it is the held stop of a pair whose turn has come."""
        if self.status in {"new", "partially_filled"}:
            return True
        # The stop of a pair is held, at Alpaca's, while the target rests at an exchange.
        parent = self.parent
        return (
            self.status == "held"
            and parent is not None
            and (parent.order_class == "oco" or parent.status == "filled")
        )

    def joined(self) -> list[Order]:
        """The open orders that end when it does."""
        family = self if self.parent is None else self.parent
        if self.bracket:
            return [] if self.status == "filled" else [leg for leg in self.legs if leg.open]
        if family.order_class == "oto":
            return []
        exits = family.legs if family.bracket else [family, *family.legs]
        return [other for other in exits if other is not self and other.open]

    def request(self, symbol: str) -> OrderRequest:
        """The terms in AlphaWeave's words, under a config's symbol."""
        trail = None
        if self.type == "trailing_stop":
            trail = Trail(self.trail_price, self.trail_percent)
        return OrderRequest(
            symbol,
            Side.BUY if self.buy else Side.SELL,
            self.qty,
            self.notional if self.qty is None else None,
            type=OrderType(self.type),
            tif=_TIFS[self.tif],
            limit_price=self.limit_price,
            stop_price=None if self.type == "trailing_stop" else self.stop_price,
            trail=trail,
            extended_hours=self.extended_hours,
        )

    def told(self) -> OrderStatus:
        """Where it stands, in AlphaWeave's words."""
        if self.status in _ENDS:
            return _ENDS[self.status]
        return OrderStatus.PARTIALLY_FILLED if self.filled else OrderStatus.ACCEPTED

    def wire(self, *, nested: bool = False) -> dict[str, Any]:
        """The recorded form: every key, always.

        Args:
            nested: children are told in ``legs``.
        """
        average = self.average
        return {
            "asset_class": self.asset.kind,
            "asset_id": self.asset.id,
            "canceled_at": _stamped(self.canceled_at),
            "client_order_id": self.client_order_id,
            "created_at": stamp(self.at),
            "expired_at": _stamped(self.expired_at),
            "expires_at": _stamped(self.expires_at),
            "extended_hours": self.extended_hours,
            "failed_at": _stamped(self.failed_at),
            "filled_at": _stamped(self.filled_at),
            "filled_avg_price": None if average is None else plain(round(average, 9)),
            "filled_qty": plain(self.filled),
            "hwm": money(self.hwm),
            "id": self.id,
            "legs": [leg.wire() for leg in self.legs] if nested and self.legs else None,
            "limit_price": money(self.limit_price),
            "notional": money(self.notional),
            "order_class": self.order_class,
            "order_type": self.type,
            "position_intent": self.position_intent,
            "qty": money(self.qty),
            "replaced_at": _stamped(self.replaced_at),
            "replaced_by": self.replaced_by,
            "replaces": self.replaces,
            "side": self.side,
            "source": None,
            "status": self.status,
            "stop_price": money(self.stop_price),
            "submitted_at": stamp(self.submitted_at or self.at),
            "subtag": None,
            "symbol": self.asset.symbol,
            "time_in_force": self.tif,
            "trail_percent": money(self.trail_percent),
            "trail_price": money(self.trail_price),
            "type": self.type,
            "updated_at": stamp(self.updated_at or self.at),
        }


@define(eq=False)
class Execution:
    """One execution. ``id`` is the stream's; the FILL activity of the same execution has an id of its own.

    Attributes:
        cumulative, remaining: units of the order filled and left after it.
        status: the order's, after it.
        position: signed units held after it.
        fees: what was charged.
    """

    id: str
    order: Order
    qty: Decimal
    price: Decimal
    at: int
    cumulative: Decimal
    remaining: Decimal
    status: str
    position: Decimal
    fees: tuple[Money, ...] = ()


def _stamped(ns: int | None) -> str | None:
    return None if ns is None else stamp(ns)
