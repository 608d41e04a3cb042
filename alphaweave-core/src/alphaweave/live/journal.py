"""The journal: what a live run decided, committed before any of it leaves the machine.

A decision is one transaction, and its rows are chained by checksums. An error while writing is final: the
journal is broken from then on, and who holds it sends nothing more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from alphaweave.core.errors import (
    InvariantViolation,
    JournalCorrupt,
    JournalError,
    JournalFailed,
)
from alphaweave.live.journal_archive import JournalArchive, write_archived
from alphaweave.live.journal_file import WriterFile
from alphaweave.live.journal_opening import create, locked, protect, recognise, refusing
from alphaweave.live.journal_projection import project, project_again
from alphaweave.live.journal_reader import (
    chain_at,
    read_head,
    read_identity,
    read_intents,
    read_latest,
    read_page,
    read_snapshot,
)
from alphaweave.live.journal_records import (
    Decision,
    Entry,
    Intent,
    IntentState,
    JournalRow,
    Outcome,
    Recovered,
    RunIdentity,
    canonical,
    decision_body,
    row_checksum,
)
from alphaweave.live.journal_schema import SCHEMA, archive, decisions, epochs, migrate, sealed, snapshots
from alphaweave.live.run_lock import RunLock

__all__ = ["Decision", "Entry", "Intent", "Journal", "Outcome", "Recovered", "RunIdentity"]

_CHECKPOINT_EVERY = 256
_SNAPSHOTS_KEPT = 4
_NEW_DECISION = insert(decisions)
_DECISION_NAMES = tuple(column.name for column in decisions.columns)


class Journal:
    """The one writer of a journal; `open` makes it. It belongs to one thread at a time.

    Every method that writes raises JournalFailed when it could not, or when an earlier one could not.
    """

    def __init__(self, path: Path, lock: RunLock, file: WriterFile, clock_ns: Callable[[], int]) -> None:
        self.path = path
        self.epoch = 0
        self._lock = lock
        self._file = file
        self._connection = file.connection
        self._clock_ns = clock_ns
        self._pid = os.getpid()
        self._seq = 0
        self._chain = ""
        self._config_digest: str | None = None
        self._since_checkpoint = 0
        self._closed = False
        self._failure: BaseException | None = None

    @classmethod
    def open(cls, path: str | Path, *, run: RunIdentity, clock_ns: Callable[[], int]) -> Journal:
        """Open the journal at ``path``, which is made if there is none, and check what it says.

        Args:
            path: the file; its folder is made too, readable by its owner only.
            run: whose journal it is, or is to be.
            clock_ns: nanoseconds since the epoch, UTC.

        Raises:
            JournalLocked: another process writes it.
            JournalForeign: it belongs to another run, broker, account, strategy or mode.
            JournalTooNew: a newer version wrote it.
            JournalCorrupt: it is damaged, is no journal, or part of it is missing.
            JournalFailed: it cannot be read or written.
        """
        target = Path(path).resolve()
        lock = locked(target)
        try:
            with refusing(target):
                if not target.exists():
                    create(target, run, clock_ns())
                protect(target)
                recognise(target, run)
                file = WriterFile(target)
            journal = cls(target, lock, file, clock_ns)
            try:
                with refusing(target):
                    journal._begin(run)
            except BaseException:
                file.abandon()
                raise
        except BaseException:
            lock.release()
            raise
        return journal

    @property
    def broken(self) -> bool:
        """Whether something could not be written; then nothing ever is again."""
        return self._failure is not None

    @property
    def seq(self) -> int:
        """The last decision; 0 before the first."""
        return self._seq

    def commit(self, decision: Decision) -> int:
        """Write a decision, whole and durably, and return its number.

        An input that was decided before is not decided again: where ``decision`` says nothing else than what
        was committed then, or nothing at all, the earlier number is returned.

        Raises:
            JournalFailed: it is not certain that the decision is durable.
            InvariantViolation: it cannot follow from what was committed before (the input was decided in
                another way, an execution is booked already, an outcome is of no intent), or is not JSON. The
                journal takes nothing more then either, for memory and journal disagree.
        """
        self._ready()
        try:
            body = decision_body(decision)
            payload = canonical(decision.payload)
            try:
                with self._connection.begin():
                    chain = self._write(decision, payload, body)
            except IntegrityError as error:
                return self._earlier(decision, payload, body, error)
            self._seq, self._chain = self._seq + 1, chain
            self._file.verify_present()
            self._since_checkpoint += 1
            if self._since_checkpoint >= _CHECKPOINT_EVERY:
                self._file.checkpoint()
                self._since_checkpoint = 0
        except BaseException as error:
            self._break(error)
        return self._seq

    def seq_of(self, input_kind: str, input_key: str) -> int | None:
        """The number of the decision on an input; None if there is none."""
        with self._reading() as connection:
            return self._seq_of(connection, input_kind, input_key)

    def outcome(self, *outcomes: Outcome) -> int:
        """Commit what became of intents, as a decision of its own."""
        names = ",".join(f"{outcome.client_order_id}:{outcome.state}" for outcome in outcomes)
        key = f"{self._seq + 1}:{names}"
        return self.commit(
            Decision(input_kind="outcome", input_key=key, at_ns=self._clock_ns(), outcomes=outcomes)
        )

    def mark(self, state: IntentState | str, *client_order_ids: str) -> int:
        """Commit that these intents, none of them a cancel, are now in ``state``."""
        return self.outcome(*(Outcome(name, IntentState(state)) for name in client_order_ids))

    def snapshot(self, kernel: Mapping[str, Any]) -> int:
        """Write the kernel as it stands after the last decision, and return that one's number.

        What is in ``kernel`` as ``archived`` goes to the archive: from now on a kernel is without it.
        """
        self._ready()
        try:
            text = canonical({name: part for name, part in kernel.items() if name != "archived"})
            row = sealed(snapshots, self._seq, self._clock_ns(), text, self._chain)
            with self._connection.begin():
                write_archived(self._connection, self._seq, kernel.get("archived", ()))
                self._connection.execute(delete(snapshots).where(snapshots.c.seq == self._seq))
                self._connection.execute(insert(snapshots), row)
                kept = select(snapshots.c.seq).order_by(snapshots.c.seq.desc()).limit(_SNAPSHOTS_KEPT)
                self._connection.execute(
                    delete(snapshots).where(snapshots.c.seq.not_in(self._connection.scalars(kept).all()))
                )
            self._file.verify_present()
        except BaseException as error:
            self._break(error)
        return self._seq

    def recover(self) -> Recovered:
        """What a restart begins from.

        Raises:
            JournalCorrupt: something in it is damaged; so does its tail, where that is read.
        """
        with self._reading() as connection:
            snapshot = read_snapshot(connection, self.path)
            return Recovered(
                seq=self._seq,
                epoch=self.epoch,
                config_digest=self._config_digest,
                snapshot=snapshot,
                tail=self._tail(0 if snapshot is None else snapshot.seq),
                open_intents=tuple(read_intents(connection, self.path, open_only=True)),
                state=read_latest(connection, "state", self.path).get(""),
                adapter_store=read_latest(connection, "store", self.path),
                watermarks=read_latest(connection, "watermark", self.path),
                risk_state=read_latest(connection, "risk", self.path).get(""),
                archive=JournalArchive(self._reading, self.path),
            )

    def rollback(self, to_seq: int) -> Path:
        """Take back every decision after ``to_seq``, for an operator who knows why.

        What the broker did is not taken back. Returns the copy of the journal that was made before.

        Raises:
            JournalError: there is no such decision.
        """
        self._ready()
        if not 0 <= to_seq <= self._seq:
            raise JournalError(f"there is no decision {to_seq}; the last is {self._seq}", self.path)
        at_ns, last = self._clock_ns(), self._seq
        copy = self.path.with_name(f"{self.path.name}.before-rollback-{last}-{at_ns}")
        try:
            self._file.copy_to(copy)
            with self._connection.begin():
                for table in (decisions, snapshots, archive):
                    self._connection.execute(delete(table).where(table.c.seq > to_seq))
                chain = project_again(self._connection, to_seq, self.path)
            self._seq, self._chain = to_seq, chain
        except BaseException as error:
            self._break(error)
        facts = {"from": last, "to": to_seq, "copy": copy.name}
        self.commit(Decision(input_kind="rollback", input_key=f"{last}:{at_ns}", at_ns=at_ns, payload=facts))
        return copy

    def close(self) -> None:
        """Let go of the file. A second call does nothing, and one after a failure never raises.

        Raises:
            JournalFailed: the last decisions are durable, but could not be brought into the main file.
        """
        # A forked child has the parent's connection, and must not touch it.
        if self._closed or os.getpid() != self._pid:
            return
        self._closed = True
        try:
            if not self.broken:
                self._file.close()
        except Exception as error:
            self._break(error)
        finally:
            self._lock.release()

    def _begin(self, run: RunIdentity) -> None:
        damage = self._file.check()
        if damage is not None:
            raise JournalCorrupt(f"the journal is damaged ({damage}); restore it from a copy", self.path)
        connection = self._connection
        with connection.begin():
            _, schema, _ = read_identity(connection, self.path)
        if schema < SCHEMA:
            self._file.copy_to(self.path.with_name(f"{self.path.name}.schema-{schema}"))
            with connection.begin():
                migrate(connection, schema)
        # What a crash left in the log may be in memory only, after a failed fsync: write it all again.
        if not self._file.checkpoint(whole=True):
            raise JournalFailed(
                "another program reads the journal and does not end; close it, and start again", self.path
            )
        with connection.begin():
            before = connection.execute(select(epochs).order_by(epochs.c.epoch.desc()).limit(1)).one_or_none()
            snapshot = read_snapshot(connection, self.path)
            self._seq, self._chain = read_head(connection, 0 if snapshot is None else snapshot.seq, self.path)
            self.epoch = 1 if before is None else before.epoch + 1
            self._config_digest = None if before is None else before.config_digest
            values = (self.epoch, self._clock_ns(), self._seq, run.config_digest)
            connection.execute(insert(epochs), sealed(epochs, *values))
        self._file.remember()

    def _write(self, decision: Decision, payload: str, body: str) -> str:
        seq = self._seq + 1
        values = (seq, self.epoch, decision.at_ns, decision.input_kind, decision.input_key, payload, body)
        chain = row_checksum(self._chain, *values)
        self._connection.execute(_NEW_DECISION, dict(zip(_DECISION_NAMES, (*values, chain), strict=True)))
        project(self._connection, seq, decision, self.path)
        return chain

    def _earlier(self, decision: Decision, payload: str, body: str, error: IntegrityError) -> int:
        kind, key = decision.input_kind, decision.input_key
        with self._connection.begin():
            seq = self._seq_of(self._connection, kind, key)
            found = self._connection.execute(select(decisions).where(decisions.c.seq == seq)).one_or_none()
        if found is None:
            raise InvariantViolation(
                f"the decision on {kind} {key} repeats an execution or a client order id: {error.orig}"
            ) from error
        if (found.payload, found.body) != (payload, body) and body != "{}":
            raise InvariantViolation(
                f"{kind} {key} was decided before, in another way, as decision {found.seq}"
            ) from error
        return int(found.seq)

    @staticmethod
    def _seq_of(connection: Connection, kind: str, key: str) -> int | None:
        same = (decisions.c.input_kind == kind, decisions.c.input_key == key)
        return connection.scalar(select(decisions.c.seq).where(*same))

    def _tail(self, after: int) -> Iterator[JournalRow]:
        with self._reading() as connection:
            chain = chain_at(connection, after, self.path)
        while True:
            with self._reading() as connection:
                page, chain = read_page(connection, after, chain, self.path)
            if not page:
                return
            yield from page
            after = page[-1].seq

    def _ready(self) -> None:
        if self._failure is not None:
            raise JournalFailed(
                f"the journal could not be written before and takes nothing more: {self._failure}",
                self.path,
                self._failure,
            )
        if self._closed or os.getpid() != self._pid:
            raise JournalFailed("the journal is closed, or another process opened it", self.path)

    def _break(self, error: BaseException) -> NoReturn:
        self._failure = error
        self._file.abandon()
        if isinstance(error, JournalError | InvariantViolation) or not isinstance(error, Exception):
            raise error
        cause = str(getattr(error, "orig", None) or error).rstrip(".")
        raise JournalFailed(
            f"it cannot be written: {cause}. No order is sent any more: see to the disk, then start again",
            self.path,
            error,
        ) from error

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._ready()
        with refusing(self.path), self._connection.begin():
            yield self._connection
