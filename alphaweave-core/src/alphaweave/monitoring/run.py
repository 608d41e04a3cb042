"""A recorded run, read as an investor would: curves, figures, round trips, drift."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from datetime import datetime
from math import fsum, isfinite
from typing import TYPE_CHECKING, Any

from alphaweave.core.clock import to_ns
from alphaweave.core.errors import DataError
from alphaweave.monitoring.drift import DriftReport, drift_of
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.metrics import (
    curve_metrics,
    drawdown_of,
    infer_periods_per_year,
    longest_drawdown_days,
    returns_of,
)
from alphaweave.monitoring.monitor import TradeRecord
from alphaweave.monitoring.round_trips import RoundTrip, TripBook, trip_metrics

if TYPE_CHECKING:
    import pandas as pd

    from alphaweave.monitoring.metrics import Floats, Times

__all__ = ["RunMonitor"]


class RunMonitor:
    """Curves and figures of what an `InMemoryMonitor` recorded, computed when asked for, also while the
    run goes on. Series have one value a slice and are indexed by its end, UTC.

    Attributes:
        memory: the recorded run.
    """

    def __init__(self, memory: InMemoryMonitor, *, periods_per_year: float | None = None) -> None:
        """``periods_per_year`` overrules what the spacing of the bars says."""
        self.memory = memory
        self._periods_per_year = periods_per_year

    @property
    def meta(self) -> Mapping[str, Any]:
        """What the run said of itself at its start."""
        return self.memory.meta

    @property
    def periods_per_year(self) -> float | None:
        """Bars a year: as given, else inferred by `infer_periods_per_year`."""
        if self._periods_per_year is not None:
            return self._periods_per_year
        return infer_periods_per_year(self._ends())

    @property
    def opening_equity(self) -> float | None:
        """What the run began with: its capital in a replay, elsewhere the equity after the first slice,
        because there the capital is only a cap. None where that is not a number."""
        capital = self.meta.get("capital")
        if self.meta.get("mode") == "replay" and capital is not None:
            return _finite(float(capital))
        return _finite(self.memory.bars.columns.equity[0]) if len(self.memory.bars) else None

    @property
    def equity(self) -> pd.Series[float]:
        """Cash and positions at last known prices, in the run's currency."""
        return self._series("equity", self._column("equity"))

    @property
    def returns(self) -> pd.Series[float]:
        """Simple return of each slice on the one before; without the first slice."""
        return self._series("returns", returns_of(self._column("equity")))

    @property
    def drawdown(self) -> pd.Series[float]:
        """Equity against its highest value so far, zero or negative."""
        return self._series("drawdown", drawdown_of(self._column("equity"), self.opening_equity))

    @property
    def exposure(self) -> pd.Series[float]:
        """Sum of absolute position values over equity; NaN where equity is not positive."""
        return self._series("exposure", self._over_equity(self._column("gross")))

    @property
    def net_exposure(self) -> pd.Series[float]:
        """Sum of signed position values over equity; NaN where equity is not positive."""
        return self._series("net_exposure", self._over_equity(self._column("net")))

    @property
    def turnover(self) -> pd.Series[float]:
        """Value bought and sold in each slice over equity; NaN where equity is not positive."""
        return self._series("turnover", self._over_equity(self._per_row(_notional)))

    @property
    def costs(self) -> pd.Series[float]:
        """Fees and slippage so far, in the run's currency."""
        return self._series("costs", self._per_row(_cost).cumsum())

    def round_trips(self) -> list[RoundTrip]:
        """Positions that were opened and closed again, by the time they were closed."""
        return TripBook(self.memory.trades).closed

    def open_positions(self) -> list[RoundTrip]:
        """Positions that are still open, marked at the last known prices."""
        bars = self.memory.bars
        return TripBook(self.memory.trades).open(bars[-1].prices if len(bars) else {})

    def metrics(self) -> dict[str, float | None]:
        """Every figure of the run; None where it is undefined, never NaN or infinite.

        Returns, volatility, exposures, turnover and drawdown are fractions (0.1 is 10 %); volatility,
        Sharpe, Sortino, Calmar, CAGR and turnover are annualised by ``periods_per_year``; turnover
        counts purchases and sales; fees, slippage and costs are in the run's currency, positive when
        paid; ``exposure_time`` is the share of slices that ended with a position.
        """
        equity = self._column("equity")
        opening = self.opening_equity
        curve = equity
        # Trading may have moved the first slice away from the capital: that belongs to the result.
        if len(equity) and opening is not None and opening != equity[0]:
            import numpy as np

            curve = np.concatenate([[opening], equity])
        per_year = self.periods_per_year
        figures = curve_metrics(curve, per_year)
        longest = longest_drawdown_days(self._ends(), drawdown_of(equity, opening))
        exposure = self._over_equity(self._column("gross"))
        turnover = _mean(self._over_equity(self._per_row(_notional)))
        trades = self.memory.trades
        fees = fsum(trade.fees for trade in trades)
        slippage = fsum(_slippage(trade) for trade in trades)
        known = {
            "bars": len(equity),
            "periods_per_year": per_year,
            "opening_equity": opening,
            "final_equity": float(equity[-1]) if len(equity) else None,
            **figures,
            "max_drawdown_days": longest,
            "exposure_time": _mean(self._column("gross") > 0.0),
            "average_exposure": _mean(exposure),
            "turnover": turnover * per_year if turnover is not None and per_year is not None else None,
            "fills": len(trades),
            "fees": fees,
            "slippage": slippage,
            "costs": fees + slippage,
            **trip_metrics(self.round_trips()),
        }
        return {name: None if value is None else _finite(value) for name, value in known.items()}

    def drift(self, reference: RunMonitor | pd.Series[float], *, tolerance: float = 1e-9) -> DriftReport:
        """Compare this run's equity with another run's, or with a series indexed by aware times.

        Args:
            tolerance: a divergence up to this fraction counts as none.

        Raises:
            DataError: the reference has naive, unsorted or doubled times, shares none with this run, or
                one of the curves is not positive.
        """
        if isinstance(reference, RunMonitor):
            other = (reference._ends(), reference._column("equity"))
        else:
            other = _curve_of(reference)
        return drift_of(
            (self._ends(), self._column("equity")),
            other,
            periods_per_year=self.periods_per_year,
            tolerance=tolerance,
        )

    def _ends(self) -> Times:
        import numpy as np

        return np.array(self.memory.bars.columns.ends, dtype="int64")

    def _column(self, name: str) -> Floats:
        import numpy as np

        return np.array(getattr(self.memory.bars.columns, name), dtype="float64")

    def _series(self, name: str, values: Floats) -> pd.Series[float]:
        import pandas as pd

        stamps = self._ends()[len(self.memory.bars) - len(values) :].astype("datetime64[ns]")
        return pd.Series(values, index=pd.DatetimeIndex(stamps, tz="UTC", name="timestamp"), name=name)

    def _over_equity(self, values: Floats) -> Floats:
        import numpy as np

        equity = self._column("equity")
        with np.errstate(invalid="ignore"):
            ratio: Floats = values / np.where(equity > 0.0, equity, np.nan)
        return ratio

    def _per_row(self, value: Any) -> Floats:
        """The sum of a figure over the fills of each slice."""
        import numpy as np

        sums = np.zeros(len(self.memory.bars))
        if len(sums):
            for trade in self.memory.trades:
                sums[self.row_of(trade.index, trade.timestamp)] += value(trade)
        return sums

    def row_of(self, index: int, time: datetime) -> int:
        """The row of the slice in which something was booked: by the slice's number, by the time where
        that is -1; the nearest one where that slice was not recorded."""
        bars = self.memory.bars
        row = bars.row_of(index) if index >= 0 else bisect_left(bars.columns.ends, to_ns(time))
        return max(0, min(row, len(bars) - 1))


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _notional(trade: TradeRecord) -> float:
    return trade.price * trade.size if trade.notional is None else trade.notional


def _slippage(trade: TradeRecord) -> float:
    """What the fill cost against its reference price, in the run's currency."""
    if trade.slippage is None or not trade.price:
        return 0.0
    return trade.slippage / trade.price * _notional(trade)


def _cost(trade: TradeRecord) -> float:
    return trade.fees + _slippage(trade)


def _mean(values: Any) -> float | None:
    """The mean of what is defined."""
    import numpy as np

    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else None


def _curve_of(series: pd.Series[float]) -> tuple[Times, Floats]:
    import numpy as np
    import pandas as pd

    index = series.index
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        raise DataError("reference", "an equity curve is indexed by times with a time zone")
    if not index.is_monotonic_increasing or not index.is_unique:
        raise DataError("reference", "the times of an equity curve rise")
    return index.as_unit("ns").asi8, np.asarray(series, dtype="float64")
