"""What comes before a journal can be written: its lock, its file, whose it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from attrs import asdict
from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from alphaweave.core.errors import (
    JournalCorrupt,
    JournalFailed,
    JournalForeign,
    JournalLocked,
    LockHeld,
    RunRefused,
)
from alphaweave.live.journal_file import is_damage, make_engine, make_file, reading_engine, sync_folder
from alphaweave.live.journal_reader import read_identity
from alphaweave.live.journal_records import RunIdentity, canonical
from alphaweave.live.journal_schema import METADATA, SCHEMA, meta, sealed
from alphaweave.live.run_lock import RunLock

__all__ = ["check_unlocked", "create", "locked", "protect", "recognise", "refusing"]


def check_unlocked(path: Path) -> None:
    """Refuse a journal that another process writes; nothing is made or kept.

    Raises:
        JournalLocked: one does.
        JournalFailed: there cannot be a lock here.
    """
    target = path.resolve()
    if target.with_name(f"{target.name}.lock").exists():
        locked(target).release()


def locked(path: Path) -> RunLock:
    """The lock of the journal's one writer, in a folder that is there."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return RunLock.acquire(path.with_name(f"{path.name}.lock"), what=f"the journal {path}")
    except LockHeld as error:
        holder = "another process" if error.pid is None else f"process {error.pid}"
        raise JournalLocked(
            f"{holder} writes this journal; stop that run first (lock {error.path})", path, error.pid
        ) from error
    except (RunRefused, OSError) as error:
        raise JournalFailed(f"the journal cannot be made here: {error}", path, error) from error


def create(path: Path, run: RunIdentity, at_ns: int) -> None:
    """Make a whole journal aside and move it into place: one that exists is never half."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists():
        raise JournalCorrupt(
            f"the journal is gone, but {log.name} is there, which belonged to it: restore both from a copy, "
            "or move it away to start anew",
            path,
        )
    aside = path.with_name(f"{path.name}.new")
    _clear(aside)
    try:
        _fill(aside, run, at_ns)
        aside.rename(path)
    except BaseException:
        # Where the disk is full there is no use in a file that holds nothing.
        with suppress(OSError):
            _clear(aside)
        raise
    sync_folder(path)


def _clear(aside: Path) -> None:
    for leftover in (aside, aside.with_name(f"{aside.name}-journal")):
        leftover.unlink(missing_ok=True)


def _fill(aside: Path, run: RunIdentity, at_ns: int) -> None:
    with closing(make_file(aside)) as raw:
        engine = make_engine(lambda: raw, StaticPool)
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            METADATA.create_all(connection, checkfirst=False)
            facts = asdict(run)
            del facts["config_digest"]
            values = (SCHEMA, canonical(facts), at_ns)
            connection.execute(insert(meta), sealed(meta, 1, *values))
            connection.commit()


def protect(path: Path) -> None:
    """See that it is a file, for its owner alone."""
    if not path.is_file():
        raise JournalCorrupt("this is no file; name another `persistence.journal`", path)
    mode = path.stat().st_mode
    if mode & 0o077:
        path.chmod(mode & 0o700)


def recognise(path: Path, run: RunIdentity) -> None:
    """See that the file is the journal of ``run``, before a byte of it is changed."""
    with reading_engine(path).connect() as connection:
        mine, _, _ = read_identity(connection, path)
    differences = {
        name: (value, getattr(run, name))
        for name, value in asdict(mine).items()
        if name != "config_digest" and value != getattr(run, name)
    }
    if differences:
        told = "; ".join(
            f"its {name} is {theirs!r}, this run's is {ours!r}"
            for name, (theirs, ours) in differences.items()
        )
        raise JournalForeign(
            f"this journal belongs to another run: {told}. Name another `persistence.journal`",
            path,
            differences,
        )


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn what the database says while it is opened or read into what is wrong with the journal."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, UnicodeError) as error:
        cause = getattr(error, "orig", None) or error
        if is_damage(error):
            raise JournalCorrupt(
                f"the journal is damaged, or is none: {cause}; restore it from a copy", path
            ) from error
        raise JournalFailed(f"the journal cannot be opened: {cause}", path, error) from error
