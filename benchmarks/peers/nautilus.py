"""All workloads on NautilusTrader's backtest engine.

It fills no bar's order at the next open: an order finds the price of the bar that decided it. So each open is
shown to its venue as a quote a moment after the bar before, and an order takes longer to get there; the bars
move nothing but the strategy. Such a quote is no event of the workload.
"""

from __future__ import annotations

from decimal import Decimal
from math import floor
from time import monotonic_ns
from typing import Any

import numpy as np
from floor import Momentum, Sma
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import LatencyModel, MakerTakerFeeModel
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_trader.model.enums import AccountType, AggressorSide, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TradeId, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy
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

SIM = Venue("SIM")
# A currency of eight digits: in one of cents, a fee of less than half of one is none.
MONEY = USDT
DEEP = 10**9
# Nanoseconds after a bar: when the opens are shown, when an order has got there, and when the last symbol's
# open is shown once more, for the venue looks for orders that have arrived only when something is shown.
OPENS, ARRIVES, AGAIN = 2, 3, 4


class Trader(Strategy):
    """What all strategies have: the instruments in the workload's order, and counts."""

    def __init__(self, instruments: list[Any], every: int) -> None:
        super().__init__()
        self.instruments = instruments
        self.every = every
        self.seen = self.filled = self.refused = self.at = 0
        self.marks: list[float] = []

    def on_order_filled(self, event: Any) -> None:
        self.filled += 1

    def on_order_denied(self, event: Any) -> None:
        self.refused += 1

    def on_order_rejected(self, event: Any) -> None:
        self.refused += 1

    def value(self, closes: dict[Any, float]) -> float:
        """Equity: a margin account's balance is what was realised."""
        total = float(self.portfolio.account(SIM).balance_total(MONEY).as_double())
        for position in self.cache.positions_open():
            total += (closes[position.instrument_id] - position.avg_px_open) * position.signed_qty
        return total

    def market(self, instrument: Any, size: int) -> None:
        side = OrderSide.BUY if size > 0 else OrderSide.SELL
        order = self.order_factory.market(instrument.id, side, Quantity.from_int(abs(size)))
        self.submit_order(order)


class Cross(Trader):
    """W1 and W4."""

    def on_start(self) -> None:
        self.fast = Sma(FAST)
        self.slow = Sma(SLOW)
        self.subscribe_bars(_bar_type(self.instruments[0], 1))

    def on_bar(self, bar: Any) -> None:
        self.at = self.at or monotonic_ns()
        self.seen += 1
        close = bar.close.as_double()
        above = self.fast.update(close) - self.slow.update(close) > TIE
        held = int(self.portfolio.net_position(self.instruments[0].id))
        equity = self.value({self.instruments[0].id: close})
        self.marks.append(equity)
        if held:
            if not above:
                self.market(self.instruments[0], -held)
        elif above:
            self.market(self.instruments[0], floor(INVESTED * equity / close))


class Rotation(Trader):
    """W2 and W2d."""

    def on_start(self) -> None:
        self.momenta = {one.id: Momentum() for one in self.instruments}
        self.closes: dict[Any, float] = {}
        for instrument in self.instruments:
            self.subscribe_bars(_bar_type(instrument, 1440))

    def on_bar(self, bar: Any) -> None:
        name = bar.bar_type.instrument_id
        close = bar.close.as_double()
        self.momenta[name].update(close)
        self.closes[name] = close
        if name == self.instruments[-1].id:
            self.day()

    def day(self) -> None:
        net, closes = self.portfolio.net_position, self.closes
        held = {one.id: int(net(one.id)) for one in self.instruments}
        equity = self.value(closes)
        self.marks.append(equity)
        if self.seen >= LOOKBACK and self.seen % self.every == 0:
            momenta = self.momenta
            top = set(sorted(held, key=lambda name: momenta[name].value)[-HELD:])
            for one in self.instruments:
                target = floor(INVESTED / HELD * equity / closes[one.id]) if one.id in top else 0
                if target != held[one.id]:
                    self.market(one, target - held[one.id])
        self.seen += 1


class Quoter(Trader):
    """W3."""

    def on_start(self) -> None:
        self.subscribe_trade_ticks(self.instruments[0].id)

    def on_trade_tick(self, tick: Any) -> None:
        self.seen += 1
        if self.seen % LIMIT_EVERY == 0:
            buys = self.seen // LIMIT_EVERY % 2
            price = tick.price.as_double() - (LIMIT_DISTANCE if buys else -LIMIT_DISTANCE)
            side = OrderSide.BUY if buys else OrderSide.SELL
            one = self.instruments[0]
            self.submit_order(
                self.order_factory.limit(one.id, side, Quantity.from_int(1), Price(round(price, 2), 2))
            )


