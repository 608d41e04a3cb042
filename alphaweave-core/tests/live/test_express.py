"""The straight way of a replay, beside the long way: both end in the same everything."""

from __future__ import annotations

import copy
import gc
import pickle
import random
import weakref
from array import array
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.core.instrument import Instrument
from alphaweave.data.series import Series
from alphaweave.live.engine import EngineSettings, LiveEngine
from alphaweave.live.express import ExpressLane
from alphaweave.live.risk import RiskSettings
from alphaweave.live.state import LiveState
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import BarColumns, OrderRecord, TradeRecord
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave.sim.costs import FeeModel, SlippageModel
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue
from alphaweave.strategy.events import OrderHandle
from alphaweave.strategy.strategy import Strategy

DAY_NS = 86_400_000_000_000
PLAIN = VenueSettings(history=0)
DEAR = VenueSettings(
    history=0,
    fees=FeeModel(taker_rate=Decimal("0.001"), fixed=Decimal("0.5"), minimum=Decimal(1)),
    slippage=SlippageModel(bps=Decimal(5), ticks=Decimal(1), impact=Decimal("0.1")),
    leverage=Decimal("1.5"),
)
LONG_ONLY = VenueSettings(history=0, allow_short=False, fees=FeeModel(taker_rate=Decimal("0.002")))
CARELESS = VenueSettings(history=0, check_funds=False)
VENUES = (PLAIN, DEAR, LONG_ONLY, CARELESS)


class LongWay(SimVenue):
    """A venue that has no straight way."""

    def express(self) -> None:
        return None


class Brisk(Strategy):
    """Mostly market orders, in every manner of asking for one, and a few others between."""

    def __init__(self, seed: int = 0, talkative: bool = True, others: float = 0.1) -> None:
        self.seed = seed
        self.rolls = 0
        self.dice = random.Random(seed)
        self.talkative = talkative
        self.others = others
        self.heard: list[str] = []

    def roll(self) -> float:
        self.rolls += 1
        return self.dice.random()

    def next(self, i: int) -> None:
        for symbol in self.symbols:
            if not self.close(symbol) > 0 or self.roll() < 0.3:
                continue
            self.trade(symbol)
        if self.roll() < 0.05:
            self.log_metric("open", len(self.open_orders()))

    def trade(self, symbol: str) -> None:  # noqa: PLR0912 - one branch for each kind of order
        dice, size = self.roll(), int(self.roll() * 60) - 30
        if self.roll() < self.others:
            price = self.close(symbol)
            side = 1 if size > 0 else -1
            handle = self.order_limit(symbol, size or 1, price * (1 - side * 0.01), tif="day")
        elif dice < 0.25:
            handle = self.order_market(symbol, size)
        elif dice < 0.35:
            handle = self.order_market(symbol, float(size))
        elif dice < 0.45:
            handle = self.order_market(symbol, size + 0.125)
        elif dice < 0.5:
            handle = self.order_market(symbol, Decimal(size) / 8)
        elif dice < 0.55:
            handle = self.order_market(symbol, size, tif="gtc")
        elif dice < 0.6:
            handle = self.order_market(symbol, size * 40)
        elif dice < 0.65:
            handle = self.order_market(symbol, size, reduce_only=True)
        elif dice < 0.7:
            handle = self.order_market(symbol, value=1_000)
        elif dice < 0.85:
            handle = self.order_target_percent(symbol, (self.roll() - 0.4) * 1.2)
        else:
            handle = self.close_position(symbol)
        after = self.roll()
        if after < 0.05:
            handle.cancel()
        elif after < 0.08:
            self.heard.append(handle.id)
        elif after < 0.1:
            self.cancel_all(symbol)
        elif after < 0.12:
            handle.replace(size=3)

    def get_state(self) -> dict[str, Any]:
        return {"rolls": self.rolls, "heard": self.heard}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.dice = random.Random(self.seed)
        for _ in range(state["rolls"]):
            self.dice.random()
        self.rolls, self.heard = state["rolls"], list(state["heard"])


