"""The scribe of a live run: what was decided, written down, and only then handed out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from attrs import asdict, evolve, field, frozen

from alphaweave.core.errors import InvariantViolation, JournalError
from alphaweave.live.actions import Action, SendCancel, SendGroup, SendReplace, SendSubmit
from alphaweave.live.effects import (
    CancelOrder,
    Effect,
    ReplaceOrder,
    Reservations,
    RetireOrder,
    SubmitGroup,
    SubmitOrder,
)
from alphaweave.live.input_codec import to_document
from alphaweave.live.inputs import ONCE
from alphaweave.live.journal_records import Decision, Entry, Intent, IntentKind, canonical
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.kernel_live_state import capture_live, intent_documents, retirement_documents
from alphaweave.live.live_books import LiveBooks
from alphaweave.live.live_journal import AdapterStore, fact_entries, note_entries, send_name
from alphaweave.live.live_ports import JournalWriter
from alphaweave.live.live_settings import LiveSettings
from alphaweave.live.reports import BrokerFill
from alphaweave.live.risk_board import RiskBoard
from alphaweave.live.values import encode

__all__ = ["Scribe", "Standing", "Written"]

_SECOND_NS: Final = 1_000_000_000


@frozen
class Standing:
    """What a snapshot keeps besides the kernel and its intents."""

    held: Sequence[BrokerFill]
    opened: bool
    closed_to: int | None
    commands: int


@frozen(kw_only=True)
class Written:
    """What is to be written of one input.

    Attributes:
        payload: the input itself; entries: what only the core knows of it.
        always: also where nothing follows from it.
    """

    kind: str
    key: str
    at: int
    payload: dict[str, Any]
    entries: Sequence[Entry] = ()
    state: dict[str, Any] | None = None
    watermarks: dict[str, Any] = field(factory=dict)
    always: bool = True


class Scribe:
    """Turns what the kernel decided into a decision of the journal, and that into sends.

    Attributes:
        failure: why the journal takes nothing more.
    """

    def __init__(
        self,
        books: LiveBooks,
        *,
        journal: JournalWriter,
        board: RiskBoard,
        store: AdapterStore,
        settings: LiveSettings,
    ) -> None:
        self.failure: BaseException | None = None
        self._kernel: LiveKernel = books.kernel
        self._books = books
        self._intents = books.intents
        self._journal = journal
        self._board = board
        self._store = store
        self._settings = settings
        self._said: dict[str, str] = {}
        self._counts: list[int] = []
        self._since_snapshot = 0

    def remember(self, state: object) -> None:
        """This is what the journal says already."""
        self._said = {"state": canonical(state), "risk": self._risk_text(self._board.snapshot())}

    def strategy_state(self) -> dict[str, Any] | None:
        """The strategy's own values as the journal keeps them, if they changed since the last decision.

        Raises:
            Exception: whatever ``get_state`` raises, or `StateError` where it gives what cannot be saved.
        """
        strategy = self._kernel.strategy
        state = {"version": type(strategy).state_version, "values": encode(dict(strategy.get_state()))}
        return None if canonical(state) == self._said.get("state") else state

    def write(self, written: Written, notes: Sequence[Any], standing: Standing) -> tuple[Action, ...] | None:
        """Commit a decision, and hand out what it sends; None if it could not be committed."""
        kernel = self._kernel
        seq = self._journal.seq + 1
        effects = self._sendable()
        intents: list[Intent] = []
        names: list[str] = []
        sends: list[Action] = []
        for effect in effects:
            made = self._intents_of(effect)
            first = made[0]
            name = send_name(first.kind, first.client_order_id, seq)
            intents.extend(made)
            names.extend(name for _ in made)
            sends.append(self._send(effect, name, written.at))
        self._intents.add(intents, names, written.at)
        outcomes = self._intents.settle(kernel)
        facts, kernel.facts = kernel.facts, []
        entries = [*written.entries, *fact_entries(facts), *note_entries(notes)]
        counts = [kernel.orders_placed, kernel.denials, kernel.chain.evaluations]
        if counts != self._counts:
            entries.append(Entry("counts", {"counts": counts}))
        entries += self._left()
        decision = Decision(
            input_kind=written.kind,
            input_key=written.key if written.kind in ONCE else f"{seq}:{written.key}",
            at_ns=written.at,
            payload=written.payload,
            entries=tuple(entries),
            state=written.state,
            intents=tuple(intents),
            outcomes=outcomes,
            store=self._store.take(),
            watermarks=written.watermarks,
            risk=self._risk(),
        )
        if not (written.always or entries or intents or outcomes or decision.store or decision.risk):
            return ()
        heard = [fact for fact in self._board.news() if getattr(fact, "at_ns", None) != written.at]
        if heard:
            # What came in between and was no decision of its own: a re-run has to know it as well.
            entry = Entry("heard", {"facts": to_document(tuple(heard))})
            decision = evolve(decision, entries=(*decision.entries, entry))
        try:
            self._journal.commit(decision)
            self._counts = counts
            if written.state is not None:
                self._said["state"] = canonical(written.state)
            if decision.risk is not None:
                self._said["risk"] = self._risk_text(decision.risk)
            self._since_snapshot += 1
            # At a start always: what the books began with is in no decision.
            if written.kind == "start" or self._since_snapshot >= self._settings.snapshot_every:
                self.snapshot(standing)
        except (JournalError, InvariantViolation) as error:
            self.failure = error
            self._intents.forget(intents)
            return None
        return tuple(sends)

    def _left(self) -> Iterator[Entry]:
        """What the input left besides orders, and what is in no input: what the adapter refused."""
        kernel, prepare = self._kernel, self._kernel.settings.prepare
        if isinstance(prepare, Reservations) and prepare.refused:
            yield Entry("unprepared", {"orders": {name: list(why) for name, why in prepare.refused.items()}})
            prepare.refused.clear()
        if kernel.retirements:
            yield Entry("retirements", {"orders": retirement_documents(kernel)})
            kernel.retirements.clear()
        if kernel.texts:
            # The last word of this input: what came after may have been the order's end.
            orders = {name: kernel.order_of(name) for name in kernel.texts}
            texts = {name: order.text for name, order in orders.items() if order is not None}
            yield Entry("texts", {"texts": texts})
            kernel.texts.clear()

    def snapshot(self, standing: Standing) -> None:
        """Write everything as it stands.

        Raises:
            JournalFailed: it could not be written.
        """
        self._since_snapshot = 0
        ledger = self._kernel.ledger
        archived: tuple[dict[str, Any], ...] = ()
        if ledger.archive is not None:
            before = self._kernel.now - round(self._settings.archive_after * _SECOND_NS)
            archived = tuple(asdict(item) for item in ledger.archive.fold(before, self._journal.seq))
        self._journal.snapshot(
            {
                "archived": archived,
                "kernel": capture_live(self._kernel, self._settings.history),
                "intents": self._intents.snapshot(),
                "cancels": self._intents.snapshot_cancels(),
                "held": [to_document(fill) for fill in standing.held],
                "opened": standing.opened,
                "closed_to": standing.closed_to,
                "commands": standing.commands,
            }
        )

    def cancels(self) -> tuple[SendCancel, ...]:
        """A cancel of everything that may be at the broker, for a journal that takes nothing more."""
        versions = self._intents.open_versions(self._kernel)
        return tuple(
            SendCancel(send_name(IntentKind.CANCEL, version.ref.client_order_id, 0), version.ref)
            for version in versions
        )

    def _sendable(self) -> list[Effect]:
        """The effects, less cancels of what is over, or whose cancel is on its way."""
        kernel = self._kernel
        effects: list[Effect] = []
        cancelled: set[str] = set()
        for effect in kernel.effects:
            if isinstance(effect, RetireOrder):
                effect = CancelOrder(effect.ref)  # noqa: PLW2901 - what is sent of it
            if isinstance(effect, CancelOrder):
                name = effect.ref.client_order_id
                over = name not in kernel.orders and name not in self._intents.revived
                if over or name in cancelled or self._intents.cancelling(name):
                    continue
                cancelled.add(name)
            effects.append(effect)
        kernel.effects.clear()
        self._intents.revived.clear()
        return effects

    def _intents_of(self, effect: Effect) -> list[Intent]:
        return [
            Intent(client_id, order_id, IntentKind(kind), document, self._kernel.now, dict(ref.wire))
            for client_id, order_id, kind, document, ref in intent_documents(self._kernel, effect)
        ]

    def _send(self, effect: Effect, name: str, at: int) -> Action:
        age = self._settings.max_decision_age
        deadline = _deadline(at, age)
        if isinstance(effect, SubmitOrder):
            name_at_broker = effect.ref.client_order_id
            order = self._kernel.orders[name_at_broker]
            if order.succession is not None and order.id != name_at_broker:
                # Its decision is as old as the cancel of the version before.
                at, deadline = order.succession.decided_at, _deadline(order.succession.decided_at, age)
            return SendSubmit(
                name, effect.ref, effect.request, at, deadline, exit=name_at_broker in self._kernel.own
            )
        if isinstance(effect, SubmitGroup):
            return SendGroup(name, effect.refs, effect.group, at, deadline)
        if isinstance(effect, ReplaceOrder):
            return SendReplace(name, effect.ref, effect.new_ref, effect.change, at, deadline)
        if isinstance(effect, CancelOrder):
            return SendCancel(name, effect.ref)
        raise InvariantViolation(f"a {type(effect).__qualname__} is no effect of a live run")

    def _risk(self) -> dict[str, Any] | None:
        document = self._board.snapshot()
        return None if self._risk_text(document) == self._said.get("risk") else document

    @staticmethod
    def _risk_text(document: Any) -> str:
        # The time alone is in every decision anyway.
        return canonical({name: part for name, part in document.items() if name != "now_ns"})


def _deadline(at: int, age: float | None) -> int | None:
    return None if age is None else at + round(age * _SECOND_NS)
