"""The clock of a live run: never back, never still, and back in step by and by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alphaweave.core.clock import to_ns
from alphaweave.live.run_clock import RunClock

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR_NS = 3_600 * 10**9


class Machine:
    """A machine whose clock can be set."""

    def __init__(self) -> None:
        self.at, self.ticks = START, 5.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.ticks

    def run(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.ticks += seconds


def test_run_clock_tells_the_machines_time_also_where_that_is_set_forward() -> None:
    machine = Machine()
    clock = RunClock(machine)
    assert clock() == to_ns(START)
    machine.run(10)
    assert clock() == to_ns(START) + 10 * 10**9
    machine.at += timedelta(hours=1)
    assert clock() == to_ns(START) + 10 * 10**9 + HOUR_NS


def test_run_clock_goes_on_where_the_machines_is_set_back_until_they_agree() -> None:
    """At half the pace, so that it is in step again after twice the time."""
    machine = Machine()
    clock = RunClock(machine)
    first = clock()
    machine.at -= timedelta(hours=1)
    times = [clock()]
    for _ in range(240):
        machine.run(60)
        times.append(clock())
    assert times[:3] == [first, first + 30 * 10**9, first + 60 * 10**9]
    assert times == sorted(set(times))
    assert times[-1] == to_ns(machine.at)
