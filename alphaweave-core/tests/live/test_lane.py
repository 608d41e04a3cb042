"""Indicators whose values are worked out ahead, beside the same ones that take one close after another."""

from __future__ import annotations

import copy
import pickle
import random
from decimal import Decimal
from math import nan
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.core.errors import DataError, StrategyError
from alphaweave.core.instrument import Instrument
from alphaweave.data.series import Cursor, Series
from alphaweave.indicators import SMA
from alphaweave.live import lane, replay
from alphaweave.live.engine import EngineSettings, LiveEngine
from alphaweave.live.lane import Lane
from alphaweave.live.state import LiveState
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue
from alphaweave.strategy.strategy import Strategy

NEVER = 10**12
PLAIN = VenueSettings(history=0)
DAY_NS = 86_400_000_000_000
# What a strategy may do to an indicator of its own.
LOOKS = ("state", "copy", "pickle", "update", "restore", "clear", "another")


class Curious(Strategy):
    """Trades by averages, looks into them now and then, and notes every value."""

    def __init__(self, seed: int, looks: tuple[str, ...], orders: bool) -> None:
        self.seed = seed
        self.looks = looks
        self.orders = orders
        self.dice = random.Random(seed)
        self.seen: list[Any] = []

    def init(self) -> None:
        self.mine = [self.sma(symbol, self.dice.randrange(1, 9)) for symbol in self.symbols for _ in range(2)]
        self.mine.append(self.ema(self.symbols[0], 5))
        self.atr(self.symbols[-1], 3)

    def next(self, i: int) -> None:
        for indicator in self.mine:
            self.seen.append((indicator.value.hex(), indicator.ready))
        if self.dice.random() < 0.1 and self.looks:
            self.look(self.dice.choice(self.looks))
        if self.orders and self.dice.random() < 0.3:
            symbol = self.dice.choice(self.symbols)
            if self.dice.random() < 0.8:
                self.order_market(symbol, self.dice.choice((-1, 1)))
            else:
                self.order_limit(symbol, 1, round(self.close(symbol) * 0.98, 2), tif="gtc")

    def look(self, how: str) -> None:
        indicator = self.dice.choice(self.mine)
        if how == "state":
            self.seen.append(indicator.get_state())
        elif how == "copy":
            self.seen.append(copy.deepcopy(indicator).update(50.0).hex())
        elif how == "pickle":
            self.seen.append(pickle.loads(pickle.dumps(indicator)).get_state())  # noqa: S301 - our own
        elif how == "update":
            self.seen.append(indicator.update(self.close(self.symbols[0]) * 2).hex())
        elif how == "restore":
            self.seen.append(indicator.get_state())
            indicator.set_state(self.seen[-1])
        elif how == "clear":
            indicator.set_state(type(indicator)(indicator.period).get_state())
        else:
            self.mine.append(self.sma(self.dice.choice(self.symbols), self.dice.randrange(9, 14)))


def walk(symbol: str, days: list[int], seed: int) -> Series:
    dice = random.Random(seed)
    closes = [round(100 + dice.gauss(0, 9), 2) for _ in days]
    return Series.from_columns(
        symbol,
        "1d",
        start=[day * DAY_NS for day in days],
        end=[(day + 1) * DAY_NS for day in days],
        open=closes,
        high=[close + 1 for close in closes],
        low=[close - 1 for close in closes],
        close=closes,
        volume=[1e6] * len(days),
    )


def play(
    strategy: Strategy, series: dict[str, Series], *, ahead: bool, stretch: int = 7
) -> tuple[LiveState, InMemoryMonitor]:
    for column in series.values():
        column.cursor.count = 0
    instruments = {symbol: Instrument(symbol=symbol, venue_symbol=symbol) for symbol in series}
    memory = InMemoryMonitor()
    engine = LiveEngine(EngineSettings(run_id="r", strategy="tests:Curious", cash=Decimal(20_000)), (memory,))
    venue = SimVenue(
        instruments=instruments, board=series, settings=PLAIN, cash=Decimal(20_000), currency="USD"
    )
    worth = patch.multiple(replay, _WORTH_AN_IMPORT=0 if ahead else NEVER, _WORTH_IT=NEVER)
    with worth, patch.object(lane, "_STRETCH", stretch):
        engine.replay(strategy, series, venue=venue, instruments=instruments, capabilities=SIM_CAPABILITIES)
    return engine.state(), memory


