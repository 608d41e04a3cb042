"""The bare loop: what each workload costs in Python when there is no engine at all.

Zipped lists, one call of the strategy per bar, account attributes, equity appended to a list; for trades no
equity, but a list of own resting orders. No order object, no state machine, no checks, no ledger.
"""

from __future__ import annotations

from collections import deque
from math import floor, nan
from time import monotonic_ns

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

Bar = tuple[int, float, float, float, float, float]
Trade = tuple[int, float, float]


def prepare(workload: Workload) -> Run:
    """Turn the columns into lists, outside the timed run, and return the run."""
    end = workload.end.tolist()
    columns = {
        symbol: [column.tolist() for column in columns] for symbol, columns in workload.columns.items()
    }
    if workload.name in {"W1", "W4"}:
        (single,) = columns.values()
        return lambda: cross(end, single)
    if workload.name == "W3":
        (single,) = columns.values()
        return lambda: quote(end, *single)
    return lambda: rotate(end, list(columns.values()), workload.every)


def first_bar(workload: Workload) -> int:
    """Go as far as the first call of W4's strategy and return that moment, in monotonic nanoseconds."""
    (single,) = workload.columns.values()
    strategy = Cross(Account())
    for bar in zip(workload.end.tolist(), *[column.tolist() for column in single], strict=True):
        strategy.next(bar)
        break
    return monotonic_ns()


class Sma:
    """A mean with a running sum, as anyone writes it."""

    __slots__ = ("period", "total", "value", "window")

    def __init__(self, period: int) -> None:
        self.period = period
        self.window: deque[float] = deque()
        self.total = 0.0
        self.value = nan

    def update(self, close: float) -> float:
        window = self.window
        window.append(close)
        self.total += close
        if len(window) > self.period:
            self.total -= window.popleft()
        if len(window) == self.period:
            self.value = self.total / self.period
        return self.value


class Account:
    """Cash and one position."""

    __slots__ = ("cash", "position")

    def __init__(self) -> None:
        self.cash = CASH
        self.position = 0


class Cross:
    """In at 0.95 of equity while the fast average is above the slow one, else out."""

    __slots__ = ("account", "fast", "order", "slow")

    def __init__(self, account: Account) -> None:
        self.account = account
        self.fast = Sma(FAST)
        self.slow = Sma(SLOW)
        self.order = 0

    def next(self, bar: Bar) -> None:
        close = bar[4]
        above = self.fast.update(close) - self.slow.update(close) > TIE
        account = self.account
        if account.position:
            if not above:
                self.order = -account.position
        elif above:
            self.order = floor(INVESTED * account.cash / close)


def cross(end: list[int], columns: list[list[float]]) -> Outcome:
    """W1 and W4."""
    account = Account()
    strategy = Cross(account)
    equity: list[float] = []
    fills = 0
    for bar in zip(end, *columns, strict=True):
        if strategy.order:
            notional = strategy.order * bar[1]
            account.cash -= notional + abs(notional) * FEE
            account.position += strategy.order
            strategy.order = 0
            fills += 1
        strategy.next(bar)
        equity.append(account.cash + account.position * bar[4])
    return Outcome(fills, equity[-1], len(equity))


class Portfolio:
    """Cash and a position per symbol."""

    __slots__ = ("cash", "positions")

    def __init__(self, symbols: int) -> None:
        self.cash = CASH
        self.positions = [0] * symbols


class Momentum:
    """The last close over the one ``LOOKBACK`` bars before."""

    __slots__ = ("value", "window")

    def __init__(self) -> None:
        self.window: deque[float] = deque(maxlen=LOOKBACK + 1)
        self.value = nan

    def update(self, close: float) -> None:
        window = self.window
        window.append(close)
        self.value = close / window[0]


class Rotation:
    """Holds the symbols of highest momentum at equal weight, chosen anew every so many bars."""

    __slots__ = ("bars", "every", "momenta", "orders", "portfolio")

    def __init__(self, portfolio: Portfolio, every: int) -> None:
        self.portfolio = portfolio
        self.every = every
        self.bars = 0
        self.momenta = [Momentum() for _ in portfolio.positions]
        self.orders: list[tuple[int, int]] = []

    def next(self, bars: tuple[Bar, ...]) -> None:
        for momentum, bar in zip(self.momenta, bars, strict=True):
            momentum.update(bar[4])
        if self.bars >= LOOKBACK and self.bars % self.every == 0:
            self.rebalance(bars)
        self.bars += 1

    def rebalance(self, bars: tuple[Bar, ...]) -> None:
        portfolio = self.portfolio
        equity = portfolio.cash
        for position, bar in zip(portfolio.positions, bars, strict=True):
            equity += position * bar[4]
        momenta = self.momenta
        top = set(sorted(range(len(bars)), key=lambda index: momenta[index].value)[-HELD:])
        for index, position in enumerate(portfolio.positions):
            target = floor(INVESTED / HELD * equity / bars[index][4]) if index in top else 0
            if target != position:
                self.orders.append((index, target - position))


def rotate(end: list[int], columns: list[list[list[float]]], every: int) -> Outcome:
    """W2 and W2d."""
    portfolio = Portfolio(len(columns))
    positions = portfolio.positions
    strategy = Rotation(portfolio, every)
    equity: list[float] = []
    fills = 0
    for bars in zip(*[zip(end, *symbol, strict=True) for symbol in columns], strict=True):
        if strategy.orders:
            for index, size in strategy.orders:
                notional = size * bars[index][1]
                portfolio.cash -= notional + abs(notional) * FEE
                positions[index] += size
                fills += 1
            strategy.orders.clear()
        strategy.next(bars)
        total = portfolio.cash
        for position, bar in zip(positions, bars, strict=True):
            if position:
                total += position * bar[4]
        equity.append(total)
    return Outcome(fills, equity[-1], len(equity))


class Quoter:
    """Counts trades; every so many, a limit order of 1 behind the price, buying and selling in turn."""

    __slots__ = ("count", "orders")

    def __init__(self) -> None:
        self.count = 0
        self.orders: list[tuple[int, float]] = []

    def next(self, trade: Trade) -> None:
        self.count += 1
        if self.count % LIMIT_EVERY == 0:
            side = 1 if self.count // LIMIT_EVERY % 2 else -1
            self.orders.append((side, round(trade[1] - side * LIMIT_DISTANCE, 2)))


def quote(end: list[int], price: list[float], size: list[float]) -> Outcome:
    """W3; the book of own orders is a plain list, gone through at every trade."""
    account = Account()
    strategy = Quoter()
    orders = strategy.orders
    filled: list[tuple[int, float]] = []
    fills = 0
    for trade in zip(end, price, size, strict=True):
        last = trade[1]
        for order in orders:
            side, limit = order
            if (last <= limit) if side > 0 else (last >= limit):
                account.cash -= side * limit + limit * FEE
                account.position += side
                filled.append(order)
        if filled:
            fills += len(filled)
            for order in filled:
                orders.remove(order)
            filled.clear()
        strategy.next(trade)
    return Outcome(fills, account.cash + account.position * price[-1], strategy.count)
