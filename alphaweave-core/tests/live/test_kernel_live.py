"""The live kernel decides what a replay's kernel decides, and goes through the past without asking again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isnan
from random import Random
from typing import Any

import pytest

from alphaweave.core.clock import from_ns, to_ns
from alphaweave.core.errors import StateCorrupt
from alphaweave.core.instrument import Instrument
from alphaweave.core.market import Bar
from alphaweave.core.order import GroupKind, OrderStatus, OrderType, Side, TimeInForce
from alphaweave.data.series import Series
from alphaweave.data.timeline import Timeline
from alphaweave.live.adapters.capabilities import Capabilities
from alphaweave.live.effects import ReplaceOrder, SubmitGroup, SubmitOrder
from alphaweave.live.kernel import Kernel, KernelSettings
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.kernel_live_state import (
    capture_live,
    change_again,
    intent_documents,
    readmit,
    restore_live,
)
from alphaweave.live.kernel_state import capture_kernel
from alphaweave.live.ledger import Ledger
from alphaweave.live.ledger_archive import ArchivedItem, LedgerArchive
from alphaweave.live.orders import SymbolBook
from alphaweave.live.reports import BrokerFill, OrderUpdate
from alphaweave.live.risk import RiskSettings, build_chain
from alphaweave.live.slices import Slice
from alphaweave.strategy.strategy import Strategy

T0 = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOLS = ("SPY", "QQQ")
CAPABILITIES = Capabilities(
    order_types=frozenset((kind, tif) for kind in OrderType for tif in (TimeInForce.DAY, TimeInForce.GTC)),
    shorting=True,
    replace=frozenset({"quantity", "limit_price", "stop_price"}),
    groups=frozenset(GroupKind),
    simulated=True,
)


class Restless(Strategy):
    """Does at random whatever a strategy can do."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.handles: list[Any] = []

    def init(self) -> None:
        self.average = self.sma("SPY", 3)
        self.range = self.atr("QQQ", 2)

    def next(self, i: int) -> None:
        self.act()

    def on_fill(self, fill: Any) -> None:
        if self.random.random() < 0.3:
            self.act()

    def on_order(self, event: Any) -> None:
        if self.random.random() < 0.2:
            self.act()

    def act(self) -> None:
        random = self.random
        symbol = random.choice(SYMBOLS)
        price = self.close(symbol)
        if isnan(price) or (symbol == "SPY" and not self.average.ready):
            return
        what = random.randrange(7)
        if what == 0:
            self.handles.append(self.order_market(symbol, random.choice((1, -2, 3))))
        elif what == 1:
            self.handles.append(self.order_limit(symbol, random.choice((1, -1)), round(price * 0.97, 2)))
        elif what == 2:
            self.order_target_percent(symbol, random.choice((0.0, 0.2, -0.1)))
        elif what == 3:
            self.order_bracket(symbol, 2, take_profit=price * 1.1, stop_loss=price * 0.9)
        elif what == 4 and self.handles:
            random.choice(self.handles).cancel()
        elif what == 5 and self.handles:
            random.choice(self.handles).replace(limit_price=round(price * 0.95, 2))
        else:
            self.order_stop(symbol, -1, round(price * 0.9, 2))


def columns(seed: int) -> dict[str, Series]:
    random = Random(seed)
    series = {}
    for symbol in SYMBOLS:
        one = Series(symbol, "1d")
        for day in range(40):
            if random.random() < 0.2:
                continue
            start = to_ns(T0 + timedelta(days=day))
            close = 100 + random.randrange(-500, 500) / 100
            one.append(start, start + 86_400_000_000_000, close, close + 1, close - 1, close, 10.0)
        series[symbol] = one
    return series


def build(kind: Callable[..., Any], series: dict[str, Series], seed: int) -> Any:
    rules = {symbol: Instrument(symbol=symbol, venue_symbol=symbol) for symbol in SYMBOLS}
    kernel = kind(
        strategy=Restless(seed),
        settings=KernelSettings(run_id="r", strategy="m:R", account="A", warmup=3),
        books={symbol: SymbolBook(rules[symbol], series[symbol]) for symbol in SYMBOLS},
        ledger=Ledger(currency="USD", cash=Decimal(10000), account="A"),
        chain=build_chain(RiskSettings(), SYMBOLS, CAPABILITIES),
        capabilities=CAPABILITIES,
    )
    kernel.start()
    return kernel


def reports(effects: list[Any], random: Random, at: datetime, count: list[int]) -> list[Any]:
    """What a broker may say of these."""
    said: list[Any] = []
    for effect in effects:
        if isinstance(effect, SubmitOrder):
            pairs = [(effect.ref, effect.request)]
        elif isinstance(effect, SubmitGroup):
            pairs = list(zip(effect.refs, effect.group.legs, strict=True))[:1]
        elif isinstance(effect, ReplaceOrder):
            said.append(OrderUpdate(effect.new_ref, OrderStatus.ACCEPTED, at))
            continue
        else:
            said.append(OrderUpdate(effect.ref, OrderStatus.CANCELLED, at))
            continue
        for ref, request in pairs:
            fate = random.randrange(5)
            said.append(OrderUpdate(ref, OrderStatus.REJECTED if fate == 0 else OrderStatus.ACCEPTED, at))
            if fate in {1, 2} and request.quantity is not None:
                count[0] += 1
                name = ref.client_order_id
                said.append(
                    BrokerFill(
                        "A",
                        f"x{count[0]}",
                        f"b-{name}",
                        name,
                        ref.symbol,
                        request.side,
                        request.quantity if fate == 1 else Decimal(1),
                        Decimal(100),
                        at,
                        at,
                        fees=(),
                    )
                )
    return said


