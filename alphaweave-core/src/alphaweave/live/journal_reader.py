"""Reading a journal, also while it is written: never in the writer's way, and nothing damaged is believed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, frozen
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from alphaweave.core.errors import JournalCorrupt, JournalError, JournalTooNew
from alphaweave.live.journal_archive import JournalArchive
from alphaweave.live.journal_file import is_damage, reading_engine
from alphaweave.live.journal_records import (
    EXECUTIONS,
    FINAL,
    Entry,
    Intent,
    IntentRow,
    IntentState,
    JournalRow,
    RunIdentity,
    Snapshot,
    decision_of,
    row_checksum,
)
from alphaweave.live.journal_schema import SCHEMA, decisions, epochs, intents, latest, meta, snapshots

__all__ = [
    "Difference",
    "JournalReader",
    "chain_at",
    "intent_row",
    "read_head",
    "read_identity",
    "read_intents",
    "read_latest",
    "read_page",
    "read_snapshot",
]

_PAGE = 2000


@frozen
class Difference:
    """Where two journals differ: ``path`` leads into `JournalReader.export`; None stands for "not there"."""

    path: str
    mine: Any
    theirs: Any


class JournalReader:
    """A journal, read-only. Every query is a transaction of its own, and short.

    Raises (every method): JournalError if the file cannot be read, JournalCorrupt if what it says is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise JournalError("there is no journal here", self.path)
        self._engine = reading_engine(self.path)
        with _Reading(self) as connection:
            self.identity = read_identity(connection, self.path)[0]

    @property
    def archive(self) -> JournalArchive:
        """Executions of long ago, which its snapshot is without."""
        return JournalArchive(lambda: _Reading(self), self.path)

    @property
    def seq(self) -> int:
        """The last decision; 0 if there is none."""
        with _Reading(self) as connection:
            return connection.scalar(select(func.coalesce(func.max(decisions.c.seq), 0))) or 0

    def decisions(self, since: int = 0, until: int | None = None) -> Iterator[JournalRow]:
        """The decisions after ``since``, up to and with ``until``, in order."""
        with _Reading(self) as connection:
            chain = chain_at(connection, since, self.path)
        while True:
            with _Reading(self) as connection:
                page, chain = read_page(connection, since, chain, self.path)
            for row in page:
                if until is not None and row.seq > until:
                    return
                yield row
            if len(page) < _PAGE:
                return
            since = page[-1].seq

    def orders(self) -> list[IntentRow]:
        """Every intent there was, in the order they were decided, and how far it came."""
        with _Reading(self) as connection:
            return read_intents(connection, self.path, open_only=False)

    def entries(self, *kinds: str, since: int = 0) -> Iterator[tuple[JournalRow, Entry]]:
        """The changes of the books of these kinds (all, if none is named), each with its decision."""
        for row in self.decisions(since):
            for entry in row.decision.entries:
                if not kinds or entry.kind in kinds:
                    yield row, entry

    def executions(self) -> list[Entry]:
        """Executions and their corrections, in the order they were booked."""
        return [entry for _, entry in self.entries(*sorted(EXECUTIONS))]

    def equity(self) -> list[tuple[int, Mapping[str, Any]]]:
        """The recorded points of the equity: nanoseconds since the epoch, UTC, and the document."""
        return [(row.decision.at_ns, entry.data) for row, entry in self.entries("equity")]

    def tape(self, *kinds: str, since: int = 0) -> Iterator[JournalRow]:
        """The inputs of these kinds (all, if none is named), in the order they were decided."""
        return (row for row in self.decisions(since) if not kinds or row.decision.input_kind in kinds)

    def newest(self, kind: str) -> JournalRow | None:
        """The last decision on an input of this kind, without a look at all that came before it."""
        query = select(func.max(decisions.c.seq)).where(decisions.c.input_kind == kind)
        with _Reading(self) as connection:
            seq = connection.scalar(query)
        return None if seq is None else next(self.decisions(seq - 1, seq))

    def snapshot(self) -> Snapshot | None:
        """The newest one."""
        with _Reading(self) as connection:
            return read_snapshot(connection, self.path)

    def latest(self, area: str) -> dict[str, Any]:
        """The values of ``store``, ``watermark``, ``state`` or ``risk`` as last committed."""
        with _Reading(self) as connection:
            return read_latest(connection, area, self.path)

    def export(self) -> dict[str, Any]:
        """The whole journal as one JSON document; of a run that goes on, as it was at one decision."""
        with _Reading(self) as connection:
            connection.exec_driver_sql("BEGIN")
            rows: list[JournalRow] = []
            chain = chain_at(connection, 0, self.path)
            while len(rows) % _PAGE == 0:
                page, chain = read_page(connection, rows[-1].seq if rows else 0, chain, self.path)
                rows += page
                if not page:
                    break
            snapshot = read_snapshot(connection, self.path)
            orders = read_intents(connection, self.path, open_only=False)
            areas = {
                area: read_latest(connection, area, self.path)
                for area in ("state", "risk", "store", "watermark")
            }
            connection.exec_driver_sql("COMMIT")
        return {
            **asdict(self.identity),
            "seq": rows[-1].seq if rows else 0,
            "epoch": rows[-1].epoch if rows else 0,
            "timestamp_ns": rows[-1].decision.at_ns if rows else None,
            "snapshot_seq": None if snapshot is None else snapshot.seq,
            "kernel": None if snapshot is None else snapshot.kernel,
            "strategy_state": areas["state"].get(""),
            "risk_state": areas["risk"].get(""),
            "adapter_store": areas["store"],
            "watermarks": areas["watermark"],
            "orders": {f"{o.intent.client_order_id}/{o.attempt}": _plain(o) for o in orders},
            "decisions": [_plain(row) for row in rows],
        }

    def diff(self, other: JournalReader | Mapping[str, Any], *, limit: int = 100) -> list[Difference]:
        """Where another journal, or what `export` gave, says something else; no more than ``limit``."""
        theirs = other.export() if isinstance(other, JournalReader) else other
        found: list[Difference] = []
        for difference in _differences("", self.export(), theirs):
            found.append(difference)
            if len(found) == limit:
                break
        return found


