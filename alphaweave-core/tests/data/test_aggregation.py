"""Trades, quotes and bars to bars: the rules one by one, and any arrival against the batch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphaweave.core.clock import to_ns
from alphaweave.core.market import Bar, Quote, Trade
from alphaweave.data.aggregation import BarAggregator, EmptyIntervals, aggregate

T0 = datetime(2024, 3, 4, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def trade(seconds: float, price: float = 10.0, size: float = 1.0, key: str | None = None) -> Trade:
    return Trade("SPY", T0 + timedelta(seconds=seconds), price, size, key)


def ns(seconds: float) -> int:
    return to_ns(T0 + timedelta(seconds=seconds))


def told(bars: tuple[Bar, ...]) -> list[tuple[float, float, float, float, float, float]]:
    """Start in seconds, prices, volume."""
    return [((b.start - T0).total_seconds(), b.open, b.high, b.low, b.close, b.volume) for b in bars]


def test_trades_make_a_bar_when_the_time_passes_its_end() -> None:
    """First, highest, lowest, last, sum; the trade at the end belongs to the next bar."""
    building = BarAggregator("SPY", "1m")
    for seconds, price in ((0, 10.0), (20, 12.0), (40, 9.0), (59.999, 11.0)):
        assert building.add(trade(seconds, price, 2.0)) == ()
    bars = building.add(trade(60, 50.0))
    assert told(bars) == [(0, 10.0, 12.0, 9.0, 11.0, 8.0)]
    assert bars[0].end == T0 + MINUTE
    assert building.final_until == ns(60)
    assert told(building.advance(ns(120))) == [(60, 50.0, 50.0, 50.0, 50.0, 1.0)]


def test_trades_within_the_lateness_still_count() -> None:
    """And what comes after it is left out, and counted."""
    building = BarAggregator("SPY", "1m", lateness=5)
    building.add(trade(10))
    assert building.add(trade(64.9, 20.0)) == ()
    assert building.add(trade(59, 30.0)) == ()
    assert told(building.add(trade(65, 20.0))) == [(0, 10.0, 30.0, 10.0, 30.0, 2.0)]
    assert building.add(trade(58, 99.0)) == ()
    assert building.late == 1
    assert told(building.complete(ns(120))) == [(60, 20.0, 20.0, 20.0, 20.0, 2.0)]


def test_trades_of_one_time_follow_their_keys() -> None:
    """Nine is before ten; a key that comes again does not count."""
    building = BarAggregator("SPY", "1m")
    for key, price in (("10", 3.0), ("9", 1.0), ("10", 3.0)):
        building.add(trade(5, price, 1.0, key))
    assert told(building.advance(ns(60))) == [(0, 1.0, 3.0, 1.0, 3.0, 2.0)]


@pytest.mark.parametrize(
    ("empty", "flat"),
    [("none", []), ("flat", [(60, 7.0, 7.0, 7.0, 7.0, 0.0), (120, 7.0, 7.0, 7.0, 7.0, 0.0)])],
)
def test_intervals_without_trades_have_no_bar_or_a_flat_one(
    empty: EmptyIntervals, flat: list[tuple[float, ...]]
) -> None:
    """Flat ones begin after the first bar."""
    building = BarAggregator("SPY", "1m", empty=empty, since=ns(-120))
    bars = (*building.add(trade(1, 7.0)), *building.add(trade(181, 8.0)), *building.advance(ns(240)))
    assert told(bars) == [(0, 7.0, 7.0, 7.0, 7.0, 1.0), *flat, (180, 8.0, 8.0, 8.0, 8.0, 1.0)]


def test_quotes_count_by_their_middle() -> None:
    """One-sided and crossed ones say nothing; there is no volume."""
    building = BarAggregator("SPY", "1m")
    for bid, ask in ((9.0, 11.0), (None, 20.0), (30.0, None), (12.0, 11.0), (11.0, 13.0)):
        building.add(Quote("SPY", T0, bid, ask))
    assert told(building.complete(ns(60))) == [(0, 10.0, 12.0, 10.0, 12.0, 0.0)]
    assert building.ignored == 3


def minute(number: int, close: float, volume: float = 1.0) -> Bar:
    start = T0 + number * MINUTE
    return Bar("SPY", "1m", start, start + MINUTE, close - 1, close + 2, close - 3, close, volume)


def test_bars_make_longer_bars_that_are_final_with_the_last_of_them() -> None:
    """No trade is waited for."""
    building = BarAggregator("SPY", "5m")
    assert [len(building.add(minute(number, 10.0 + number))) for number in range(6)] == [0, 0, 0, 0, 1, 0]
    assert told(building.complete(ns(600))) == [(300, 14.0, 17.0, 12.0, 15.0, 1.0)]


def test_bars_that_do_not_fit_are_refused() -> None:
    """An hour is in no five minutes; another symbol is in no bar of this one."""
    building = BarAggregator("SPY", "5m")
    with pytest.raises(ValueError, match="does not fit into one bar of 5m"):
        building.add(Bar("SPY", "1h", T0, T0 + 60 * MINUTE, 1, 1, 1, 1, 1))
    with pytest.raises(ValueError, match="a part of QQQ"):
        building.add(Trade("QQQ", T0, 1.0, 1.0))
    with pytest.raises(ValueError, match="no number"):
        building.add(trade(0, float("nan")))


def test_first_bar_is_one_that_is_whole() -> None:
    """A stream that begins within a bar has only its end."""
    building = BarAggregator("SPY", "1m", since=ns(30))
    building.add(trade(40))
    assert told(building.add(trade(125, 5.0))) == []
    assert building.late == 1
    assert told(building.advance(ns(180))) == [(120, 5.0, 5.0, 5.0, 5.0, 1.0)]


def test_restart_forgets_the_bar_that_lost_something() -> None:
    """And makes no flat bar over the gap."""
    building = BarAggregator("SPY", "1m", empty="flat", since=ns(0))
    building.add(trade(10))
    building.add(trade(70))
    building.restart(ns(200))
    assert told(building.add(trade(210))) == []
    assert told((*building.add(trade(250, 4.0)), *building.advance(ns(300)))) == [
        (240, 4.0, 4.0, 4.0, 4.0, 1.0)
    ]


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 600), st.floats(1, 1e6), st.floats(0, 1e12) | st.floats(0, 1e-6)),
        min_size=1,
        max_size=40,
    ),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_any_arrival_within_the_lateness_makes_the_bars_of_the_batch(
    rows: list[tuple[int, float, float]], data: st.DataObject
) -> None:
    """Shuffled, repeated, to the last bit; and volumes are exact sums."""
    trades = [trade(second, price, size, str(n)) for n, (second, price, size) in enumerate(sorted(rows))]
    arrived = data.draw(st.permutations([*trades, *data.draw(st.lists(st.sampled_from(trades)))]))
    building = BarAggregator("SPY", "1m", lateness=700, since=ns(0))
    live = [bar for one in arrived for bar in building.add(one)]
    live += building.advance(ns(720) + 700_000_000_000)
    batch = aggregate(trades, "SPY", "1m", until=ns(720), since=ns(0))
    assert told(tuple(live)) == told(batch)
    assert building.late == 0
    for bar in batch:
        inside = [one for one in trades if bar.start <= one.at < bar.end]
        assert bar.volume == float(sum(map(Fraction, (one.size for one in inside)), Fraction()))
        assert (bar.open, bar.close) == (inside[0].price, inside[-1].price)
        assert (bar.high, bar.low) == (max(o.price for o in inside), min(o.price for o in inside))
