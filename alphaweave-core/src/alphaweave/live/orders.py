"""The kernel's own orders: what was decided, what the broker said of it, what it may still do.

An order is logical: one id for ever, a chain of versions, each with its own client id. Fills are the
only truth about what was traded; an update only says whether more may come. Any order of arrival is
legal, so every transition asks "what is known now", never "what came before".

Exposure is kept per symbol (`SymbolBook`): what every order that may still fill could add to the
position at worst. The exits of a group count as the larger of the two, and only as far as the entry
that they protect is filled; once one has been given another size, both count in full.
"""

from __future__ import annotations

from decimal import Decimal

from attrs import evolve

from alphaweave.core.instrument import Instrument
from alphaweave.core.money import ZERO
from alphaweave.core.order import (
    GroupKind,
    OrderChange,
    OrderRef,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from alphaweave.data.series import Series
from alphaweave.live.succession import Succession, changed_request

__all__ = ["DeniedOrder", "Group", "Order", "SymbolBook"]

_PENDING = OrderStatus.PENDING
_ACCEPTED = OrderStatus.ACCEPTED
_PARTIAL = OrderStatus.PARTIALLY_FILLED
_FILLED = OrderStatus.FILLED
_UNKNOWN = OrderStatus.UNKNOWN
# Orders of these types are meant to trade now; a stop may never do.
_MARKET = OrderType.MARKET
_LIMIT = OrderType.LIMIT
_BUY = Side.BUY


class SymbolBook:
    """One symbol as the kernel works with it.

    Attributes:
        quantity, units: the signed position, exact and as a float.
        weight: what the position gains in the run's currency when the price rises by one.
        open_buy, open_sell: units that open orders could still buy or sell at worst.
        intended: signed units that market and limit orders outside groups still mean to trade.
        orders: open orders by id, oldest first.
        usual_tif, market_tif: what orders without a time in force get, by type and for MARKET; looked up
            once.
        whole: every size is a multiple of one unit.
    """

    __slots__ = (
        "closes",
        "cursor",
        "instrument",
        "intended",
        "market_tif",
        "multiplier",
        "open_buy",
        "open_sell",
        "orders",
        "quantity",
        "series",
        "symbol",
        "units",
        "usual_tif",
        "weight",
        "whole",
    )

    def __init__(self, instrument: Instrument, series: Series) -> None:
        self.symbol = instrument.symbol
        self.instrument = instrument
        self.multiplier = float(instrument.multiplier)
        self.series = series
        self.cursor = series.cursor
        self.closes = series.close
        self.quantity = ZERO
        self.units = 0.0
        self.weight = 0.0
        self.open_buy = ZERO
        self.open_sell = ZERO
        self.intended = ZERO
        self.orders: dict[str, Order] = {}
        self.usual_tif: dict[OrderType, TimeInForce] = {}
        self.market_tif: TimeInForce | None = None
        self.whole = str(instrument.size_step) == "1"

    def worth(self, size: float, price: float) -> float | None:
        """What a fill is worth in the run's currency; None where it is just ``size * price``."""
        return None if self.multiplier == 1.0 else size * price * self.multiplier

    def last(self) -> float | None:
        """The last known close, or None before the first bar."""
        count = self.cursor.count
        return self.closes[count - 1] if count else None


class Order:
    """One order, mutable, owned by the kernel.

    Attributes:
        id: the client id of its first version, and its name for ever.
        ref: the names of the version that works now.
        change, change_ref: a replacement on its way, whose outcome is not known yet.
        succession: where it is replaced by cancelling it and placing another.
        reserved: units counted in the book's open_buy or open_sell for it.
        told: how often the strategy was told of its status.
        reference: the last price when it was decided, for slippage.
        ending: how it ends once fills that the broker has counted arrive: (status, reason, text, units).
        handed_over: whether its intent has left the kernel.
    """

    __slots__ = (
        "adjustments",
        "book",
        "change",
        "change_ref",
        "decided_at",
        "ending",
        "filled",
        "filled_value",
        "group",
        "handed_over",
        "id",
        "intends",
        "quantity",
        "reason",
        "ref",
        "reference",
        "request",
        "reserved",
        "side",
        "status",
        "succession",
        "symbol",
        "text",
        "told",
        "version",
    )

    def __init__(  # noqa: PLR0917 - keywords would cost a replay a percent
        self,
        book: SymbolBook,
        ref: OrderRef,
        request: OrderRequest,
        decided_at: int,
        reference: float | None,
        adjustments: tuple[str, ...] = (),
    ) -> None:
        self.book = book
        self.id = ref.client_order_id
        self.ref = ref
        self.request = request
        self.symbol = request.symbol
        self.side = request.side
        self.quantity = request.quantity
        self.status = _PENDING
        self.filled = ZERO
        self.filled_value = ZERO
        self.reason: str | None = None
        self.text = ""
        self.decided_at = decided_at
        self.reference = reference
        self.adjustments = adjustments
        self.version = 0
        self.told = 0
        self.group: Group | None = None
        self.ending: tuple[OrderStatus, str | None, str, Decimal] | None = None
        self.change: OrderChange | None = None
        self.change_ref: OrderRef | None = None
        self.succession: Succession | None = None
        self.reserved = ZERO
        kind = request.type
        self.intends = kind is _MARKET or kind is _LIMIT
        self.handed_over = False

    @property
    def is_open(self) -> bool:
        return not self.status.terminal

    @property
    def retiring(self) -> bool:
        """Whether it is being cancelled so that its next version can be placed."""
        return self.change is not None and self.succession is not None

    @property
    def own_filled(self) -> Decimal:
        """Units filled of what works at the broker now; its versions before count for themselves there."""
        return self.filled if self.succession is None else self.filled - self.succession.base

    def average_price(self) -> float | None:
        """Average fill price in quote currency, None before the first fill."""
        return float(self.filled_value / self.filled) if self.filled else None

    def remaining(self) -> Decimal:
        """Units that may still fill: the larger of the two totals while a replacement is on its way.

        An order sized in quote currency has none that are known; see `estimate`.
        """
        change = self.change
        if self.ending is not None and change is None:
            return self.ending[3] - self.filled
        quantity = self.quantity if self.quantity is not None else self.estimate()
        if change is not None and change.quantity is not None and change.quantity > quantity:
            quantity = change.quantity
        left = quantity - self.filled
        return left if left > 0 else ZERO

    def estimate(self) -> Decimal:
        """Units that a quote-quantity order buys at the price it was decided on."""
        quote = self.request.quote_quantity
        if quote is None or not self.reference:
            return self.filled
        return self.book.instrument.units_worth(quote, Decimal(repr(self.reference)))

    def accept(self) -> None:
        """The broker has it. A late word changes nothing that is known better."""
        if self.status is _PENDING or self.status is _UNKNOWN:
            self.status = _PARTIAL if self.filled else _ACCEPTED

    def doubt(self) -> None:
        """Nobody knows what became of it; its full exposure stays reserved."""
        if not self.status.terminal:
            self.status = _UNKNOWN

    def bind(self, ref: OrderRef) -> None:
        """Learn the broker's id from ``ref``; what was prepared stays, also where ``ref`` lacks it."""
        own = self.ref
        same = ref.wire is own.wire and ref.decided_at is own.decided_at
        self.ref = ref if same else evolve(own, broker_order_id=ref.broker_order_id)

    def fill(self, size: Decimal, price: Decimal) -> None:
        """Book an execution (a negative size takes one back). A terminal order becomes FILLED if that
        completes it, and otherwise stays ended. One with a replacement on its way is not over yet: what
        completes the old version may be a part of the new one."""
        self.filled += size
        self.filled_value += size * price
        quantity = self.quantity
        if quantity is not None and self.filled >= quantity and self.change is None:
            self.status = _FILLED
        elif not self.status.terminal:
            self.status = _PARTIAL if self.filled else _ACCEPTED
            if self.ending is not None:
                self._end_if_due()

    def end(self, status: OrderStatus, reason: str | None, text: str, cumulative: Decimal | None) -> None:
        """The broker says that the order is over once ``cumulative`` units are filled.

        While fills that the broker counts have not arrived, the order stays open and reserves them; so it
        does while the outcome of a replacement is not known.
        """
        if self.status.terminal:
            return
        if cumulative is None:
            cumulative = self.quantity if status is _FILLED and self.quantity is not None else self.filled
        elif self.succession is not None:
            cumulative += self.succession.base
        self.ending = (status, reason, text, cumulative)
        self._end_if_due()

    def _end_if_due(self) -> None:
        ending = self.ending
        if ending is not None and self.change is None and self.filled >= ending[3]:
            self.status, self.reason, self.text, _ = ending
            self.ending = None

    def adopt_change(self, client_id: str | None) -> None:
        """The replacement of this name works now: its terms and its names are the order's. A name of
        another version changes nothing."""
        change = self.change
        if change is None or self.change_ref is None or self.change_ref.client_order_id != client_id:
            return
        if self.retiring:
            return  # it was not placed yet
        self._resize()
        self.request = changed_request(self.request, change)
        self.quantity = self.request.quantity
        self.ref = self.change_ref
        self.change = None
        self.change_ref = None
        self.ending = None  # it was the old version's
        if self.quantity is not None and self.filled >= self.quantity:
            self.status = _FILLED

    def drop_change(self, text: str, *, asked: bool = True) -> None:
        """The replacement was refused: the order works on as it was, or ends as it ended.

        Args:
            asked: it may have left; False: it never did.
        """
        if asked:
            self._resize()
        self.change = self.change_ref = None
        if self.succession is not None and not self.succession.past:
            self.succession = None
        self.text = text
        if self.quantity is not None and self.filled >= self.quantity:
            self.status = _FILLED
        else:
            self._end_if_due()

    def _resize(self) -> None:
        if self.group is not None and self.change is not None and self.change.quantity is not None:
            self.group.resized = True

    def reserve(self) -> None:
        """Bring the book's open exposure up to date after any change of this order."""
        if self.group is not None:
            self.group.reserve()
        else:
            self.set_reserved(self.remaining() if not self.status.terminal else ZERO)

    def set_reserved(self, amount: Decimal) -> None:
        """Count ``amount`` units for this order in its book."""
        delta = amount - self.reserved
        if not delta:
            return
        self.reserved = amount
        book = self.book
        if self.side is _BUY:
            book.open_buy += delta
            if self.intends:
                book.intended += delta
        else:
            book.open_sell += delta
            if self.intends:
                book.intended -= delta


class DeniedOrder:
    """What a refused request leaves behind: enough for its handle to say why."""

    __slots__ = ("adjustments", "filled", "id", "quantity", "reason", "status", "symbol", "text")

    def __init__(self, order_id: str, symbol: str, reason: str, text: str) -> None:
        self.id = order_id
        self.symbol = symbol
        self.status = OrderStatus.DENIED
        self.reason: str | None = reason
        self.text = text
        self.quantity: Decimal | None = None
        self.filled = ZERO
        self.adjustments: tuple[str, ...] = ()

    def average_price(self) -> float | None:
        return None


class Group:
    """The legs of a bracket or an OCO.

    Attributes:
        resized: whether another size was ever asked for one of the exits, and answered.
    """

    __slots__ = ("entry", "kind", "resized", "stop_loss", "take_profit")

    def __init__(
        self, kind: GroupKind, take_profit: Order, stop_loss: Order, entry: Order | None = None
    ) -> None:
        self.kind = kind
        self.entry = entry
        self.take_profit = take_profit
        self.stop_loss = stop_loss
        self.resized = False
        for leg in self.legs:
            leg.group = self
        # Exits wait for the market; they are not what the strategy means to trade now.
        take_profit.intends = stop_loss.intends = False

    @property
    def legs(self) -> tuple[Order, ...]:
        exits = (self.take_profit, self.stop_loss)
        return exits if self.entry is None else (self.entry, *exits)

    def reserve(self) -> None:
        """Count the entry for itself and the exits as the larger one, bounded by what was entered.

        A broker takes what one exit fills off the other, but a new size replaces what it took off: of
        exits that were resized each may fill whole, and more than was entered.
        """
        entry = self.entry
        profit = self.take_profit
        loss = self.stop_loss
        if entry is not None:
            entry.set_reserved(entry.remaining() if not entry.status.terminal else ZERO)
        of_profit = profit.remaining() if not profit.status.terminal else ZERO
        of_loss = loss.remaining() if not loss.status.terminal else ZERO
        resizing = any(leg.change is not None and leg.change.quantity is not None for leg in (profit, loss))
        if resizing or self.resized:
            worst = of_profit + of_loss
        else:
            # Where the broker has counted what each filled, fills of both are on their way.
            counted = profit.ending is not None and loss.ending is not None
            worst = of_profit + of_loss if counted else max(of_profit, of_loss)
            if entry is not None:
                left = entry.filled - profit.filled - loss.filled
                worst = min(worst, max(left, ZERO))
        profit.set_reserved(worst)
