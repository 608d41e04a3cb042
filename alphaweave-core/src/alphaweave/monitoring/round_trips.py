"""From fills to round trips: what was bought and sold between being flat and being flat again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from math import fsum
from typing import Final

from attrs import define, frozen

from alphaweave.monitoring.monitor import TradeRecord

__all__ = ["RoundTrip", "TripBook", "trip_metrics"]

_DUST: Final = 1e-9


@frozen
class RoundTrip:
    """One position in one symbol, from flat to flat; a fill that turns it around ends one and begins
    the next, its fees shared by size.

    Attributes:
        side: ``long`` or ``short``.
        opened_at, closed_at: execution times, UTC; ``closed_at`` is None while it is open.
        opened_index, closed_index: numbers of the slices in which those fills were booked.
        size: all that was bought for a long, sold for a short position; positive.
        entry_price, exit_price: averages over its fills; for an open one the exit is the price it is
            marked at, None without one.
        pnl: in the run's currency, after fees; an open one is marked, None without a price.
        fees: in the run's currency.
        return_: pnl over the value of its entries; None where that is zero.
    """

    symbol: str
    side: str
    opened_at: datetime
    closed_at: datetime | None
    opened_index: int
    closed_index: int
    size: float
    entry_price: float
    exit_price: float | None
    pnl: float | None
    fees: float
    return_: float | None
    fills: int


@define
class _Open:
    """A position being built and unwound; values in the run's currency."""

    sign: int
    first: TradeRecord
    held: float = 0.0
    entered: float = 0.0
    entry_quote: float = 0.0
    entry_value: float = 0.0
    left: float = 0.0
    exit_quote: float = 0.0
    exit_value: float = 0.0
    fees: float = 0.0
    fills: int = 0
    # Something other than these fills moved the position: its profit cannot be told from them.
    unknown: bool = False

    def add(self, trade: TradeRecord, size: float) -> None:
        share = size / trade.size
        quote = trade.price * size
        value = quote if trade.notional is None else trade.notional * share
        self.fees += trade.fees * share
        self.fills += 1
        if (trade.side == "buy") == (self.sign > 0):
            self.held += size
            self.entered += size
            self.entry_quote += quote
            self.entry_value += value
        else:
            self.held -= size
            self.left += size
            self.exit_quote += quote
            self.exit_value += value

    def closed(self, last: TradeRecord) -> RoundTrip:
        pnl = self.sign * (self.exit_value - self.entry_value) - self.fees
        return self._trip(pnl, self.exit_quote / self.left, last)

    def marked(self, price: float | None) -> RoundTrip:
        """As it stands at a price; value per unit of quote is taken from its entries."""
        if price is None:
            return self._trip(None, None, None)
        rate = self.entry_value / self.entry_quote if self.entry_quote else 1.0
        worth = self.exit_value + self.held * price * rate
        return self._trip(self.sign * (worth - self.entry_value) - self.fees, price, None)

    def _trip(self, pnl: float | None, exit_price: float | None, last: TradeRecord | None) -> RoundTrip:
        return RoundTrip(
            symbol=self.first.symbol,
            side="long" if self.sign > 0 else "short",
            opened_at=self.first.timestamp,
            closed_at=last.timestamp if last else None,
            opened_index=self.first.index,
            closed_index=last.index if last else -1,
            size=self.entered,
            entry_price=self.entry_quote / self.entered,
            exit_price=exit_price,
            pnl=pnl,
            fees=self.fees,
            return_=pnl / self.entry_value if pnl is not None and self.entry_value else None,
            fills=self.fills,
        )


class TripBook:
    """Round trips of a sequence of fills.

    A position that was there before the first fill, or that something other than a fill changed, has no
    known entry: it is left out until its symbol is flat again.

    Attributes:
        closed: finished round trips, by the time they were closed.
    """

    def __init__(self, trades: Iterable[TradeRecord]) -> None:
        self.closed: list[RoundTrip] = []
        self._open: dict[str, _Open] = {}
        positions: dict[str, float] = {}
        for trade in trades:
            if trade.size > 0.0:
                self._book(trade, positions.get(trade.symbol))
            positions[trade.symbol] = trade.position

    def open(self, prices: Mapping[str, float]) -> list[RoundTrip]:
        """Positions that are still open, marked at these prices."""
        return [trip.marked(prices.get(symbol)) for symbol, trip in self._open.items() if not trip.unknown]

    def _book(self, trade: TradeRecord, known: float | None) -> None:
        signed = trade.size if trade.side == "buy" else -trade.size
        dust = _DUST * max(trade.size, abs(trade.position))
        before = trade.position - signed
        before = 0.0 if abs(before) <= dust else before
        after = 0.0 if abs(trade.position) <= dust else trade.position
        if abs((known or 0.0) - before) > dust:
            self._open.pop(trade.symbol, None)
            if before:
                self._open[trade.symbol] = _Open(1 if before > 0 else -1, trade, unknown=True)
        trip = self._open.get(trade.symbol)
        if trip is None:
            if after:
                self._enter(trade, trade.size)
            return
        if after * trip.sign > 0.0:
            trip.add(trade, trade.size)
            return
        trip.add(trade, min(trade.size, abs(before)))
        del self._open[trade.symbol]
        if not trip.unknown:
            self.closed.append(trip.closed(trade))
        if after:
            self._enter(trade, abs(after))

    def _enter(self, trade: TradeRecord, size: float) -> None:
        trip = _Open(1 if trade.side == "buy" else -1, trade)
        trip.add(trade, size)
        self._open[trade.symbol] = trip


def trip_metrics(trips: Iterable[RoundTrip]) -> dict[str, float | None]:
    """Count, win rate, profit factor, average win and loss of closed round trips.

    A trip with a profit of exactly zero is neither a win nor a loss. Without a loss there is no profit
    factor, without a win no average win.
    """
    results = [trip.pnl for trip in trips if trip.pnl is not None]
    wins = [pnl for pnl in results if pnl > 0.0]
    losses = [pnl for pnl in results if pnl < 0.0]
    return {
        "round_trips": len(results),
        "win_rate": len(wins) / len(results) if results else None,
        "profit_factor": fsum(wins) / -fsum(losses) if losses else None,
        "average_win": fsum(wins) / len(wins) if wins else None,
        "average_loss": fsum(losses) / len(losses) if losses else None,
    }
