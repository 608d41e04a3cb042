"""How far a run's equity curve strays from a reference."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import frozen

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import DataError
from alphaweave.monitoring.metrics import returns_of

if TYPE_CHECKING:
    from alphaweave.monitoring.metrics import Floats, Times

__all__ = ["DriftReport", "drift_of"]


@frozen
class DriftReport:
    """A run against a reference, both set to 1 at the first time they share.

    Divergence is run over reference, less 1: 0.02 means that the run is 2 % ahead.

    Attributes:
        compared: number of shared times; nothing between them is looked at.
        run_only, reference_only: points of one curve at whose time the other has none.
        tracking_error: annualised standard deviation of the difference of returns.
        max_divergence: the divergence that is furthest from zero, with its sign, at ``max_divergence_at``.
        final_divergence: at the last shared time.
        first_divergence_at: first shared time with a divergence beyond ``tolerance``; None without one.
        correlation: of the returns; None where one of them does not move.
    """

    compared: int
    run_only: int
    reference_only: int
    tolerance: float
    tracking_error: float | None
    max_divergence: float
    max_divergence_at: datetime
    final_divergence: float
    first_divergence_at: datetime | None
    correlation: float | None


def drift_of(
    run: tuple[Times, Floats],
    reference: tuple[Times, Floats],
    *,
    periods_per_year: float | None,
    tolerance: float,
) -> DriftReport:
    """Compare two curves of (rising epoch nanoseconds UTC, equity).

    Raises:
        DataError: they share no time, or one of them is not positive throughout.
    """
    import numpy as np

    times, at_run, at_reference = np.intersect1d(run[0], reference[0], return_indices=True)
    if not len(times):
        raise DataError("reference", "shares no bar time with the run; compare runs over the same bars")
    ours, theirs = run[1][at_run], reference[1][at_reference]
    for name, curve in (("run", ours), ("reference", theirs)):
        if not (np.isfinite(curve) & (curve > 0.0)).all():
            raise DataError(name, "an equity that is not positive has no divergence to speak of")
    divergence = (ours / ours[0]) / (theirs / theirs[0]) - 1.0
    furthest = int(np.abs(divergence).argmax())
    beyond = np.flatnonzero(np.abs(divergence) > tolerance)
    a, b = returns_of(ours), returns_of(theirs)
    error = None
    if len(a) > 1 and periods_per_year is not None:
        error = float((a - b).std(ddof=1)) * math.sqrt(periods_per_year)
    return DriftReport(
        compared=len(times),
        run_only=len(run[0]) - len(times),
        reference_only=len(reference[0]) - len(times),
        tolerance=tolerance,
        tracking_error=error,
        max_divergence=float(divergence[furthest]),
        max_divergence_at=from_ns(int(times[furthest])),
        final_divergence=float(divergence[-1]),
        first_divergence_at=from_ns(int(times[beyond[0]])) if len(beyond) else None,
        correlation=_correlation(a, b),
    )


def _correlation(a: Floats, b: Floats) -> float | None:
    import numpy as np

    if len(a) < 2:
        return None
    a, b = a - a.mean(), b - b.mean()
    spread = math.sqrt(float(np.dot(a, a)) * float(np.dot(b, b)))
    return max(-1.0, min(1.0, float(np.dot(a, b)) / spread)) if spread > 0.0 else None
