"""The journal of a live run: whole decisions, once each, and only its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, MetaData, Table, Text

from alphaweave.core.errors import (
    InvariantViolation,
    JournalCorrupt,
    JournalError,
    JournalFailed,
    JournalForeign,
    JournalLocked,
    JournalTooNew,
)
from alphaweave.live import journal as journal_module
from alphaweave.live import journal_reader, journal_schema
from alphaweave.live.journal import Decision, Entry, Intent, Journal, Outcome
from alphaweave.live.journal_reader import JournalReader
from alphaweave.live.journal_records import IntentState, canonical, row_checksum


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


model = _module("journal_model")
RUN = model.RUN


def ticking(start: int = 10**18) -> Callable[[], int]:
    return iter(range(start, start + 10**6)).__next__


def opened(path: Path, **changes: str) -> Journal:
    return Journal.open(path, run=evolve(RUN, **changes), clock_ns=ticking())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "sma.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened_here = opened(path)
    yield opened_here
    opened_here.close()


def submit(number: int = 1, **changes: Any) -> Decision:
    intent = Intent(f"aw-{number}", f"aw-{number}", "submit", {"symbol": "A"}, number)
    decision = Decision(input_kind="bar", input_key=str(number), at_ns=number, intents=(intent,))
    return evolve(decision, **changes)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_reopened_after_every_commit_it_is_the_model(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Decisions, open intents, store, watermarks, strategy and risk state: all there, and nothing else."""
    path = tmp_path_factory.mktemp("journal") / "j.db"
    random = Random(seed)
    expected = model.Model(random)
    for epoch in range(1, 9):
        journal = opened(path)
        recovered = journal.recover()
        assert (recovered.epoch, recovered.seq) == (epoch, len(expected.decisions))
        assert model.facts(recovered, JournalReader(path)) == expected.expected()
        assert journal.commit(expected.decide()) == len(expected.decisions)
        if random.random() < 0.3:
            journal.snapshot({"index": len(expected.decisions)})
        journal.close()


def test_files_are_for_their_owner_only(journal: Journal, path: Path) -> None:
    """The folder that is made for them too; one whose rights were widened is narrowed."""
    journal.commit(submit())
    files = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert files == dict.fromkeys(("sma.db", "sma.db-wal", "sma.db-shm", "sma.db.lock"), 0o600)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    journal.close()
    path.chmod(0o644)
    opened(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_closed_journal_is_one_file(journal: Journal, path: Path) -> None:
    """Nothing is left in the log; nothing is taken any more."""
    journal.commit(submit())
    journal.close()
    journal.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["sma.db", "sma.db.lock"]
    with pytest.raises(JournalFailed, match="closed"):
        journal.commit(submit(2))


def test_input_is_decided_once(journal: Journal, path: Path) -> None:
    """The same decision again, or none at all, answers the earlier number, also after a restart."""
    assert journal.commit(submit(1)) == 1
    assert journal.commit(submit(2)) == 2
    assert journal.commit(evolve(submit(1), at_ns=77)) == 1
    assert journal.commit(Decision(input_kind="bar", input_key="1", at_ns=5, payload={"late": 1})) == 1
    journal.close()
    again = opened(path)
    assert again.commit(submit(1)) == 1
    assert (again.seq_of("bar", "2"), again.seq_of("bar", "3"), again.seq) == (2, None, 2)
    assert again.commit(submit(3)) == 3
    again.close()


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        (submit(1, intents=()), None),
        (submit(1, intents=submit(9).intents), "bar 1 was decided before, in another way, as decision 1"),
        (submit(1, input_key="2"), "the decision on bar 2 repeats an execution or a client order id"),
        (
            Decision(
                input_kind="fill", input_key="x", at_ns=1, entries=(Entry("correction", {}, "DU1", "k", 0),)
            ),
            "the decision on fill x repeats an execution",
        ),
        (
            Decision(input_kind="x", input_key="x", at_ns=1, outcomes=(Outcome("aw-7", "acked"),)),
            "the outcome acked is of aw-7, which was never intended",
        ),
        (
            Decision(
                input_kind="x", input_key="x", at_ns=1, outcomes=(Outcome("aw-1", "acked", cancel=True),)
            ),
            "the outcome acked is of a cancel of aw-1, which was never intended",
        ),
        (submit(2, payload={"price": float("nan")}), "cannot be written as JSON"),
        (submit(2, state={"when": {1, 2}}), "cannot be written as JSON"),
    ],
)
def test_decision_that_contradicts_the_journal_breaks_it(
    journal: Journal, path: Path, decision: Decision, message: str | None
) -> None:
    """Nothing of it is kept; memory and journal disagree, so nothing more is taken."""
    journal.commit(submit(1, entries=(Entry("execution", {}, "DU1", "k"),)))
    before = JournalReader(path).export()
    if message is None:
        assert journal.commit(decision) == 1
    else:
        with pytest.raises(InvariantViolation, match=message):
            journal.commit(decision)
        assert journal.broken
        with pytest.raises(JournalFailed, match="takes nothing more"):
            journal.commit(submit(5))
    assert JournalReader(path).export() == before


