"""All workloads on backtrader; market orders fill at the next open, as it does by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from math import floor
from time import monotonic_ns
from typing import Any

import backtrader as bt
from floor import Momentum
from outcome import Outcome, Run
from workloads import (
    CASH,
    FAST,
    FEE,
    HELD,
    INVESTED,
    LIMIT_DISTANCE,
    LIMIT_EVERY,
    LOOKBACK,
    SLOW,
    TIE,
    Workload,
)

__all__ = ["first_bar", "prepare"]


class Rows(bt.feed.DataBase):
    """The columns of one symbol."""

    params = (("times", ()), ("columns", ()))

    def start(self) -> None:
        super().start()
        self.rows: Iterator[Any] = zip(self.p.times, *self.p.columns, strict=True)

    def _load(self) -> bool:
        row = next(self.rows, None)
        if row is None:
            return False
        lines = self.lines
        (
            lines.datetime[0],
            lines.open[0],
            lines.high[0],
            lines.low[0],
            lines.close[0],
            lines.volume[0],
        ) = row
        lines.openinterest[0] = 0.0
        return True


class Trader(bt.Strategy):
    """What all strategies count."""

    def __init__(self) -> None:
        self.seen = self.filled = self.refused = self.at = 0

    def prenext(self) -> None:
        self.next()

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            self.filled += 1
        elif order.status in {order.Margin, order.Rejected}:
            self.refused += 1


class Cross(Trader):
    """W1 and W4."""

    def __init__(self) -> None:
        super().__init__()
        self.fast = bt.indicators.SMA(period=FAST)
        self.slow = bt.indicators.SMA(period=SLOW)

    def next(self) -> None:
        self.at = self.at or monotonic_ns()
        self.seen += 1
        above = self.fast[0] - self.slow[0] > TIE
        held = self.position.size
        if held:
            if not above:
                self.sell(size=held)
        elif above:
            self.buy(size=floor(INVESTED * self.broker.getvalue() / self.data.close[0]))


class Rotation(Trader):
    """W2 and W2d."""

    params = (("every", 21),)

    def __init__(self) -> None:
        super().__init__()
        self.momenta = [Momentum() for _ in self.datas]

    def next(self) -> None:
        for momentum, data in zip(self.momenta, self.datas, strict=True):
            momentum.update(data.close[0])
        if self.seen >= LOOKBACK and self.seen % self.p.every == 0:
            self.rebalance()
        self.seen += 1

    def rebalance(self) -> None:
        equity = self.broker.getvalue()
        momenta = self.momenta
        top = set(sorted(range(len(momenta)), key=lambda index: momenta[index].value)[-HELD:])
        wanted = []
        for index, data in enumerate(self.datas):
            target = floor(INVESTED / HELD * equity / data.close[0]) if index in top else 0
            held = self.getposition(data).size
            if target != held:
                wanted.append((target - held, data))
        # It asks for the cash of each order by itself, so that what is sold has to come first.
        for size, data in wanted:
            if size < 0:
                self.sell(data=data, size=-size)
        for size, data in wanted:
            if size > 0:
                self.buy(data=data, size=size)


class Quoter(Trader):
    """W3; each trade is a bar of one price."""

    def next(self) -> None:
        self.seen += 1
        if self.seen % LIMIT_EVERY == 0:
            price = self.data.close[0]
            if self.seen // LIMIT_EVERY % 2:
                self.buy(size=1, exectype=bt.Order.Limit, price=round(price - LIMIT_DISTANCE, 2))
            else:
                self.sell(size=1, exectype=bt.Order.Limit, price=round(price + LIMIT_DISTANCE, 2))


def prepare(workload: Workload) -> Run:
    """Set the engine up with its columns, outside the timed run, and return the run."""
    cerebro = _cerebro(workload)

    def run() -> Outcome:
        (strategy,) = cerebro.run()
        return Outcome(strategy.filled, cerebro.broker.getvalue(), strategy.seen, strategy.refused)

    return run


def first_bar(workload: Workload) -> int:
    """Go as far as the first call of W4's strategy and return that moment, in monotonic nanoseconds."""
    (strategy,) = _cerebro(workload).run()
    at: int = strategy.at
    return at


def _cerebro(workload: Workload) -> Any:
    # The default observers are for plots; that of the value is the equity of every bar.
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(CASH)
    # It would want the cash for what is bought before it counts what is sold on the same open.
    cerebro.broker.set_checksubmit(False)
    cerebro.broker.setcommission(commission=FEE)
    if workload.name != "W3":
        cerebro.addobserver(bt.observers.Value)
    times = [bt.date2num(datetime.fromtimestamp(ns / 1e9, UTC)) for ns in workload.end.tolist()]
    for symbol, columns in workload.columns.items():
        listed = [column.tolist() for column in columns]
        if len(listed) == 2:
            price, size = listed
            listed = [price, price, price, price, size]
        cerebro.adddata(Rows(times=times, columns=listed), name=symbol)
    if workload.name in {"W1", "W4"}:
        cerebro.addstrategy(Cross)
    elif workload.name == "W3":
        cerebro.addstrategy(Quoter)
    else:
        cerebro.addstrategy(Rotation, every=workload.every)
    return cerebro
