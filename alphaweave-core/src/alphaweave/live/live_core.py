"""The core of a live run: what happened goes in, what should be done comes out, journaled before.

It is synchronous and deterministic, and reads no clock, socket or thread: the driver and the simulation are
shells around this same object. Everything done for one input is one decision, committed before any action
that came of it is handed out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import localcontext
from typing import Any, Final

from attrs import evolve

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import InvariantViolation, StrategyError
from alphaweave.core.money import CONTEXT
from alphaweave.live.actions import Action, Ask, Finish, Gate, Reply, Tell
from alphaweave.live.control_records import Command, Latch, Verb
from alphaweave.live.effects import Note
from alphaweave.live.input_codec import to_document
from alphaweave.live.inputs import (
    AnswerInput,
    BrokerInput,
    CommandInput,
    Input,
    OutcomeInput,
    SliceInput,
    TimerInput,
)
from alphaweave.live.journal_records import Entry, Recovered
from alphaweave.live.kernel_live import LiveKernel
from alphaweave.live.live_books import LiveBooks
from alphaweave.live.live_facts import DATA, flow_facts, input_facts, link_facts
from alphaweave.live.live_intake import Intake
from alphaweave.live.live_journal import AdapterStore, bar_snapshot, status_document
from alphaweave.live.live_ladder import Ladder, gate_of, latches_of
from alphaweave.live.live_link import BrokerLink
from alphaweave.live.live_missing import MissingFills
from alphaweave.live.live_ports import JournalWriter, ReconcilerPort
from alphaweave.live.live_recovery import Recovery
from alphaweave.live.live_scribe import Scribe, Standing, Written
from alphaweave.live.live_settings import LiveSettings
from alphaweave.live.live_successors import place_successors
from alphaweave.live.reconcile_findings import Finding, Passed, StartRefused
from alphaweave.live.risk_board import RiskBoard
from alphaweave.live.risk_facts import LinkRestored
from alphaweave.live.trading_state import Escalation, KillStep, Transition
from alphaweave.monitoring.monitor import Alert, BarSnapshot

__all__ = ["LiveCore"]

_NO_STATE: Final[dict[str, Any]] = {}
# Refusals that other trading rules than the run's may be behind.
_BY_RULES: Final = frozenset({"invalid_price", "invalid_size", "unsupported"})


class LiveCore:
    """One live run, from the first input to the last.

    Attributes:
        kernel: books, orders and strategy.
        board: the rules and the trading state; it is the kernel's chain.
        gate: what the sender was told last.
        link: whether the broker may be sent to.
        latches: what is latched, by scope; made anew when it changes, for it is read on another thread.
        failed: the strategy failed; its callbacks are not called any more.
        finished: the run is over, and takes no more inputs.
        commands: number of the last operator's command that was decided.
        closed_to: end of the last slice that was decided; None before the first.
    """

    def __init__(
        self,
        kernel: LiveKernel,
        *,
        journal: JournalWriter,
        risk: RiskBoard,
        reconciler: ReconcilerPort,
        books: LiveBooks,
        settings: LiveSettings,
        store: AdapterStore | None = None,
    ) -> None:
        """Put it together.

        Args:
            risk: the one that the kernel was made with as its chain.
            books: the one that the reconciler was made with.
            store: what the adapter was made with as its store.
        """
        self.kernel = kernel
        self.board = risk
        self.reconciler = reconciler
        self.books = books
        self.intents = books.intents
        self.intake = Intake(kernel, books.intents, adopts=settings.adopt_foreign)
        self.settings = settings
        self.gate: Gate | None = None
        self.link = BrokerLink(kernel, risk, reconciler, settings)
        self.latches: Mapping[str, Latch] | None = None
        self._stopped_before = False
        self.failed = False
        self.finished = False
        self.commands = 0
        self.closed_to: int | None = None
        self._missing = MissingFills(kernel)
        self._ladder = Ladder(kernel, books.intents, risk, settings.flatten_tries)
        self._scribe = Scribe(
            books,
            journal=journal,
            board=risk,
            store=AdapterStore() if store is None else store,
            settings=settings,
        )

    @property
    def reconciled(self) -> bool:
        """The books agree with the broker's, as far as anybody knows."""
        return self.link.reconciled

    def latest_bars(self, count: int) -> dict[str, Sequence[int]]:
        """Ends of the bars of each symbol, as far back as the last ``count`` slices go; nanoseconds, UTC."""
        latest = {symbol: book.series.end[-count:] for symbol, book in self.kernel.books.items()}
        since = sorted({end for ends in latest.values() for end in ends})[-count:]
        return {symbol: [end for end in ends if end >= since[0]] for symbol, ends in latest.items()}

    # Life.

    def start(self, recovered: Recovered | None, at: int) -> tuple[Action, ...]:
        """Let the strategy initialise, take up what the journal has, and begin to reconcile.

        Series of the run are empty, or hold what is older than the journal.

        Raises:
            StrategyError: ``init`` or ``set_state`` failed. The run does not start.
            StateMismatch: the journal holds a symbol or an indicator that this run does not have.
            StateCorrupt: the journal's snapshot or an input cannot be read.
            InvariantViolation: the books that its decisions give are not those that it says.
        """
        with localcontext(CONTEXT):
            kernel, board = self.kernel, self.board
            self._begin(at)
            kernel.start()
            state: object = None
            if recovered is not None and not recovered.seq:
                self.books.archived_in(recovered.archive)
            elif recovered is not None:
                recovery = Recovery(self.books, self.intake)
                recovery.run(recovered)
                self.closed_to, self.commands = recovery.closed_to, recovery.commands
                state = recovery.state
                if recovered.risk_state is not None:
                    board.restore(recovered.risk_state)
                if "reconciler" in recovered.watermarks:
                    self.reconciler.restore(recovered.watermarks["reconciler"])
            self._scribe.remember(state)
            self._stopped_before = self._ladder.stops
            self._begin(at)
            board.heard(LinkRestored(DATA, at))
            board.advance(at)
            kernel.refusal = self.link.refusal(None)
            failure = self._guarded(lambda: self.intake.doubt(self.intents.orphan(at), at))
            self.link.begin(at)
            return self._decide("start", "", at, dict(self.settings.opening), failure=failure)

    def handle(self, given: Input) -> tuple[Action, ...]:
        """Decide on an input: commit it, then say what is to be done."""
        if self.finished:
            return self._after_the_end(given)
        if isinstance(given, SliceInput) and self.closed_to is not None and given.slice.end <= self.closed_to:
            return ()
        if isinstance(given, CommandInput) and given.command.id <= self.commands:
            return (Reply(given.command.id, {"repeated": True, **self._status()}),)
        with localcontext(CONTEXT):
            return self._handle(given)

    def next_wakeup(self) -> int | None:
        """When a `TimerInput` is due; None: not before something else comes in."""
        if self.finished:
            return None
        asking = self.reconciler.next_due() if self.link.linked else None
        ageing = self.board.data.next_news() if self.link.upkeep is None else None
        times = (asking, self._ladder.next_due(), self.link.next_due(), ageing)
        return min((each for each in times if each is not None), default=None)

    def stop(self, reason: str, at: int) -> tuple[Action, ...]:
        """End the run: nothing is decided any more; what rests at the broker stays there."""
        if self.finished:
            return ()
        with localcontext(CONTEXT):
            self._begin(at)
            failure = self._guarded(self.kernel.stop)
            actions = self._decide("stop", reason, at, {"reason": reason}, failure=failure)
            return actions if self.finished else self._finish(actions, 0, reason)

    # One input.

    def _handle(self, given: Input) -> tuple[Action, ...]:
        at, board = given.at, self.board
        self._begin(at)
        for fact in link_facts(given):
            board.heard(fact)
        transitions = list(self._latched(board.advance(at)))
        self.link.look(given)
        findings = self._findings(given)
        for fact in input_facts(given, self.kernel.ledger.currency):
            board.heard(fact)
        self.kernel.refusal = self.link.refusal(given)
        self.intake.quiet = self.link.upkeep is not None
        failure = self._guarded(lambda: self.intake.enter(given, findings))
        if failure is None:
            failure = self._guarded(lambda: place_successors(self.kernel, self.intake.wanted))
        bars: tuple[BarSnapshot, ...] = ()
        wrong = self._command(given.command, transitions) if isinstance(given, CommandInput) else {}
        if isinstance(given, SliceInput):
            self.closed_to = given.slice.end
            bars = (bar_snapshot(self.kernel, from_ns(given.slice.end)),)
        entries = [Entry("findings", {"found": to_document(tuple(findings))})] if findings else []
        actions = self._decide(
            given.kind,
            given.key,
            at,
            # What an answer said is in the findings; the rest of it is not news.
            to_document(evolve(given, answer=None) if isinstance(given, AnswerInput) else given),
            failure=failure,
            transitions=transitions,
            entries=entries,
            bars=bars,
            always=self._ladder.due(at) or not isinstance(given, TimerInput | AnswerInput),
        )
        if self.finished:
            return actions
        if isinstance(given, CommandInput):
            actions = (*actions, Reply(given.command.id, {**wrong, **self._status()}))
        return self._ended(given, findings, actions)

    def _after_the_end(self, given: Input) -> tuple[Action, ...]:
        """What was on its way when the run ended is still written down, and nothing follows from it."""
        if self._scribe.failure is not None or not isinstance(given, OutcomeInput | BrokerInput):
            return ()
        with localcontext(CONTEXT):
            return tuple(action for action in self._handle(given) if isinstance(action, Tell))

    def _begin(self, at: int) -> None:
        self.kernel.at = at
        self.kernel.callbacks, self.kernel.fails_at = 0, None

    def _guarded(self, act: Callable[[], None]) -> StrategyError | InvariantViolation | None:
        """Do what may fail; of an input at which something failed, nothing is sent."""
        try:
            act()
        except (StrategyError, InvariantViolation) as error:
            self.kernel.drop_decision()
            return error
        return None

    def _findings(self, given: Input) -> tuple[Finding, ...]:
        if isinstance(given, OutcomeInput) and given.outcome.code in _BY_RULES:
            self.reconciler.doubt_rules(given.at)
        if not isinstance(given, AnswerInput):
            return ()
        if given.error is not None:
            found = self.reconciler.failed(given.query, given.error, given.at)
        else:
            found = self.reconciler.answered(given.query, given.answer, given.at)
            found += self._missing.given_up(given)
        if any(isinstance(finding, Passed) for finding in found):
            self.link.passed(given.at)
        return found

    def _command(self, command: Command, transitions: list[Transition]) -> dict[str, Any]:
        """Do what an operator says; what is wrong with it."""
        self.commands = command.id
        try:
            if command.verb is Verb.RESUME and self.failed:
                raise ValueError(
                    "the strategy failed and is not called any more: restart the run, then resume"
                )
            transition = self.board.operator(command)
        except ValueError as error:
            return {"error": str(error)}
        if transition is not None:
            transitions.append(transition)
        return {}

    # What follows from it.

    def _decide(
        self,
        kind: str,
        key: str,
        at: int,
        payload: dict[str, Any],
        *,
        failure: StrategyError | InvariantViolation | None,
        transitions: Sequence[Transition] = (),
        entries: Sequence[Entry] = (),
        bars: tuple[BarSnapshot, ...] = (),
        always: bool = True,
    ) -> tuple[Action, ...]:
        """Latch, climb, commit, hand out."""
        kernel, board = self.kernel, self.board
        entries = list(entries)
        state = None
        if failure is not None:
            why = "strategy_failed" if isinstance(failure, StrategyError) else "books_contradicted"
            self._fail(why, str(failure), kernel.callbacks, entries)
        elif kernel.callbacks and not self.failed:
            state = self._strategy_state(entries)
        self._account(at, valued=bool(bars))
        wanted, self.intake.wanted = self.intake.wanted, []
        changes = (*transitions, *self._latched(wanted), *board.latched())
        for transition in changes:
            cause = transition.cause
            text = f"trading is {transition.after.value}: {transition.reason} ({transition.operator})"
            severity, code = ("info", "resumed") if cause is None else ("error", cause.code)
            kernel.alert(severity, code, text, transition.symbol)
        for news in board.data.news() if self.link.upkeep is None else ():
            kernel.alert(*news)
        if changes or self.latches is None:
            self.latches = latches_of(board.states)
        if not self.finished:
            self._ladder.climb(at, may_send=self.link.up and not kernel.stopped)
        notes, kernel.notes = tuple(kernel.notes), []
        watermarks = {"reconciler": self.reconciler.snapshot()} if entries or kind == "start" else _NO_STATE
        written = Written(
            kind=kind,
            key=key,
            at=at,
            payload=payload,
            entries=entries,
            state=state,
            watermarks=dict(watermarks),
            always=always,
        )
        sends = self._scribe.write(written, (*notes, *bars), self._standing())
        if sends is None:
            return self._journal_failed(notes)
        asks = [Ask(query) for query in self.reconciler.due(at)] if self.link.linked else []
        return (*self._regated(), *sends, *asks, *([Tell(notes, bars)] if notes or bars else []))

    def _account(self, at: int, *, valued: bool) -> None:
        """Tell the board what was booked, and what the account is worth then."""
        kernel, board = self.kernel, self.board
        for fact in kernel.facts:
            self.books.changed(fact, at)
            if fact.kind == "execution" and fact.symbol is not None:
                board.filled(fact.symbol, fact.before, fact.after)
        for moved in flow_facts(kernel.facts, kernel.worth):
            board.heard(moved)
        for _ in range(self.intake.refusals):
            board.rejected()
        self.intake.refusals = 0
        if kernel.facts or valued:
            for breach in board.mark():
                kernel.alert("error", "loss_limit", breach.text)

    def _strategy_state(self, entries: list[Entry]) -> dict[str, Any] | None:
        try:
            return self._scribe.strategy_state()
        except (Exception, SystemExit) as error:
            self.kernel.drop_decision()
            name = type(self.kernel.strategy).__qualname__
            text = f"{name}.get_state failed: {type(error).__name__}: {error}"
            self._fail("strategy_failed", text, None, entries)
            return None

    def _fail(self, code: str, text: str, callback: int | None, entries: list[Entry]) -> None:
        if code == "strategy_failed":
            self.failed = self.kernel.muted = True
        self.intake.wanted.append(Escalation(KillStep.CANCEL_ALL, code, text))
        entries.append(Entry(code, {"callback": callback, "text": text}))

    def _latched(self, wanted: Sequence[Escalation]) -> tuple[Transition, ...]:
        latched = (self.board.latch(each) for each in wanted)
        return tuple(each for each in latched if each is not None)

    def _regated(self) -> tuple[Action, ...]:
        """The gate, where it is another than the sender was told."""
        gate = gate_of(self.board.states, self.link.refusal(None))
        if gate == self.gate:
            return ()
        self.gate = gate
        return (gate,)

    def _ended(
        self, given: Input, findings: Sequence[Finding], actions: tuple[Action, ...]
    ) -> tuple[Action, ...]:
        """The actions, and the end of the run where something ends it."""
        for finding in findings:
            if isinstance(finding, StartRefused):
                return self._finish(actions, 2, finding.text)
        if isinstance(given, CommandInput) and given.command.verb is Verb.STOP:
            return self._finish(actions, 0, given.command.reason or f"{given.command.operator} said stop")
        # What an earlier process was stopped by is lifted by an operator, who may say so any moment.
        self._stopped_before = self._stopped_before and self._ladder.stops
        if self._ladder.stops and not self._stopped_before:
            return self._finish(actions, 1, "the trading state demands an end")
        return actions

    def _finish(self, actions: tuple[Action, ...], code: int, reason: str) -> tuple[Action, ...]:
        self.finished = True
        self.gate = Gate(False, reason=reason)
        return (*actions, self.gate, Finish(code, reason))

    def _journal_failed(self, notes: tuple[Note, ...]) -> tuple[Action, ...]:
        """Nothing of this decision leaves; what may be at the broker is cancelled, as well as that goes."""
        text = f"the journal takes nothing more, so no order is sent: {self._scribe.failure}"
        alert = Alert(from_ns(self.kernel.at), "error", "journal_failed", text)
        self.finished = True
        self.gate = Gate(False, reason=text)
        return (self.gate, *self._scribe.cancels(), Tell((*notes, alert)), Finish(1, text))

    def _standing(self) -> Standing:
        return Standing(self.intake.held, self.intake.opened, self.closed_to, self.commands)

    def _status(self) -> dict[str, Any]:
        own = {"connected": self.link.linked, "reconciled": self.reconciled, "strategy_failed": self.failed}
        return {**status_document(self.kernel, self.board.states), **own, "last_slice": self.closed_to}
