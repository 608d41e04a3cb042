"""The gateway's own orders and executions."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from attrs import define, field, frozen

from alphaweave.core.money import CONTEXT, ZERO
from alphaweave.core.order import OrderRequest, OrderStatus, OrderType, Side, TimeInForce, Trail
from alphaweave_broker_ibkr.sandbox.contracts import Contract
from alphaweave_broker_ibkr.sandbox.order_form import OrderForm

__all__ = ["AUCTIONS", "ENDED", "Execution", "Order", "Version", "moment_of"]

AUCTIONS = frozenset({"MOC", "LOC"})
_FRACTION = Decimal("0.0001")
ENDED = frozenset({"Filled", "Cancelled", "ApiCancelled"})
_KINDS = {
    "MKT": OrderType.MARKET,
    "MOC": OrderType.MARKET,
    "LMT": OrderType.LIMIT,
    "LOC": OrderType.LIMIT,
    "STP": OrderType.STOP,
    "STP LMT": OrderType.STOP_LIMIT,
    "TRAIL": OrderType.TRAILING_STOP,
}
_TIFS = {
    "DAY": TimeInForce.DAY,
    "GTC": TimeInForce.GTC,
    "GTD": TimeInForce.GTD,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "OPG": TimeInForce.AT_OPEN,
    "Minutes": TimeInForce.DAY,
}


def moment_of(text: str) -> datetime | None:
    """An instant as clients write it (``20310304 15:00:00 US/Eastern``, ``20310304-15:00:00`` in UTC), in
    UTC; None for what is none."""
    stamp, _, zone = text.replace("-", " ", 1).partition(" ")
    clock, _, zone = zone.partition(" ")
    try:
        found = datetime.strptime(f"{stamp} {clock} +0000", "%Y%m%d %H:%M:%S %z")
        where = UTC if "-" in text[:9] or not zone else ZoneInfo(zone)
    except (ValueError, KeyError):
        return None
    return found.replace(tzinfo=where).astimezone(UTC)


@frozen
class Version:
    """What an order was before it was modified.

    Attributes:
        filled: units executed under these terms and the ones before.
    """

    form: OrderForm
    filled: Decimal


@define(eq=False)
class Order:
    """One order.

    Attributes:
        client_id, order_id: what names it to the client that placed it.
        perm_id: what names it to everybody; 0 until it is accepted.
        exchange: where it was sent.
        status: in the gateway's words.
        transmitted: it has left the gateway.
        held: it waits for its parent.
        deferred: it waits for its session.
        at, ended_at: UTC.
        value: sum of size times price.
        best: best price that a trailing stop has seen.
        foreign: somebody else's.
        end_text: why it ended, as completed orders say it.
    """

    client_id: int
    order_id: int
    contract: Contract
    exchange: str
    form: OrderForm
    account: str
    at: datetime
    perm_id: int = 0
    status: str = "PendingSubmit"
    quantity: Decimal = ZERO
    filled: Decimal = ZERO
    value: Decimal = ZERO
    last_price: Decimal = ZERO
    commission: Decimal | None = None
    transmitted: bool = False
    held: bool = False
    deferred: bool = False
    parent: Order | None = None
    children: list[Order] = field(factory=list)
    triggered: bool = False
    best: Decimal | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    end_text: str = ""
    expired: bool = False
    foreign: bool = False
    versions: list[Version] = field(factory=list)

    @property
    def open(self) -> bool:
        return self.status not in ENDED and self.ended_at is None

    @property
    def working(self) -> bool:
        """Whether prices can do anything to it."""
        idle = self.held or self.status == "Inactive"
        return self.open and self.transmitted and not idle and self.perm_id != 0

    @property
    def remaining(self) -> Decimal:
        return CONTEXT.subtract(self.quantity, self.filled) if self.form.cash is None else ZERO

    @property
    def average(self) -> Decimal:
        return CONTEXT.divide(self.value, self.filled) if self.filled else ZERO

    @property
    def side(self) -> Side:
        return Side.BUY if self.form.buy else Side.SELL

    @property
    def why_held(self) -> str:
        """What the gateway says it waits for."""
        reasons = ["child"] if self.held else []
        if self.form.kind in {"STP", "STP LMT", "TRAIL"} and not self.triggered and self.open:
            reasons.append("trigger")
        return ",".join(reasons)

    def working_status(self) -> str:
        """What it is while it works: held and simulated orders are not at an exchange."""
        return "PreSubmitted" if self.why_held or self.deferred else "Submitted"

    def left_to_buy(self, price: Decimal) -> Decimal:
        """Units that are left at ``price``."""
        cash = self.form.cash
        if cash is None:
            return self.remaining
        # An amount of money buys fractions, also of what is otherwise traded in whole units.
        step = min(self.contract.size_increment, _FRACTION)
        unit = CONTEXT.multiply(price, self.contract.multiplier)
        units = CONTEXT.divide_int(CONTEXT.divide(CONTEXT.subtract(cash, self.value), unit), step)
        return CONTEXT.multiply(units, step)

    def told(self) -> OrderStatus:
        """Where it stands, in AlphaWeave's words."""
        if self.status == "Filled":
            return OrderStatus.FILLED
        if self.expired:
            return OrderStatus.EXPIRED
        if self.status == "Inactive" and not self.open:
            return OrderStatus.REJECTED
        if self.status in ENDED:
            return OrderStatus.CANCELLED
        return OrderStatus.PARTIALLY_FILLED if self.filled else OrderStatus.ACCEPTED

    def request(self, symbol: str, form: OrderForm | None = None) -> OrderRequest:
        """Its terms in AlphaWeave's words.

        Args:
            form: one it had before.
        """
        form = form or self.form
        kind = _KINDS[form.kind]
        tif = TimeInForce.AT_CLOSE if form.kind in {"MOC", "LOC"} else _TIFS[form.tif]
        trail = None
        if kind is OrderType.TRAILING_STOP:
            percent = form.number("trailingPercent")
            trail = Trail(percent=percent) if percent else Trail(amount=form.aux)
        stops = kind in {OrderType.STOP, OrderType.STOP_LIMIT}
        limits = kind in {OrderType.LIMIT, OrderType.STOP_LIMIT}
        return OrderRequest(
            symbol=symbol,
            side=self.side,
            quantity=None if form.cash is not None else form.quantity,
            quote_quantity=form.cash,
            type=kind,
            tif=tif,
            expire_at=moment_of(form.raw["goodTillDate"]) if tif is TimeInForce.GTD else None,
            limit_price=form.limit if limits else None,
            stop_price=form.aux if stops else None,
            trail=trail,
            extended_hours=form.flag("outsideRth"),
        )


@define(eq=False)
class Execution:
    """One execution as it is now.

    Attributes:
        key: its id less the revision.
        revision: 1, 2, …; a bust one has no size.
        at: UTC.
        cumulative, average: of its order, after it.
        ref: the order's reference then.
        commission: in the contract's currency.
        realized: what the position's owner gained by it; None for one that opens.
        told: a commission report has gone out.
        unheard: it happened while the gateway had no connection to its servers.
    """

    order: Order
    key: str
    size: Decimal
    price: Decimal
    at: datetime
    cumulative: Decimal
    average: Decimal
    ref: str
    commission: Decimal
    realized: Decimal | None = None
    revision: int = 1
    told: bool = False
    unheard: bool = False

    @property
    def id(self) -> str:
        return f"{self.key}.{self.revision:02d}"
