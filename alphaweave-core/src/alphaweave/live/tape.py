"""A journal's inputs put through a core once more: what would be decided on them today.

Every start on the tape is a start here, with the books, the strategy's values and the risk state that the
tape left, as a process that was started again had them. What the broker answered, and what a reconciliation
made of it, is taken from the tape; nothing is asked or sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from alphaweave.core.errors import JournalError
from alphaweave.core.order import OrderChange, OrderGroup, OrderRef, OrderRequest
from alphaweave.live.actions import Query
from alphaweave.live.input_codec import from_document
from alphaweave.live.inputs import Answer
from alphaweave.live.journal_records import (
    FINAL,
    Decision,
    Intent,
    IntentKind,
    IntentRow,
    IntentState,
    JournalRow,
    Recovered,
    Snapshot,
    canonical,
)
from alphaweave.live.live_core import LiveCore
from alphaweave.live.proposal import Denial, Proposal
from alphaweave.live.reconcile_findings import Finding, Why
from alphaweave.live.risk_bounded import slow_text
from alphaweave.live.rounding import Refused
from alphaweave.live.tape_decisions import Difference

__all__ = ["Rerun", "Tape", "TapeReconciler", "opening_of", "rerun"]

_SLOW: Final = "risk_rule_slow"
# Reasons of an adapter's that an order is refused for before it has an intent.


def opening_of(decision: Decision, path: str) -> Mapping[str, Any]:
    """What a start on the tape began with.

    Raises:
        JournalError: it does not say, so that the run cannot be run again.
    """
    if "cash" not in decision.payload:
        raise JournalError(
            "it does not hold what the run began with, so that its decisions cannot be made again; it was "
            "written by an older version, or without a config",
            path,
        )
    return decision.payload


@frozen(kw_only=True)
class Rerun:
    """What came of it.

    Attributes:
        decisions: how many were made again; with a difference that is the last of them.
        difference: the first one; None: there is none.
    """

    decisions: int
    difference: Difference | None


class Tape:
    """What a core of a re-run has in place of its journal and its adapter.

    Attributes:
        decided: what the core decided on the present row; None: nothing.
    """

    broken = False

    def __init__(self) -> None:
        self.decided: Decision | None = None
        self.seq = 0
        self._row: JournalRow | None = None
        self._wires: dict[str, Mapping[str, str]] = {}
        self._rows: list[JournalRow] = []
        self._snapshot: Snapshot | None = None
        self._open: dict[str, Intent] = {}
        self._state: Mapping[str, Any] | None = None
        self._risk: Mapping[str, Any] | None = None
        self._refused: dict[str, Sequence[str]] = {}
        self._slow: list[Mapping[str, Any]] = []

    def put(self, row: JournalRow) -> None:
        """This row is decided next."""
        self.decided, self._row, self.seq = None, row, row.seq - 1
        self._wires = {intent.client_order_id: intent.wire for intent in row.decision.intents}
        self._refused = {
            name: why
            for entry in row.decision.entries
            if entry.kind == "unprepared"
            for name, why in entry.data["orders"].items()
        }
        orders = (entry.data for entry in row.decision.entries if entry.kind == "order")
        self._slow = [data for data in orders if data["reason"] == _SLOW]

    def done(self) -> None:
        """The present row is decided: keep what a restart has to know."""
        row = self._row
        assert row is not None
        decision = row.decision
        self.seq = row.seq
        if self._snapshot is None or self._snapshot.seq < row.seq:
            self._rows.append(row)
        for intent in decision.intents:
            if intent.kind is not IntentKind.CANCEL:
                self._open[intent.client_order_id] = intent
        for outcome in decision.outcomes:
            if not outcome.cancel and outcome.state in FINAL:
                self._open.pop(outcome.client_order_id, None)
        if decision.state is not None:
            self._state = decision.state
        if decision.risk is not None:
            self._risk = decision.risk

    def recovered(self) -> Recovered:
        """What a process that starts now finds."""
        return Recovered(
            seq=self.seq,
            epoch=0,
            config_digest=None,
            snapshot=self._snapshot,
            tail=iter(tuple(self._rows)),
            open_intents=tuple(
                IntentRow(intent, 0, 0, IntentState.INTENT, None, 0, {}) for intent in self._open.values()
            ),
            state=self._state,
            adapter_store={},
            watermarks={},
            risk_state=self._risk,
        )

    # The journal's part.

    def commit(self, decision: Decision) -> int:
        self.decided = decision
        self.seq += 1
        return self.seq

    def snapshot(self, kernel: Mapping[str, Any]) -> int:
        # As text and back, for what is kept must not change with the kernel.
        self._snapshot = Snapshot(self.seq, 0, json.loads(canonical(kernel)))
        self._rows.clear()
        return self.seq

    # The adapter's.

    def prepare(
        self,
        request: OrderRequest | OrderGroup | OrderChange,
        refs: Sequence[OrderRef],
        replaces: OrderRef | None = None,
    ) -> Sequence[Mapping[str, str]]:
        """The names on the wire that the adapter reserved then, or its refusal."""
        for ref in refs:
            if ref.client_order_id in self._refused:
                raise Refused(*self._refused[ref.client_order_id])
        return [self._wires.get(ref.client_order_id, {}) for ref in refs]

    def slow(self, code: str, proposal: Proposal) -> Denial | None:
        """Where a plugin's rule took too long then: how long it takes is in no input."""
        for number, data in enumerate(self._slow):
            request = proposal.request
            same = request is not None and (data["symbol"], data["type"]) == (
                proposal.symbol,
                request.type.value,
            )
            if same and data["text"].startswith(slow_text(code)):
                return Denial(_SLOW, self._slow.pop(number)["text"])
        return None

    def heard(self) -> Sequence[Any]:
        """What the rules had heard since the row before, in no decision."""
        return self._entry("heard", "facts")

    def findings(self) -> tuple[Finding, ...]:
        """What the reconciliation made of the present input."""
        return tuple(self._entry("findings", "found"))

    def _entry(self, kind: str, name: str) -> Sequence[Any]:
        assert self._row is not None
        found = [entry.data[name] for entry in self._row.decision.entries if entry.kind == kind]
        return from_document(found[0]) if found else ()


