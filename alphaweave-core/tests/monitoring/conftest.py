"""Recorded runs to look at: a small, seeded moving-average strategy on random walks."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.clock import to_ns
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import (
    Alert,
    BarColumns,
    BarSnapshot,
    Monitor,
    OrderRecord,
    RunSummary,
    TradeRecord,
)

START = datetime(2020, 1, 1, 21, tzinfo=UTC)


class ScriptedRun:
    """A run as the engine would tell it to a monitor, the whole or a part of it."""

    def __init__(self, *, bars: int = 300, symbols: tuple[str, ...] = ("SPY", "QQQ"), seed: int = 7) -> None:
        self.symbols = symbols
        self.meta: dict[str, Any] = {
            "run_id": "sma",
            "mode": "replay",
            "strategy": "my_strategies:SmaCross",
            "symbols": list(symbols),
            "capital": 100_000,
            "currency": "USD",
            "broker": "paper",
            "datafeed": "replay",
            "interval": "1d",
            "config": {"run": {"id": "sma"}, "broker": {"name": "paper"}},
        }
        self.snapshots: list[BarSnapshot] = []
        self.trades: list[TradeRecord] = []
        self.orders: list[OrderRecord] = []
        self._play(random.Random(seed), bars)

    def _play(self, rng: random.Random, bars: int) -> None:
        prices = {symbol: 100.0 + 50.0 * at for at, symbol in enumerate(self.symbols)}
        history: dict[str, list[float]] = {symbol: [] for symbol in self.symbols}
        held = dict.fromkeys(self.symbols, 0.0)
        cash = 100_000.0
        time = START
        for index in range(bars):
            time += timedelta(days=3 if time.weekday() == 4 else 1)
            for symbol in self.symbols:
                prices[symbol] = round(prices[symbol] * (1.0 + rng.gauss(0.0004, 0.012)), 2)
                closes = history[symbol]
                closes.append(prices[symbol])
                fast, slow = sum(closes[-5:]) / 5, sum(closes[-20:]) / 20
                want = 0.0 if index < 20 else (200.0 if fast > slow else -50.0)
                if want == held[symbol] or index < 20:
                    continue
                size, price = abs(want - held[symbol]), prices[symbol]
                side = "buy" if want > held[symbol] else "sell"
                fees = round(0.0005 * size * price, 2)
                cash -= (want - held[symbol]) * price + fees
                held[symbol] = want
                number = len(self.trades)
                order = OrderRecord(
                    timestamp=time,
                    order_id=f"o{number}",
                    symbol=symbol,
                    side=side,
                    type="market",
                    tif="day",
                    status="filled",
                    quantity=Decimal(str(size)),
                    filled=Decimal(str(size)),
                    average_price=price,
                    adjustments=("quantity 200.4 to 200",) if number % 5 == 0 else (),
                )
                self.orders.append(order)
                self.trades.append(
                    TradeRecord(
                        timestamp=time,
                        symbol=symbol,
                        side=side,
                        price=price,
                        size=size,
                        fees=fees,
                        order_id=order.order_id,
                        execution_key=f"e{number}",
                        position=want,
                        slippage=round(rng.gauss(0.01, 0.02), 4),
                        pnl=rng.gauss(10.0, 300.0) if number else None,
                        index=index,
                    )
                )
            values = [held[symbol] * prices[symbol] for symbol in self.symbols]
            self.snapshots.append(
                BarSnapshot(
                    timestamp=time,
                    index=index,
                    prices=dict(prices),
                    equity=cash + sum(values),
                    cash=cash,
                    gross=sum(map(abs, values)),
                    net=sum(values),
                    positions={symbol: quantity for symbol, quantity in held.items() if quantity},
                )
            )

    def columns(self, first: int, last: int) -> BarColumns:
        """Rows ``first`` up to, not including, ``last``."""
        rows = self.snapshots[first:last]
        before = dict(self.snapshots[first - 1].positions) if first else {}
        changes, held = [], dict(before)
        for row, bar in enumerate(rows):
            for symbol in self.symbols:
                quantity = bar.positions.get(symbol, 0.0)
                if quantity != held.get(symbol, 0.0):
                    changes.append((row, symbol, quantity))
                    held[symbol] = quantity
        return BarColumns(
            first_index=first,
            ends=[to_ns(bar.timestamp) for bar in rows],
            equity=[bar.equity for bar in rows],
            cash=[bar.cash for bar in rows],
            gross=[bar.gross for bar in rows],
            net=[bar.net for bar in rows],
            closes={symbol: [bar.prices[symbol] for bar in rows] for symbol in self.symbols},
            positions=changes,
            positions_before=before,
        )

    def tell(self, monitor: Monitor, first: int = 0, last: int | None = None, *, chunk: int = 64) -> None:
        """Tell rows ``first`` up to ``last``; in columns, or bar by bar where ``chunk`` is 0."""
        last = len(self.snapshots) if last is None else last
        for trade, order in zip(self.trades, self.orders, strict=True):
            if first <= trade.index < last:
                monitor.on_order(order)
                monitor.on_trade(trade)
        for bar in self.snapshots[first:last]:
            if bar.index % 10 == 0:
                monitor.on_metric("spread", bar.equity / 1000.0, bar.timestamp)
            if bar.index % 100 == 50:
                monitor.on_alert(Alert(bar.timestamp, "warning", "late_bar", "a bar came late", "SPY"))
        if chunk:
            assert isinstance(monitor, InMemoryMonitor)
            for at in range(first, last, chunk):
                monitor.on_bars(self.columns(at, min(at + chunk, last)))
        else:
            for bar in self.snapshots[first:last]:
                monitor.on_bar(bar)

    def summary(self, **facts: Any) -> RunSummary:
        """How it ended."""
        last = self.snapshots[-1] if self.snapshots else None
        known: dict[str, Any] = {
            "run_id": "sma",
            "outcome": "finished",
            "slices": len(self.snapshots),
            "orders": len(self.orders),
            "fills": len(self.trades),
            "denials": 0,
            "rule_evaluations": 3 * len(self.orders),
            "equity": last.equity if last else 100_000.0,
            "cash": last.cash if last else 100_000.0,
            "started_at": START,
            "ended_at": last.timestamp if last else START,
        }
        return RunSummary(**{**known, **facts})


@pytest.fixture(scope="session")
def scripted() -> Callable[..., ScriptedRun]:
    """Makes scripted runs."""
    return ScriptedRun


@pytest.fixture
def memory() -> InMemoryMonitor:
    """A whole scripted run, recorded."""
    run = ScriptedRun()
    monitor = InMemoryMonitor()
    monitor.on_run_start(run.meta)
    run.tell(monitor)
    monitor.on_run_end(run.summary())
    return monitor
