"""The indicators against TA-Lib, whose definitions they share."""

from __future__ import annotations

import numpy as np
import pytest
import talib

from alphaweave.indicators import ATR, EMA, RSI, SMA

PERIODS = [2, 3, 14, 30, 200]


def columns(count: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """High, low and close of a random walk with gaps and stretches where nothing moves."""
    rng = np.random.default_rng(17)
    steps = rng.normal(0.0, 0.01, count) * (rng.random(count) < 0.8)
    closes = np.round(100.0 * np.exp(np.cumsum(steps)), 2)
    up, down = np.round(np.abs(rng.normal(0.0, 0.5, (2, count))), 2)
    return closes + up, closes - down, closes


def agree(values: list[float], reference: np.ndarray) -> None:
    """Equal within 1e-9, and ready on the same bar."""
    np.testing.assert_allclose(np.array(values), reference, rtol=1e-9, atol=1e-9, equal_nan=True)
    assert np.isfinite(values).any()


@pytest.mark.parametrize("period", PERIODS)
def test_sma_agrees_with_talib(period: int) -> None:
    """The simple average."""
    _, _, close = columns()
    sma = SMA(period)
    agree([sma.update(price) for price in close.tolist()], talib.SMA(close, period))


@pytest.mark.parametrize("period", PERIODS)
def test_ema_agrees_with_talib(period: int) -> None:
    """The exponential average and its start."""
    _, _, close = columns()
    ema = EMA(period)
    agree([ema.update(price) for price in close.tolist()], talib.EMA(close, period))


@pytest.mark.parametrize("period", PERIODS)
def test_rsi_agrees_with_talib(period: int) -> None:
    """Wilder's smoothing and its start."""
    _, _, close = columns()
    rsi = RSI(period)
    agree([rsi.update(price) for price in close.tolist()], talib.RSI(close, period))


@pytest.mark.parametrize("period", [1, *PERIODS])
def test_atr_agrees_with_talib(period: int) -> None:
    """The true range, Wilder's smoothing and its start."""
    high, low, close = columns()
    atr = ATR(period)
    rows = zip(high.tolist(), low.tolist(), close.tolist(), strict=True)
    agree([atr.update(*row) for row in rows], talib.ATR(high, low, close, period))
