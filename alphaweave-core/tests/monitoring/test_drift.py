"""Drift of a run against a reference curve."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from attrs import evolve

from alphaweave.core.errors import DataError
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.run import RunMonitor

MONDAY = datetime(2024, 3, 4, 21, tzinfo=UTC)


def reference(values: list[float], *, first: int = 0) -> pd.Series[float]:
    """A daily curve."""
    return pd.Series(values, index=pd.date_range(MONDAY + timedelta(days=first), periods=len(values)))


def run_of(values: list[float]) -> RunMonitor:
    """A run with that equity."""
    from alphaweave.monitoring.monitor import BarSnapshot

    memory = InMemoryMonitor()
    for day, equity in enumerate(values):
        memory.on_bar(
            BarSnapshot(MONDAY + timedelta(days=day), day, {}, equity, equity, 0.0, 0.0, {}),
        )
    return RunMonitor(memory, periods_per_year=252.0)


def test_run_does_not_drift_from_itself(memory: InMemoryMonitor) -> None:
    """Nothing diverges, and another amount of capital is no divergence."""
    run = RunMonitor(memory)
    for other in (run, run.equity, run.equity * 3.7, run.equity.tz_convert("Asia/Tokyo")):
        report = run.drift(other)
        assert report.compared == 300
        assert (report.run_only, report.reference_only) == (0, 0)
        assert report.first_divergence_at is None
        assert report.tracking_error == pytest.approx(0.0, abs=1e-12)
        assert report.correlation == pytest.approx(1.0)
        assert report.max_divergence == pytest.approx(0.0, abs=1e-12)


def test_drift_worked_by_hand() -> None:
    """The run falls behind on the third day and is ahead at the end."""
    run = run_of([100.0, 110.0, 99.0, 121.0])
    report = run.drift(reference([50.0, 55.0, 55.0, 55.0]))
    assert report.first_divergence_at == MONDAY + timedelta(days=2)
    assert report.max_divergence == pytest.approx(-0.1)
    assert report.max_divergence_at == MONDAY + timedelta(days=2)
    assert report.final_divergence == pytest.approx(0.1)
    difference = np.array([0.0, -0.1, 121.0 / 99.0 - 1.0])
    assert report.tracking_error == pytest.approx(difference.std(ddof=1) * math.sqrt(252.0))
    ours, theirs = np.array([0.1, -0.1, 121.0 / 99.0 - 1.0]), np.array([0.1, 0.0, 0.0])
    assert report.correlation == pytest.approx(np.corrcoef(ours, theirs)[0, 1])


def test_tolerance_says_what_counts_as_divergence() -> None:
    """A divergence up to the tolerance is none."""
    run = run_of([100.0, 100.05, 101.0])
    curve = reference([100.0, 100.0, 100.0])
    assert run.drift(curve).first_divergence_at == MONDAY + timedelta(days=1)
    assert run.drift(curve, tolerance=0.001).first_divergence_at == MONDAY + timedelta(days=2)


def test_only_shared_times_are_compared() -> None:
    """Both curves begin at 1 where they first meet; what one lacks is counted."""
    run = run_of([100.0, 200.0, 220.0])
    report = run.drift(reference([10.0, 11.0, 12.0], first=1))
    assert (report.compared, report.run_only, report.reference_only) == (2, 1, 1)
    assert report.final_divergence == pytest.approx(0.0)


@pytest.mark.parametrize("flat", [[7.0, 7.0, 7.0], [7.0]])
def test_curve_that_does_not_move_has_no_correlation(flat: list[float]) -> None:
    """Undefined is None."""
    report = run_of([100.0, 110.0, 99.0]).drift(reference(flat))
    assert report.correlation is None
    assert (report.tracking_error is None) == (len(flat) == 1)


def test_drift_that_cannot_be_told_is_refused() -> None:
    """Each error says what is wrong with which curve."""
    run = run_of([100.0, 110.0, 99.0])
    naive = pd.Series([1.0], index=pd.DatetimeIndex(["2024-03-04"]))
    for wrong, words in (
        (naive, "time zone"),
        (pd.Series([1.0, 2.0]), "time zone"),
        (reference([1.0, 2.0])[::-1], "rise"),
        (pd.concat([reference([1.0]), reference([1.0])]), "rise"),
        (reference([1.0], first=40), "shares no bar time"),
        (reference([1.0, 0.0]), "reference: an equity that is not positive"),
        (reference([1.0, math.nan]), "reference: an equity that is not positive"),
    ):
        with pytest.raises(DataError, match=words):
            run.drift(wrong)
    with pytest.raises(DataError, match="run: an equity that is not positive"):
        run_of([1.0, -1.0]).drift(reference([1.0, 1.0]))


def test_runs_are_compared_directly(memory: InMemoryMonitor) -> None:
    """Another run is a reference too."""
    other = InMemoryMonitor()
    for bar in memory.bars:
        other.on_bar(evolve(bar, equity=bar.equity * (1.02 if bar.index >= 150 else 1.0)))
    report = RunMonitor(other).drift(RunMonitor(memory))
    assert report.first_divergence_at == memory.bars[150].timestamp
    assert report.max_divergence == pytest.approx(0.02)
