"""What operators tell a run, whether it is up or down."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from alphaweave.core.errors import ControlError
from alphaweave.live.control import ControlStore
from alphaweave.live.control_records import ACTIVE, HALTED, REDUCING, Command, Latch, Verb


@pytest.fixture
def store(tmp_path: Path) -> ControlStore:
    return ControlStore.beside(tmp_path / "runs" / "sma.db")


def test_store_is_beside_the_journal(store: ControlStore, tmp_path: Path) -> None:
    """Readable by its owner only."""
    path = tmp_path / "runs" / "sma.db.control"
    assert store.path == path
    assert [file.name for file in path.parent.iterdir()] == ["sma.db.control"]
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    store.post("halt", operator="eva", at_ns=1)
    assert [file.name for file in path.parent.iterdir()] == ["sma.db.control"]


def test_command_is_taken_once_and_answered_once(store: ControlStore) -> None:
    """In the order they were given."""
    first = store.post("status", operator="eva", at_ns=1)
    second = store.post(Verb.FLATTEN, operator="eva", reason="news", at_ns=2, scope="AAPL")
    other = ControlStore(store.path)
    assert other.take(5) == (
        Command(first, Verb.STATUS, "", "eva", "", 1, 5, None, None),
        Command(second, Verb.FLATTEN, "AAPL", "eva", "news", 2, 5, None, None),
    )
    assert store.take(6) == ()
    assert [command.id for command in store.unanswered()] == [first, second]
    other.answer(first, {"state": "ACTIVE"}, 7)
    other.answer(first, {"state": "never"}, 8)
    answered = store.get(first)
    assert answered is not None
    assert (answered.answered_at, answered.answer) == (7, {"state": "ACTIVE"})
    assert [command.id for command in store.unanswered()] == [second]
    assert store.get(99) is None


def test_command_that_a_run_only_has_is_not_answered_for_the_next_one(store: ControlStore) -> None:
    """A run that died while its strategy was busy had decided nothing, whatever it told the operator."""
    number = store.post("halt", operator="eva", at_ns=1)
    store.take(2)
    store.answer(number, {"taken": True, "decided": False}, 3)
    assert [command.id for command in store.unanswered()] == [number]
    assert store.pending() == ()
    store.answer(number, {"state": "HALTED"}, 4)
    store.answer(number, {"taken": True, "decided": False}, 5)
    answered = store.get(number)
    assert answered is not None
    assert (answered.answered_at, answered.answer) == (4, {"state": "HALTED"})
    assert store.unanswered() == ()


def test_waiting_ends_with_the_answer_or_when_told(store: ControlStore) -> None:
    """The caller says how long; nothing sleeps here."""
    number = store.post("stop", operator="eva", at_ns=1)
    polls = iter((True, True, False))
    assert store.wait(number, poll=lambda: next(polls)) is None

    def run() -> bool:
        for command in store.take(2):
            store.answer(command.id, {"stopped": True}, 3)
        return True

    answered = store.wait(number, poll=run)
    assert answered is not None
    assert answered.answer == {"stopped": True}


def test_command_that_nobody_took_can_be_withdrawn(store: ControlStore) -> None:
    """A stop given to a run that is down does not stop the next one; one that was taken goes on."""
    first = store.post("stop", operator="eva", at_ns=1)
    assert store.withdraw(first, 2)
    assert not store.withdraw(first, 3)
    assert store.take(4) == ()
    withdrawn = store.get(first)
    assert withdrawn is not None
    assert withdrawn.answer == {"withdrawn": True}
    second = store.post("stop", operator="eva", at_ns=5)
    store.take(6)
    assert not store.withdraw(second, 7)


def test_halt_is_latched_although_no_run_is_there(store: ControlStore) -> None:
    """Until someone with a name and a reason resumes; by symbol, each its own."""
    assert store.latches() == {}
    store.post("halt", operator="eva", reason="odd fills", at_ns=1)
    store.post("halt", operator="eva", at_ns=2, scope="AAPL")
    store.post("status", operator="eva", at_ns=3)
    again = ControlStore(store.path)
    assert again.latches() == {"": Latch(HALTED, "eva", "odd fills", 1), "AAPL": Latch(HALTED, "eva", "", 2)}
    again.post("resume", operator="max", reason="fills explained", at_ns=4)
    assert store.latches()[""] == Latch(ACTIVE, "max", "fills explained", 4)
    assert store.latches()["AAPL"].state == HALTED


def test_flatten_never_loosens_a_halt(store: ControlStore) -> None:
    """It lets nothing but reductions through, and a halted run not even those by itself."""
    store.post("flatten", operator="eva", at_ns=1)
    assert store.latches()[""].state == REDUCING
    store.post("halt", operator="eva", at_ns=2)
    store.post("flatten", operator="eva", at_ns=3)
    assert store.latches()[""].state == HALTED


def test_run_latches_only_tighter(store: ControlStore) -> None:
    """By itself it never resumes."""
    assert store.latch(REDUCING, operator="risk", reason="max_drawdown", at_ns=1)
    assert store.latch(HALTED, operator="risk", reason="max_drawdown", at_ns=2)
    assert not store.latch(HALTED, operator="risk", reason="again", at_ns=3)
    assert not store.latch(REDUCING, operator="risk", reason="again", at_ns=3)
    assert not store.latch(ACTIVE, operator="risk", reason="again", at_ns=3)
    assert store.latches() == {"": Latch(HALTED, "risk", "max_drawdown", 2)}


@pytest.mark.parametrize(
    ("verb", "operator", "reason", "message"),
    [
        ("pause", "eva", "", "'pause' is no command; say one of status, halt, resume, flatten, stop"),
        ("halt", " ", "x", "halt needs the name of the operator who says it"),
        ("resume", "eva", " ", "resume needs a reason: what was wrong, and why it is right now"),
        ("resume", "", "fine", "resume needs the name of the operator"),
    ],
)
def test_incomplete_command_is_refused(
    store: ControlStore, verb: str, operator: str, reason: str, message: str
) -> None:
    """And changes nothing."""
    with pytest.raises(ControlError, match=message):
        store.post(verb, operator=operator, reason=reason, at_ns=1)
    assert (store.take(1), store.latches()) == ((), {})


@pytest.mark.parametrize("given", [("PAUSED", "risk", "x"), (HALTED, "", "x"), (HALTED, "risk", "")])
def test_incomplete_latch_is_refused(store: ControlStore, given: tuple[str, str, str]) -> None:
    """A state that is none, or one without a name or a reason."""
    state, operator, reason = given
    with pytest.raises(ControlError, match="a latch needs one of"):
        store.latch(state, operator=operator, reason=reason, at_ns=1)
    assert store.latches() == {}


def test_store_that_is_gone_or_damaged_is_told(store: ControlStore) -> None:
    """It does not come back without what was halted."""
    store.post("halt", operator="eva", at_ns=1)
    store.path.unlink()
    with pytest.raises(
        ControlError, match="cannot be read or written: unable to open database file"
    ) as caught:
        store.latches()
    assert caught.value.path == str(store.path)
    assert not store.path.exists()
    store.path.write_bytes(b"no database" * 500)
    with pytest.raises(ControlError, match="file is not a database"):
        ControlStore(store.path)


def test_halt_that_cannot_be_latched_is_not_posted(store: ControlStore) -> None:
    """Both or nothing: the operator is told, and no run takes half of it."""
    with closing(sqlite3.connect(store.path)) as raw:
        raw.execute("DROP TABLE latches")
    with pytest.raises(ControlError, match="no such table: latches"):
        store.post("halt", operator="eva", at_ns=1)
    assert store.take(2) == ()


WRITER = """
import sys
from alphaweave.live.control import ControlStore
from alphaweave.live.control_records import ACTIVE, HALTED, REDUCING, Command, Latch, Verb
store = ControlStore(sys.argv[1])
for number in range(25):
    store.post("halt" if number % 2 else "status", operator=sys.argv[2], at_ns=number)
    for command in store.take(number):
        print(command.id)
