"""A kernel on a bench: bars and broker events go in by hand, effects and notes come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import Money
from alphaweave.core.order import GroupKind, OrderRef, OrderStatus, OrderType, Side, TimeInForce
from alphaweave.data.series import Series
from alphaweave.data.timeline import Timeline
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.kernel import Kernel, KernelSettings
from alphaweave.live.ledger import Ledger
from alphaweave.live.orders import SymbolBook
from alphaweave.live.reports import BrokerFill, OrderUpdate
from alphaweave.live.risk import RiskSettings, build_chain
from alphaweave.monitoring.monitor import Alert
from alphaweave.strategy.strategy import Strategy

T0 = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)

CAPABILITIES = Capabilities(
    order_types=frozenset(
        (kind, tif)
        for kind in OrderType
        for tif in (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD)
    ),
    quote_quantity=frozenset({(OrderType.MARKET, TimeInForce.DAY)}),
    shorting=True,
    replace=frozenset({"quantity", "limit_price", "stop_price"}),
    groups=frozenset(GroupKind),
    post_only=True,
    trail_amount=True,
    trail_percent=True,
    simulated=True,
)


def bars(symbol: str, closes: Sequence[float], *, days: Sequence[int] | None = None) -> Series:
    """Daily bars that open, rise, fall and close at one price each."""
    numbers = list(range(len(closes))) if days is None else list(days)
    start = [to_ns(T0 + number * DAY) for number in numbers]
    return Series.from_columns(
        symbol,
        "1d",
        start=start,
        end=[at + 86_400_000_000_000 for at in start],
        open=closes,
        high=closes,
        low=closes,
        close=closes,
        volume=[1000.0] * len(closes),
    )


class Bench:
    """Drives one kernel; ``do`` runs a function of the strategy inside ``next``."""

    def __init__(
        self,
        closes: Mapping[str, Sequence[float]] | Sequence[float] = (100.0,) * 50,
        *,
        strategy: Strategy | None = None,
        cash: str = "10000",
        instruments: Mapping[str, Instrument] | None = None,
        risk: RiskSettings | None = None,
        capabilities: Capabilities = CAPABILITIES,
        **settings: Any,
    ) -> None:
        columns = closes if isinstance(closes, Mapping) else {"SPY": closes}
        series = {symbol: bars(symbol, one) for symbol, one in columns.items()}
        self.timeline = Timeline(tuple(series.values()))
        rules = {symbol: Instrument(symbol=symbol, venue_symbol=symbol) for symbol in series}
        rules.update(instruments or {})
        self.script: Callable[[Strategy], Any] | None = None
        self.result: Any = None
        self.strategy = strategy or _Scripted(self)
        self.kernel = Kernel(
            strategy=self.strategy,
            settings=KernelSettings(run_id="test", strategy="tests:Scripted", **settings),
            books={symbol: SymbolBook(rules[symbol], one) for symbol, one in series.items()},
            ledger=Ledger(currency="USD", cash=Decimal(cash), account="sim"),
            chain=build_chain(risk or RiskSettings(), tuple(series), capabilities),
            capabilities=capabilities,
        )
        self._slices = iter(self.timeline)
        self._lane_of = {id(group): self.kernel.lanes[id(group.cursor)] for group in self.timeline.groups}
        self._executions = 0
        self.kernel.start()

    def bar(self) -> None:
        """The next slice."""
        end, groups = next(self._slices)
        self.kernel.on_slices((end,), tuple(self._lane_of[id(group)] for group in groups))

    def do(self, script: Callable[[Any], Any]) -> Any:
        """Run ``script(strategy)`` as the decision of the next slice, and hand back its result."""
        self.script = script
        self.bar()
        self.script = None
        return self.result

    def take(self) -> list[Any]:
        """The effects since the last call."""
        effects = list(self.kernel.effects)
        self.kernel.effects.clear()
        return effects

    def notes(self, kind: type) -> list[Any]:
        """Notes of one kind since the beginning."""
        return [note for note in self.kernel.notes if isinstance(note, kind)]

    def alerts(self) -> list[str]:
        """Codes of the alerts since the beginning."""
        return [note.code for note in self.kernel.notes if isinstance(note, Alert)]

    def update(self, order_id: str, status: OrderStatus, *, symbol: str = "SPY", **words: Any) -> None:
        """The broker says something of an order."""
        now = from_ns(self.kernel.now)
        self.kernel.on_update(OrderUpdate(OrderRef(order_id, symbol), status, now, **words))

    def fill(
        self,
        order_id: str | None,
        size: str,
        price: str = "100",
        *,
        side: Side = Side.BUY,
        symbol: str = "SPY",
        key: str | None = None,
        fee: str | None = None,
        fees: tuple[Money, ...] | None = (),
        **words: Any,
    ) -> BrokerFill:
        """The broker reports an execution."""
        self._executions += 1
        now = from_ns(self.kernel.now)
        fill = BrokerFill(
            account="sim",
            execution_key=key or f"x{self._executions}",
            broker_order_id=f"b-{order_id}",
            client_order_id=order_id,
            symbol=symbol,
            side=side,
            size=Decimal(size),
            price=Decimal(price),
            executed_at=now,
            received_at=now,
            fees=fees if fee is None else (Money("USD", Decimal(fee)),),
            **words,
        )
        self.kernel.on_fill(fill)
        return fill


class _Scripted(Strategy):
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.heard: list[Any] = []

    def next(self, i: int) -> None:
        if self.bench.script is not None:
            self.bench.result = self.bench.script(self)

    def on_fill(self, fill: Any) -> None:
        self.heard.append(fill)

    def on_order(self, event: Any) -> None:
        self.heard.append(event)


@pytest.fixture
def make_bench() -> type[Bench]:
    """Makes benches."""
    return Bench
