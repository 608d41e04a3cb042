"""What the ledger is made of: positions, the executions behind them, and what an event did to both."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from decimal import Decimal
from enum import Enum

from attrs import evolve

from alphaweave.core.clock import to_ns
from alphaweave.core.errors import InvariantViolation
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import CONTEXT, ZERO, Money, plain
from alphaweave.core.order import Side
from alphaweave.live.ledger_folded import Folded
from alphaweave.live.reports import BrokerFill, FeeReport, PositionChange

__all__ = ["Adjustment", "Booking", "BookingKind", "Execution", "Position", "Signature", "terms"]

_BUY = Side.BUY
_ONE = Decimal(1)
_SHARES = CONTEXT.copy()
# A share of a cost is cut to 28 digits, so that sums over shares stay within the 40 that are exact.
_SHARES.prec = 28
_add, _subtract, _multiply, _share = CONTEXT.add, CONTEXT.subtract, CONTEXT.multiply, _SHARES.divide


Signature = tuple[str, Decimal, Decimal, Decimal]
"""Broker order id, cumulative quantity, size and price of an execution."""


class BookingKind(Enum):
    """What an event did to the books."""

    FILL = "fill"
    CORRECTION = "correction"
    BUST = "bust"
    FEES = "fees"


class Booking:
    """What one event did to the books. Not to be changed.

    Attributes:
        kind: FILL: an execution is new in the books; CORRECTION: its terms changed; BUST: it is out of
            them; FEES: only its fees changed.
        fill: the execution as booked; for a BUST as it was booked.
        replaced: the terms booked before, for a CORRECTION.
        position_before, position_after: signed units around this event.
        realised: profit of the part that the execution closed, after all its fees; None for a pure
            opening and for a BUST. In the asset that cash moves in.
        fees: the execution's fees that are in the run's currency, in total.
        raw_fees: all its fees, as charged; None while they are not known.
    """

    __slots__ = (
        "fees",
        "fill",
        "kind",
        "position_after",
        "position_before",
        "raw_fees",
        "realised",
        "replaced",
    )

    def __init__(
        self,
        kind: BookingKind,
        fill: BrokerFill,
        *,
        position_before: Decimal,
        position_after: Decimal,
        realised: Decimal | None = None,
        fees: Decimal = ZERO,
        raw_fees: tuple[Money, ...] | None = (),
        replaced: BrokerFill | None = None,
    ) -> None:
        self.kind = kind
        self.fill = fill
        self.position_before = position_before
        self.position_after = position_after
        self.realised = realised
        self.fees = fees
        self.raw_fees = raw_fees
        self.replaced = replaced


class Position:
    """What the run holds of one symbol.

    Attributes:
        quantity: signed units; for a spot instrument less the fees taken in its base asset.
        cost: signed cash paid for the open quantity, in ``asset``.
        realised: profit of everything closed, less all fees in ``asset`` and in the base asset (these
            at the price of their fill). Fees in a third asset only reduce that asset's balance.
        units: ``quantity`` as a float.
        unsigned: executions whose signatures are not taken down yet.
        asset: what cash moves in: the quote asset of a spot instrument, else the settle asset.
        base: the asset a spot instrument buys, else None.
        folded: the beginning of the history, where that is archived.
    """

    __slots__ = (
        "_signatures",
        "asset",
        "base",
        "cost",
        "factor",
        "folded",
        "history",
        "instrument",
        "multiplier",
        "quantity",
        "realised",
        "symbol",
        "units",
        "unsigned",
    )

    def __init__(self, symbol: str, asset: str, base: str | None, multiplier: Decimal) -> None:
        self.symbol = symbol
        self.set_terms(asset, base, multiplier)
        self.quantity = ZERO
        self.cost = ZERO
        self.realised = ZERO
        self.units = 0.0
        self.instrument: Instrument | None = None
        self.history: list[Execution | Adjustment] = []
        self.folded: Folded | None = None
        self._signatures: dict[Signature, str] = {}
        self.unsigned: list[Execution] = []

    @property
    def signatures(self) -> dict[Signature, str]:
        """What tells executions apart whatever keys they bear: signature -> key."""
        for execution in self.unsigned:
            fill = execution.fill
            if fill is not None and fill.cumulative is not None:
                signature = (fill.broker_order_id, fill.cumulative, fill.size, fill.price)
                self._signatures.setdefault(signature, fill.execution_key)
        self.unsigned.clear()
        return self._signatures

    @signatures.setter
    def signatures(self, signatures: dict[Signature, str]) -> None:
        self._signatures = signatures

    def set_terms(self, asset: str, base: str | None, multiplier: Decimal) -> None:
        """Say how fills are booked; only before the first one."""
        self.asset = asset
        self.base = base
        self.multiplier = _ONE if multiplier == _ONE else multiplier
        self.factor = float(multiplier)

    @property
    def average_price(self) -> Decimal:
        """Average price of the open quantity, in quote currency; zero when flat."""
        if not self.quantity:
            return ZERO
        return _share(self.cost, _multiply(self.quantity, self.multiplier))

    def trade(self, delta: Decimal, value: Decimal, price: Decimal) -> Decimal | None:
        """Move by ``delta`` units worth ``value`` (same sign); the profit of what that closed, if any."""
        held = self.quantity
        if not delta:
            return None
        self.quantity = after = _add(held, delta)
        if not held:
            self.cost = value
            return None
        if (held > ZERO) is (delta > ZERO):
            self.cost = _add(self.cost, value)
            return None
        if not after:
            profit = _add(value, self.cost).copy_negate()
            self.cost = ZERO
        elif (after > ZERO) is (held > ZERO):
            share = _share(_multiply(self.cost, delta), held)
            profit = _subtract(share, value)
            self.cost = _add(self.cost, share)
        else:
            opened = _multiply(_multiply(after, price), self.multiplier)
            profit = _subtract(_subtract(opened, value), self.cost)
            self.cost = opened
        return profit

    def insert(self, item: Execution | Adjustment) -> bool:
        """Put an item at its place in the history; False if others come after it."""
        history = self.history
        if not history or history[-1].at <= item.at:
            history.append(item)
            return True
        history.insert(bisect_right(history, item.at, key=_at), item)
        return False

    def take(self, execution: Execution, price: Decimal) -> Decimal | None:
        """Enter an execution whose effect is known; what it realised after its fee, None for an opening."""
        execution.position = self
        self.unsigned.append(execution)
        fee = execution.charged
        history = self.history
        if history and history[-1].at > execution.at:
            self.insert(execution)
            self.rebuild()
            return None if execution.profit is None else _subtract(execution.profit, fee)
        history.append(execution)
        execution.profit = profit = self.trade(execution.delta, execution.value, price)
        quantity = self.quantity
        self.units = float(quantity) if quantity else 0.0
        if profit is None:
            if fee:
                self.realised = _subtract(self.realised, fee)
            return None
        profit = _subtract(profit, fee)
        self.realised = _add(self.realised, profit)
        return profit

    def rebuild(self) -> None:
        """Work out quantity, cost and realised profit anew from the history."""
        self.quantity = self.cost = self.realised = ZERO
        if self.folded is not None:
            before = self.folded
            self.quantity, self.cost, self.realised = before.quantity, before.cost, before.realised
        for item in self.history:
            item.apply(self)
        self.units = float(self.quantity)


class Execution:
    """All that is known of one execution, and its effect on the books.

    Attributes:
        fill: its newest revision; None while only a bust or a fee report has come.
        revision: the newest seen, -1 for none.
        busted: the newest revision took it out.
        report: the newest late fees.
        position: where it is booked; None while it is not.
    """

    __slots__ = (
        "at",
        "booked",
        "busted",
        "cash",
        "charged",
        "delta",
        "fees",
        "fill",
        "position",
        "profit",
        "report",
        "revision",
        "units",
        "value",
    )

    # The effect, while booked: legs of cash and units, and what they and the fees do to the position.
    at: int
    booked: BrokerFill
    cash: Decimal
    charged: Decimal
    delta: Decimal
    fees: tuple[Money, ...] | None
    profit: Decimal | None
    units: Decimal
    value: Decimal

    def __init__(self, fill: BrokerFill | None = None, revision: int = -1) -> None:
        self.fill = fill
        self.revision = revision
        self.busted = False
        self.report: FeeReport | None = None
        self.position: Position | None = None

    def known_fees(self, fill: BrokerFill) -> tuple[Money, ...] | None:
        """A report outranks what the fill said, unless a later revision of the fill says it anew."""
        report = self.report
        if report is None:
            return fill.fees
        if fill.fees is not None and self.revision > 0 and fill.received_at > report.received_at:
            return fill.fees
        return report.fees

    def learn(self, fill: BrokerFill, revision: int) -> None:
        """Take in one more version of the fill."""
        if revision > self.revision:
            self.fill, self.revision, self.busted = fill, revision, False
        elif revision == self.revision and self.fill is not None:
            mine = self.fill
            # Prices are not compared: a venue's stream and its history may print different digits.
            if (mine.symbol, mine.side, mine.size) != (fill.symbol, fill.side, fill.size):
                raise InvariantViolation(
                    f"execution {fill.execution_key} revision {revision} came as {_words(mine)} and as "
                    f"{_words(fill)}; the adapter must give each execution a key of its own"
                )
            if mine.fees is None and fill.fees is not None:
                self.fill = evolve(mine, fees=fill.fees)

    def learn_fees(self, report: FeeReport) -> None:
        """Keep the newest report."""
        if self.report is None or _rank(report) > _rank(self.report):
            self.report = report

    def work_out(self, fill: BrokerFill, position: Position) -> None:
        """Set the effect that ``fill`` has in ``position``."""
        self.booked = fill
        self.at = to_ns(fill.executed_at)
        price = fill.price
        multiplier = position.multiplier
        delta = fill.size
        value = _multiply(delta, price)
        if multiplier is not _ONE:
            value = _multiply(value, multiplier)
        if fill.side is _BUY:
            self.cash = value.copy_negate()
        else:
            self.cash = value
            delta = delta.copy_negate()
            value = value.copy_negate()
        self.units = delta
        charged = ZERO
        self.fees = fees = fill.fees if self.report is None else self.known_fees(fill)
        if fees:
            asset, base = position.asset, position.base
            for fee in fees:
                if fee.asset == asset:
                    charged = _add(charged, fee.amount)
                elif fee.asset == base:
                    worth = _multiply(_multiply(fee.amount, price), multiplier)
                    charged = _add(charged, worth)
                    delta = _subtract(delta, fee.amount)
                    value = _subtract(value, worth)
        self.charged = charged
        self.delta = delta
        self.value = value

    def apply(self, position: Position) -> None:
        """Enter the effect into the position."""
        self.profit = profit = position.trade(self.delta, self.value, self.booked.price)
        if profit is not None:
            position.realised = _add(position.realised, _subtract(profit, self.charged))
        elif self.charged:
            position.realised = _subtract(position.realised, self.charged)

    def booking(
        self,
        kind: BookingKind,
        position: Position,
        before: Decimal,
        currency: str,
        replaced: BrokerFill | None = None,
    ) -> Booking:
        """What to tell about the effect as it now stands."""
        fees = ZERO
        if self.fees:
            for fee in self.fees:
                if fee.asset == currency:
                    fees = _add(fees, fee.amount)
        profit = self.profit
        return Booking(
            kind,
            self.booked,
            position_before=before,
            position_after=position.quantity,
            realised=None if profit is None else _subtract(profit, self.charged),
            fees=fees,
            raw_fees=self.fees,
            replaced=replaced,
        )


def _at(item: Execution | Adjustment) -> int:
    return item.at


def terms(fill: BrokerFill) -> tuple[str, Side, Decimal, Decimal, datetime]:
    """What an execution's place and effect in the books depend on, besides its fees."""
    return fill.symbol, fill.side, fill.size, fill.price, fill.executed_at


class Adjustment:
    """A position change in a symbol's history."""

    __slots__ = ("at", "change")

    def __init__(self, change: PositionChange) -> None:
        self.change = change
        self.at = to_ns(change.at)

    def apply(self, position: Position) -> None:
        """A split keeps the cost. Other units come and go at the average price: no profit is invented."""
        held = position.quantity
        position.quantity = after = _add(held, self.change.quantity)
        if not after or not held or (after > ZERO) is not (held > ZERO):
            position.cost = ZERO
        elif self.change.kind != "split":
            position.cost = _share(_multiply(position.cost, after), held)


def _rank(report: FeeReport) -> tuple[datetime, list[tuple[str, Decimal]]]:
    return report.received_at, sorted((fee.asset, fee.amount) for fee in report.fees)


def _words(fill: BrokerFill) -> str:
    return f"{fill.side.value} {plain(fill.size)} {fill.symbol} at {plain(fill.price)}"
