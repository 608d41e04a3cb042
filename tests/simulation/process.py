"""One life of the run's process: the core, its journal, and the thin shell that carries its actions out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    SendOutcome,
    TimerInput,
)
from alphaweave.live.journal import Journal
from alphaweave.live.journal_records import Decision
from alphaweave.live.reports import BrokerEvent
from alphaweave.live.sending_line import OrderSend, Send, SendingLine
from alphaweave.monitoring.monitor import Alert
from simulation.clock import MILLISECOND, SECOND, Happening
from simulation.script import FaultKind

if TYPE_CHECKING:
    from simulation.day import Day

__all__ = ["Crash", "Process", "journal_of"]

_HAND_OVER = MILLISECOND
# What the driver gives to requests that are on their way when the run ends.
_WIND_UP = 10 * SECOND


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


class Process:
    """From one start to the next crash.

    Attributes:
        alive: it has neither crashed nor been wound up.
        finished: the core's last word, if it said one.
        line: what may leave when, as the sender has it.
        queue: orders that are handed out and not handed over to the adapter, by intent.
        alerts: what monitors were told, for the report of a violation.
    """

    def __init__(self, day: Day) -> None:
        self.day = day
        self.alive = True
        self.finished: Finish | None = None
        self.queue: dict[str, OrderSend] = {}
        self.alerts: list[Alert] = []
        self._timer: Happening | None = None
        self._asleep_until = 0
        self.journal = journal_of(day)
        self._writer = FaultyJournal(self.journal, day)
        self.line = SendingLine(
            report=self._report,
            launch=self._launch,
            now=lambda: day.agenda.now,
            objection=lambda: "the journal is broken" if self._writer.broken else None,
            abreast=day.abreast,
        )
        self.live = day.build(self._writer)

    def start(self) -> None:
        """Recover what the journal has, and begin."""
        at = self.day.agenda.now
        self._guarded(lambda: self.live.core.start(self.journal.recover(), at))
        if self.alive:
            self.day.broker.attach(self._on_event)

    def take(self, make: Callable[[int], Input]) -> None:
        """Hand the core one input, stamped with the time at which it gets there."""
        if not self._awake(lambda: self.take(make)):
            return
        given = make(self.day.agenda.now)
        self.day.before(self, given)
        self._guarded(lambda: self.live.core.handle(given))

    def die(self) -> None:
        """Nothing of this process is left but what is in its journal, and what it had sent."""
        self.alive = False
        self.queue.clear()
        self.day.broker.attach(None)
        if self._timer is not None:
            self._timer.off = True
        self.journal.close()

    def _awake(self, act: Callable[[], None]) -> bool:
        """Whether it does anything now; what a process that stalls is to do, it does when it goes on."""
        if self.alive and self.day.agenda.now < self._asleep_until:
            self.day.agenda.at(self._asleep_until, act)
            return False
        return self.alive

    def _guarded(self, work: Callable[[], tuple[Action, ...]]) -> None:
        try:
            actions = work()
            self.day.decided(actions)
            # As the driver has it: what a decision wants sent has to pass the gate as it left it.
            for action in actions:
                if isinstance(action, Gate):
                    self.line.set_gate(action)
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
        if isinstance(action, Ask):
            self.day.broker.ask(action.query, self._answerer(action.query))
        elif isinstance(action, Tell):
            self.alerts.extend(note for note in action.notes if isinstance(note, Alert))
        elif isinstance(action, Finish):
            self._finish(action)
        elif isinstance(action, SendCancel):
            self.line.put(action)
        elif isinstance(action, SendSubmit | SendGroup | SendReplace):
            self.queue[action.intent] = action
            self.day.handed_out(self, action)
            self.line.put(action)

    def _finish(self, finish: Finish) -> None:
        if self.finished is None:
            self.finished = finish
            self.line.end()
            self.day.agenda.after(_WIND_UP, self._wound_up)

    def _wound_up(self) -> None:
        if self.alive:
            self.die()

    # What leaves.

    def _launch(self, action: Send) -> None:
        if not isinstance(action, SendCancel):
            self._asleep_until = max(self._asleep_until, self.day.agenda.now + self.day.stall())
        self.day.agenda.after(_HAND_OVER, lambda: self._leave(action))

    def _leave(self, action: Send) -> None:
        if not self._awake(lambda: self._leave(action)):
            return
        if not isinstance(action, SendCancel):
            stays = self.line.depart(action)
            if stays is not None:
                self.line.land(action, stays)
                return
            del self.queue[action.intent]
        try:
            self.day.leaves(self, action)
            self.day.boundary(FaultKind.CRASH_BEFORE_SEND)
            self.day.broker.send(action, lambda outcome: self._land(action, outcome))
            self.day.boundary(FaultKind.CRASH_AFTER_SEND)
        except Crash:
            self.day.crashed(self)

    def _land(self, action: Send, outcome: SendOutcome) -> None:
        if not self._awake(lambda: self._land(action, outcome)):
            return
        if isinstance(action, SendCancel):
            self._report(action.intent, outcome)
        else:
            self.day.departures.landed(action)
            self.line.land(action, outcome)

    def _report(self, intent: str, outcome: SendOutcome) -> None:
        self.queue.pop(intent, None)
        self.day.agenda.after(0, lambda: self.take(lambda at: OutcomeInput(at, intent, outcome)))

    def _answerer(self, query: Query) -> Callable[[Answer, str | None], None]:
        return lambda answer, error: self.take(lambda at: AnswerInput(at, query, answer, error))

    def _on_event(self, event: BrokerEvent) -> None:
        self.take(lambda at: BrokerInput(at, event))


def journal_of(day: Day) -> Journal:
    """The day's journal, opened anew."""
    path: Path = day.folder / f"day-{day.script.seed}.db"
    return Journal.open(path, run=day.identity, clock_ns=lambda: day.agenda.now)
