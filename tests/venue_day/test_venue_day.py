"""A short day at each broker's sandbox, with a fault of every kind in it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from alphaweave.live.live_core import LiveCore
from alphaweave_broker_alpaca.sandbox.control import AlpacaSandbox
from venue_day.day import Day
from venue_day.faults import kinds_at
from venue_day.stages import stage_of


@pytest.mark.parametrize(("broker", "kinds"), [("alpaca", 29), ("binance", 25)])
def test_day_of_faults_ends_with_both_ledgers_equal(
    broker: str, kinds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on trading; its cash, positions, fees and executions are the venue's, and each kind of
    fault struck."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    day = Day(stage_of(broker), tmp_path, seed=1, minutes=56, faults=kinds)
    report = asyncio.run(day.live())
    assert report.wrong == ()
    assert report.struck.total() == kinds == len(report.struck)
    assert report.fills > 80


def test_connections_that_end_of_their_age_cost_no_bar_and_no_fill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue closes each socket once it is old, as Binance does after a day: every slice has its bars, and
    the books have every execution all the same."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    stage = stage_of("binance")
    aging = evolve(stage, sandbox={**stage.sandbox, "lifetime": 0.5})
    report = asyncio.run(Day(aging, tmp_path, seed=1, minutes=25, faults=0).live())
    # An order that is decided while the socket is away never leaves: how many are is the machine's speed.
    unsent = f"of {report.orders} orders that were decided {report.terminal} are over at the venue"
    assert [text for text in report.wrong if not text.endswith(" never struck") and text != unsent] == []
    assert min(report.alerts["connection_restored"], report.alerts["feed_restored"]) >= 3
    assert report.alerts["feed_gap"] == 0
    assert report.fills > 40


def test_day_notices_a_ledger_that_is_a_cent_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Money that only the venue has, an execution that it forgot, and faults that found no time are told."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    class Tampered(Day):
        def _judge(self, core: LiveCore) -> None:
            assert isinstance(self._venue, AlpacaSandbox)
            self._venue.venue.account.cash += Decimal("0.01")
            self._venue.venue.executions.pop()
            super()._judge(core)

    day = Tampered(stage_of("alpaca"), tmp_path, seed=1, minutes=6, faults=0)
    wrong = asyncio.run(day.live()).wrong
    kinds = kinds_at(day._venue)
    assert [text for text in wrong if text.startswith("USD is ")]
    assert len([text for text in wrong if text.startswith("booked and never executed")]) == 1
    assert {f"{kind.name} never struck" for kind in kinds} <= set(wrong)