class _Reading:
    """A connection for one query or a few, whose errors name the journal."""

    def __init__(self, reader: JournalReader) -> None:
        self._reader = reader
        self._connection: Connection | None = None

    def __enter__(self) -> Connection:
        try:
            self._connection = self._reader._engine.connect()
        except (SQLAlchemyError, UnicodeError) as error:
            raise self._named(error) from error
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._connection is not None:
            self._connection.close()
        if isinstance(error, SQLAlchemyError | UnicodeError):
            raise self._named(error) from error

    def _named(self, error: SQLAlchemyError | UnicodeError) -> JournalError:
        path = self._reader.path
        cause = getattr(error, "orig", None) or error
        if is_damage(error):
            what = f"the journal is damaged, or is none: {cause}; name the run's persistence.journal"
            return JournalCorrupt(f"{what}, or restore it from a copy", path)
        return JournalError(f"the journal cannot be read: {cause}", path)


def read_identity(connection: Connection, path: Path) -> tuple[RunIdentity, int, str]:
    """Whose journal it is, its schema number, and the checksum that its chain begins with."""
    row = connection.execute(select(meta)).one_or_none()
    if row is None:
        raise JournalCorrupt("the journal does not say whose it is; restore it from a copy", path)
    if isinstance(row.schema, int) and row.schema > SCHEMA:
        raise JournalTooNew(
            f"the journal has schema {row.schema}, this version reads up to {SCHEMA}. "
            "Try: pip install -U alphaweave-core",
            path,
        )
    if row.checksum != row_checksum(*row[:-1]):
        raise _damaged("meta", "1", path)
    digest = connection.execute(select(epochs).order_by(epochs.c.epoch.desc()).limit(1)).one_or_none()
    if digest is not None and digest.checksum != row_checksum(*digest[:-1]):
        raise _damaged("epochs", str(digest.epoch), path)
    identity = RunIdentity(
        **json.loads(row.identity), config_digest="" if digest is None else digest.config_digest
    )
    return identity, row.schema, row_checksum(row.identity, row.created_at)


