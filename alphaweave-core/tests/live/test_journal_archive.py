"""Executions of long ago are in the journal, and not in memory; word of them still counts."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict

from alphaweave.core.clock import to_ns
from alphaweave.core.errors import JournalCorrupt, StateCorrupt
from alphaweave.core.instrument import Instrument
from alphaweave.core.money import Money
from alphaweave.core.order import Side
from alphaweave.live import journal as journal_module
from alphaweave.live import journal_reader
from alphaweave.live.journal import Decision, Journal, RunIdentity
from alphaweave.live.ledger import BookingKind, Ledger
from alphaweave.live.ledger_archive import LedgerArchive
from alphaweave.live.reports import BrokerFill, FeeReport, FillCorrection

T0 = datetime(2026, 3, 2, tzinfo=UTC)
SPY = Instrument(symbol="SPY", venue_symbol="SPY")
RUN = RunIdentity(run_id="r", broker="b", account="A1", strategy="s", mode="paper", config_digest="c")


def opened(path: Path) -> Journal:
    return Journal.open(path, run=RUN, clock_ns=iter(range(10**18, 2 * 10**18)).__next__)


def fill(number: int, price: int = 100, **changes: Any) -> BrokerFill:
    facts: dict[str, Any] = {
        "account": "A1",
        "execution_key": f"k{number}",
        "broker_order_id": f"o{number}",
        "client_order_id": None,
        "symbol": "SPY",
        "side": Side.BUY,
        "size": Decimal(1),
        "price": Decimal(price),
        "executed_at": T0 + timedelta(minutes=number),
        "received_at": T0 + timedelta(minutes=number),
        "cumulative": Decimal(1),
        "fees": (),
    }
    return BrokerFill(**{**facts, **changes})


class Run:
    """A ledger over a journal, which take a snapshot when they are told to."""

    def __init__(self, path: Path) -> None:
        self.journal = opened(path)
        recovered = self.journal.recover()
        self.ledger = Ledger(currency="USD", cash=Decimal(0), account="A1")
        assert recovered.archive is not None
        self.archive = self.ledger.archive = LedgerArchive(self.ledger, recovered.archive)
        if recovered.snapshot is not None:
            self.ledger.restore(recovered.snapshot.kernel["ledger"])

    def snapshot(self, minute: int) -> None:
        at = to_ns(T0 + timedelta(minutes=minute))
        seq = self.journal.commit(Decision(input_kind="slice", input_key=str(minute), at_ns=at))
        archived = [asdict(item) for item in self.archive.fold(at, seq)]
        self.journal.snapshot({"archived": archived, "ledger": self.ledger.snapshot()})

    def killed(self) -> None:
        self.journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with ten executions, of which a restart finds two in memory."""
    found = tmp_path / "run.db"
    run = Run(found)
    for number in range(10):
        run.ledger.book(fill(number, 100 + number), SPY)
        run.snapshot(number - 1)
    assert sorted(run.ledger.executions) == ["k8", "k9"]
    run.killed()
    return found


def test_word_of_an_archived_execution_counts(path: Path) -> None:
    """A correction, a bust and late fees, each after a restart; the books are as with all in memory."""
    words: list[Any] = [
        lambda ledger: ledger.correct(FillCorrection("A1", "k1", 1, fill(1, 50, revision=1), T0), SPY),
        lambda ledger: ledger.correct(FillCorrection("A1", "k2", 1, None, T0), None),
        lambda ledger: ledger.report_fees(FeeReport("A1", "k3", (Money("USD", Decimal("0.5")),), T0)),
    ]
    whole = Ledger(currency="USD", cash=Decimal(0), account="A1")
    for number in range(10):
        whole.book(fill(number, 100 + number), SPY)
    kinds = []
    for minute, word in enumerate(words, 20):
        run = Run(path)
        # What was taken out of the books for good is no part of a history.
        assert set(run.ledger.executions) <= ({"k8", "k9"} if minute == 20 else {"k2"})
        kinds.append(word(run.ledger).kind)
        word(whole)
        mine, theirs = run.ledger.positions["SPY"], whole.positions["SPY"]
        assert (mine.quantity, mine.cost, mine.realised) == (theirs.quantity, theirs.cost, theirs.realised)
        assert run.ledger.balances == whole.balances
        run.snapshot(minute)
        run.killed()
    assert kinds == [BookingKind.CORRECTION, BookingKind.BUST, BookingKind.FEES]


