"""A restart: the books as the journal gives them, snapshot first and then decision by decision.

The strategy is not asked again: what it decided is taken from the journal, and its own values at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from attrs import evolve

from alphaweave.core.errors import InvariantViolation, StrategyError
from alphaweave.core.order import OrderRef, OrderRequest
from alphaweave.live.follow_up import follow_up
from alphaweave.live.input_codec import from_document
from alphaweave.live.inputs import CommandInput, SliceInput
from alphaweave.live.journal_records import Decision, IntentKind, JournalRow, Recovered
from alphaweave.live.kernel_live_state import change_again, readmit, restore_live
from alphaweave.live.live_books import LiveBooks
from alphaweave.live.live_intake import Intake
from alphaweave.live.live_journal import send_name
from alphaweave.live.orders import Order
from alphaweave.live.rounding import Refused
from alphaweave.live.values import decode

__all__ = ["Recovery"]

_FAILURES = frozenset({"strategy_failed", "books_contradicted"})


class Recovery:
    """Brings a kernel that was just started, its intents and its intake to where the journal ends.

    Attributes:
        closed_to: end of the last slice; commands: number of the last operator's command.
        state: the strategy's own values as the journal has them.
    """

    def __init__(self, books: LiveBooks, intake: Intake) -> None:
        self.closed_to: int | None = None
        self.commands = 0
        self.state: object = None
        self._books = books
        self._intake = intake
        self._kernel = books.kernel
        self._intents = books.intents

    def run(self, recovered: Recovered) -> None:
        """Go through it all.

        Raises:
            StrategyError: ``set_state`` failed.
            StateMismatch: the journal holds a symbol or an indicator that this run does not have.
            StateCorrupt: a snapshot or an input cannot be read.
            InvariantViolation: the books that the decisions give are not those that they had.
        """
        kernel = self._kernel
        kernel.muted = True
        self._books.archived_in(recovered.archive)
        if recovered.snapshot is not None:
            document = recovered.snapshot.kernel
            restore_live(kernel, document["kernel"])
            # A journal of an earlier version does not have them.
            cancels = document.get("cancels", {"newest": (), "names": {}})
            self._intents.restore(document["intents"], cancels)
            self._intake.held = [from_document(fill) for fill in document["held"]]
            self._intake.opened = document.get("opened", True)
            self.closed_to, self.commands = document["closed_to"], document["commands"]
        for row in recovered.tail:
            self._again(row)
        kernel.muted = kernel.stopped = False
        kernel.fails_at = None
        open_ids: set[str] = set()
        lost: set[str] = set()
        for each in recovered.open_intents:
            is_cancel = each.intent.kind is IntentKind.CANCEL
            (lost if is_cancel else open_ids).add(each.intent.client_order_id)
        self._intents.lose_cancels(lost)
        if open_ids != set(self._intents.versions):
            odd = ", ".join(sorted(open_ids ^ set(self._intents.versions)))
            raise InvariantViolation(f"what the journal has open is not what its decisions left open: {odd}")
        self._restore_strategy(recovered)

    def _again(self, row: JournalRow) -> None:
        kernel, decision = self._kernel, row.decision
        kernel.at, kernel.callbacks = decision.at_ns, 0
        failed = [entry for entry in decision.entries if entry.kind in _FAILURES]
        raised = [entry.data["callback"] for entry in failed if entry.kind == "strategy_failed"]
        kernel.fails_at = raised[0] if raised else None
        sent = any(intent.kind is not IntentKind.CANCEL for intent in decision.intents)
        booked = [(entry.execution_key, entry.revision) for entry in decision.entries]
        self._intake.booked_then = booked if sent else None
        intents = [
            (i.client_order_id, i.order_id, i.kind.value, i.request, i.decided_at, i.wire)
            for i in decision.intents
        ]
        retirements = _entries(decision, "retirements", "orders")
        change_again(kernel, intents, retirements)
        try:
            self._enter(row)
            if kernel.retiring:
                follow_up(kernel, partial(_as_then, decision))
        except (StrategyError, InvariantViolation):
            if not failed:
                raise
        finally:
            self._intake.booked_then = None
        readmit(kernel, intents)
        change_again(kernel, intents, retirements)
        self._intents.add(decision.intents, _sends(row), decision.at_ns)
        self._intents.settle(kernel)
        self._mark(decision, retirements)
        for fact in kernel.facts:
            self._books.changed(fact, decision.at_ns)
        for heap in (kernel.facts, kernel.effects, kernel.notes, kernel.breaks, self._intake.wanted):
            heap.clear()
        kernel.retirements.clear()
        kernel.texts.clear()
        self._intake.refusals = 0

    def _mark(self, decision: Decision, retirements: Mapping[str, Mapping[str, Any]]) -> None:
        """What a decision left on the books besides orders."""
        kernel = self._kernel
        for name, document in retirements.items():
            order = kernel.order_of(name)
            if order is not None and document["revoked"]:
                kernel.revoke(order)
        for name, text in _entries(decision, "texts", "texts").items():
            order = kernel.order_of(name)
            if order is not None:
                order.text = text
        for entry in decision.entries:
            if entry.kind == "counts":
                kernel.orders_placed, kernel.denials, kernel.chain.evaluations = entry.data["counts"]

    def _enter(self, row: JournalRow) -> None:
        kernel, decision = self._kernel, row.decision
        if decision.input_kind == "start":
            kernel.stopped = False
            self._intake.doubt(self._intents.orphan(decision.at_ns), decision.at_ns)
        elif decision.input_kind == "stop":
            kernel.stop()
        elif "r" in decision.payload:
            given = from_document(decision.payload)
            found = [entry.data["found"] for entry in decision.entries if entry.kind == "findings"]
            # Also where a callback failed then, the input was decided.
            if isinstance(given, SliceInput):
                self.closed_to = given.slice.end
            if isinstance(given, CommandInput):
                self.commands = given.command.id
            self._intake.enter(given, from_document(found[0]) if found else ())

    def _restore_strategy(self, recovered: Recovered) -> None:
        self.state = recovered.state
        if recovered.state is None:
            return
        strategy = self._kernel.strategy
        name = type(strategy).__qualname__
        try:
            values, version = decode(recovered.state["values"]), recovered.state["version"]
            if version != type(strategy).state_version:
                values = type(strategy).migrate_state(values, version)
            strategy.set_state(values)
        except StrategyError:
            raise
        except Exception as error:
            raise StrategyError(
                f"{name}.set_state raised {type(error).__name__}: {error}",
                strategy=name,
                callback="set_state",
            ) from error


def _as_then(decision: Decision, order: Order, request: OrderRequest) -> OrderRef | None:
    """The names that the next version of an order was given, if it was placed; None: it had to wait.

    Raises:
        Refused: it was refused.
    """
    assert order.change_ref is not None
    for intent in decision.intents:
        if intent.client_order_id == order.change_ref.client_order_id and intent.kind is IntentKind.SUBMIT:
            return evolve(order.change_ref, wire=MappingProxyType(dict(intent.wire)))
    why = _entries(decision, "retirements", "orders").get(order.id, {}).get("refused")
    if why is None:
        return None
    raise Refused("not_placed", why)


def _entries(decision: Decision, kind: str, name: str) -> dict[str, Any]:
    """What the entries of a kind have under a name, together."""
    found: dict[str, Any] = {}
    for entry in decision.entries:
        if entry.kind == kind:
            found |= entry.data[name]
    return found


def _sends(row: JournalRow) -> list[str]:
    """The name of the send that each intent of a decision went with."""
    names = []
    for intent in row.decision.intents:
        first = intent.client_order_id
        if intent.kind is IntentKind.GROUP:
            first = intent.request["group"]["legs"][0]
        names.append(send_name(intent.kind, first, row.seq))
    return names
