"""Reading a journal while it is written."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from types import ModuleType

import pytest
from attrs import evolve
from sqlalchemy.exc import SQLAlchemyError

from alphaweave.core.errors import JournalCorrupt, JournalError, JournalFailed
from alphaweave.live import journal_reader
from alphaweave.live.journal import Decision, Entry, Intent, Journal
from alphaweave.live.journal_file import reading_engine
from alphaweave.live.journal_reader import Difference, JournalReader


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


model = _module("journal_model")


def opened(path: Path) -> Journal:
    return Journal.open(path, run=model.RUN, clock_ns=iter(range(10**18, 10**19)).__next__)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(opened(tmp_path / "j.db")) as one:
        yield one


def a_day(journal: Journal) -> None:
    order = Intent("aw-1", "aw-1", "submit", {"symbol": "A"}, 1)
    journal.commit(
        Decision(
            input_kind="bar",
            input_key="1",
            at_ns=1,
            payload={"A": 1.5},
            entries=(Entry("equity", {"equity": 10.0}),),
            intents=(order,),
            state={"n": 1},
        )
    )
    journal.mark("acked", "aw-1")
    journal.commit(
        Decision(
            input_kind="fill",
            input_key="k",
            at_ns=3,
            entries=(Entry("execution", {"price": "1"}, "A", "k"), Entry("fee", {"amount": "1"})),
            store={"next": "2"},
            risk={"state": "ACTIVE"},
        )
    )
    journal.snapshot({"index": 3})
    bust = Entry("correction", {"fill": None}, "A", "k", 1)
    journal.commit(Decision(input_kind="bar", input_key="2", at_ns=4, entries=(bust,), watermarks={"A": 4}))


def test_reader_tells_what_happened(journal: Journal) -> None:
    """Orders, executions, equity, inputs, values; of a journal that is being written."""
    a_day(journal)
    reader = JournalReader(journal.path)
    assert reader.seq == 4
    assert reader.identity == model.RUN
    (order,) = reader.orders()
    assert (order.intent.client_order_id, order.state, order.changed_seq) == ("aw-1", "acked", 2)
    assert [(e.kind, e.execution_key, e.revision) for e in reader.executions()] == [
        ("execution", "k", 0),
        ("correction", "k", 1),
    ]
    assert [(row.seq, entry.kind) for row, entry in reader.entries("fee", "equity")] == [
        (1, "equity"),
        (3, "fee"),
    ]
    assert [row.seq for row, _ in reader.entries(since=1)] == [3, 3, 4]
    assert reader.equity() == [(1, {"equity": 10.0})]
    assert [(row.seq, row.decision.payload) for row in reader.tape("bar")] == [(1, {"A": 1.5}), (4, {})]
    assert [row.seq for row in reader.decisions(1, until=3)] == [2, 3]
    snapshot = reader.snapshot()
    assert snapshot is not None
    assert (snapshot.seq, snapshot.kernel) == (3, {"index": 3})
    assert (reader.latest("store"), reader.latest("watermark")) == ({"next": "2"}, {"A": 4})


def test_reader_pages(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many decisions a page has; what was committed meanwhile comes too."""
    monkeypatch.setattr(journal_reader, "_PAGE", 3)
    expected = model.Model(Random(2))
    for _ in range(6):
        journal.commit(expected.decide())
    rows = JournalReader(journal.path).decisions()
    assert [next(rows).seq for _ in range(4)] == [1, 2, 3, 4]
    journal.commit(expected.decide())
    assert [row.seq for row in rows] == [5, 6, 7]
    assert [row.seq for row in journal.recover().tail] == [1, 2, 3, 4, 5, 6, 7]
    assert len(JournalReader(journal.path).export()["decisions"]) == 7