@pytest.mark.parametrize("twin", [{}, {"execution_key": "other", "executed_at": T0 + timedelta(hours=2)}])
def test_archived_execution_told_again_counts_once(path: Path, twin: dict[str, Any]) -> None:
    """By its key, or under another one by what its order had come to."""
    run = Run(path)
    known = run.ledger.execution("k1")
    assert known is not None
    assert known.fill == fill(1, 101)
    assert "k1" not in run.ledger.executions
    assert run.ledger.book(fill(1, 101, **twin), SPY) is None or twin
    assert run.ledger.positions["SPY"].quantity == 10
    run.killed()


def test_reader_finds_what_is_archived(path: Path) -> None:
    """Who makes the books again beside the run (the doctor does) has what its snapshot is without."""
    reader = journal_reader.JournalReader(path)
    snapshot = reader.snapshot()
    assert snapshot is not None
    ledger = Ledger(currency="USD", cash=Decimal(0), account="A1")
    ledger.archive = LedgerArchive(ledger, reader.archive)
    ledger.restore(snapshot.kernel["ledger"])
    assert ledger.book(fill(1, 101), SPY) is None
    assert ledger.positions["SPY"].quantity == 10


def test_execution_from_before_the_archived_ones_takes_its_place_among_them(path: Path) -> None:
    """The average price is that of the history in its order."""
    run = Run(path)
    early = fill(99, 10, executed_at=T0 + timedelta(seconds=30), side=Side.SELL)
    run.ledger.book(early, SPY)
    whole = Ledger(currency="USD", cash=Decimal(0), account="A1")
    for each in (*(fill(number, 100 + number) for number in range(10)), early):
        whole.book(each, SPY)
    assert run.ledger.positions["SPY"].realised == whole.positions["SPY"].realised == Decimal(-90)
    run.killed()


def test_snapshots_do_not_grow_with_what_is_over(tmp_path: Path) -> None:
    run, sizes = Run(tmp_path / "run.db"), []
    for number in range(60):
        run.ledger.book(fill(number), SPY)
        run.snapshot(number - 5)
        sizes.append(len(str(run.ledger.snapshot())))
    assert sizes[-1] < sizes[10] * 1.1
    run.killed()


def test_rollback_leaves_what_its_snapshot_counts_on(path: Path) -> None:
    """What was archived later is not there any more, and is in no snapshot that is left."""
    run = Run(path)
    run.ledger.correct(FillCorrection("A1", "k1", 1, fill(1, 50, revision=1), T0), SPY)
    run.snapshot(20)
    run.journal.rollback(9)
    run.killed()
    again = Run(path)
    known = again.ledger.execution("k1")
    assert known is not None
    assert known.revision == 0
    again.archive.unfold(again.ledger.positions["SPY"])
    assert len(again.ledger.executions) == 9
    again.killed()


def test_damaged_archive_is_found(path: Path) -> None:
    """Edited, or with a row missing."""
    for damage, error in (
        (
            "UPDATE archive SET document = replace(document, '101', '102') WHERE name = 'key:k1'",
            JournalCorrupt,
        ),
        ("DELETE FROM archive WHERE name = 'key:k1'", StateCorrupt),
    ):
        with sqlite3.connect(path) as raw:
            assert raw.execute(damage).rowcount == 1
        raw.close()
        run = Run(path)
        with pytest.raises(error):
            run.archive.unfold(run.ledger.positions["SPY"])
        run.journal.close()


def test_journal_of_the_first_schema_gets_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of it stays, and the run goes on."""
    path = tmp_path / "run.db"
    with monkeypatch.context() as patch:
        for module in (journal_module, journal_reader):
            patch.setattr(module, "SCHEMA", 2)
        opened(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("DROP TABLE archive")
    raw.close()
    as_schema_1(path)
    run = Run(path)
    run.ledger.book(fill(1), SPY)
    run.snapshot(9)
    assert run.ledger.executions == {}
    assert run.ledger.execution("k1") is not None
    run.killed()
    assert path.with_name("run.db.schema-1").exists()


def as_schema_1(path: Path) -> None:
    """Let it say what the first version said."""
    from alphaweave.live.journal_records import row_checksum

    with sqlite3.connect(path) as raw:
        identity, created = raw.execute("SELECT identity, created_at FROM meta").fetchone()
        checksum = row_checksum(1, 1, identity, created)
        raw.execute("UPDATE meta SET schema = 1, checksum = ?", (checksum,))
    raw.close()
