"""One life of the run's process: the core, its journal, and the thin shell that carries its actions out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from alphaweave.core.errors import JournalFailed
from alphaweave.live.actions import (
    Action,
    Ask,
    Finish,
    Gate,
    Query,
    SendCancel,
    SendGroup,
    SendReplace,
    SendSubmit,
    Tell,
)
from alphaweave.live.inputs import (
    Answer,
    AnswerInput,
    BrokerInput,
    Input,
    OutcomeInput,
    OutcomeKind,
    SendOutcome,
    TimerInput,
)
from alphaweave.live.journal import Journal
from alphaweave.live.journal_records import Decision
from alphaweave.live.reports import BrokerEvent
from alphaweave.monitoring.monitor import Alert
from simulation.clock import MILLISECOND, Happening
from simulation.script import FaultKind

if TYPE_CHECKING:
    from simulation.day import Day

__all__ = ["Crash", "Process", "Send", "journal_of"]

Send = SendSubmit | SendGroup | SendReplace | SendCancel
_HAND_OVER = MILLISECOND


class Crash(BaseException):
    """The process is gone, from one instruction to the next."""


class FaultyJournal:
    """A real journal, with a process that may die on either side of a commit, and a disk that may fail."""

    def __init__(self, journal: Journal, day: Day) -> None:
        self._journal = journal
        self._day = day
        self._failed = False

    @property
    def broken(self) -> bool:
        return self._failed or self._journal.broken

    @property
    def seq(self) -> int:
        return self._journal.seq

    def commit(self, decision: Decision) -> int:
        self._day.boundary(FaultKind.CRASH_BEFORE_COMMIT)
        self._check()
        seq = self._journal.commit(decision)
        self._day.boundary(FaultKind.CRASH_AFTER_COMMIT)
        return seq

    def snapshot(self, kernel: Mapping[str, Any]) -> int:
        self._check()
        return self._journal.snapshot(kernel)

    def _check(self) -> None:
        self._failed = self._failed or self._day.disk_fails
        if self._failed:
            # Counted once a day, and only when a commit meets it.
            self._day.broker.struck[FaultKind.DISK_ERROR] = 1
            raise JournalFailed("disk I/O error", self._journal.path)


@frozen
class _Queued:
    action: Send
    due: Happening


class Process:
    """From one start to the next crash.

    Attributes:
        alive: it has neither crashed nor finished.
        finished: the core's last word, if it said one.
        queue: what is handed out and not handed over to the adapter, by intent.
        alerts: what monitors were told, for the report of a violation.
        decisions: every action, as text, in order.
    """

    def __init__(self, day: Day) -> None:
        self.day = day
        self.alive = True
        self.finished: Finish | None = None
        self.gate = Gate(open=False, reason="starting")
        self.queue: dict[str, _Queued] = {}
        self.alerts: list[Alert] = []
        self._timer: Happening | None = None
        self.journal = journal_of(day)
        self._writer = FaultyJournal(self.journal, day)
        self.live = day.build(self._writer)

    def start(self) -> None:
        """Recover what the journal has, and begin."""
        at = self.day.agenda.now
        self._guarded(lambda: self.live.core.start(self.journal.recover(), at))
        if self.alive:
            self.day.broker.attach(self._on_event)

    def take(self, make: Callable[[int], Input]) -> None:
        """Hand the core one input, stamped with the present time."""
        if not self.alive:
            return
        given = make(self.day.agenda.now)
        self.day.before(self, given)
        self._guarded(lambda: self.live.core.handle(given))

    def die(self) -> None:
        """Nothing of this process is left but what is in its journal, and what it had sent."""
        self.alive = False
        self.day.broker.attach(None)
        for queued in self.queue.values():
            queued.due.off = True
        if self._timer is not None:
            self._timer.off = True
        self.journal.close()

    def _guarded(self, work: Callable[[], tuple[Action, ...]]) -> None:
        try:
            actions = work()
            self.day.decided(actions)
            for action in actions:
                self._perform(action)
            self.day.after(self)
            self._wake()
            self.day.boundary(FaultKind.CRASH_IDLE)
        except Crash:
            self.day.crashed(self)

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.off = True
        due = self.live.core.next_wakeup()
        if due is not None and self.alive:
            self._timer = self.day.agenda.at(max(due, self.day.agenda.now + MILLISECOND), self._on_timer)

    def _on_timer(self) -> None:
        self.take(TimerInput)

    def _perform(self, action: Action) -> None:
        if isinstance(action, Gate):
            self.gate = action
        elif isinstance(action, Ask):
            self.day.broker.ask(action.query, self._answerer(action.query))
        elif isinstance(action, Tell):
            self.alerts.extend(note for note in action.notes if isinstance(note, Alert))
        elif isinstance(action, Finish):
            self.finished = action
        elif isinstance(action, SendCancel):
            own = self.queue.pop(action.ref.client_order_id, None)
            if own is not None:
                own.due.off = True
                self._report(own.action.intent, SendOutcome(OutcomeKind.NOT_SENT, text="withdrawn"))
                self._report(action.intent, SendOutcome(OutcomeKind.NOT_SENT, text="withdrawn"))
            else:
                self._hand_over(action)
        elif isinstance(action, SendSubmit | SendGroup | SendReplace):
            due = self.day.agenda.after(_HAND_OVER, lambda: self._from_queue(action))
            self.queue[action.intent] = _Queued(action, due)
            self.day.handed_out(self, action)

    def _from_queue(self, action: SendSubmit | SendGroup | SendReplace) -> None:
        if self.queue.pop(action.intent, None) is None or not self.alive:
            return
        shut = self._shut(action)
        if shut:
            self._report(action.intent, SendOutcome(OutcomeKind.NOT_SENT, text=shut))
            return
        try:
            self._hand_over(action)
        except Crash:
            self.day.crashed(self)

    def _hand_over(self, action: Send) -> None:
        self.day.boundary(FaultKind.CRASH_BEFORE_SEND)
        self.day.broker.send(action, self._reporter(action.intent))
        self.day.boundary(FaultKind.CRASH_AFTER_SEND)

    def _shut(self, action: SendSubmit | SendGroup | SendReplace) -> str:
        gate = self.gate
        symbol = action.refs[0].symbol if isinstance(action, SendGroup) else action.ref.symbol
        if isinstance(action, SendSubmit) and action.exit and gate.exits:
            return ""
        if not gate.open or symbol in gate.symbols_shut:
            return gate.reason or "shut"
        if action.deadline is not None and self.day.agenda.now > action.deadline:
            return "too old"
        return ""

    def _report(self, intent: str, outcome: SendOutcome) -> None:
        self.day.agenda.after(0, lambda: self.take(lambda at: OutcomeInput(at, intent, outcome)))

    def _reporter(self, intent: str) -> Callable[[SendOutcome], None]:
        return lambda outcome: self.take(lambda at: OutcomeInput(at, intent, outcome))

    def _answerer(self, query: Query) -> Callable[[Answer, str | None], None]:
        return lambda answer, error: self.take(lambda at: AnswerInput(at, query, answer, error))

    def _on_event(self, event: BrokerEvent) -> None:
        self.take(lambda at: BrokerInput(at, event))


def journal_of(day: Day) -> Journal:
    """The day's journal, opened anew."""
    path: Path = day.folder / f"day-{day.script.seed}.db"
    return Journal.open(path, run=day.identity, clock_ns=lambda: day.agenda.now)
