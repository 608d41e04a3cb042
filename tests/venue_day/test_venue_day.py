"""A short day at each broker's sandbox, with a fault of every kind in it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from alphaweave.live.live_core import LiveCore
from alphaweave.live.reports import BrokerEvent
from alphaweave_broker_alpaca.sandbox.control import AlpacaSandbox
from alphaweave_broker_binance.translator import Translator
from venue_day.day import Day
from venue_day.faults import Kind, kinds_at
from venue_day.flows import Flows, Line, Told
from venue_day.stages import DayVenue, stage_of


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


def test_day_notices_that_money_moved_unheard_while_the_run_was_connected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A venue that tells of it once has told it to who was there."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("venue_day.day.gateway_kinds", _only_fees)
    told = Translator.event

    def deaf(self: Translator, event: Mapping[str, Any], at: datetime) -> tuple[BrokerEvent, ...]:
        return () if event.get("e") == "balanceUpdate" else told(self, event, at)

    monkeypatch.setattr(Translator, "event", deaf)
    stage = evolve(stage_of("binance"), filled=("BTCUSDT",))
    (wrong,) = asyncio.run(Day(stage, tmp_path, seed=1, minutes=1, faults=1).live()).wrong
    assert wrong.startswith("USDT is ")


def _only_fees(venue: DayVenue, *, resting: bool) -> tuple[Kind, ...]:
    return tuple(kind for kind in kinds_at(venue) if kind.lane == "cash")


def test_money_is_forgiven_only_where_it_fell_while_the_connection_was_down() -> None:
    """Cut or lost when it was taken, or before what the venue held back was told."""
    flows = Flows(Line())
    heard = flows.take()
    flows.end_minute(held=False)
    flows.line.cut()
    unnoticed = flows.take()
    flows.line.losses += 1
    down = flows.take()
    flows.line.restored += 1
    kept_back = flows.take()
    flows.end_minute(held=True)
    flows.line.cut()
    flows.end_minute(held=False)
    flows.line.losses += 1
    flows.line.restored += 1
    flows.end_minute(held=False)
    after = flows.take()
    flows.end_minute(held=False)
    flows.line.losses += 1
    flows.end_minute(held=False)
    assert len({heard, unnoticed, down, kept_back, after}) == 5
    assert flows.forgiven((), Told.ONCE) == unnoticed + down + kept_back
    assert flows.forgiven({down}, Told.ONCE) == unnoticed + kept_back
    assert flows.forgiven((), Told.AGAIN) == 0
    assert flows.forgiven({heard}, Told.NEVER) == unnoticed + down + kept_back + after