def chain_at(connection: Connection, seq: int, path: Path) -> str:
    """The checksum that the decision after ``seq`` is chained to."""
    if seq == 0:
        return read_identity(connection, path)[2]
    found = connection.scalar(select(decisions.c.checksum).where(decisions.c.seq == seq))
    if found is None:
        raise JournalCorrupt(f"decision {seq} is not there; restore the journal from a copy", path)
    return str(found)


def read_page(connection: Connection, after: int, chain: str, path: Path) -> tuple[list[JournalRow], str]:
    """The next decisions, no more than a page, with the checksum of the last."""
    page, chain = _checked(connection, after, chain, path)
    return [
        JournalRow(seq, epoch, decision_of(at_ns, kind, key, payload, body))
        for seq, epoch, at_ns, kind, key, payload, body, _ in page
    ], chain


def read_head(connection: Connection, after: int, path: Path) -> tuple[int, str]:
    """The last decision and its checksum, once all after ``after`` are found to be whole."""
    chain = chain_at(connection, after, path)
    while True:
        page, chain = _checked(connection, after, chain, path)
        if not page:
            return after, chain
        after = page[-1].seq


def _checked(connection: Connection, after: int, chain: str, path: Path) -> tuple[Sequence[Any], str]:
    query = select(decisions).where(decisions.c.seq > after).order_by(decisions.c.seq).limit(_PAGE)
    page = connection.execute(query).all()
    for row in page:
        # The number is in the sum, and so is the row before: a gap and a swap are found as well.
        chain = row_checksum(chain, *row[:-1])
        if row.checksum != chain:
            raise _damaged("decisions", str(row.seq), path)
    return page, chain


def read_snapshot(connection: Connection, path: Path) -> Snapshot | None:
    """The newest one, which must be of the chain that the decisions are."""
    row = connection.execute(select(snapshots).order_by(snapshots.c.seq.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    if row.checksum != row_checksum(*row[:-1]) or row.chain != chain_at(connection, row.seq, path):
        raise _damaged("snapshots", str(row.seq), path)
    return Snapshot(row.seq, row.at_ns, json.loads(row.kernel))


def read_intents(connection: Connection, path: Path, *, open_only: bool) -> list[IntentRow]:
    """Intents in the order they were decided."""
    query = select(intents).order_by(intents.c.seq, intents.c.position)
    if open_only:
        query = query.where(intents.c.state.not_in(sorted(FINAL)))
    return [intent_row(tuple(row), path) for row in connection.execute(query).all()]


def intent_row(row: tuple[Any, ...], path: Path) -> IntentRow:
    """One of them from its columns."""
    name, attempt, order, kind, request, decided, wire, seq, _, state, broker, changed, data, checksum = row
    if checksum != row_checksum(*row[:-1]):
        raise _damaged("intents", name, path)
    intent = Intent(name, order, kind, json.loads(request), decided, json.loads(wire))
    return IntentRow(intent, attempt, seq, IntentState(state), broker, changed, json.loads(data))


def read_latest(connection: Connection, area: str, path: Path) -> dict[str, Any]:
    """The values of one area."""
    values = {}
    for row in connection.execute(select(latest).where(latest.c.area == area).order_by(latest.c.key)).all():
        if row.checksum != row_checksum(*row[:-1]):
            raise _damaged("latest", f"{area}/{row.key}", path)
        values[row.key] = json.loads(row.value)
    return values


def _damaged(table: str, key: str, path: Path) -> JournalCorrupt:
    return JournalCorrupt(
        f"the journal was damaged or edited: the checksum of {table} {key} does not match; restore it "
        "from a copy, and let nothing trade until then",
        path,
    )


def _plain(record: IntentRow | JournalRow) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(asdict(record)))
    return plain


def _differences(path: str, mine: Any, theirs: Any) -> Iterator[Difference]:
    if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
        for key in sorted({*mine, *theirs}):
            yield from _differences(f"{path}.{key}" if path else key, mine.get(key), theirs.get(key))
    elif isinstance(mine, list) and isinstance(theirs, list):
        for number in range(max(len(mine), len(theirs))):
            yield from _differences(
                f"{path}[{number}]",
                mine[number] if number < len(mine) else None,
                theirs[number] if number < len(theirs) else None,
            )
    elif mine != theirs:
        yield Difference(path, mine, theirs)
