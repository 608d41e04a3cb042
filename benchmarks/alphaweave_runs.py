"""The workloads on AlphaWeave: the strategies a user would write, with the risk chain and the recorder on."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import floor
from pathlib import Path
from time import monotonic_ns

from attrs import evolve
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

from alphaweave.core.instrument import Instrument
from alphaweave.data.loaders import load_bars
from alphaweave.data.series import Series
from alphaweave.live.engine import EngineSettings, LiveEngine
from alphaweave.live.risk import RiskSettings
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import Monitor, RunSummary
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave.sim.costs import FeeModel
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue
from alphaweave.strategy.strategy import Strategy

__all__ = ["first_bar", "first_bar_of_file", "prepare", "prepare_ordinary", "prepare_read", "replay"]

# Every limit is set, so that every rule judges every order; none is ever reached.
RISK = RiskSettings(
    max_order_quantity=10**9,
    max_order_notional=10**12,
    max_position_notional=10**12,
)
# On margin: W2 orders purchases together with the sales that pay for them, and a venue that allows no
# more than the equity looks at each order by itself.
VENUE = VenueSettings(fees=FeeModel(taker_rate=Decimal(str(FEE))), leverage=Decimal(2), history=0)


# One that remembers orders that have ended needs each of them as an ordinary one.
REMEMBERS = evolve(VENUE, history=100)


class Cross(Strategy):
    """W1 and W4."""

    def init(self) -> None:
        self.fast = self.sma(None, FAST)
        self.slow = self.sma(None, SLOW)

    def next(self, i: int) -> None:
        above = self.fast.value - self.slow.value > TIE
        held = self.position()
        if held:
            if not above:
                self.order_market(None, -held)
        elif above:
            self.order_market(None, floor(INVESTED * self.equity / self.close()))


class Rotation(Strategy):
    """W2 and W2d."""

    every = 21

    def init(self) -> None:
        self.momenta = {symbol: Momentum() for symbol in self.symbols}

    def next(self, i: int) -> None:
        close = self.close
        for symbol, momentum in self.momenta.items():
            momentum.update(close(symbol))
        if i >= LOOKBACK and i % self.every == 0:
            self.rebalance()

    def rebalance(self) -> None:
        equity = self.equity
        top = set(sorted(self.symbols, key=lambda symbol: self.momenta[symbol].value)[-HELD:])
        for symbol in self.symbols:
            target = floor(INVESTED / HELD * equity / self.close(symbol)) if symbol in top else 0
            held = self.position(symbol)
            if target != held:
                self.order_market(symbol, target - held)


class Quoter(Strategy):
    """W3; each trade is a bar of one price."""

    count = 0

    def next(self, i: int) -> None:
        self.count += 1
        if self.count % LIMIT_EVERY == 0:
            side = 1 if self.count // LIMIT_EVERY % 2 else -1
            self.order_limit(None, side, round(self.close() - side * LIMIT_DISTANCE, 2), tif="gtc")


class FirstBar(Cross):
    """Notes when it is first called."""

    at = 0

    def next(self, i: int) -> None:
        self.at = self.at or monotonic_ns()
        super().next(i)


def prepare(workload: Workload) -> Run:
    """Build the series, outside the timed run, and return the run."""
    series = series_of(workload)
    return lambda: run(strategy_of(workload), series)


def prepare_read(workload: Workload) -> Run:
    """The same run, and all that was recorded read after it: of much, a replay keeps only what it is made
    from until then."""
    series = series_of(workload)
    return lambda: run(strategy_of(workload), series, read=True)


def prepare_ordinary(workload: Workload) -> Run:
    """The same run, in which no order goes the straight way."""
    series = series_of(workload)
    return lambda: run(strategy_of(workload), series, venue=REMEMBERS)


def first_bar(workload: Workload) -> int:
    """Go as far as the first call of W4's strategy and return that moment, in monotonic nanoseconds."""
    return _first(series_of(workload))


def first_bar_of_file(path: Path) -> int:
    """The same from a CSV file."""
    return _first(load_bars(path))


def strategy_of(workload: Workload) -> Strategy:
    """A fresh instance of the workload's strategy."""
    if workload.name in {"W1", "W4"}:
        return Cross()
    return Quoter() if workload.name == "W3" else Rotation(every=workload.every)


def series_of(workload: Workload) -> dict[str, Series]:
    """The workload's columns as series, taken over without copying."""
    end = workload.end
    start = end[:1] + end[:-1]
    series = {}
    for symbol, columns in workload.columns.items():
        if len(columns) == 2:
            price, volume = columns
            opened = high = low = close = price
        else:
            opened, high, low, close, volume = columns
        series[symbol] = Series.from_columns(
            symbol,
            workload.interval,
            start=start,
            end=end,
            open=opened,
            high=high,
            low=low,
            close=close,
            volume=volume,
        )
    return series


def run(
    strategy: Strategy,
    series: dict[str, Series],
    until: int | None = None,
    *,
    read: bool = False,
    venue: VenueSettings = VENUE,
) -> Outcome:
    """Replay the strategy at a simulated venue, and say what it came to."""
    monitor = InMemoryMonitor()
    summary = replay(strategy, series, (monitor,), until, venue)
    if read:
        assert all(trade.order_id for trade in monitor.trades)
        assert all(order.order_id for order in monitor.orders)
    return Outcome(
        fills=len(monitor.trades),
        equity=monitor.bars.columns.equity[-1] if read else summary.equity,
        marks=len(monitor.bars),
        denials=summary.denials + sum(alert.code == "order_rejected" for alert in monitor.alerts),
        rules=summary.rule_evaluations,
    )


def replay(
    strategy: Strategy,
    series: dict[str, Series],
    monitors: Sequence[Monitor],
    until: int | None = None,
    venue: VenueSettings = VENUE,
) -> RunSummary:
    """Replay the strategy at a simulated venue, for these monitors."""
    instruments = {symbol: Instrument(symbol=symbol, venue_symbol=symbol) for symbol in series}
    settings = EngineSettings(
        run_id="benchmark",
        strategy=f"{type(strategy).__module__}:{type(strategy).__qualname__}",
        cash=Decimal(CASH),
        interval=next(iter(series.values())).interval,
        risk=RISK,
    )
    simulated = SimVenue(
        instruments=instruments, board=series, settings=venue, cash=Decimal(CASH), currency="USD", seed=0
    )
    return LiveEngine(settings, monitors).replay(
        strategy,
        series,
        venue=simulated,
        instruments=instruments,
        capabilities=SIM_CAPABILITIES,
        until=until,
    )


def _first(series: dict[str, Series]) -> int:
    strategy = FirstBar()
    run(strategy, series, until=1)
    return strategy.at
