"""The engine over history: resume at any slice, no look into the future, records that are the run's."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.core.errors import RunRefused, StateError, StateMismatch, StrategyError
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderRef
from alphaweave.data.series import Series
from alphaweave.live.backtest import VectorBacktester
from alphaweave.live.engine import EngineSettings, LiveEngine
from alphaweave.live.state import LiveState, load_live_state, save_live_state
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import BarSnapshot
from alphaweave.monitoring.run import RunMonitor
from alphaweave.sim.costs import FeeModel, SlippageModel
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue
from alphaweave.strategy.strategy import Strategy

DAY_NS = 86_400_000_000_000
VENUE = VenueSettings(
    volume_share=Decimal("0.1"),
    fees=FeeModel(taker_rate=Decimal("0.001"), fixed=Decimal("0.5")),
    slippage=SlippageModel(bps=Decimal(3)),
    random_partials=0.3,
    leverage=Decimal(4),
)


class Restless(Strategy):
    """Trades everything there is, by its own seeded dice, and keeps state of every kind."""

    def init(self) -> None:
        self.dice = random.Random(5)
        self.rolls = 0
        self.spent = Decimal(0)
        self.since: datetime | None = None
        self.means = {symbol: self.sma(symbol, 4) for symbol in self.symbols}
        self.ranges = {symbol: self.atr(symbol, 3) for symbol in self.symbols}

    def roll(self) -> float:
        self.rolls += 1
        return self.dice.random()

    def next(self, i: int) -> None:  # noqa: PLR0912 - one branch for each kind of order
        for symbol in self.symbols:
            price = self.close(symbol)
            if not price > 0 or not self.means[symbol].ready:
                continue
            side = 1 if self.roll() < 0.5 else -1
            size = side * (1 + int(self.roll() * 40))
            near = price * (1 - side * 0.01)
            far = price * (1 + side * 0.02)
            dice = self.roll()
            if dice < 0.12:
                self.order_market(symbol, size)
            elif dice < 0.24:
                self.order_limit(symbol, size, near, tif="gtc" if self.roll() < 0.5 else "day")
            elif dice < 0.32:
                self.order_stop(symbol, size, far, tif="gtc")
            elif dice < 0.40:
                self.order_stop_limit(symbol, size, far, far * (1 + side * 0.01), tif="gtc")
            elif dice < 0.46:
                self.order_trailing_stop(symbol, size, percent=2, tif="gtc")
            elif dice < 0.54:
                self.order_bracket(symbol, size, take_profit=far, stop_loss=near)
            elif dice < 0.60 and self.position(symbol):
                held = self.position(symbol)
                sign = 1 if held > 0 else -1
                self.order_oco(
                    symbol, -held, take_profit=price * (1 + sign * 0.02), stop_loss=price * (1 - sign * 0.02)
                )
            elif dice < 0.66:
                self.order_target_percent(symbol, (self.roll() - 0.5) * 0.4)
            elif dice < 0.76:
                for handle in self.open_orders(symbol)[:2]:
                    handle.cancel()
            elif dice < 0.84:
                for handle in self.open_orders(symbol)[:1]:
                    handle.replace(size=(handle.size or 1) + 3)
        self.log_metric("rolls", self.rolls)
        self.log_metric(
            "range", self.ranges[self.symbols[0]].value if self.ranges[self.symbols[0]].ready else 0
        )

    def on_fill(self, fill: Any) -> None:
        self.spent += Decimal(str(fill.price)) * Decimal(str(fill.size))
        self.since = fill.timestamp
        if self.roll() < 0.05:
            self.order_market(fill.symbol, -fill.size)

    def get_state(self) -> Mapping[str, Any]:
        return {"rolls": self.rolls, "spent": self.spent, "since": self.since}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.dice = random.Random(5)
        for _ in range(state["rolls"]):
            self.dice.random()
        self.rolls = state["rolls"]
        self.spent = state["spent"]
        self.since = state["since"]


def walk(symbol: str, days: list[int], seed: int) -> Series:
    """A seeded random walk over the given days."""
    dice = random.Random(seed)
    rows: list[tuple[float, float, float, float]] = []
    close = 100.0
    for _ in days:
        opened = round(close * (1 + dice.gauss(0, 0.01)), 2)
        close = round(opened * (1 + dice.gauss(0, 0.02)), 2)
        high = round(max(opened, close) * (1 + abs(dice.gauss(0, 0.01))), 2)
        low = round(min(opened, close) * (1 - abs(dice.gauss(0, 0.01))), 2)
        rows.append((opened, high, low, close))
    return Series.from_columns(
        symbol,
        "1d",
        start=[day * DAY_NS for day in days],
        end=[(day + 1) * DAY_NS for day in days],
        open=[row[0] for row in rows],
        high=[row[1] for row in rows],
        low=[row[2] for row in rows],
        close=[row[3] for row in rows],
        volume=[float(dice.randrange(50, 400)) for _ in rows],
    )


def market(length: int) -> dict[str, Series]:
    """Three symbols whose calendars differ: all days, no Sundays, and a late start."""
    return {
        "A": walk("A", list(range(length)), 1),
        "B": walk("B", [day for day in range(length) if day % 7], 2),
        "C": walk("C", list(range(length // 3, length)), 3),
    }


def play(
    series: dict[str, Series],
    *,
    until: int | None = None,
    state: LiveState | None = None,
    strategy: Strategy | None = None,
    venue: VenueSettings = VENUE,
    monitors: dict[str, Any] | None = None,
    **changes: Any,
) -> tuple[LiveEngine, InMemoryMonitor]:
    """One run of a strategy over ``series``."""
    memory = InMemoryMonitor()
    engine = LiveEngine(
        evolve(EngineSettings(run_id="t", strategy="tests:Restless", cash=Decimal(100_000)), **changes),
        {"recorder": memory, **(monitors or {})},
    )
    rules = {symbol: Instrument(symbol=symbol, venue_symbol=symbol) for symbol in series}
    engine.replay(
        strategy or Restless(),
        series,
        venue=SimVenue(instruments=rules, settings=venue, cash=Decimal(100_000), currency="USD", seed=9),
        instruments=rules,
        capabilities=_capabilities(),
        state=state,
        until=until,
    )
    return engine, memory


def _capabilities() -> Any:
    from itertools import product

    from alphaweave.core.order import GroupKind, OrderType, TimeInForce
    from alphaweave.live.adapters.capabilities import Capabilities

    return Capabilities(
        order_types=frozenset(product(OrderType, TimeInForce)),
        shorting=True,
        replace=frozenset({"quantity", "limit_price", "stop_price"}),
        groups=frozenset(GroupKind),
        trail_amount=True,
        trail_percent=True,
        simulated=True,
    )


def picture(engine: LiveEngine, memory: InMemoryMonitor) -> tuple[Any, ...]:
    """Everything that a run leaves behind."""
    return (
        memory.trades,
        memory.orders,
        list(memory.metrics),
        memory.bars_df().to_csv(),
        RunMonitor(memory).metrics(),
        json.dumps(_plain(engine.state()), sort_keys=True),
    )


def _plain(state: LiveState) -> Any:
    from attrs import asdict

    return asdict(state)


@pytest.fixture(scope="module")
def whole() -> tuple[Any, ...]:
    """The uninterrupted run."""
    return picture(*play(market(45)))


def test_run_exercises_what_it_claims_to(whole: tuple[Any, ...]) -> None:
    """The run that is cut has fills, ends of every kind, groups and orders open at its end."""
    statuses = {(order.type, order.status) for order in whole[1]}
    assert {"market", "limit", "stop", "stop_limit", "trailing_stop"} <= {kind for kind, _ in statuses}
    assert {"filled", "partially_filled", "cancelled", "expired", "accepted"} <= {one for _, one in statuses}
    assert len(whole[0]) > 60
    assert json.loads(whole[5])["kernel"]["groups"]


@pytest.mark.parametrize("cut", range(46))
def test_resumed_run_equals_the_uninterrupted_one(cut: int, whole: tuple[Any, ...], tmp_path: Path) -> None:
    """Stopped after any slice, saved, loaded and resumed: the same fills, orders, state and metrics."""
    engine, _ = play(market(45), until=cut)
    path = tmp_path / "state.json"
    save_live_state(path, engine.state())
    state = load_live_state(path, strategy="tests:Restless", run_id="t")
    assert picture(*play(market(45), state=state)) == whole


def test_run_cut_twice_equals_the_uninterrupted_one(whole: tuple[Any, ...]) -> None:
    """State may be handed on more than once."""
    first, _ = play(market(45), until=17)
    second, _ = play(market(45), until=31, state=first.state())
    assert picture(*play(market(45), state=second.state())) == whole


def test_long_run_cut_at_samples_equals_the_uninterrupted_one() -> None:
    """The same over 250 days, cut where chunks, fills and resting orders are many."""
    expected = picture(*play(market(250)))
    for cut in (67, 133, 249):
        engine, _ = play(market(250), until=cut)
        assert picture(*play(market(250), state=engine.state())) == expected


def test_resume_on_longer_data_goes_on_where_it_stopped() -> None:
    """Bars that were added after the run are simply next; the past must be the same."""
    series = market(45)
    shorter = {symbol: _head(one, 30) for symbol, one in series.items()}
    engine, _ = play(shorter, until=30)
    assert picture(*play(series, state=engine.state())) == picture(*play(market(45)))


def _head(series: Series, day: int) -> Series:
    rows = sum(1 for end in series.end if end <= day * DAY_NS)
    return Series.from_columns(
        series.symbol,
        series.interval,
        **{
            name: getattr(series, name)[:rows]
            for name in ("start", "end", "open", "high", "low", "close", "volume")
        },
    )


def test_state_of_other_bars_is_refused() -> None:
    """A restated past would make the resumed run another run."""
    engine, _ = play(market(45), until=20)
    other = market(45)
    other["A"].close[3] += 0.01
    with pytest.raises(StateMismatch, match="bars of A are not those"):
        play(other, state=engine.state())
    fewer = {symbol: one for symbol, one in market(45).items() if symbol != "C"}
    with pytest.raises(StateMismatch, match="saved with A, B, C"):
        play(fewer, state=engine.state())


def test_state_that_set_state_does_not_bring_back_is_refused_before_the_first_bar() -> None:
    """What could not be restored after a crash is refused while nothing is at stake."""

    class Forgetful(Restless):
        def set_state(self, state: Mapping[str, Any]) -> None:
            self.rolls = 1

    with pytest.raises(StrategyError, match="set_state does not bring back"):
        play(market(45), strategy=Forgetful())


def test_failed_run_has_no_state_and_keeps_its_record() -> None:
    """The slices before the failure are recorded; the state to resume from is the one saved before."""

    class Failing(Restless):
        def next(self, i: int) -> None:
            super().next(i)
            if i == 25:
                raise RuntimeError("boom")

    memory = InMemoryMonitor()
    engine = LiveEngine(EngineSettings(run_id="t", strategy="x:Y", cash=Decimal(100_000)), [memory])
    series = market(45)
    rules = {symbol: Instrument(symbol=symbol, venue_symbol=symbol) for symbol in series}
    venue = SimVenue(instruments=rules, settings=VENUE, cash=Decimal(100_000), currency="USD", seed=9)
    with pytest.raises(StrategyError, match=r"Failing\.next raised RuntimeError at 1970-01-27"):
        engine.replay(Failing(), series, venue=venue, instruments=rules, capabilities=_capabilities())
    assert engine.summary is not None
    assert (engine.summary.outcome, engine.summary.slices) == ("failed", 25)
    assert len(memory.bars_df()) == 25
    with pytest.raises(RunRefused, match="no state"):
        engine.state()


def test_instrument_in_another_currency_is_refused() -> None:
    """One run has one currency."""
    series = {"A": walk("A", list(range(5)), 1)}
    rules = {"A": Instrument(symbol="A", venue_symbol="A", quote="EUR", settle="EUR")}
    engine = LiveEngine(EngineSettings(run_id="t", strategy="x:Y", cash=Decimal(1)))
    venue = SimVenue(instruments=rules, settings=VENUE, cash=Decimal(1), currency="USD")
    with pytest.raises(RunRefused, match="A settles in EUR, the run's currency is USD"):
        engine.replay(Restless(), series, venue=venue, instruments=rules, capabilities=_capabilities())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 39), st.integers(0, 10_000))
def test_no_decision_depends_on_a_later_bar(cut: int, seed: int) -> None:
    """Every bar after ``cut`` changed at random: orders (by id) and fills up to ``cut`` are the same."""
    changed = market(40)
    dice = random.Random(seed)
    for one in changed.values():
        for row, end in enumerate(one.end):
            if end > cut * DAY_NS:
                factor = 1 + dice.gauss(0, 0.2)
                for column in (one.open, one.high, one.low, one.close):
                    column[row] *= abs(factor) + 0.1
                one.volume[row] = float(dice.randrange(1, 1000))
    _, memory = play(changed, until=cut)
    _, honest = play(market(40), until=cut)
    assert memory.orders == honest.orders
    assert memory.trades == honest.trades
    assert memory.bars_df().equals(honest.bars_df())


def test_windows_kept_from_earlier_slices_never_grow() -> None:
    """What history and series hand out is cut when it is made."""
    kept: list[Any] = []

    class Keeping(Strategy):
        def next(self, i: int) -> None:
            for window, length in kept:
                assert len(window.close) == len(window) == length
            for window in (self.history("A", 3), self.series("A")):
                assert window.close[-1] == self.close("A")
                kept.append((window, len(window)))

    play({"A": walk("A", list(range(30)), 1)}, strategy=Keeping())
    assert len(kept) == 60


def test_equity_record_is_the_equity_the_strategy_saw() -> None:
    """The columns valued a stretch at a time are the very floats of the slice by slice reading."""
    seen: list[float] = []

    class Watching(Restless):
        def next(self, i: int) -> None:
            super().next(i)
            seen.append(self.equity)

    _, memory = play(market(300), strategy=Watching())
    assert memory.bars_df()["equity"].tolist() == seen


def test_monitor_without_columns_gets_every_slice_in_step() -> None:
    """on_bar comes after the trades of its slice, with the positions and prices of that moment."""

    class Plain:
        def __init__(self) -> None:
            self.bars: list[BarSnapshot] = []
            self.positions: dict[str, float] = {}
            self.rows: list[int] = []

        def on_run_start(self, meta: Mapping[str, Any]) -> None: ...
        def on_trade(self, trade: Any) -> None:
            self.positions[trade.symbol] = trade.position
            self.rows.append(trade.index)

        def on_order(self, order: Any) -> None: ...
        def on_metric(self, name: str, value: float, timestamp: datetime) -> None: ...
        def on_alert(self, alert: Any) -> None: ...
        def on_run_end(self, summary: Any) -> None: ...
        def on_bar(self, snapshot: BarSnapshot) -> None:
            self.bars.append(snapshot)
            assert snapshot.positions == {name: held for name, held in self.positions.items() if held}
            # a fill bears the number of the slice in whose record it first shows
            assert set(self.rows) <= {snapshot.index}
            self.rows.clear()

    plain = Plain()
    _, memory = play(market(60), monitors={"plain": plain})
    frame = memory.bars_df()
    assert [bar.equity for bar in plain.bars] == frame["equity"].tolist()
    assert [bar.index for bar in plain.bars] == list(range(60))
    last = plain.bars[-1]
    assert last.net == pytest.approx(sum(last.positions[s] * last.prices[s] for s in last.positions))


def test_monitor_that_raises_is_put_aside_and_the_run_goes_on() -> None:
    """A monitor's failure is reported and harms neither the run nor the other monitors."""

    class Broken(InMemoryMonitor):
        def on_trade(self, trade: Any) -> None:
            raise OSError("disk full")

    engine, memory = play(market(60), monitors={"broken": Broken()})
    (failure,) = engine.monitor_failures
    assert str(failure) == "monitor Broken failed in on_trade: OSError: disk full"
    assert memory.trades == play(market(60))[1].trades


