"""The record of a replay, beside the same worked out slice by slice."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from math import nan
from random import Random
from types import FrameType
from typing import Any

import pytest

from alphaweave.core.instrument import Instrument
from alphaweave.core.order import Side
from alphaweave.data.series import Series
from alphaweave.live.engine import EngineSettings, LiveEngine
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.sim.capabilities import SIM_CAPABILITIES
from alphaweave.sim.settings import VenueSettings
from alphaweave.sim.venue import SimVenue
from alphaweave.strategy.strategy import Strategy

SECOND = 10**9


class Quiet(Strategy):
    def next(self, i: int) -> None:
        """Nothing to decide."""


def series(symbol: str, seconds: list[int]) -> Series:
    """A bar that closes at its own second, at each of these seconds."""
    ends = [second * SECOND for second in seconds]
    closes = [float(second) for second in seconds]
    prices = dict.fromkeys(("open", "high", "low", "close"), closes)
    start = [end - SECOND for end in ends]
    return Series.from_columns(symbol, "1s", start=start, end=ends, **prices, volume=[1.0] * len(ends))


def recorded(given: list[Series]) -> InMemoryMonitor:
    board = {each.symbol: each for each in given}
    instruments = {symbol: Instrument(symbol=symbol, venue_symbol=symbol) for symbol in board}
    cash = Decimal(1000)
    venue = SimVenue(
        instruments=instruments, board=board, settings=VenueSettings(), cash=cash, currency="USD"
    )
    monitor = InMemoryMonitor()
    LiveEngine(EngineSettings(run_id="r", strategy="s", cash=cash, interval="1s"), (monitor,)).replay(
        Quiet(), board, venue=venue, instruments=instruments, capabilities=SIM_CAPABILITIES
    )
    return monitor


@pytest.mark.parametrize("seed", range(12))
def test_each_slice_has_the_last_known_price_of_each_symbol(seed: int) -> None:
    """However the bars of several symbols lie to each other, and wherever chunks of slices end."""
    random = Random(seed)
    given = []
    for symbol in "ABCD":
        first, last = sorted(random.sample(range(1, 700), 2))
        share = random.choice((0.02, 0.3, 0.97))
        given.append(
            series(symbol, [first, *(s for s in range(first + 1, last) if random.random() < share), last])
        )
    columns = recorded(given).bars.columns
    assert list(columns.ends) == sorted({end for each in given for end in each.end})
    for each in given:
        rows = [bisect_right(each.end, end) - 1 for end in columns.ends]
        expected = [each.close[row] if row >= 0 else nan for row in rows]
        assert list(map(repr, columns.closes[each.symbol])) == list(map(repr, expected))


def test_a_bar_costs_no_more_the_more_symbols_have_their_bars_at_other_times() -> None:
    """What is done for each symbol in each chunk of slices is little beside what is done for each bar."""

    def cost(symbols: int) -> float:
        given = [series(f"S{n}", list(range(1 + n, 40_000, 40_000 // 200))) for n in range(symbols)]
        return calls(lambda: recorded(given)) / sum(len(each) for each in given)

    costs = [cost(symbols) for symbols in (10, 20, 40)]
    assert all(more < 1.5 * fewer for fewer, more in pairwise(costs))


def calls(run: Callable[[], Any]) -> int:
    """How many functions, of Python and of C, a run calls."""
    made = 0

    def count(frame: FrameType, event: str, _: Any) -> None:
        nonlocal made
        made += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(before)
    return made


@pytest.mark.parametrize("seed", range(5))
def test_what_is_held_stands_in_the_order_of_the_config(make_bench: Callable[..., Any], seed: int) -> None:
    """Whatever the order it was bought in: floats are added up in it, live and after a restart alike."""
    random = Random(seed)
    symbols = random.sample("ABCDEFGH", 8)
    bench = make_bench({symbol: [100.0] * 9 for symbol in symbols}, cash="100000")
    bench.bar()
    units = dict.fromkeys(symbols, 0)
    for number in range(60):
        symbol = random.choice(symbols)
        size = random.choice((1, -1)) if not units[symbol] else -units[symbol] * random.choice((1, 2))
        units[symbol] += size
        bench.fill(
            None, str(abs(size)), side=Side.BUY if size > 0 else Side.SELL, symbol=symbol, key=str(number)
        )
        held = [book.symbol for book in bench.kernel.held]
        assert held == [each for each in symbols if units[each]]
