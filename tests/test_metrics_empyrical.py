"""The figures of a run against empyrical, whose definitions they share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import empyrical
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphaweave.core.clock import to_ns
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import BarColumns
from alphaweave.monitoring.run import RunMonitor

START = datetime(2020, 1, 1, tzinfo=UTC)


def recorded(equity: Any, meta: dict[str, object] | None = None) -> InMemoryMonitor:
    """A daily run with that equity."""
    memory = InMemoryMonitor()
    memory.on_run_start(meta or {})
    flat = [0.0] * len(equity)
    ends = [to_ns(START + timedelta(days=day)) for day in range(len(equity))]
    memory.on_bars(
        BarColumns(first_index=0, ends=ends, equity=equity, cash=equity, gross=flat, net=flat, closes={})
    )
    return memory


def agree(run: RunMonitor, returns: pd.Series[float], per_year: float) -> None:
    """Equal within 1e-9."""
    figures = run.metrics()
    expected = {
        "total_return": empyrical.cum_returns_final(returns),
        "cagr": empyrical.cagr(returns, annualization=per_year),
        "volatility": empyrical.annual_volatility(returns, annualization=per_year),
        "sharpe": empyrical.sharpe_ratio(returns, annualization=per_year),
        "sortino": empyrical.sortino_ratio(returns, annualization=per_year),
        "calmar": empyrical.calmar_ratio(returns, annualization=per_year),
        "max_drawdown": empyrical.max_drawdown(returns),
    }
    for name, value in expected.items():
        assert figures[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name


@given(
    seed=st.integers(0, 2**32 - 1),
    bars=st.integers(4, 600),
    drift=st.floats(-0.002, 0.002),
    spread=st.floats(0.001, 0.05),
    per_year=st.sampled_from([12.0, 52.0, 252.0, 365.0, 1_764.0]),
)
def test_figures_agree_with_empyrical(
    seed: int, bars: int, drift: float, spread: float, per_year: float
) -> None:
    """On random equity curves; steps are bounded so that no annual figure leaves the floats."""
    steps = np.random.default_rng(seed).uniform(-spread, spread, bars) + drift
    # At least one loss, without which Sortino and Calmar are undefined here and infinite there.
    steps[0] = -spread
    equity = 1e5 * np.cumprod(1.0 + np.concatenate([[0.0], steps]))
    run = RunMonitor(recorded(equity), periods_per_year=per_year)
    agree(run, pd.Series(equity).pct_change().iloc[1:], per_year)


def test_figures_from_the_capital_agree_with_empyrical() -> None:
    """The first slice's loss against the capital is one more return."""
    steps = np.random.default_rng(3).normal(0.0005, 0.01, 250)
    equity = 1e5 * np.cumprod(1.0 + steps)
    run = RunMonitor(recorded(equity, {"mode": "replay", "capital": 100_000}))
    assert run.periods_per_year == 365.0
    agree(run, pd.Series(steps), 365.0)
