"""The page of a live run out of its journal: what monitors were told, as they were told it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alphaweave.core.errors import JournalCorrupt
from alphaweave.live.effects import MetricRecord
from alphaweave.live.journal import Decision, Entry, Journal, RunIdentity
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.journal_report import recorded_run
from alphaweave.live.live_journal import note_entries
from alphaweave.monitoring.dashboard import write_dashboard
from alphaweave.monitoring.monitor import Alert, BarSnapshot, OrderRecord, TradeRecord
from alphaweave.monitoring.run import RunMonitor

RUN = RunIdentity(
    run_id="sma", broker="paper", account="DU1", strategy="m:S", mode="paper", config_digest="d"
)


def at(day: int) -> datetime:
    return datetime(2026, 3, day, tzinfo=UTC)


NOTES: tuple[Any, ...] = (
    BarSnapshot(at(2), 0, {"A": 10.0}, 1000.0, 1000.0, 0.0, 0.0, {}),
    OrderRecord(
        at(2), "aw-1", "A", "buy", "limit", "day", "accepted", Decimal(3), Decimal(0), Decimal("9.5")
    ),
    TradeRecord(at(2), "A", "buy", 9.5, 3.0, 0.1, "aw-1", "A:1", 3.0, slippage=-0.5, index=1),
    BarSnapshot(at(3), 1, {"A": 11.0}, 1004.4, 971.4, 33.0, 33.0, {"A": 3.0}),
    MetricRecord("spread", 0.25, at(3)),
    MetricRecord("unknown", float("nan"), at(3)),
    Alert(at(3), "warning", "order_rejected", "no", "A"),
)


def journaled(path: Path, *entries: Entry) -> JournalReader:
    journal = Journal.open(path, run=RUN, clock_ns=iter(range(10**18, 10**18 + 100)).__next__)
    for number, entry in enumerate(entries):
        journal.commit(Decision(input_kind="bar", input_key=str(number), at_ns=number, entries=(entry,)))
    journal.close()
    return JournalReader(path)


def test_record_is_what_monitors_were_told(tmp_path: Path) -> None:
    """Every field, to the digit and the type."""
    bars = [note for note in NOTES if isinstance(note, BarSnapshot)]
    memory = recorded_run(journaled(tmp_path / "j.db", *note_entries(NOTES)))
    assert list(memory.orders) == [NOTES[1]]
    assert list(memory.trades) == [NOTES[2]]
    assert memory.alerts == [NOTES[6]]
    assert list(memory.bars_df()["equity"]) == [bar.equity for bar in bars]
    assert list(memory.positions_df()["A"]) == [0.0, 3.0]
    assert memory.metrics["spread"] == [(at(3), 0.25)]
    ((_, unknown),) = memory.metrics["unknown"]
    assert unknown != unknown  # noqa: PLR0124 - NaN equals nothing
    assert memory.meta["symbols"] == ("A",)
    assert (memory.meta["run_id"], memory.meta["mode"]) == ("sma", "paper")


def test_page_is_drawn_from_it(tmp_path: Path) -> None:
    run = RunMonitor(recorded_run(journaled(tmp_path / "j.db", *note_entries(NOTES))))
    write_dashboard(tmp_path / "page.html", run, title="Run sma")
    assert "Run sma" in (tmp_path / "page.html").read_text()


def test_entry_that_is_none_is_refused_by_its_number(tmp_path: Path) -> None:
    reader = journaled(tmp_path / "j.db", *note_entries(NOTES[:1]), Entry("trade", {"timestamp": "never"}))
    with pytest.raises(JournalCorrupt, match="decision 2 holds no trade"):
        recorded_run(reader)
