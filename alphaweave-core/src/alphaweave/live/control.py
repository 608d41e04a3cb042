"""What operators tell a run, and the trading state that outlives it: a small file beside the journal.

The command line and the run are different processes, and either may be down when the other writes. As both
write here, there is no write-ahead log: SQLite 3.7 to 3.51.2 may lose one that two connections write.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from attrs import asdict
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    func,
    or_,
    select,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from alphaweave.core.errors import ControlError
from alphaweave.live.control_records import ACTIVE, HALTED, REDUCING, Command, Latch, Verb
from alphaweave.live.journal_file import make_engine

__all__ = ["ControlStore"]

_SECOND_NS: Final = 1_000_000_000
_TIGHTER: Final = (ACTIVE, REDUCING, HALTED)
# What was taken out of a text must not stand on in the file where the text was longer.
_PRAGMAS: Final = (
    "synchronous = EXTRA",
    "fullfsync = 1",
    "mmap_size = 0",
    "trusted_schema = 0",
    "secure_delete = 1",
)

_LATCHES: Final[Mapping[Verb, str]] = {Verb.HALT: HALTED, Verb.FLATTEN: REDUCING, Verb.RESUME: ACTIVE}

_METADATA = MetaData()
_commands = Table(
    "commands",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("verb", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("taken_at", BigInteger),
    Column("answered_at", BigInteger),
    Column("answer", Text),
    sqlite_autoincrement=True,
)
_latches = Table(
    "latches",
    _METADATA,
    Column("scope", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
# No answer, or one that only says that a run has it: a run that dies then has decided nothing.
_UNDECIDED = or_(_commands.c.answered_at.is_(None), func.json_extract(_commands.c.answer, "$.decided") == 0)


class ControlStore:
    """The commands to one run. Any number of processes may use it at once.

    Raises (every method): ControlError if the file cannot be read or written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._engine = make_engine(self._connected, NullPool)
        with self._refusing():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Made here and nowhere else: closing a file drops the locks that this process has on it, and a
            # file that is gone later must not come back without what was halted.
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with self._transaction() as connection:
            _METADATA.create_all(connection)

    @classmethod
    def beside(cls, journal: str | Path) -> ControlStore:
        """The one of a journal: ``<journal>.control``, made if it is not there."""
        return cls(cls.path_beside(journal))

    @staticmethod
    def path_beside(journal: str | Path) -> Path:
        """Where it is, whether it is there or not."""
        path = Path(journal).resolve()
        return path.with_name(f"{path.name}.control")

    def post(self, verb: Verb | str, *, operator: str, reason: str = "", at_ns: int, scope: str = "") -> int:
        """Tell the run something, and return the command's number.

        A halt, a flatten or a resume is latched in the same transaction, whether or not a run is there to
        take it.

        Raises:
            ControlError: the verb is none, nobody says it, or a resume has no reason.
        """
        if verb not in set(Verb):
            raise ControlError(f"{verb!r} is no command; say one of {', '.join(Verb)}", self.path)
        if not operator.strip():
            raise ControlError(f"{verb} needs the name of the operator who says it", self.path)
        if verb == Verb.RESUME and not reason.strip():
            raise ControlError("resume needs a reason: what was wrong, and why it is right now", self.path)
        with self._transaction() as connection:
            told = {"scope": scope, "operator": operator, "reason": reason, "at_ns": at_ns}
            new = {"verb": str(verb), **told}
            if connection.execute(select(_commands.c.id).limit(1)).one_or_none() is None:
                # Numbers go on where an earlier file was moved away: a run obeys none that it has had.
                new["id"] = max(1, at_ns // _SECOND_NS)
            made = connection.execute(_commands.insert(), new)
            state = _LATCHES.get(Verb(verb))
            if state is not None:
                if state == REDUCING and _state(connection, scope) == HALTED:
                    state = HALTED
                connection.execute(_latches.delete().where(_latches.c.scope == scope))
                connection.execute(_latches.insert(), {"state": state, **told})
            (number,) = made.inserted_primary_key or (0,)
        return int(number)

    def latch(self, state: str, *, operator: str, reason: str, at_ns: int, scope: str = "") -> bool:
        """Tighten the trading state, as a run does by itself; whether it was not as tight already.

        Raises:
            ControlError: the state is none, or nobody or nothing says why.
        """
        if state not in _TIGHTER or not operator.strip() or not reason.strip():
            raise ControlError(
                f"a latch needs one of {_TIGHTER}, not {state!r}, a name and a reason", self.path
            )
        with self._transaction() as connection:
            if _TIGHTER.index(_state(connection, scope)) >= _TIGHTER.index(state):
                return False
            connection.execute(_latches.delete().where(_latches.c.scope == scope))
            row = {"scope": scope, "state": state, "operator": operator, "reason": reason, "at_ns": at_ns}
            connection.execute(_latches.insert(), row)
        return True

    def mirror(self, latches: Mapping[str, Latch], at_ns: int) -> bool:
        """Show what a run has latched, by scope, in place of what is shown; what it has not is ACTIVE.

        Where the state is the same, whoever latched it first stays named. While a command waits nothing is
        changed, for it has the last word; whether that was not so.
        """
        with self._transaction() as connection:
            waits = select(_commands.c.id).where(_commands.c.taken_at.is_(None)).limit(1)
            if connection.execute(waits).one_or_none() is not None:
                return False
            shown = {row.scope: row.state for row in connection.execute(select(_latches))}
            lifted = {
                scope: Latch(ACTIVE, "engine", "the run has nothing latched", at_ns)
                for scope in shown.keys() - latches.keys()
            }
            for scope, latch in {**lifted, **latches}.items():
                if shown.get(scope, ACTIVE) != latch.state:
                    connection.execute(_latches.delete().where(_latches.c.scope == scope))
                    connection.execute(_latches.insert(), {"scope": scope, **asdict(latch)})
        return True

    def pending(self) -> tuple[Command, ...]:
        """Commands that are not answered, taken or not, in the order they were given."""
        query = select(_commands).where(_commands.c.answered_at.is_(None)).order_by(_commands.c.id)
        with self._reading() as connection:
            return tuple(_command(row) for row in connection.execute(query))

    def latches(self) -> dict[str, Latch]:
        """What is latched, by scope; where nothing ever was, trading is ACTIVE."""
        with self._reading() as connection:
            rows = connection.execute(select(_latches)).all()
        return {row.scope: Latch(row.state, row.operator, row.reason, row.at_ns) for row in rows}

    def take(self, at_ns: int) -> tuple[Command, ...]:
        """The commands that nobody took yet, in the order they were given; each is taken once."""
        waiting = select(_commands).where(_commands.c.taken_at.is_(None)).order_by(_commands.c.id)
        # A look that finds nothing locks nobody out.
        with self._reading() as connection:
            if connection.execute(waiting.limit(1)).one_or_none() is None:
                return ()
        with self._transaction() as connection:
            self._reword(connection)
            rows = connection.execute(waiting).all()
            taken = _commands.update().where(_commands.c.id.in_([row.id for row in rows]))
            connection.execute(taken.values(taken_at=at_ns))
        return tuple(_command(row, taken_at=at_ns) for row in rows)

    def unanswered(self) -> tuple[Command, ...]:
        """Commands that a run took, and did not say what became of: it died in between."""
        query = select(_commands).where(_commands.c.taken_at.is_not(None), _UNDECIDED)
        with self._reading() as connection:
            return tuple(_command(row) for row in connection.execute(query.order_by(_commands.c.id)))

    def answer(self, number: int, answer: Mapping[str, Any], at_ns: int) -> None:
        """Say what became of a command.

        The first answer stands, but for one with ``decided`` False: that only says that the run has it.
        """
        one = _commands.update().where(_commands.c.id == number, _UNDECIDED)
        with self._transaction() as connection:
            connection.execute(one.values(answer=json.dumps(answer), answered_at=at_ns))

    def withdraw(self, number: int, at_ns: int) -> bool:
        """Take a command back that no run took; whether none had. What it latched stays."""
        one = _commands.update().where(_commands.c.id == number, _commands.c.taken_at.is_(None))
        with self._transaction() as connection:
            done = connection.execute(
                one.values(taken_at=at_ns, answered_at=at_ns, answer=json.dumps({"withdrawn": True}))
            )
            return done.rowcount == 1

    def get(self, number: int) -> Command | None:
        """A command as it stands."""
        with self._reading() as connection:
            row = connection.execute(select(_commands).where(_commands.c.id == number)).one_or_none()
        return None if row is None else _command(row)

    def wait(self, number: int, *, poll: Callable[[], bool]) -> Command | None:
        """The command once it is answered; None when ``poll``, which waits a while, says to give up."""
        while True:
            command = self.get(number)
            if command is not None and command.answered_at is not None:
                return command
            if not poll():
                return None

    def _worded(self, text: str) -> str:
        """An operator's words, as the run that takes them keeps them."""
        return text

    def _reword(self, connection: Connection) -> None:
        """Put the words of operators as they are kept; with them, what they latched is worded."""
        for table, key in ((_commands, _commands.c.id), (_latches, _latches.c.scope)):
            for name, operator, reason in connection.execute(
                select(key, table.c.operator, table.c.reason)
            ).all():
                kept = {"operator": self._worded(operator), "reason": self._worded(reason)}
                if kept != {"operator": operator, "reason": reason}:
                    connection.execute(table.update().where(key == name).values(**kept))

    def _connected(self) -> sqlite3.Connection:
        raw = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode=rw", uri=True, timeout=5.0, isolation_level=None
        )
        try:
            for pragma in _PRAGMAS:
                raw.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            raw.close()
            raise
        return raw

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._refusing(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._reading() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            cause = getattr(error, "orig", None) or error
            raise ControlError(
                f"the commands to the run cannot be read or written: {cause}; see to the disk, or move the "
                "file away, which forgets what was halted",
                self.path,
            ) from error


def _state(connection: Connection, scope: str) -> str:
    found = connection.scalar(select(_latches.c.state).where(_latches.c.scope == scope))
    return ACTIVE if found is None else found


def _command(row: Row[Any], taken_at: int | None = None) -> Command:
    return Command(
        row.id,
        Verb(row.verb),
        row.scope,
        row.operator,
        row.reason,
        row.at_ns,
        row.taken_at if taken_at is None else taken_at,
        row.answered_at,
        None if row.answer is None else json.loads(row.answer),
    )