def test_outcomes_move_an_intent_on(journal: Journal) -> None:
    """Of an order and of a cancel of it, apart; what is over is not open."""
    journal.commit(submit(1))
    cancel = Intent("aw-1", "aw-1", "cancel", {}, 2)
    journal.commit(Decision(input_kind="bar", input_key="c", at_ns=2, intents=(cancel,)))
    journal.mark("sent", "aw-1")
    journal.outcome(Outcome("aw-1", IntentState.ACKED, "B7", {"text": "ok"}))
    journal.outcome(Outcome("aw-1", IntentState.UNKNOWN))
    order, cancelled = journal.recover().open_intents
    assert (order.state, order.broker_order_id, order.data, order.seq, order.changed_seq) == (
        IntentState.UNKNOWN,
        "B7",
        {},
        1,
        5,
    )
    assert (cancelled.attempt, cancelled.state, cancelled.intent) == (2, IntentState.INTENT, cancel)
    journal.outcome(Outcome("aw-1", IntentState.DONE, cancel=True))
    journal.outcome(Outcome("aw-1", IntentState.REJECTED))
    assert journal.recover().open_intents == ()
    # A fill of a rejected order is adopted.
    journal.mark("done", "aw-1")
    with pytest.raises(InvariantViolation, match="the intent aw-1 is done and cannot become acked"):
        journal.mark("acked", "aw-1")


@pytest.mark.parametrize("state", ["intent", "sent"])
def test_outcome_does_not_turn_back(journal: Journal, state: str) -> None:
    """What was acknowledged is not waiting to be sent."""
    journal.commit(submit(1))
    journal.mark("acked", "aw-1")
    with pytest.raises(InvariantViolation, match=f"is acked and cannot become {state}"):
        journal.mark(state, "aw-1")


def test_snapshot_shortens_the_tail(journal: Journal, path: Path) -> None:
    """State is the newest snapshot and the decisions after it; old ones go."""
    for number in range(1, 8):
        journal.commit(submit(number))
        assert journal.snapshot({"index": number}) == number
    journal.commit(submit(8))
    journal.close()
    again = opened(path)
    recovered = again.recover()
    assert recovered.snapshot is not None
    assert (recovered.snapshot.seq, recovered.snapshot.kernel) == (7, {"index": 7})
    assert [row.seq for row in recovered.tail] == [8]
    with JournalReader(path)._engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT seq FROM snapshots ORDER BY seq").scalars().all()
    assert kept == [4, 5, 6, 7]
    again.close()


def test_second_writer_is_refused(journal: Journal, path: Path, tmp_path: Path) -> None:
    """In another process, which learns who has it; under another name of the same file too."""
    (tmp_path / "link.db").symlink_to(path)
    script = (
        "import sys\nfrom alphaweave.core.errors import JournalLocked\n"
        "from alphaweave.live.journal import Journal, RunIdentity\n"
        "run = RunIdentity(run_id='sma', broker='paper', account='DU1', strategy='m:Sma', mode='live', "
        "config_digest='c1')\n"
        "try:\n    Journal.open(sys.argv[1], run=run, clock_ns=lambda: 1)\n"
        "except JournalLocked as error:\n    print(error.pid, error.path)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "link.db")], capture_output=True, text=True, check=False
    )
    assert answer.stdout == f"{os.getpid()} {path.resolve()}\n", answer.stderr
    with pytest.raises(JournalLocked, match=f"process {os.getpid()} writes this journal"):
        opened(path)
    journal.commit(submit())


@pytest.mark.parametrize("name", ["run_id", "broker", "account", "strategy", "mode"])
def test_journal_of_another_run_is_refused(journal: Journal, path: Path, name: str) -> None:
    """And says what differs; afterwards it is free."""
    journal.close()
    with pytest.raises(
        JournalForeign, match=f"its {name} is '{getattr(RUN, name)}', this run's is 'other'"
    ) as e:
        opened(path, **{name: "other"})
    assert e.value.differences == {name: (getattr(RUN, name), "other")}
    opened(path).close()


def test_changed_config_is_told_and_not_refused(journal: Journal, path: Path) -> None:
    """The digest of the start before this one."""
    assert journal.recover().config_digest is None
    journal.close()
    again = opened(path, config_digest="c2")
    assert (again.recover().config_digest, again.epoch) == ("c1", 2)
    again.close()
    assert JournalReader(path).identity.config_digest == "c2"


