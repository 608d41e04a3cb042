"""Definitions, checks and saved state of the indicators; tests/test_indicators_talib.py has TA-Lib's word."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphaweave.core.errors import DataError, StateCorrupt, StateMismatch
from alphaweave.indicators import ATR, EMA, RSI, SMA, BarIndicator, CloseIndicator, Indicator

KINDS: list[Callable[[int], Indicator]] = [SMA, EMA, RSI, ATR]
Bars = list[tuple[float, float, float]]

prices = st.floats(1e-6, 1e9)
bar_lists = st.lists(
    st.tuples(prices, prices, prices).map(lambda b: (max(b), min(b), b[2])), min_size=1, max_size=60
)
periods = st.integers(1, 12)


def feed(indicator: Indicator, bars: Bars) -> list[float]:
    if isinstance(indicator, BarIndicator):
        return [indicator.update(*bar) for bar in bars]
    assert isinstance(indicator, CloseIndicator)
    return [indicator.update(close) for _, _, close in bars]


def random_bars(count: int, seed: int) -> Bars:
    rng = np.random.default_rng(seed)
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, count)))
    up, down = np.abs(rng.normal(0.0, 0.5, (2, count)))
    return list(zip((closes + up).tolist(), (closes - down).tolist(), closes.tolist(), strict=True))


def same(left: float, right: float) -> bool:
    """Bit for bit, nan included."""
    return left.hex() == right.hex()


@given(values=st.lists(prices, min_size=1, max_size=80), period=periods)
def test_sma_is_the_mean_of_its_window(values: list[float], period: int) -> None:
    """Every ready value is within 1e-9 of numpy's mean, and nothing is said before the window is full."""
    sma = SMA(period)
    for count, close in enumerate(values, 1):
        value = sma.update(close)
        assert same(value, sma.value)
        assert sma.ready == (count >= period)
        if sma.ready:
            assert value == pytest.approx(np.mean(values[count - period : count]), rel=1e-9)
        else:
            assert math.isnan(value)


def test_sma_keeps_no_rounding_error_of_prices_that_left_the_window() -> None:
    """Over a million bars at levels from 1e-3 to 1e7, every value stays within 1e-9 of the mean."""
    rng = np.random.default_rng(3)
    levels = np.repeat(10.0 ** rng.uniform(-3, 7, 1000), 1000)
    closes = levels * np.exp(rng.normal(0.0, 0.01, levels.size))
    period = 30
    sma = SMA(period)
    values = np.array([sma.update(close) for close in closes.tolist()])
    reference = np.lib.stride_tricks.sliding_window_view(closes, period).mean(axis=1)
    np.testing.assert_allclose(values[period - 1 :], reference, rtol=1e-9)


@pytest.mark.parametrize("period", [1, 2, 3, 14, 60])
def test_ema_agrees_with_pandas_from_its_seed_on(period: int) -> None:
    """From the plain mean that starts it, the average is pandas' recursive one."""
    closes = [close for _, _, close in random_bars(500, seed=5)]
    seeded = [float(np.mean(closes[:period])), *closes[period:]]
    reference = pd.Series(seeded).ewm(span=period, adjust=False).mean()
    ema = EMA(period)
    values = [ema.update(close) for close in closes]
    assert all(math.isnan(value) for value in values[: period - 1])
    np.testing.assert_allclose(values[period - 1 :], reference, rtol=1e-9)