def tell(kernel: Any, report: Any) -> None:
    kernel.on_fill(report) if isinstance(report, BrokerFill) else kernel.on_update(report)


def taken(kernel: Any) -> list[Any]:
    effects = list(kernel.effects)
    kernel.effects.clear()
    return effects


def bars(series: dict[str, Series], end: int) -> Slice:
    found = []
    for symbol, one in series.items():
        if end in one.end:
            row = one.end.index(end)
            values = (one.open[row], one.high[row], one.low[row], one.close[row], one.volume[row])
            found.append(Bar(symbol, "1d", from_ns(one.start[row]), from_ns(end), *values))
    return Slice(end, tuple(found))


@pytest.mark.parametrize("seed", range(12))
def test_a_live_kernel_decides_what_a_replay_decides(seed: int) -> None:
    """The same slices and reports give the same orders, by the same names, and the same books."""
    known = columns(seed)
    timeline = Timeline(tuple(known.values()))
    replay = build(Kernel, known, seed)
    lanes = {id(group): replay.lanes[id(group.cursor)] for group in timeline.groups}
    run = build(LiveKernel, {symbol: Series(symbol, "1d") for symbol in SYMBOLS}, seed)
    random, count, decided = Random(seed), [0], 0
    for end, groups in timeline:
        replay.on_slices((end,), tuple(lanes[id(group)] for group in groups))
        replay.breaks.clear()
        run.on_slice(bars(known, end))
        effects = taken(replay)
        while effects:
            decided += len(effects)
            assert taken(run) == effects
            for report in reports(effects, random, from_ns(end), count):
                tell(replay, report)
                tell(run, report)
            effects = taken(replay)
        assert capture_kernel(run) == capture_kernel(replay)
    assert decided > 10


@pytest.mark.parametrize("seed", range(12))
def test_the_past_gives_the_same_books_without_the_strategy(seed: int) -> None:
    """A kernel that takes its orders from what was written decides nothing, and ends where the other did."""
    known = columns(seed)
    ends = sorted({end for one in known.values() for end in one.end})
    run = build(LiveKernel, {symbol: Series(symbol, "1d") for symbol in SYMBOLS}, seed)
    again = build(LiveKernel, {symbol: Series(symbol, "1d") for symbol in SYMBOLS}, seed + 1)
    again.muted = True
    random, count = Random(seed), [0]
    waiting: list[Any] = []

    def both(given: Any) -> None:
        for kernel in (run, again):
            kernel.on_slice(given) if isinstance(given, Slice) else tell(kernel, given)
        assert not again.effects
        effects = taken(run)
        documents = [made for effect in effects for made in intent_documents(run, effect)]
        intents = [(*made[:4], run.now, made[4].wire) for made in documents]
        readmit(again, intents)
        change_again(again, intents, {})
        again.effects.clear()
        for name, text in run.texts.items():
            again.order_of(name).text = text
        run.texts.clear()
        again.orders_placed, again.denials = run.orders_placed, run.denials
        again.chain.evaluations = run.chain.evaluations
        waiting.extend(reports(effects, random, from_ns(run.now), count))

    for end in ends:
        both(bars(known, end))
        while waiting:
            both(waiting.pop(0))
    assert capture_live(again, 50) == capture_live(run, 50)
    restored = build(LiveKernel, {symbol: Series(symbol, "1d") for symbol in SYMBOLS}, seed)
    restore_live(restored, capture_live(run, 50))
    assert capture_live(restored, 50) == capture_live(run, 50)
    assert run.orders_placed > 5


def test_a_state_without_the_executions_it_counts_on_is_refused() -> None:
    """Those of long ago are in the journal alone: without it, one that is told again would count twice."""
    run = build(LiveKernel, {symbol: Series(symbol, "1d") for symbol in SYMBOLS}, 1)
    symbol = SYMBOLS[0]
    told = BrokerFill(
        account=run.ledger.account,
        execution_key="k1",
        broker_order_id="o1",
        client_order_id=None,
        symbol=symbol,
        side=Side.BUY,
        size=Decimal(1),
        price=Decimal(10),
        executed_at=from_ns(1_000_000_000),
        received_at=from_ns(1_000_000_000),
    )
    run.ledger.book(told, run.books[symbol].instrument)
    LedgerArchive(run.ledger, NoArchive()).fold(2_000_000_000, 1)
    other = build(LiveKernel, {symbol: Series(symbol, "1d") for symbol in SYMBOLS}, 1)
    with pytest.raises(StateCorrupt, match="in its journal alone"):
        restore_live(other, capture_live(run, 50))


class NoArchive:
    """Nobody asks it anything."""

    def find(self, names: Sequence[str]) -> list[ArchivedItem]:
        return []

    def load(self, symbol: str, since: int, until: int) -> list[ArchivedItem]:
        return []
