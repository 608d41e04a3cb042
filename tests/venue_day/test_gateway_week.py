"""Two short days at a gateway of Interactive Brokers, the night between them, and what it does oddly."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from alphaweave.live.runner import LiveRunner
from alphaweave_broker_ibkr.sandbox.control import IbkrSandbox
from venue_day.day import Day, DayReport
from venue_day.faults import Kind
from venue_day.gateway_faults import gateway_kinds
from venue_day.stages import DayVenue, Stage, stage_of

_SAMPLE = {
    "servers lost, data lost",
    "data farms that come and go",
    "late commissions",
    "an execution restated",
}


def _stage(days: int) -> Stage:
    stage = stage_of("ibkr")
    return evolve(stage, reopens=stage.reopens[: days - 1], filled=stage.filled[:5], resting=("F",))


def _sampled(venue: DayVenue, *, resting: bool = True) -> tuple[Kind, ...]:
    return tuple(kind for kind in gateway_kinds(venue, resting=resting) if kind.name in _SAMPLE)


def test_run_comes_through_a_night_with_both_ledgers_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway restarts, forgets its executions and loses its servers; the run trades on the day after."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("venue_day.day.gateway_kinds", _sampled)
    day = Day(_stage(2), tmp_path, seed=1, minutes=12, faults=len(_SAMPLE))
    report = asyncio.run(day.live())
    assert report.wrong == ()
    assert set(report.struck) == _SAMPLE
    days = {f"{one.at:%d}" for one in day._venue.truth().executions}
    assert days == {"05", "06"}
    # Before midnight once, and after it twice.
    assert report.alerts["connection_restored"] >= 3


def test_day_notices_another_price_and_another_commission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the venue restated without a word is told."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("venue_day.day.gateway_kinds", lambda venue, resting: ())

    class Tampered(Day):
        # When the run is over: one that asks once more would be told of the commission, and book it.
        def _report(self, kinds: tuple[Kind, ...], runner: LiveRunner, seconds: float) -> DayReport:
            assert isinstance(self._venue, IbkrSandbox)
            last = self._venue.venue.executions[-1]
            last.price += 1
            last.commission += Decimal("0.01")
            return super()._report(kinds, runner, seconds)

    wrong = asyncio.run(Tampered(_stage(1), tmp_path, seed=1, minutes=4, faults=0).live()).wrong
    assert [text.partition(" ")[0] for text in wrong] == ["booked", "executed", "fees"]


def test_every_kind_at_a_gateway_has_a_name_of_its_own() -> None:
    """So that each is counted; and the common ones are among them."""
    from alphaweave.testing.clock import RunningClock

    stage = stage_of("ibkr")
    names = [kind.name for kind in gateway_kinds(stage.venue(RunningClock(), 0))]
    assert len(names) == len(set(names)) == 52
    assert {"events lost", "an order: refused with 321", "a mute venue"} <= set(names)