def board(several: bool) -> dict[str, Series]:
    series = {"A": walk("A", list(range(120)), 1)}
    if several:
        series["B"] = walk("B", list(range(120)), 2)
        series["C"] = walk("C", [day for day in range(120) if day % 3], 3)
    return series


@given(
    seed=st.integers(0, 10_000),
    looks=st.sampled_from(((), ("state", "copy", "pickle"), LOOKS)),
    several=st.booleans(),
    orders=st.booleans(),
    stretch=st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_run_that_looks_ahead_is_the_run_that_does_not(
    seed: int, looks: tuple[str, ...], several: bool, orders: bool, stretch: int
) -> None:
    """Each value at each bar, each state, each order."""
    series = board(several)
    plain, quick = (Curious(seed, looks, orders) for _ in range(2))
    expected, records = play(plain, series, ahead=False)
    found, others = play(quick, series, ahead=True, stretch=stretch)
    assert quick.seen == plain.seen
    assert [one.get_state() for one in quick.mine] == [one.get_state() for one in plain.mine]
    assert found == expected
    assert (others.trades, others.orders) == (records.trades, records.orders)


def test_ready_averages_are_foreseen() -> None:
    """And take no closes while nobody looks."""
    series = board(several=False)
    strategy = Curious(1, (), orders=False)
    with patch.object(SMA, "update", autospec=True, side_effect=SMA.update) as update:
        play(strategy, series, ahead=False)
        usual = update.call_count
        play(Curious(1, (), orders=False), series, ahead=True, stretch=50)
        # Up to the first that is ready, and what is less than a period after the last that was worked out.
        assert update.call_count - usual < usual / 3


def foreseeing(closes: list[float], stretch: int = 4) -> tuple[Lane, SMA]:
    """A lane with an average of two that has seen the first two closes."""
    cursor, average = Cursor(), SMA(2)
    one = Lane(cursor)
    one.feed_close(closes, average)
    for _ in range(2):
        one.advance()
    with patch.object(lane, "_STRETCH", stretch):
        one.look_ahead()
    assert [indicator for indicator, _ in one.foreseen] == [average]
    return one, average


def test_close_that_is_none_is_refused_when_it_comes() -> None:
    """The values before it are right, and the indicator is what it was."""
    one, average = foreseeing([1.0, 2.0, 3.0, 4.0, nan, 6.0])
    for value in (2.5, 3.5):
        one.advance()
        assert average.value == value
    with pytest.raises(DataError, match="nan"):
        one.advance()
    assert average.get_state()["window"] == [3.0, 4.0]


def test_indicator_that_was_looked_into_takes_closes_again() -> None:
    """For whoever looked may have changed it."""
    one, average = foreseeing([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    one.advance()
    assert average.update(7.0) == 5.0
    assert one.foreseen == []
    one.advance()
    assert average.value == 5.5
    one.look_ahead()
    assert one.foreseen == []


def test_failure_of_a_strategy_leaves_the_values_of_its_bar() -> None:
    """As the long way does."""

    class Failing(Curious):
        def next(self, i: int) -> None:
            super().next(i)
            if i == 60:
                raise RuntimeError("enough")

    states = []
    for ahead in (False, True):
        strategy = Failing(3, (), orders=False)
        with pytest.raises(StrategyError, match="enough"):
            play(strategy, board(several=True), ahead=ahead)
        states.append([each.get_state() for each in strategy.mine])
    assert states[0] == states[1]
