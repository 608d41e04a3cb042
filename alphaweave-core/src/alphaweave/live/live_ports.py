"""What the core of a live run needs of its journal and its reconciler, and nothing more.

Times are nanoseconds since the epoch, UTC. None of these is called from another thread than the core.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from alphaweave.live.actions import Query
from alphaweave.live.inputs import Answer
from alphaweave.live.journal_records import Decision
from alphaweave.live.reconcile_findings import Finding, Why

__all__ = ["JournalWriter", "NullJournal", "ReconcilerPort"]


class JournalWriter(Protocol):
    """Where decisions go; `alphaweave.live.journal.Journal` is one."""

    @property
    def broken(self) -> bool: ...
    @property
    def seq(self) -> int: ...

    def commit(self, decision: Decision) -> int:
        """Write it, durably; see there for what it raises."""
        ...

    def snapshot(self, kernel: Mapping[str, Any]) -> int: ...


class NullJournal:
    """Keeps nothing, for runs whose decisions nobody has to remember.

    Attributes:
        broken: never; seq: how many decisions there were.
    """

    broken = False

    def __init__(self) -> None:
        self.seq = 0

    def commit(self, decision: Decision) -> int:
        self.seq += 1
        return self.seq

    def snapshot(self, kernel: Mapping[str, Any]) -> int:
        return self.seq


class ReconcilerPort(Protocol):
    """Compares the books with the broker's (`alphaweave.live.reconcile`)."""

    @property
    def passed(self) -> bool: ...

    def begin(self, at: int, why: Why) -> None: ...
    def doubt_rules(self, at: int) -> None: ...
    def lost(self) -> None: ...
    def due(self, at: int) -> tuple[Query, ...]: ...
    def answered(self, query: Query, answer: Answer, at: int) -> tuple[Finding, ...]: ...
    def failed(self, query: Query, error: str, at: int) -> tuple[Finding, ...]: ...
    def next_due(self) -> int | None: ...
    def snapshot(self) -> Mapping[str, Any]: ...
    def restore(self, saved: Mapping[str, Any]) -> None: ...