class TapeReconciler:
    """Makes of an answer what was made of it then, and asks nothing."""

    passed = True

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def begin(self, at: int, why: Why) -> None: ...
    def doubt_rules(self, at: int) -> None: ...
    def lost(self) -> None: ...
    def restore(self, saved: Mapping[str, Any]) -> None: ...

    def due(self, at: int) -> tuple[Query, ...]:
        return ()

    def next_due(self) -> int | None:
        return None

    def answered(self, query: Query, answer: Answer, at: int) -> tuple[Finding, ...]:
        return self._tape.findings()

    def failed(self, query: Query, error: str, at: int) -> tuple[Finding, ...]:
        return self._tape.findings()

    def snapshot(self) -> Mapping[str, Any]:
        return {}


def rerun(
    rows: Iterable[JournalRow],
    core_of: Callable[[Tape, Decision], LiveCore],
    *,
    path: str,
    seen: Callable[[JournalRow], None] = lambda row: None,
) -> Rerun:
    """Decide on every input of a journal again, up to the first decision that is another.

    Args:
        rows: from the first decision on.
        core_of: a new core, with a new strategy, for the start that is given.
        path: of the journal, for messages.
        seen: is told each row that was decided as it was then.

    Raises:
        JournalError: what is on the tape cannot be run again.
        StateCorrupt: an input cannot be read.
        StrategyError: the strategy's ``init`` or ``set_state`` failed.
    """
    tape = Tape()
    core: LiveCore | None = None
    for row in rows:
        decision = row.decision
        tape.put(row)
        if decision.input_kind == "start":
            recovered = tape.recovered()
            core = core_of(tape, decision)
            core.start(recovered, decision.at_ns)
        elif decision.input_kind != "rollback":
            if core is None:
                raise JournalError(f"decision {row.seq} comes before any start", path)
            _decide(core, tape, row, path)
        else:
            # An operator's; a start follows.
            tape.decided = decision
        difference = Difference.between(row.seq, decision, tape.decided)
        if difference is not None:
            return Rerun(decisions=row.seq, difference=difference)
        tape.done()
        seen(row)
    return Rerun(decisions=tape.seq, difference=None)


def _decide(core: LiveCore, tape: Tape, row: JournalRow, path: str) -> None:
    decision = row.decision
    for fact in tape.heard():
        core.board.heard(fact)
    if decision.input_kind == "stop":
        core.stop(str(decision.payload.get("reason", "")), decision.at_ns)
    elif "r" in decision.payload:
        core.handle(from_document(decision.payload))
    else:
        raise JournalError(
            f"decision {row.seq} ({decision.input_kind}) is kept without its input, so that it cannot be "
            "made again",
            path,
        )
