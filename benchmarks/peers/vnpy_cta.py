"""W1, W3 and W4 on the backtester of vnpy's CTA module.

It has no cash and refuses no order, so that the strategy keeps books of its own to size by; it values the
account once a day. A limit order far through the market is its market order: it fills at the next open.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import floor
from time import monotonic_ns
from typing import Any

from floor import Sma
from outcome import Outcome, Run
from vnpy.trader.constant import Direction, Exchange, Interval
from vnpy.trader.object import BarData, TickData
from vnpy_ctastrategy.backtesting import BacktestingEngine
from vnpy_ctastrategy.base import BacktestingMode
from vnpy_ctastrategy.template import CtaTemplate
from workloads import CASH, FAST, FEE, INVESTED, LIMIT_DISTANCE, LIMIT_EVERY, SLOW, TIE, Workload

__all__ = ["first_bar", "prepare"]

THROUGH = 1.2
"""So far behind the market that the price of the order does not matter."""


class Trader(CtaTemplate):
    """What both strategies have."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.cash = CASH
        self.seen = 0
        self.at = 0

    def on_init(self) -> None: ...

    def on_trade(self, trade: Any) -> None:
        notional = trade.price * trade.volume
        self.cash -= (notional if trade.direction is Direction.LONG else -notional) + notional * FEE


class Cross(Trader):
    """W1 and W4."""

    def on_init(self) -> None:
        self.fast = Sma(FAST)
        self.slow = Sma(SLOW)

    def on_bar(self, bar: Any) -> None:
        self.at = self.at or monotonic_ns()
        self.seen += 1
        close = bar.close_price
        above = self.fast.update(close) - self.slow.update(close) > TIE
        if self.pos:
            if not above:
                self.sell(close / THROUGH, self.pos)
        elif above:
            self.buy(close * THROUGH, floor(INVESTED * self.cash / close))


class Quoter(Trader):
    """W3."""

    def on_tick(self, tick: Any) -> None:
        self.seen += 1
        if self.seen % LIMIT_EVERY == 0:
            if self.seen // LIMIT_EVERY % 2:
                self.buy(tick.last_price - LIMIT_DISTANCE, 1)
            else:
                self.short(tick.last_price + LIMIT_DISTANCE, 1)


def prepare(workload: Workload) -> Run:
    """Make the records that the engine goes through, outside the timed run, and return the run."""
    engine = _engine(workload)

    def run() -> Outcome:
        engine.run_backtesting()
        strategy: Any = engine.strategy
        trades = engine.trades.values()
        cash, held = CASH, 0.0
        for trade in trades:
            size = trade.volume if trade.direction is Direction.LONG else -trade.volume
            cash -= size * trade.price + abs(size) * trade.price * FEE
            held += size
        last = engine.history_data[-1]
        price = last.last_price if workload.interval == "tick" else last.close_price
        return Outcome(len(trades), cash + held * price, strategy.seen)

    return run


def first_bar(workload: Workload) -> int:
    """Go as far as the first call of W4's strategy and return that moment, in monotonic nanoseconds."""
    engine = _engine(workload)
    engine.run_backtesting()
    at: int = engine.strategy.at
    return at


def _engine(workload: Workload) -> Any:
    ticks = workload.interval == "tick"
    engine = BacktestingEngine()
    engine.output = _complain
    engine.set_parameters(
        vt_symbol="AAA.LOCAL",
        interval=Interval.MINUTE,
        start=_time(workload.end[0]),
        end=_time(workload.end[-1]),
        rate=FEE,
        slippage=0.0,
        size=1.0,
        pricetick=0.01,
        capital=int(CASH),
        mode=BacktestingMode.TICK if ticks else BacktestingMode.BAR,
    )
    engine.add_strategy(Quoter if ticks else Cross, {})
    (columns,) = workload.columns.values()
    records = zip(workload.end.tolist(), *[column.tolist() for column in columns], strict=True)
    engine.history_data = [_tick(*record) if ticks else _bar(record) for record in records]
    return engine


def _bar(record: tuple[Any, ...]) -> Any:
    end, opened, high, low, close, volume = record
    return BarData(
        gateway_name="BACKTESTING",
        symbol="AAA",
        exchange=Exchange.LOCAL,
        datetime=_time(end),
        interval=Interval.MINUTE,
        volume=volume,
        open_price=opened,
        high_price=high,
        low_price=low,
        close_price=close,
    )


def _tick(end: int, price: float, size: float) -> Any:
    return TickData(
        gateway_name="BACKTESTING",
        symbol="AAA",
        exchange=Exchange.LOCAL,
        datetime=_time(end),
        last_price=price,
        last_volume=size,
        bid_price_1=price,
        ask_price_1=price,
    )


def _time(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / 1e9, UTC)


def _complain(text: str) -> None:
    # It swallows what a strategy raises, and prints it among its progress.
    if "Traceback" in text:
        raise RuntimeError(text)