"""


def test_processes_may_all_write_at_once(store: ControlStore) -> None:
    """No command is lost or taken twice."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.path), name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for name in ("a", "b")
    ]
    taken = []
    for writer in writers:
        out, error = writer.communicate()
        assert (writer.returncode, error) == (0, b"")
        taken += [int(line) for line in out.split()]
    assert sorted(taken) == list(range(1, 51))
    found = [command for number in range(1, 52) if (command := store.get(number))]
    assert sorted((command.operator, command.at_ns) for command in found) == [
        (name, number) for name in "ab" for number in range(25)
    ]
    assert store.take(99) == ()
    assert store.latches()[""].state == HALTED
    assert os.listdir(store.path.parent) == ["sma.db.control"]  # noqa: PTH208


def test_numbers_go_on_where_the_file_was_moved_away(store: ControlStore) -> None:
    """A run knows by its number what it has decided: a new file's halt must not look like an old command."""
    day = 86_400 * 10**9
    before = [store.post("status", operator="eva", at_ns=20_000 * day + second) for second in range(3)]
    store.path.rename(store.path.with_suffix(".away"))
    after = [ControlStore(store.path).post("halt", operator="eva", at_ns=20_001 * day) for _ in range(2)]
    assert sorted({*before, *after}) == [*before, *after]


def test_what_a_run_latched_is_shown_but_never_over_an_operator(store: ControlStore) -> None:
    """A command that waits has the last word; the same state keeps the name of whoever latched it first."""
    lost = Latch(REDUCING, "engine", "daily_loss: 3 %", 5)
    assert store.mirror({"": lost, "FB": Latch(HALTED, "engine", "foreign_fill: odd", 6)}, 7)
    assert store.latches()[""] == lost
    number = store.post("halt", operator="eva", reason="odd", at_ns=8)
    assert not store.mirror({}, 9)
    assert store.latches()[""].state == HALTED
    assert [one.id for one in store.pending()] == [number]
    store.take(10)
    assert [one.id for one in store.pending()] == [number]
    store.answer(number, {}, 11)
    assert store.pending() == ()
    assert store.mirror({"": Latch(HALTED, "engine", "operator: odd", 12)}, 13)
    assert store.latches()[""].operator == "eva"
    assert store.latches()["FB"].state == ACTIVE