def test_export_is_json_and_of_one_moment(journal: Journal) -> None:
    """It has what a saved state has, and every decision."""
    a_day(journal)
    document = JournalReader(journal.path).export()
    assert json.loads(json.dumps(document)) == document
    assert document["run_id"] == "sma"
    assert (document["seq"], document["epoch"], document["timestamp_ns"], document["snapshot_seq"]) == (
        4,
        1,
        4,
        3,
    )
    assert (document["kernel"], document["strategy_state"]) == ({"index": 3}, {"n": 1})
    assert (document["risk_state"], document["adapter_store"]) == ({"state": "ACTIVE"}, {"next": "2"})
    assert list(document["orders"]) == ["aw-1/0"]


def test_export_of_an_empty_journal(journal: Journal) -> None:
    """Nothing happened, and that can be told."""
    document = JournalReader(journal.path).export()
    assert (document["seq"], document["kernel"], document["decisions"]) == (0, None, [])


def test_diff_names_what_differs(journal: Journal, tmp_path: Path) -> None:
    """By its path, against a journal or an export; an honest day shows nothing."""
    a_day(journal)
    reader = JournalReader(journal.path)
    with closing(opened(tmp_path / "other.db")) as other:
        a_day(other)
        assert reader.diff(JournalReader(other.path)) == []
        other.commit(Decision(input_kind="bar", input_key="3", at_ns=4, store={"next": "3"}))
        found = reader.diff(JournalReader(other.path))
        assert Difference("adapter_store.next", "2", "3") in found
        assert Difference("seq", 4, 5) in found
        last = [difference for difference in found if difference.path == "decisions[4]"]
        assert [(one.mine, one.theirs["decision"]["input_key"]) for one in last] == [(None, "3")]
        assert len(reader.diff(JournalReader(other.path), limit=2)) == 2
    changed = reader.export()
    changed["decisions"][2]["decision"]["entries"][0]["data"]["price"] = "2"
    assert reader.diff(changed) == [Difference("decisions[2].decision.entries[0].data.price", "1", "2")]


def test_reader_is_never_in_the_writers_way(journal: Journal) -> None:
    """A read that has begun and not ended neither stops a commit nor sees it."""
    a_day(journal)
    reader = JournalReader(journal.path)
    with closing(reading_engine(journal.path).connect()) as connection:
        connection.exec_driver_sql("BEGIN")
        before = connection.exec_driver_sql("SELECT max(seq) FROM decisions").scalar()
        journal.commit(Decision(input_kind="bar", input_key="3", at_ns=5))
        journal._file.checkpoint()
        journal.commit(Decision(input_kind="bar", input_key="4", at_ns=6))
        after = connection.exec_driver_sql("SELECT max(seq) FROM decisions").scalar()
        assert (before, after, reader.seq) == (4, 4, 6)


