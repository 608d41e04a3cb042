"""Executions of long ago: put into the journal with a snapshot that is without them, read when asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from alphaweave.core.errors import JournalCorrupt
from alphaweave.live.journal_records import canonical, row_checksum
from alphaweave.live.journal_schema import archive, sealed
from alphaweave.live.ledger_archive import ArchivedItem

__all__ = ["JournalArchive", "write_archived"]

# A row to each name. That of the first has the document; what the others have as their position is below 0.
_NEW = insert(archive)
_SAME = delete(archive).where(
    archive.c.name == bindparam("same_name"), archive.c.seq == bindparam("same_seq")
)
_NAMED = select(archive.c.symbol, archive.c.seq, archive.c.position).where(
    archive.c.name.in_(bindparam("names", expanding=True))
)
_WITH_DOCUMENT = select(archive).where(archive.c.symbol == bindparam("of"))
_ONE = _WITH_DOCUMENT.where(archive.c.seq == bindparam("at"), archive.c.position == bindparam("place"))
_OF_A_SYMBOL = _WITH_DOCUMENT.where(
    archive.c.seq.between(bindparam("since"), bindparam("until")), archive.c.position >= 0
).order_by(archive.c.seq, archive.c.position)


class JournalArchive:
    """Reads them, for as long as the journal is open, on the thread that the journal belongs to.

    Raises (everything in it): JournalFailed if the journal is closed, broken or cannot be read.
    """

    def __init__(self, reading: Callable[[], AbstractContextManager[Connection]], path: Path) -> None:
        self._reading = reading
        self._path = path

    def find(self, names: Sequence[str]) -> list[ArchivedItem]:
        """Those that have one of these names, or had when they were put there.

        Raises:
            JournalCorrupt: one was damaged.
        """
        with self._reading() as connection:
            places = {
                (symbol, seq, place if place >= 0 else -place - 1)
                for symbol, seq, place in connection.execute(_NAMED, {"names": list(names)})
            }
            return [
                self._item(connection.execute(_ONE, {"of": symbol, "at": seq, "place": place}).one())
                for symbol, seq, place in sorted(places)
            ]

    def load(self, symbol: str, since: int, until: int) -> list[ArchivedItem]:
        """A symbol's, put there after decisions ``since`` to ``until``, in the order of its history.

        Raises:
            JournalCorrupt: one was damaged.
        """
        asked = {"of": symbol, "since": since, "until": until}
        with self._reading() as connection:
            return [self._item(row) for row in connection.execute(_OF_A_SYMBOL, asked)]

    def _item(self, row: Row[Any]) -> ArchivedItem:
        if row.checksum != row_checksum(*row[:-1]):
            raise JournalCorrupt(
                f"the journal was damaged or edited: the checksum of archive {row.name} does not match; "
                "restore it from a copy, and let nothing trade until then",
                self._path,
            )
        document = json.loads(row.document)
        return ArchivedItem(
            symbol=row.symbol, seq=row.seq, names=tuple(document["names"]), document=document["item"]
        )


def write_archived(connection: Connection, seq: int, items: Sequence[Mapping[str, Any]]) -> None:
    """Put them there after decision ``seq``, in the transaction that is open."""
    rows = [
        sealed(archive, name, seq, item["symbol"], -1 - place if again else place, "" if again else text)
        for place, item in enumerate(items)
        for text in (canonical({"names": item["names"], "item": item["document"]}),)
        for again, name in enumerate(item["names"])
    ]
    if rows:
        connection.execute(_SAME, [{"same_name": row["name"], "same_seq": seq} for row in rows])
        connection.execute(_NEW, rows)
