"""What a monitor case works on: a monitor, and runs to show it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from alphaweave.core.instrument import Instrument
from alphaweave.monitoring.monitor import (
    Alert,
    BarSnapshot,
    Monitor,
    OrderRecord,
    RunSummary,
    TradeRecord,
)
from alphaweave.testing.clock import KIT_NOW, RunningClock
from alphaweave.testing.ear import Ear
from alphaweave.testing.sandbox import Power, Sandbox, WireRequest

__all__ = ["MonitorBench", "MonitorStage"]


class MonitorStage(Sandbox):
    """A folder that a monitor may write to. There is no venue: a monitor asks nothing of anybody.

    Attributes:
        folder: exists from `start` to `stop`.
    """

    name = "runs that the kit makes up"
    powers: frozenset[Power] = frozenset()
    names: Mapping[str, str] = {}
    instruments: Mapping[str, Instrument] = {}
    listens = False
    folder: Path

    def __init__(self) -> None:
        self.clock = RunningClock()
        self._kept: tempfile.TemporaryDirectory[str] | None = None

    @property
    def requests(self) -> Sequence[WireRequest]:
        return ()

    def options(self) -> dict[str, Any]:
        return {}

    async def start(self) -> None:
        self._kept = tempfile.TemporaryDirectory(prefix="alphaweave-kit-")
        self.folder = Path(self._kept.name)

    async def stop(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.cleanup()


class MonitorBench:
    """One monitor, and runs to show it.

    Attributes:
        make: makes a monitor.
        folder: what it may write to.
        ear: what was logged meanwhile.
    """

    def __init__(self, make: Callable[[], Monitor], stage: MonitorStage, ear: Ear) -> None:
        self.make, self.folder, self.ear = make, stage.folder, ear

    def meta(self, **more: Any) -> dict[str, Any]:
        """What a run begins with."""
        return {
            "run_id": "kit",
            "mode": "paper",
            "strategy": "Kit",
            "symbols": ["ONE", "TWO"],
            "capital": 100_000.0,
            "currency": "USD",
            "broker": "paper",
            "datafeed": "replay",
            "interval": "1d",
            "config": {"run": {"id": "kit"}},
            **more,
        }

    def at(self, number: int) -> datetime:
        """The end of the slice of that number."""
        return KIT_NOW.replace(hour=0, minute=0) + timedelta(days=number)

    def bar(self, number: int) -> BarSnapshot:
        """The books after a slice."""
        price = 100.0 + number % 7
        return BarSnapshot(
            timestamp=self.at(number),
            index=number,
            prices={"ONE": price, "TWO": 50.0},
            equity=100_000.0 + number,
            cash=99_000.0,
            gross=1_000.0 + number,
            net=1_000.0 + number,
            positions={"ONE": 10.0},
        )

    def trade(self, number: int) -> TradeRecord:
        """A fill."""
        return TradeRecord(
            timestamp=self.at(number),
            symbol="ONE",
            side="buy",
            price=100.25,
            size=10.0,
            fees=0.5,
            order_id=f"kit-{number}",
            execution_key=f"X{number}",
            position=10.0,
            index=number,
        )

    def order(self, number: int, status: str = "filled") -> OrderRecord:
        """An order after a change."""
        return OrderRecord(
            timestamp=self.at(number),
            order_id=f"kit-{number}",
            symbol="ONE",
            side="buy",
            type="market",
            tif="day",
            status=status,
            quantity=Decimal(10),
            filled=Decimal(10 if status == "filled" else 0),
        )

    def alert(self, number: int) -> Alert:
        """Something a person should know."""
        return Alert(self.at(number), "warning", "kit", "something a person should know", "ONE")

    def summary(self, outcome: str = "finished", slices: int = 5, **more: Any) -> RunSummary:
        """How a run ended."""
        return RunSummary(
            run_id="kit",
            outcome=outcome,
            slices=slices,
            orders=slices,
            fills=slices,
            denials=0,
            rule_evaluations=0,
            equity=100_000.0,
            cash=99_000.0,
            **more,
        )

    def show(self, monitor: Monitor, slices: range) -> None:
        """Show slices with an order, a fill, a metric and an alert each."""
        for number in slices:
            monitor.on_bar(self.bar(number))
            monitor.on_order(self.order(number, "accepted"))
            monitor.on_trade(self.trade(number))
            monitor.on_order(self.order(number))
            monitor.on_metric("kit", float(number), self.at(number))
            monitor.on_alert(self.alert(number))