class Talkative(Brisk):
    """The same, and it answers what it hears."""

    def on_fill(self, fill: Any) -> None:
        self.heard.append(
            f"{fill.order.id} {fill.size} {fill.price} {fill.fees} {fill.position} {fill.timestamp}"
        )
        if self.roll() < 0.1:
            self.order_market(fill.symbol, -fill.size)
        elif self.roll() < 0.05:
            self.cancel_all()
        self.look()

    def on_order(self, update: Any) -> None:
        self.heard.append(f"{update.order.id} {update.status} {update.reason} {update.timestamp}")
        self.look()
        if update.status.terminal and self.roll() < 0.05:
            self.order_market(update.order.symbol, 1)

    def look(self) -> None:
        """At what is open, of which some may be filled that it has not heard of."""
        if self.roll() < 0.1:
            orders = self.open_orders()
            self.heard.append(" ".join(f"{order.id} {order.status}" for order in orders))
            if orders and self.roll() < 0.5:
                self.heard.append(str(orders[-1].replace(size=5)))


def walk(symbol: str, days: list[int], seed: int) -> Series:
    dice = random.Random(seed)
    close = 100.0
    rows = []
    for _ in days:
        opened = round(close * (1 + dice.gauss(0, 0.02)), 2)
        close = round(opened * (1 + dice.gauss(0, 0.02)), 2)
        rows.append((opened, round(max(opened, close) * 1.01, 2), round(min(opened, close) * 0.99, 2), close))
    return Series.from_columns(
        symbol,
        "1d",
        start=[day * DAY_NS for day in days],
        end=[(day + 1) * DAY_NS for day in days],
        open=[row[0] for row in rows],
        high=[row[1] for row in rows],
        low=[row[2] for row in rows],
        close=[row[3] for row in rows],
        volume=[float(dice.randrange(1, 400)) for _ in rows],
    )


def one(length: int) -> dict[str, Series]:
    return {"A": walk("A", list(range(length)), 1)}


def overlapping(length: int) -> dict[str, Series]:
    """Each bar begins before the one before it ends: its open is no price for an order decided then."""
    series = walk("A", list(range(length)), 1)
    for row in range(0, length, 2):
        series.start[row] -= DAY_NS // 2
    return {"A": series}


