"""The journal's tables, their number, and how an older journal becomes a newer one.

``decisions`` is the truth, chained by checksums; ``intents``, ``executions`` and ``latest`` follow from it
and can be made again; ``archive`` is a part of the snapshots. All types are ones that PostgreSQL has too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    select,
    update,
)

from alphaweave.live.journal_records import row_checksum

__all__ = [
    "METADATA",
    "MIGRATIONS",
    "SCHEMA",
    "archive",
    "decisions",
    "epochs",
    "executions",
    "intents",
    "latest",
    "meta",
    "migrate",
    "sealed",
    "snapshots",
]

SCHEMA: Final = 2
"""Raised with every change of the tables; `MIGRATIONS` has the way from each number to the next."""

METADATA = MetaData()
# Only an INTEGER key is SQLite's own row number; elsewhere a number of decisions needs 64 bits.
_Number = BigInteger().with_variant(Integer, "sqlite")
_CHECKSUM = 32

meta = Table(
    "meta",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schema", Integer, nullable=False),
    Column("identity", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("checksum", String(_CHECKSUM), nullable=False),
)

epochs = Table(
    "epochs",
    METADATA,
    Column("epoch", _Number, primary_key=True, autoincrement=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("after_seq", BigInteger, nullable=False),
    Column("config_digest", Text, nullable=False),
    Column("checksum", String(_CHECKSUM), nullable=False),
)

decisions = Table(
    "decisions",
    METADATA,
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("input_kind", Text, nullable=False),
    Column("input_key", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("checksum", String(_CHECKSUM), nullable=False),
    UniqueConstraint("input_kind", "input_key", name="one_decision_per_input"),
)

intents = Table(
    "intents",
    METADATA,
    Column("client_order_id", String(64), primary_key=True),
    Column("attempt", _Number, primary_key=True, autoincrement=False),
    Column("order_id", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("request", Text, nullable=False),
    Column("decided_at", BigInteger, nullable=False),
    Column("wire", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("position", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("broker_order_id", Text),
    Column("changed_seq", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
    Column("checksum", String(_CHECKSUM), nullable=False),
    sqlite_with_rowid=False,
)

executions = Table(
    "executions",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("execution_key", Text, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

latest = Table(
    "latest",
    METADATA,
    Column("area", String(16), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("checksum", String(_CHECKSUM), nullable=False),
    sqlite_with_rowid=False,
)

snapshots = Table(
    "snapshots",
    METADATA,
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("kernel", Text, nullable=False),
    Column("chain", String(_CHECKSUM), nullable=False),
    Column("checksum", String(_CHECKSUM), nullable=False),
)

archive = Table(
    "archive",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("seq", _Number, primary_key=True, autoincrement=False),
    Column("symbol", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Column("checksum", String(_CHECKSUM), nullable=False),
    Index("archived_of_a_symbol", "symbol", "seq"),
    sqlite_with_rowid=False,
)

_Migration = Callable[[Connection], None]

MIGRATIONS: Final[Mapping[int, _Migration]] = {1: archive.create}
"""Schema number -> what makes the next one of it. Schema 1 is the first there was."""


def migrate(
    connection: Connection, found: int, *, wanted: int = SCHEMA, steps: Mapping[int, _Migration] = MIGRATIONS
) -> None:
    """Bring the tables from schema ``found`` to ``wanted``, in the transaction that is open."""
    for number in range(found, wanted):
        steps[number](connection)
    row = connection.execute(select(meta)).one()
    connection.execute(update(meta).values(sealed(meta, 1, wanted, row.identity, row.created_at)))


def sealed(table: Table, *values: str | int | None) -> dict[str, Any]:
    """The values of a row by the names of their columns, with their checksum, which is the last."""
    return dict(zip(table.columns.keys(), (*values, row_checksum(*values)), strict=True))
