"""The journal's file: what is particular to SQLite.

The writer keeps one connection for its whole life, and beside it an idle one that only reads, the guard.
SQLite checkpoints when the last connection to a file closes. After a failed write or fsync that must not
happen: the kernel may have dropped the pages that did not reach the disk and report success the next time. As
long as the guard is there, the writer is never the last; and the guard, which is then, cannot write.
For the same reason SQLite's own checkpoints are off: it keeps quiet about those that fail.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool, Pool, StaticPool

__all__ = [
    "WAIT",
    "WriterFile",
    "is_damage",
    "make_engine",
    "make_file",
    "opened_read_only",
    "reading_engine",
    "sync_folder",
]

WAIT = 5.0
"""Seconds for which a reader that stands in the way is waited for."""

_LIMIT = 64 * 1024 * 1024


def make_engine(creator: Callable[[], Any], pool: type[Pool]) -> Engine:
    """An engine whose statements are compiled once in a process, not once for each file that is opened."""
    first, compiled = _first_engine()
    # What was compiled is found again by the dialect too, so that all engines have to share the one.
    return Engine(
        pool(creator, dialect=first.dialect, reset_on_return=None),
        first.dialect,
        first.url,
        execution_options={"compiled_cache": compiled},
        hide_parameters=True,
    )


@cache
def _first_engine() -> tuple[Engine, dict[Any, Any]]:
    """An engine that has connected once, so that its dialect knows SQLite, and what it compiled."""
    first = create_engine("sqlite://", poolclass=NullPool)
    first.connect().close()
    return first, {}


def reading_engine(path: Path) -> Engine:
    """Connections that cannot write, closed after each use; none is begun, so each query is alone."""
    return make_engine(lambda: opened_read_only(path), NullPool)


def opened_read_only(path: Path) -> sqlite3.Connection:
    """One such connection."""
    raw = _opened(path, "ro")
    raw.execute("PRAGMA query_only = 1")
    return raw


def make_file(path: Path) -> sqlite3.Connection:
    """An empty database at ``path``, readable by its owner only, whose first write is safe."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    raw = _opened(path, "rw")
    raw.execute("PRAGMA synchronous = EXTRA")
    return raw


def sync_folder(path: Path) -> None:
    """Make the names in the folder of ``path`` durable."""
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file is malformed, is no database, or is one of something else."""
    cause = getattr(error, "orig", error)
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    return (
        isinstance(error, UnicodeError)
        or code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
        or str(cause).startswith(("Could not decode", "no such table", "no such column"))
    )


class WriterFile:
    """The one connection that writes, and its guard.

    Raises (everything in it): ``sqlite3.Error``, ``OSError`` or SQLAlchemy's wrapping of them.
    """

    __slots__ = ("_files", "_guard", "_raw", "connection", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[Path, tuple[int, int]] = {}
        self._raw = _opened(path, "rw")
        self._guard: sqlite3.Connection | None = None
        try:
            mode = self._raw.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            if mode != "wal":
                raise OSError(f"SQLite keeps no write-ahead log here, but {mode!r}; use a local disk")
            for pragma in ("synchronous = FULL", "fullfsync = 1", "wal_autocheckpoint = 0"):
                self._raw.execute(f"PRAGMA {pragma}")
            self._raw.execute(f"PRAGMA journal_size_limit = {_LIMIT}")
            self._guard = opened_read_only(path)
            # Its first query makes the guard hold the file; it never lets go.
            self._guard.execute("SELECT count(*) FROM sqlite_master").fetchone()
            engine = make_engine(lambda: self._raw, StaticPool)
            event.listen(engine, "begin", _begin)
            self.connection: Connection = engine.connect()
        except BaseException:
            self.abandon()
            raise

    def check(self) -> str | None:
        """What is wrong with the file's structure, if anything is."""
        found: str = self._raw.execute("PRAGMA quick_check(1)").fetchone()[0]
        return None if found == "ok" else found

    def remember(self) -> None:
        """Note which files these are: from now on they must stay the same ones."""
        self._files = {}
        for path in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            status = path.stat()
            self._files[path] = (status.st_dev, status.st_ino)

    def verify_present(self) -> None:
        """See that the names still lead to what is being written.

        Raises:
            FileNotFoundError: one was deleted or replaced.
        """
        for path, known in self._files.items():
            status = os.stat(path)  # noqa: PTH116 (twice for each commit)
            if (status.st_dev, status.st_ino) != known:
                raise FileNotFoundError(f"{path} was replaced by another file")

    def checkpoint(self, *, whole: bool = False) -> bool:
        """Bring the log into the file, and empty it if ``whole``; whether nothing is left to bring."""
        mode = "TRUNCATE" if whole else "PASSIVE"
        busy, pages, done = self._raw.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        return not busy and pages == done

    def copy_to(self, path: Path) -> None:
        """A copy of all that is committed, durable before this returns."""
        with closing(make_file(path)) as copy:
            self._raw.backup(copy)
        sync_folder(path)

    def abandon(self) -> None:
        """Let go without writing a byte; never raises."""
        for held in (getattr(self, "connection", None), self._raw, self._guard):
            if held is not None:
                with suppress(SQLAlchemyError, sqlite3.Error):
                    held.close()

    def close(self) -> None:
        """Bring everything into the file, and let go; on an error nothing more is written."""
        try:
            self.checkpoint(whole=True)
            if self._guard is not None:
                self._guard.close()
                self._guard = None
        finally:
            self.abandon()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    raw = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=WAIT,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        # No byte of the file is mapped, and a cell that reaches out of its page is damage, not data.
        for pragma in ("mmap_size = 0", "trusted_schema = 0", "cell_size_check = 1", "temp_store = MEMORY"):
            raw.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        raw.close()
        raise
    return raw