def several(length: int) -> dict[str, Series]:
    """Calendars that differ: a symbol may have no bar at the next slice."""
    return {
        "A": walk("A", list(range(length)), 1),
        "B": walk("B", [day for day in range(length) if day % 3], 2),
        "C": walk("C", list(range(length // 3, length)), 3),
    }


def rules(symbol: str) -> Instrument:
    if symbol == "B":
        return Instrument(
            symbol=symbol, venue_symbol=symbol, kind="spot", base="BTC", size_step=Decimal("0.001")
        )
    if symbol == "C":
        return Instrument(
            symbol=symbol, venue_symbol=symbol, multiplier=Decimal(5), shortable=False, min_size=Decimal(2)
        )
    return Instrument(symbol=symbol, venue_symbol=symbol)


def play(
    strategy: Strategy,
    series: dict[str, Series],
    venue_class: type[SimVenue],
    venue: VenueSettings,
    *,
    until: int | None = None,
    state: LiveState | None = None,
    instrument: Instrument | None = None,
    memory: InMemoryMonitor | None = None,
    monitors: Sequence[Any] = (),
) -> tuple[LiveState, InMemoryMonitor]:
    for column in series.values():
        column.cursor.count = 0
    instruments = {symbol: instrument or rules(symbol) for symbol in series}
    memory = memory or InMemoryMonitor()
    engine = LiveEngine(
        EngineSettings(
            run_id="r",
            strategy="tests:Brisk",
            cash=Decimal(20_000),
            warmup=2,
            risk=RiskSettings(max_order_quantity=900, max_position_notional=25_000),
        ),
        {"recorder": memory, **{f"monitor {number}": each for number, each in enumerate(monitors)}},
    )
    engine.replay(
        strategy,
        series,
        venue=venue_class(instruments=instruments, settings=venue, cash=Decimal(20_000), currency="USD"),
        instruments=instruments,
        capabilities=SIM_CAPABILITIES,
        state=state,
        until=until,
    )
    return engine.state(), memory


def assert_same(straight: tuple[LiveState, InMemoryMonitor], long: tuple[LiveState, InMemoryMonitor]) -> None:
    mine, theirs = straight[1], long[1]
    assert mine.trades == theirs.trades
    assert mine.orders == theirs.orders
    assert mine.alerts == theirs.alerts
    assert mine.metrics == theirs.metrics
    # Not a number, as a symbol's price is before its first bar, is not equal to itself.
    assert repr(mine.bars.columns) == repr(theirs.bars.columns)
    assert straight[0] == long[0]


@given(
    seed=st.integers(0, 10_000),
    venue=st.sampled_from(VENUES),
    make=st.sampled_from((one, several, overlapping)),
    kind=st.sampled_from((Brisk, Talkative)),
    others=st.sampled_from((0.0, 0.1)),
    length=st.sampled_from((30, 30, 30, 300)),
)
@settings(max_examples=80, deadline=None)
def test_express_trades_as_the_long_way(
    seed: int, venue: VenueSettings, make: Any, kind: Any, others: float, length: int
) -> None:
    """Fills, orders, alerts, the record and the whole saved state are the same either way; of few slices
    each is a chunk of its own, of many several are one."""
    series = make(length)
    assert_same(
        play(kind(seed, others=others), series, SimVenue, venue),
        play(kind(seed, others=others), series, LongWay, venue),
    )


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("kind", [Brisk, Talkative])
def test_express_run_is_resumed_by_the_long_way_and_back(venue: VenueSettings, kind: type[Brisk]) -> None:
    """Cut after any slice, a run goes on as it would have, whichever way each part goes."""
    series = several(24)
    whole = play(kind(3), series, LongWay, venue)
    for cut in range(1, 24):
        first, second = (SimVenue, LongWay) if cut % 2 else (LongWay, SimVenue)
        state, _ = play(kind(3), series, first, venue, until=cut)
        assert_same(play(kind(3), series, second, venue, state=state), whole)


def test_express_is_what_plain_orders_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """A strategy of market orders never needs the long way: what is compared here is two ways, not one."""
    released: list[int] = []
    matched: list[int] = []
    match, release = ExpressLane.match, ExpressLane.release

    def counted(lane: ExpressLane, end: int) -> None:
        matched.append(len(lane.waiting))
        match(lane, end)

    def noted(lane: ExpressLane, untold: int | None = None) -> None:
        released.append(len(lane.waiting))
        release(lane, untold)

    monkeypatch.setattr(ExpressLane, "match", counted)
    monkeypatch.setattr(ExpressLane, "release", noted)

    class Plain(Strategy):
        def next(self, i: int) -> None:
            self.order_market(None, 1 if i % 2 else -1)

    _, memory = play(Plain(), one(20), SimVenue, PLAIN, until=19)
    assert len(memory.trades) == 16
    assert sum(matched) == 16
    assert released == [1]  # the last one waits for a bar that the saved state is told of


class Onlooker(Strategy):
    """It places three orders at once, and looks at what is open whenever it hears of one."""

    def init(self) -> None:
        self.seen: list[str] = []
        self.placed: list[OrderHandle] = []

    def next(self, i: int) -> None:
        if i == 5:
            self.placed = [self.order_market(symbol, 1) for symbol in ("A", "B", "A")]

    def look(self) -> None:
        self.seen.append(" ".join(f"{order.id} {order.status}" for order in self.open_orders()))


class ToldOfOrders(Onlooker):
    def on_order(self, update: Any) -> None:
        self.look()
        self.seen.append(str(self.placed[2].replace(size=5_000)))


class ToldOfFills(Onlooker):
    def on_fill(self, fill: Any) -> None:
        self.look()
        # The others are filled already, and their fills are what the strategy hears of next.
        self.seen.append(str(self.placed[1].replace(size=5)))
        self.seen.append(str(self.placed[2].replace(size=5_000)))
        self.placed[2].cancel()


@pytest.mark.parametrize("kind", [ToldOfOrders, ToldOfFills])
def test_express_orders_that_are_looked_at_meet_the_next_open(kind: type[Onlooker]) -> None:
    """Orders that a callback looks at, or tries to change, are dealt when they would have been, and told of
    with the words of what was refused, also where many slices are one chunk."""
    days = list(range(400))
    series = {"A": walk("A", days, 1), "B": walk("B", days, 2)}
    straight, long = kind(), kind()
    mine = play(straight, series, SimVenue, PLAIN)
    assert_same(mine, play(long, series, LongWay, PLAIN))
    assert straight.seen == long.seen
    assert [trade.index for trade in mine[1].trades] == [6, 6, 6]


class Pendulum(Strategy):
    """Buys and sells in turn."""

    def next(self, i: int) -> None:
        self.order_market(None, 20 if i % 3 else -30)


def of_a(**terms: Any) -> Instrument:
    return Instrument(symbol="A", venue_symbol="A", **terms)


@pytest.mark.parametrize(
    ("instrument", "fees"),
    [
        (of_a(kind="future", base="BTC", quote="USDT"), FeeModel(taker_rate=Decimal("0.001"))),
        (of_a(kind="future", base="BTC"), FeeModel(taker_rate=Decimal("0.001"))),
        (of_a(multiplier=Decimal("1.0")), FeeModel()),
        (of_a(size_step=Decimal("1E+1")), FeeModel()),
        (of_a(), FeeModel(taker_rate=Decimal("0.0000"), maker_rate=Decimal("0.001"))),
    ],
)
def test_express_books_the_same_whatever_the_terms(instrument: Instrument, fees: FeeModel) -> None:
    """Fees in another asset than cash, and figures written with more digits than they need, are booked to
    the same digits."""
    venue = VenueSettings(history=0, fees=fees)
    mine = play(Pendulum(), one(20), SimVenue, venue, instrument=instrument)
    assert len(mine[1].trades) > 5
    assert_same(mine, play(Pendulum(), one(20), LongWay, venue, instrument=instrument))


def test_express_charges_the_same_below_zero() -> None:
    """A share of the notional is charged on its size: a price below zero pays nobody a fee."""
    series = one(20)
    for column in (series["A"].open, series["A"].high, series["A"].low, series["A"].close):
        column[:] = array("d", (price - 100 for price in column))
    venue = VenueSettings(
        history=0, fees=FeeModel(taker_rate=Decimal("0.1"), per_unit=Decimal("0.01")), check_funds=False
    )
    mine = play(Pendulum(), series, SimVenue, venue, instrument=of_a())
    assert min(trade.price for trade in mine[1].trades) < 0 < min(trade.fees for trade in mine[1].trades)
    assert_same(mine, play(Pendulum(), series, LongWay, venue, instrument=of_a()))


def test_express_knows_the_time_of_a_fill_to_the_microsecond() -> None:
    """What is decided on a fill is decided at one time, either way."""
    series = one(20)
    for row in range(20):
        series["A"].start[row] += 777

    class Reverser(Strategy):
        def next(self, i: int) -> None:
            if i == 2:
                self.order_market(None, 1)

        def on_fill(self, fill: Any) -> None:
            self.order_market(None, -2)

    mine, _ = play(Reverser(), series, SimVenue, PLAIN, until=4)
    assert mine.kernel["orders"]
    assert mine == play(Reverser(), series, LongWay, PLAIN, until=4)[0]


@pytest.mark.parametrize("venue_class", [SimVenue, LongWay])
def test_record_of_a_resumed_run_holds_no_bookings_of_before(venue_class: type[SimVenue]) -> None:
    """Monitors that take columns are told of positions in the rows that they are handed, and no others."""

    class Columns(InMemoryMonitor):
        def on_bars(self, columns: BarColumns) -> None:
            self.rows = [*getattr(self, "rows", ()), *(row for row, _, _ in columns.positions)]

    state, _ = play(Pendulum(), one(20), venue_class, PLAIN, until=9)
    columns = Columns()
    play(Pendulum(), one(20), venue_class, PLAIN, state=evolve(state, monitors={}), memory=columns)
    assert columns.rows
    assert min(columns.rows) >= 0


def sent(memory: InMemoryMonitor) -> InMemoryMonitor:
    there = pickle.loads(pickle.dumps(memory))  # noqa: S301 - its own bytes
    assert isinstance(there, InMemoryMonitor)
    return there


def test_record_of_a_run_travels_to_another_process() -> None:
    """A recorder can be pickled before a run and after it, and its records copied, read or not."""
    memory = sent(InMemoryMonitor())
    play(Pendulum(), one(20), SimVenue, PLAIN, memory=memory)
    copied = copy.deepcopy(memory.orders)
    there = sent(memory)
    assert len(there.trades) > 5
    assert (there.trades, there.orders) == (memory.trades, memory.orders)
    assert copied == memory.orders
    copy.copy(memory.orders).append(memory.orders[0])
    assert copied == memory.orders


class Counted(InMemoryMonitor):
    """It takes the records itself."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def on_trade(self, trade: TradeRecord) -> None:
        self.told.append(trade.order_id)
        super().on_trade(trade)

    def on_order(self, order: OrderRecord) -> None:
        self.told.append(order.status)
        super().on_order(order)


class Wrapper:
    """It passes on whatever it does not have itself, and counts what it has."""

    def __init__(self, inner: InMemoryMonitor) -> None:
        self.inner = inner
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def on_trade(self, trade: TradeRecord) -> None:
        self.count += 1
        self.inner.on_trade(trade)


def test_express_tells_monitors_that_take_records_themselves() -> None:
    """A subclass, a wrapper and a copy each hear of every fill, made for them."""
    series = one(30)
    counted, wrapper = Counted(), Wrapper(InMemoryMonitor())
    template = InMemoryMonitor()
    copied = copy.deepcopy(template)
    _, memory = play(Brisk(1, others=0.0), series, SimVenue, PLAIN, monitors=(counted, wrapper, copied))
    assert len(memory.trades) > 5
    assert counted.trades == memory.trades == wrapper.inner.trades == copied.trades
    assert counted.told.count("filled") == wrapper.count == len(memory.trades)
    assert len(template.trades) == 0


def test_express_records_do_not_keep_the_run_alive() -> None:
    """Who keeps what a run recorded, read or not, keeps neither its kernel nor its strategy."""

    class Kept(Brisk):
        pass

    strategy = Kept(1, others=0.0)
    gone = weakref.ref(strategy)
    _, memory = play(strategy, one(30), SimVenue, PLAIN)
    del strategy
    gc.collect()
    assert gone() is None
    assert memory.trades[0].order_id.startswith("aw")


@pytest.mark.parametrize("venue_class", [SimVenue, LongWay])
def test_trade_record_is_worth_its_multiplier(venue_class: type[SimVenue]) -> None:
    """Round trips, turnover and slippage are in money, not in points."""

    class Once(Strategy):
        def next(self, i: int) -> None:
            if i == 12:
                self.order_market("C", 2)

    _, memory = play(Once(), several(30), venue_class, PLAIN)
    (trade,) = memory.trades
    assert trade.notional == pytest.approx(trade.price * 2 * 5)


@pytest.mark.parametrize("far", [False, True])
def test_many_orders_in_answer_to_many_fills_are_no_endless_loop(far: bool) -> None:
    """A stop and a limit for each of many fills of one slice, whichever way they go."""
    symbols = [f"S{number}" for number in range(400)]

    class Hedged(Strategy):
        def next(self, i: int) -> None:
            if i == 2:
                if far:
                    self.order_limit("S0", 1, 1.0, tif="gtc")
                for symbol in self.symbols:
                    self.order_market(symbol, 1)

        def on_fill(self, fill: Any) -> None:
            if fill.size > 0:
                self.order_stop(fill.symbol, -1, fill.price * 0.5, tif="gtc")
                self.order_limit(fill.symbol, -1, fill.price * 2, tif="gtc")

    series = {symbol: walk(symbol, list(range(6)), number) for number, symbol in enumerate(symbols)}
    _, memory = play(Hedged(), series, SimVenue, CARELESS)
    assert len(memory.trades) == 400