def test_newer_schema_is_refused(journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the writer and by readers."""
    journal.close()
    made = opened_as_schema(path, 3, monkeypatch)
    made.close()
    monkeypatch.undo()
    with pytest.raises(JournalTooNew, match="has schema 3, this version reads up to 2"):
        opened(path)
    with pytest.raises(JournalTooNew):
        JournalReader(path)


def opened_as_schema(path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """As a version with another schema number opens it; its tables have one more."""

    def step(connection: Connection) -> None:
        Table("more", MetaData(), Column("text", Text)).create(connection)

    monkeypatch.setattr(journal_module, "SCHEMA", number)
    monkeypatch.setattr(journal_reader, "SCHEMA", number)
    migrate = journal_schema.migrate
    monkeypatch.setattr(
        journal_module, "migrate", lambda c, found: migrate(c, found, wanted=number, steps={2: step})
    )
    return opened(path)


def test_older_schema_is_migrated_and_a_copy_kept(
    journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was decided is as it was; the copy is what the older version can read."""
    journal.commit(submit(1))
    journal.close()
    newer = opened_as_schema(path, 3, monkeypatch)
    assert [row.decision for row in newer.recover().tail] == [submit(1)]
    assert newer.commit(submit(2)) == 2
    newer.close()
    again = opened_as_schema(path, 3, monkeypatch)
    assert again.seq == 2
    again.close()
    monkeypatch.undo()
    copy = path.with_name("sma.db.schema-2")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [row.decision for row in JournalReader(copy).decisions()] == [submit(1)]


def test_rollback_takes_back_all_that_followed(journal: Journal, path: Path) -> None:
    """Decisions, and what they did to intents, store and watermarks; the copy still has them."""
    expected = model.Model(Random(5))
    for _ in range(12):
        journal.commit(expected.decide())
    short = model.Model(Random(5))
    for _ in range(7):
        short.decide()
    journal.snapshot({"index": 12})
    before = JournalReader(path).export()
    copy = journal.rollback(7)
    facts = {"from": 12, "to": 7, "copy": copy.name}
    rollback = list(journal.recover().tail)[-1]
    assert (rollback.seq, rollback.decision.input_kind, rollback.decision.payload) == (8, "rollback", facts)
    short.apply(rollback.decision)
    assert model.facts(journal.recover(), JournalReader(path)) == short.expected()
    assert JournalReader(copy).export() == before
    assert journal.commit(submit(99)) == 9
    with pytest.raises(JournalError, match="there is no decision 10; the last is 9"):
        journal.rollback(10)
    assert not journal.broken


def test_what_follows_from_the_decisions_can_be_made_again(journal: Journal, path: Path) -> None:
    """A rollback to the last one changes nothing but for its mark."""
    expected = model.Model(Random(8))
    for _ in range(40):
        journal.commit(expected.decide())
    before = JournalReader(path).export()
    journal.rollback(40)
    after = JournalReader(path).export()
    assert after["decisions"].pop()["decision"]["input_kind"] == "rollback"
    assert {**after, "seq": 40, "timestamp_ns": before["timestamp_ns"]} == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the journal is damaged, or is none"),
        (b"alphaweave" * 1000, "the journal is damaged, or is none"),
    ],
)
def test_file_that_is_no_journal_is_refused(path: Path, content: bytes, message: str) -> None:
    """Also an empty one: a journal is never made in place, so it was one that lost everything."""
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(JournalCorrupt, match=message):
        opened(path)
    assert path.read_bytes() == content
    path.unlink()
    path.mkdir()
    with pytest.raises(JournalCorrupt, match="this is no file"):
        opened(path)


def test_log_without_its_journal_is_refused(path: Path) -> None:
    """A new journal would swallow it."""
    path.parent.mkdir()
    path.with_name("sma.db-wal").write_bytes(b"x")
    with pytest.raises(JournalCorrupt, match=r"the journal is gone, but sma\.db-wal is there"):
        opened(path)


def test_half_made_journal_is_made_again(path: Path) -> None:
    """What a crash left of one that never was in place."""
    path.parent.mkdir()
    path.with_name("sma.db.new").write_bytes(b"half")
    opened(path).close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["sma.db", "sma.db.lock"]


def test_checksums_tell_rows_apart() -> None:
    """Whatever stands where."""
    rows = [("a", "b"), ("ab",), ("a", None, "b"), (1,), ("1",), (None,), ("null",), ('a","b',)]
    assert len({row_checksum(*row) for row in rows}) == len(rows)
    assert canonical({"b": 1, "a": "é"}) == '{"a":"\\u00e9","b":1}'


def test_importing_records_and_locks_needs_no_database() -> None:
    """Drivers that keep no journal stay light, and so does everything a run without one imports."""
    script = (
        "import sys, alphaweave, alphaweave.live.runner, alphaweave.live.journal_records\n"
        "import alphaweave.live.run_lock\n"
        "print('sqlalchemy' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert answer.stdout == "False\n", answer.stderr


def test_journal_that_cannot_be_filled_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk, say: an empty file aside would only take room."""

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("alphaweave.live.journal_opening.sealed", full)
    with pytest.raises(JournalFailed, match="No space left on device"):
        opened(tmp_path / "run.db")
    assert [one.name for one in tmp_path.iterdir()] == ["run.db.lock"]