def test_start_waits_for_no_reader_that_does_not_end(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that reads what a crash left keeps it from being written again: the run does not start."""
    a_day(journal)
    with closing(reading_engine(journal.path).connect()) as connection:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("SELECT max(seq) FROM decisions").scalar()
        # As a process that died leaves it, with a read of what was there before its last commit.
        journal.commit(Decision(input_kind="bar", input_key="3", at_ns=5))
        journal._file.abandon()
        journal._lock.release()
        journal._closed = True
        monkeypatch.setattr("alphaweave.live.journal_file.WAIT", 0.0)
        with pytest.raises(JournalFailed, match="another program reads the journal and does not end"):
            opened(journal.path)
    again = opened(journal.path)
    assert again.seq == 5
    again.close()


def test_reader_cannot_write(journal: Journal) -> None:
    """Whatever it is asked."""
    with (
        reading_engine(journal.path).connect() as connection,
        pytest.raises(SQLAlchemyError, match="attempt to write a readonly database"),
    ):
        connection.exec_driver_sql("DELETE FROM decisions")


def test_closed_journal_is_read_as_well(journal: Journal) -> None:
    """And no file is left beside it."""
    a_day(journal)
    journal.close()
    assert JournalReader(journal.path).seq == 4


EDITS = {
    "body": "UPDATE decisions SET body = replace(body, '\"1\"', '\"9\"') WHERE seq = 3",
    "payload": "UPDATE decisions SET payload = '{}' WHERE seq = 1",
    "time": "UPDATE decisions SET at_ns = at_ns + 1 WHERE seq = 1",
    "gap": "DELETE FROM decisions WHERE seq = 2",
    "swap": "UPDATE decisions SET seq = CASE seq WHEN 1 THEN -2 WHEN 2 THEN -1 ELSE seq END",
    "intent": "UPDATE intents SET state = 'done'",
    "value": "UPDATE latest SET value = '\"7\"' WHERE area = 'store'",
    "snapshot": "UPDATE snapshots SET kernel = '{}'",
    "epoch": "UPDATE epochs SET config_digest = 'c2'",
    "identity": "UPDATE meta SET identity = replace(identity, 'DU1', 'DU2')",
    "meta": "DELETE FROM meta",
    "table": "DROP TABLE latest",
}


@pytest.mark.parametrize("edit", EDITS)
def test_edit_is_found(journal: Journal, edit: str) -> None:
    """Of any row, by whoever reads it."""
    a_day(journal)
    journal.close()
    with closing(sqlite3.connect(journal.path)) as raw:
        raw.execute(EDITS[edit])
        raw.commit()
    with pytest.raises(JournalCorrupt, match="journal"):
        JournalReader(journal.path).export()


@pytest.mark.parametrize("edit", ["body", "gap"])
def test_edit_of_the_tail_refuses_the_start(journal: Journal, edit: str) -> None:
    """Of what a snapshot does not cover."""
    a_day(journal)
    journal.close()
    with closing(sqlite3.connect(journal.path)) as raw:
        raw.execute("DELETE FROM snapshots")
        raw.execute(EDITS[edit])
        raw.commit()
    with pytest.raises(JournalCorrupt, match="restore it from a copy"):
        opened(journal.path)


def test_snapshot_of_another_chain_is_refused(journal: Journal, tmp_path: Path) -> None:
    """However whole it is by itself."""
    a_day(journal)
    journal.close()
    with closing(opened(tmp_path / "other.db")) as other:
        for number in range(3):
            other.commit(Decision(input_kind="x", input_key=str(number), at_ns=number))
        other.snapshot({"index": 3})
        row = other._connection.exec_driver_sql("SELECT * FROM snapshots").one()
        other._connection.rollback()
    with closing(sqlite3.connect(journal.path)) as raw:
        raw.execute("DELETE FROM snapshots")
        raw.execute("INSERT INTO snapshots VALUES (?, ?, ?, ?, ?)", tuple(row))
        raw.commit()
    with pytest.raises(JournalCorrupt, match="snapshots 3"):
        opened(journal.path)


def test_reader_of_nothing_says_so(tmp_path: Path) -> None:
    """No file, and a file that is none."""
    with pytest.raises(JournalError, match="there is no journal here"):
        JournalReader(tmp_path / "gone.db")
    (tmp_path / "text").write_bytes(b"hello" * 1000)
    with pytest.raises(JournalCorrupt, match="the journal is damaged, or is none"):
        JournalReader(tmp_path / "text")


def test_decisions_after_none_that_is_there(journal: Journal) -> None:
    """A chain has no beginning in the air."""
    a_day(journal)
    with pytest.raises(JournalCorrupt, match="decision 9 is not there"):
        list(JournalReader(journal.path).decisions(9))
    assert list(JournalReader(journal.path).decisions(4)) == []


def test_model_is_of_its_run() -> None:
    """The tests of the journal compare with what they think they do."""
    one, other = model.Model(Random(1)), model.Model(Random(1))
    assert [one.decide() for _ in range(20)] == [other.decide() for _ in range(20)]
    assert one.expected() == other.expected()
    other.apply(evolve(one.decide(), store={"next": "x"}))
    assert one.expected() != other.expected()
