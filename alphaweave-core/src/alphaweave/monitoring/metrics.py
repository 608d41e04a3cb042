"""What an equity curve amounts to. Everything undefined is None, never NaN or infinite.

Annualised figures all rest on one number, the periods a year, and on simple returns per bar without a
risk-free rate, as in empyrical.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float64]
    Times: TypeAlias = npt.NDArray[np.int64]

__all__ = [
    "curve_metrics",
    "drawdown_of",
    "infer_periods_per_year",
    "longest_drawdown_days",
    "returns_of",
]

_DAY_NS: Final = 86_400_000_000_000
_DAYS_PER_YEAR: Final = 365.25
# Of less than this nothing is said of a year: an hour that went well would come to millions of percent.
_LEAST_DAYS: Final = 5.0
# (days between bars, bars a year), with 10 % of play: months and quarters differ in length.
_CALENDAR_STEPS: Final = ((7.0, 52.0), (30.44, 12.0), (91.3, 4.0), (_DAYS_PER_YEAR, 1.0))


def infer_periods_per_year(ends: Times) -> float | None:
    """How many bars make a year, judged by their spacing alone; None for less than five days of them.

    The rule, on the median distance between two bars:

    - six days or more: 52 a week, 12 a month, 4 a quarter, 1 a year, else 365.25 days over the distance;
    - otherwise trading days a year, times bars a day. There are 365 trading days when bars end on all
      seven weekdays, else 252. Below 20 hours, bars a day is the median count over the UTC days that
      have any; from 20 hours on it is one, or one over the whole days between bars.

    Args:
        ends: epoch nanoseconds UTC, rising.
    """
    import numpy as np

    if len(ends) < 2 or float(ends[-1] - ends[0]) < _LEAST_DAYS * _DAY_NS:
        return None
    spacing = float(np.median(np.diff(ends))) / _DAY_NS
    if spacing >= 6.0:
        for step, per_year in _CALENDAR_STEPS:
            if abs(spacing - step) <= 0.1 * step:
                return per_year
        return _DAYS_PER_YEAR / spacing
    days, counts = np.unique((ends - 1) // _DAY_NS, return_counts=True)
    trading_days = 365.0 if len(np.unique(days % 7)) == 7 else 252.0
    per_day = float(np.median(counts)) if spacing < 20.0 / 24.0 else 1.0 / max(1, round(spacing))
    return trading_days * per_day


def returns_of(equity: Floats) -> Floats:
    """Simple return of each point on the one before; NaN where that one was not positive."""
    import numpy as np

    before, after = equity[:-1], equity[1:]
    with np.errstate(invalid="ignore"):
        returns: Floats = after / np.where(before > 0.0, before, np.nan) - 1.0
    return returns


def drawdown_of(equity: Floats, opening: float | None = None) -> Floats:
    """Equity against its highest value so far, zero or negative; NaN while that is not positive.

    Args:
        opening: equity before the first point, which counts as a peak too.
    """
    import numpy as np

    peaks = np.maximum.accumulate(equity)
    if opening is not None:
        peaks = np.maximum(peaks, opening)
    with np.errstate(invalid="ignore"):
        drawdown: Floats = equity / np.where(peaks > 0.0, peaks, np.nan) - 1.0
    return drawdown


def longest_drawdown_days(ends: Times, drawdown: Floats) -> float | None:
    """Days from a peak until it was reached again, or until the last bar; the longest such stretch."""
    import numpy as np

    if not len(ends) or np.isnan(drawdown).any():
        return None
    peaks = np.flatnonzero(drawdown >= 0.0)
    if not len(peaks) or peaks[0] > 0:
        peaks = np.concatenate([[0], peaks])
    if drawdown[-1] < 0.0:
        peaks = np.concatenate([peaks, [len(ends) - 1]])
    under_water = np.diff(peaks) > 1
    # The last bar closes a stretch even when it directly follows the peak.
    if drawdown[-1] < 0.0 and len(under_water):
        under_water[-1] = True
    stretches = np.diff(ends[peaks])[under_water]
    return float(stretches.max()) / _DAY_NS if len(stretches) else 0.0


def curve_metrics(equity: Floats, periods_per_year: float | None) -> dict[str, float | None]:
    """Total return, CAGR, volatility, Sharpe, Sortino, Calmar and maximum drawdown of an equity curve.

    Returns of the curve are undefined from the point where equity was zero or negative, and so is every
    figure that needs all of them. Ratios without a denominator are None too: a flat curve has no Sharpe
    ratio, one that never lost no Sortino and no Calmar ratio. A curve that is not made of numbers has none.

    Args:
        equity: one value a bar; the first is the base.
        periods_per_year: bars a year; None leaves the annualised figures undefined.
    """
    import numpy as np

    names = ("total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown")
    figures: dict[str, float | None] = dict.fromkeys(names)
    if not len(equity) or not np.isfinite(equity).all() or equity[0] <= 0.0:
        return figures
    growth = float(equity[-1] / equity[0])
    max_drawdown = min(0.0, float(drawdown_of(equity).min()))
    figures |= {"total_return": growth - 1.0, "max_drawdown": max_drawdown}
    returns = returns_of(equity)
    if not len(returns) or periods_per_year is None or np.isnan(returns).any():
        return figures
    cagr = _power(growth, periods_per_year / len(returns))
    figures["cagr"] = None if cagr is None else cagr - 1.0
    if figures["cagr"] is not None and max_drawdown < 0.0:
        figures["calmar"] = figures["cagr"] / -max_drawdown
    mean = float(returns.mean())
    shortfall = math.sqrt(float(np.square(np.minimum(returns, 0.0)).mean()))
    if shortfall > 0.0:
        figures["sortino"] = mean / shortfall * math.sqrt(periods_per_year)
    if len(returns) > 1:
        deviation = float(returns.std(ddof=1))
        figures["volatility"] = deviation * math.sqrt(periods_per_year)
        # Steady growth deviates by rounding alone, and a ratio over that would be noise.
        if deviation > 1e-12 * abs(mean):
            figures["sharpe"] = mean / deviation * math.sqrt(periods_per_year)
    return figures


def _power(base: float, exponent: float) -> float | None:
    if base < 0.0:
        return None
    try:
        return float(base**exponent)
    except OverflowError:
        return None