@pytest.mark.parametrize("period", [1, 2, 3, 14, 60])
def test_rsi_agrees_with_pandas_from_its_seed_on(period: int) -> None:
    """Gains and losses are smoothed with weight 1 / period, each started by a plain mean."""
    closes = [close for _, _, close in random_bars(500, seed=6)]
    changes = np.diff(closes)
    sides = []
    for side in (np.maximum(changes, 0.0), np.maximum(-changes, 0.0)):
        seeded = [float(side[:period].mean()), *side[period:]]
        sides.append(pd.Series(seeded).ewm(alpha=1 / period, adjust=False).mean())
    reference = 100.0 - 100.0 / (1.0 + sides[0] / sides[1])
    rsi = RSI(period)
    values = [rsi.update(close) for close in closes]
    assert all(math.isnan(value) for value in values[:period])
    np.testing.assert_allclose(values[period:], reference, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("period", [1, 2, 3, 14, 60])
def test_atr_agrees_with_pandas_from_its_seed_on(period: int) -> None:
    """True ranges from the second bar on are smoothed with weight 1 / period, started by a plain mean."""
    bars = random_bars(500, seed=7)
    frame = pd.DataFrame(bars, columns=["high", "low", "close"])
    last = frame["close"].shift()
    ranges = pd.concat(
        [frame["high"] - frame["low"], (frame["high"] - last).abs(), (frame["low"] - last).abs()], axis=1
    )
    true_range = ranges.max(axis=1).to_numpy()[1:]
    seeded = [float(true_range[:period].mean()), *true_range[period:]]
    reference = pd.Series(seeded).ewm(alpha=1 / period, adjust=False).mean()
    atr = ATR(period)
    values = [atr.update(*bar) for bar in bars]
    assert all(math.isnan(value) for value in values[:period])
    np.testing.assert_allclose(values[period:], reference, rtol=1e-9)


@pytest.mark.parametrize(
    ("closes", "expected"),
    [([7.0] * 9, 50.0), ([1.0, 2.0, 3.0, 4.0, 5.0], 100.0), ([5.0, 4.0, 3.0, 2.0, 1.0], 0.0)],
    ids=["still", "rising", "falling"],
)
def test_rsi_at_its_extremes(closes: list[float], expected: float) -> None:
    """Only gains are 100, only losses 0, and a price that never moved 50."""
    rsi = RSI(3)
    assert [rsi.update(close) for close in closes][3:] == [expected] * (len(closes) - 3)


def test_atr_counts_the_gap_from_the_last_close() -> None:
    """A bar that opens away from the last close ranges from that close."""
    atr = ATR(1)
    atr.update(11.0, 9.0, 10.0)
    assert atr.update(15.0, 14.0, 14.5) == 5.0
    assert atr.update(8.0, 7.0, 7.5) == 7.5


@given(data=st.data(), bars=bar_lists, period=periods, kind=st.sampled_from(KINDS))
def test_saved_state_goes_on_where_it_was_taken(
    data: st.DataObject, bars: Bars, period: int, kind: Callable[[int], Indicator]
) -> None:
    """At any cut, through JSON, the restored indicator equals the uninterrupted one bit for bit."""
    whole, before, after = kind(period), kind(period), kind(period)
    cut = data.draw(st.integers(0, len(bars)))
    head = feed(whole, bars[:cut])
    assert all(same(*pair) for pair in zip(feed(before, bars[:cut]), head, strict=True))
    feed(after, bars[: data.draw(st.integers(0, len(bars)))])  # what it saw before must not matter
    after.set_state(json.loads(json.dumps(before.get_state(), allow_nan=False)))
    assert same(after.value, whole.value)
    assert after.ready == whole.ready
    rest = zip(feed(after, bars[cut:]), feed(whole, bars[cut:]), strict=True)
    assert all(same(*pair) for pair in rest)
    assert after.get_state() == whole.get_state()


@pytest.mark.parametrize("period", [1, 2, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_saved_state_goes_on_from_every_bar(kind: Callable[[int], Indicator], period: int) -> None:
    """No cut of a short run is special: each continues bit for bit."""
    bars = random_bars(40, seed=9)
    whole = feed(kind(period), bars)
    for cut in range(len(bars)):
        before, after = kind(period), kind(period)
        feed(before, bars[:cut])
        after.set_state(before.get_state())
        assert all(same(*pair) for pair in zip(feed(after, bars[cut:]), whole[cut:], strict=True))


@given(bars=bar_lists, period=periods, kind=st.sampled_from(KINDS))
def test_taking_a_state_changes_nothing(bars: Bars, period: int, kind: Callable[[int], Indicator]) -> None:
    """A state taken after every bar shares nothing with the indicator that goes on."""
    watched, alone = kind(period), kind(period)
    for bar in bars:
        taken = json.dumps(state := watched.get_state())
        assert same(feed(watched, [bar])[0], feed(alone, [bar])[0])
        assert json.dumps(state) == taken
        watched.set_state(watched.get_state())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("seen", [0, 2, 3, 4, 9])
@pytest.mark.parametrize("kind", KINDS)
def test_an_input_that_is_not_finite_is_refused(
    kind: Callable[[int], Indicator], seen: int, bad: float
) -> None:
    """The error names indicator and value, and the indicator goes on as if it had not been called."""
    indicator = kind(3)
    feed(indicator, random_bars(seen, seed=1))
    state = indicator.get_state()
    width = 3 if indicator.inputs == "bar" else 1
    for place in range(width):
        inputs = [1.0] * width
        inputs[place] = bad
        with pytest.raises(DataError, match=rf"^{kind(3).__class__.__name__}\(3\): .*={bad!r}"):
            indicator.update(*inputs)  # type: ignore[attr-defined]
    assert indicator.get_state() == state


@pytest.mark.parametrize("period", [0, -1, 2.0, True, "3"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_period_that_is_not_a_positive_whole_number_is_refused(
    kind: Callable[[Any], Indicator], period: object
) -> None:
    """The message repeats the period that was given."""
    with pytest.raises(ValueError, match=f"at least 1, not {period!r}"):
        kind(period)


@pytest.mark.parametrize("other", [SMA(4), EMA(3)])
def test_state_of_another_indicator_is_refused(other: Indicator) -> None:
    """Kind and period must be those of the run that saved the state."""
    with pytest.raises(StateMismatch, match=r"not of SMA\(3\)"):
        SMA(3).set_state(other.get_state())


@pytest.mark.parametrize(
    ("indicator", "change"),
    [
        (SMA(3), {"window": [1.0, math.nan]}),
        (SMA(3), {"window": [1.0, 2.0, 3.0, 4.0], "since_block": 4}),
        (SMA(3), {"window": [1.0, 2.0, 3.0], "since_block": 3}),
        (SMA(3), {"window": [1.0, 2.0], "since_block": 1}),
        (SMA(3), {"window": {}}),
        (SMA(3), {"since_block": -1}),
        (SMA(3), {"extra": 1}),
        (EMA(3), {"count": 4}),
        (EMA(3), {"count": -1}),
        (EMA(3), {"count": True}),
        (EMA(3), {"average": math.inf}),
        (RSI(3), {"count": 5}),
        (RSI(3), {"gain": -1.0}),
        (RSI(3), {"loss": -1.0}),
        (RSI(3), {"last": None}),
        (ATR(3), {"count": 5}),
        (ATR(3), {"range": "1"}),
    ],
)
def test_damaged_state_is_refused_and_changes_nothing(indicator: Indicator, change: dict[str, Any]) -> None:
    """Wrong types, counts that cannot be, and unknown fields each stop the restore before it begins."""
    state = indicator.get_state()
    with pytest.raises(StateCorrupt, match="damaged"):
        indicator.set_state({**state, **change})
    assert indicator.get_state() == state


@pytest.mark.parametrize("kind", KINDS)
def test_state_with_a_field_missing_is_refused(kind: Callable[[int], Indicator]) -> None:
    """Each field is needed."""
    state = kind(3).get_state()
    for field in state:
        less = {key: value for key, value in state.items() if key != field}
        with pytest.raises(StateCorrupt, match=field):
            kind(3).set_state(less)


@pytest.mark.parametrize("kind", KINDS)
def test_an_indicator_is_slotted(kind: Callable[[int], Indicator]) -> None:
    """No instance dictionary, so that an attribute read stays cheap and a misspelt one fails."""
    indicator = kind(3)
    assert not hasattr(indicator, "__dict__")
    with pytest.raises(AttributeError):
        indicator.valeu = 1.0  # type: ignore[attr-defined]


@given(
    closes=st.lists(prices | st.sampled_from((-0.0, 0.0, -5.0, 1.7e308)), min_size=1, max_size=90),
    period=periods,
    cuts=st.lists(st.integers(0, 40), max_size=8),
)
def test_sma_knows_its_values_ahead(closes: list[float], period: int, cuts: list[int]) -> None:
    """Those of a stretch are what updates return, bit for bit, and it goes on after it as after them."""
    sma, usual = SMA(period), SMA(period)
    left = closes
    for cut in (*cuts, len(closes)):
        stretch, left = left[:cut], left[cut:]
        before = sma.get_state()
        values = sma.ahead(stretch)
        assert sma.get_state() == before
        expected = [usual.update(close) for close in stretch]
        if values is not None:
            assert list(map(float.hex, values)) == list(map(float.hex, expected))
        sma.advance(stretch)
        assert sma.get_state() == usual.get_state()
        assert same(sma.value, usual.value)
        assert (values is None) == (len(closes) - len(left) - len(stretch) < period)


def test_sma_foresees_nothing_beyond_a_price_that_is_none() -> None:
    """Whoever comes to it is told."""
    sma = SMA(1)
    sma.update(1.0)
    assert sma.ahead([2.0, 3.0]) == [2.0, 3.0]
    assert sma.ahead([2.0, math.inf]) is None
    assert EMA(1).ahead([2.0]) is None