def prepare(workload: Workload) -> Run:
    """Set the engine up with its data, outside the timed run, and return the run."""
    engine, strategy = _engine(workload)

    def run() -> Outcome:
        engine.run()
        ticks = workload.interval == "tick"
        lasts = [columns[0 if ticks else 3][-1] for columns in workload.columns.values()]
        names = [one.id for one in strategy.instruments]
        equity = strategy.value(dict(zip(names, lasts, strict=True)))
        return Outcome(
            strategy.filled, equity, strategy.seen if ticks else len(strategy.marks), strategy.refused
        )

    return run


def first_bar(workload: Workload) -> int:
    """Go as far as the first call of W4's strategy and return that moment, in monotonic nanoseconds."""
    engine, strategy = _engine(workload)
    engine.run()
    at: int = strategy.at
    return at


def _engine(workload: Workload) -> tuple[Any, Any]:
    ticks = workload.interval == "tick"
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True),
            risk_engine=RiskEngineConfig(max_order_submit_rate="1000000/00:00:01"),
            run_analysis=False,
        )
    )
    engine.add_venue(
        SIM,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(CASH, MONEY)],
        base_currency=MONEY,
        default_leverage=Decimal(2),
        fee_model=MakerTakerFeeModel(),
        latency_model=LatencyModel(base_latency_nanos=ARRIVES),
        bar_execution=False,
        trade_execution=ticks,
    )
    instruments = [_instrument(symbol) for symbol in workload.columns]
    end = np.frombuffer(workload.end, dtype=np.int64).astype(np.uint64)
    for instrument, columns in zip(instruments, workload.columns.values(), strict=True):
        engine.add_instrument(instrument)
        arrays = [np.frombuffer(column, dtype=np.float64) for column in columns]
        if ticks:
            engine.add_data(_trades(instrument, end, *arrays))
            continue
        minutes = 1 if workload.interval == "1m" else 1440
        for after in (OPENS, AGAIN) if instrument is instruments[-1] else (OPENS,):
            engine.add_data(_opens(instrument, end, minutes, arrays[0], after), sort=False)
        bars = Bar.from_raw_arrays_to_list(_bar_type(instrument, minutes), 2, 0, *_copied(arrays), end, end)
        # Sorted once, when all of them are there.
        engine.add_data(bars, sort=instrument is instruments[-1])
    kinds = {"W1": Cross, "W4": Cross, "W3": Quoter}
    strategy = kinds.get(workload.name, Rotation)(instruments, workload.every)
    engine.add_strategy(strategy)
    return engine, strategy


def _copied(arrays: list[Any]) -> list[Any]:
    # It wants memory that may be written.
    return [array.copy() for array in arrays]


def _opens(instrument: Any, end: Any, minutes: int, opened: Any, after: int) -> list[Any]:
    """A quote of the open, so many nanoseconds after the bar began."""
    times = end - np.uint64(minutes * 60 * 10**9 - after)
    deep = Quantity.from_int(DEEP)
    quotes = []
    for time, price in zip(times.tolist(), opened.tolist(), strict=True):
        at = Price(price, 2)
        quotes.append(QuoteTick(instrument.id, at, at, deep, deep, time, time))
    return quotes


def _trades(instrument: Any, end: Any, prices: Any, sizes: Any) -> list[Any]:
    deep = Quantity.from_int(DEEP)
    one, number = AggressorSide.NO_AGGRESSOR, TradeId("1")
    return [
        TradeTick(instrument.id, Price(price, 2), deep, one, number, time, time)
        for time, price in zip(end.tolist(), prices.tolist(), strict=True)
    ]


def _instrument(symbol: str) -> Any:
    return Equity(
        instrument_id=InstrumentId(Symbol(symbol), SIM),
        raw_symbol=Symbol(symbol),
        currency=MONEY,
        price_precision=2,
        price_increment=Price.from_str("0.01"),
        lot_size=Quantity.from_int(1),
        maker_fee=Decimal(str(FEE)),
        taker_fee=Decimal(str(FEE)),
        ts_event=0,
        ts_init=0,
    )


def _bar_type(instrument: Any, minutes: int) -> Any:
    size = f"{minutes}-MINUTE" if minutes < 1440 else "1-DAY"
    return BarType.from_str(f"{instrument.id}-{size}-LAST-EXTERNAL")