def test_bars_skipped_as_idle_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving out the bars in which nothing can happen gives the same run as visiting every bar."""
    series = {symbol: walk(symbol, list(range(300)), seed) for seed, symbol in enumerate("AB", 4)}

    class Resting(Restless):
        def roll(self) -> float:
            # mostly limits and stops that rest for long
            return super().roll() if self.rolls % 3 else 0.2

    skipping = picture(*play(series, strategy=Resting()))
    visits: list[int] = []
    idle = SimVenue.idle

    def visited(self: SimVenue, slices: int) -> int:
        visits.append(idle(self, slices))
        return 0

    monkeypatch.setattr(SimVenue, "idle", visited)
    series = {symbol: walk(symbol, list(range(300)), seed) for seed, symbol in enumerate("AB", 4)}
    assert picture(*play(series, strategy=Resting())) == skipping
    assert max(visits) > 1


def test_endless_trading_in_a_callback_is_an_error_with_its_name() -> None:
    """A strategy that answers every fill with an order at a venue that fills at once is stopped."""

    class Endless(Strategy):
        def next(self, i: int) -> None:
            self.order_market(None, 1)

        def on_fill(self, fill: Any) -> None:
            self.order_market(None, -fill.size)

    at_once = VenueSettings(fill_at="last", check_funds=False, history=10)
    with pytest.raises(StrategyError, match="Endless keeps trading from on_fill"):
        play({"A": walk("A", [0, 1], 1)}, strategy=Endless(), venue=at_once)


def test_order_ref_of_a_resumed_run_is_that_of_the_first() -> None:
    """Ids do not depend on how often a run was stopped."""
    engine, _ = play(market(45), until=30)
    saved = [OrderRef(**order["ref"]).client_order_id for order in engine.state().kernel["orders"]]
    again, _ = play(market(45), until=30)
    assert saved == [order["ref"]["client_order_id"] for order in again.state().kernel["orders"]]


def test_attributes_that_no_state_holds_are_named() -> None:
    """What a strategy changed and does not save would be missing after a restart; the engine can say what."""

    class Counting(Strategy):
        limit = 3

        def init(self) -> None:
            self.mean = self.sma("A", 2)
            self.seen: list[float] = []
            self.constant = 5

        def next(self, i: int) -> None:
            self.seen.append(self.close("A"))
            self.last = i
            self.constant = 5

    class Saving(Counting):
        def get_state(self) -> Mapping[str, Any]:
            return {}

        def set_state(self, state: Mapping[str, Any]) -> None: ...

    series = {"A": walk("A", list(range(5)), 1)}
    assert play(series, strategy=Counting())[0].unsaved() == ("seen", "last")
    assert play({"A": walk("A", list(range(5)), 1)}, strategy=Saving())[0].unsaved() == ()


def test_state_does_not_fit_bars_that_joined_its_past() -> None:
    """A bar that appears before the instant of the state would put its symbol out of step for good."""
    engine, _ = play(market(45), until=15)
    assert engine.state().feed["B"]["rows"] == 12
    late = market(45)
    grown = _head(late["B"], 14)
    grown.append(14 * DAY_NS, 15 * DAY_NS, 100.0, 100.0, 100.0, 100.0, 1.0)
    late["B"] = grown
    with pytest.raises(StateMismatch, match="bars of B are not those"):
        play(late, state=engine.state())


def test_cancel_that_its_end_overtook_is_no_alert() -> None:
    """Cancelling both exits of a group ends the second with the first; nothing was refused."""

    class Leaving(Strategy):
        def next(self, i: int) -> None:
            if i == 0:
                self.order_market("A", 5)
            elif i == 2:
                self.group = self.order_oco("A", -5, take_profit=1000, stop_loss=1)
            elif i == 4:
                self.group.cancel()
            elif i == 6:
                assert not self.group.is_open

    _, memory = play({"A": walk("A", list(range(8)), 1)}, strategy=Leaving())
    assert memory.alerts == []


def test_order_replaced_and_cancelled_at_once_is_gone() -> None:
    """The cancel reaches the version that the replacement has just put in its place."""

    class Wavering(Strategy):
        def next(self, i: int) -> None:
            if i == 0:
                self.limit = self.order_limit("A", 5, 1, tif="gtc")
            elif i == 2:
                assert self.limit.replace(size=6)
                self.limit.cancel()
            elif i == 4:
                assert not self.limit.is_open

    _, memory = play({"A": walk("A", list(range(8)), 1)}, strategy=Wavering())
    assert memory.alerts == []
    assert memory.orders[-1].status == "cancelled"


def test_many_symbols_traded_in_one_slice_are_no_endless_trading() -> None:
    """What was decided in `next` does not count as trading from a callback, however much it is."""
    series = {"A": walk("A", [0, 1, 2], 1)}

    class Busy(Strategy):
        def next(self, i: int) -> None:
            if i == 0:
                for _ in range(11_000):
                    self.order_limit("A", 1, 1)

    engine, _ = play(series, strategy=Busy())
    assert engine.summary is not None
    assert engine.summary.outcome == "finished"


def test_monitor_that_raised_is_told_nothing_more() -> None:
    """Not even the rest of what is being handed over."""

    class Once(InMemoryMonitor):
        calls = 0

        def on_order(self, order: Any) -> None:
            self.calls += 1
            raise OSError("disk full")

    class Twice(Strategy):
        def next(self, i: int) -> None:
            if i == 0:
                self.order_market("A", 1)
                self.order_market("A", 2)

    once = Once()
    play({"A": walk("A", [0, 1, 2], 1)}, strategy=Twice(), monitors={"once": once})
    assert once.calls == 1


def test_monitor_whose_state_cannot_be_had_does_not_cost_the_run_its_own() -> None:
    """The run is saved without it, and the failure is reported."""

    class Sealed(InMemoryMonitor):
        def get_state(self) -> dict[str, Any]:
            raise OSError("sealed")

    engine, _ = play(market(20), monitors={"sealed": Sealed()})
    assert set(engine.state().monitors) == {"recorder"}
    assert [str(failure) for failure in engine.monitor_failures] == [
        "monitor Sealed failed in get_state: OSError: sealed"
    ]


@pytest.mark.parametrize("odd", [float("nan"), object()])
def test_state_that_is_no_json_is_refused_by_name(odd: object, tmp_path: Path) -> None:
    """What a monitor hands over is not checked before; the file that is there stays."""
    engine, _ = play(market(5))
    path = tmp_path / "state.json"
    save_live_state(path, engine.state())
    before = path.read_bytes()
    with pytest.raises(StateError, match="cannot be written as JSON"):
        save_live_state(path, evolve(engine.state(), monitors={"x": odd}))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_on_stop_changes_is_no_part_of_the_saved_state() -> None:
    """A run that ended at the end of its data goes on, with more bars, as if it had never ended."""

    class Ending(Restless):
        def on_stop(self) -> None:
            self.rolls += 1000
            self.spent = Decimal(-1)

    series = market(45)
    shorter = {symbol: _head(one, 30) for symbol, one in series.items()}
    engine, _ = play(shorter, strategy=Ending())
    resumed = play(series, strategy=Ending(), state=engine.state())
    whole_run = play(market(45), strategy=Ending())
    assert picture(*resumed)[0] == picture(*whole_run)[0]
    assert resumed[0].state().strategy_state == whole_run[0].state().strategy_state


def test_monitor_that_does_not_take_back_its_past_is_named() -> None:
    """A record that begins in the middle would look whole."""

    class Forgetful(InMemoryMonitor):
        def set_state(self, state: Mapping[str, Any]) -> None:
            raise KeyError("rows")

    engine, _ = play(market(30), until=10, monitors={"mine-1": Forgetful()})
    with pytest.raises(StateMismatch, match="monitor mine-1 does not take back what it saved: its set_state"):
        play(market(30), state=engine.state(), monitors={"mine-1": Forgetful()})


class Buyer(Strategy):
    """Holds one of each from the second bar on."""

    def next(self, i: int) -> None:
        for symbol in self.symbols:
            if i == 1:
                self.order_market(symbol, 1)


def test_position_whose_data_end_early_is_told_at_the_end() -> None:
    """It is valued at its last price all the while, and whoever reads the result has to know."""
    data = {}
    for symbol, rows in (("LONG", 9), ("SHORT", 5), ("IDLE", 1)):
        data[symbol] = one = Series(symbol, "1d")
        for day in range(rows):
            one.append(day * DAY_NS, (day + 1) * DAY_NS, 10.0, 10.0, 10.0, 10.0, 1.0)
    memory = InMemoryMonitor()
    VectorBacktester().run(Buyer, data, monitor=memory)
    told = [(alert.code, alert.symbol) for alert in memory.alerts if alert.code == "data_ended"]
    assert told == [("data_ended", "SHORT")]
    (alert,) = (one for one in memory.alerts if one.code == "data_ended")
    assert "end 1970-01-06 00:00 UTC, before the run's" in alert.message
