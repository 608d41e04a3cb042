"""Many days: run, counted, and reported."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from multiprocessing import get_context
from pathlib import Path

from attrs import define, field

from simulation.day import live_a_day
from simulation.report import DayReport
from simulation.script import FaultKind, draw

__all__ = ["LEAST_AGREEMENT", "Totals", "one_day", "run_days"]

LEAST_AGREEMENT = 0.95
# One in so many days has to meet each fault; of fewer days than this nothing is demanded.
_DAYS_PER_FAULT = 20
_ENOUGH_DAYS = 1_000


@define
class Totals:
    """What many days came to.

    Attributes:
        violated: the days on which an invariant did not hold.
    """

    days: int = 0
    orders: int = 0
    fills: int = 0
    crashes: int = 0
    events: int = 0
    agreed: int = 0
    decided: int = 0
    faults: Counter[FaultKind] = field(factory=Counter)
    violated: list[DayReport] = field(factory=list)

    def add(self, report: DayReport) -> None:
        """Count a day in."""
        self.days += 1
        self.orders += report.orders
        self.fills += report.fills
        self.crashes += report.crashes
        self.events += report.events
        self.faults += report.faults
        self.agreed += report.outcomes[0]
        self.decided += report.outcomes[1]
        if report.violation is not None:
            self.violated.append(report)

    @property
    def agreement(self) -> float:
        """Of how many decided orders the run and the broker agree on the outcome, as a fraction."""
        return self.agreed / self.decided if self.decided else 1.0

    @property
    def scarce(self) -> list[FaultKind]:
        """The faults that struck too seldom for what was lived to prove anything about them."""
        if self.days < _ENOUGH_DAYS:
            return []
        return [kind for kind in FaultKind if self.faults[kind] * _DAYS_PER_FAULT < self.days]

    def lines(self) -> Iterator[str]:
        """For people."""
        yield (
            f"{self.days} days, {self.events} events, {self.orders} orders, {self.fills} fills, "
            f"{sum(self.faults.values())} faults, {self.crashes} crashes, {len(self.violated)} violations"
        )
        yield f"outcomes as the broker has them: {self.agreed} of {self.decided} ({self.agreement:.2%})"
        yield ""
        yield "| fault | times |"
        yield "|---|---:|"
        for kind in FaultKind:
            yield f"| {kind.value.replace('_', ' ')} | {self.faults[kind]:,} |"
        yield ""
        for kind in self.scarce:
            yield f"too seldom: {kind.value}, {self.faults[kind]} times in {self.days} days"
        for report in self.violated[:20]:
            found = report.violation
            assert found is not None
            yield f"seed {report.seed}: {found.invariant} at {found.at}: {found.text}"


def one_day(seed: int) -> DayReport:
    """The day of a seed, in a folder of its own that is gone afterwards."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        return live_a_day(draw(seed), Path(folder))


def run_days(seeds: Iterable[int], workers: int = 1) -> Iterator[DayReport]:
    """The days of these seeds, in order."""
    if workers < 2:
        yield from map(one_day, seeds)
        return
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(one_day, seeds, chunksize=8)
