"""One life of the run's process: the core, its journal, and the thin shell that carries its actions out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import ControlError, JournalFailed
from alphaweave.live.actions import (
    Action,
    Ask,
    Finish,
    Gate,
    OpenOrdersQuery,
    Query,
    Reply,
    SendCancel,
    SendGroup,
    SendReplace,
    SendSubmit,
    Tell,
)
from alphaweave.live.control import ControlStore
from alphaweave.live.control_records import Command, Latch
from alphaweave.live.inputs import (
    Answer,
    AnswerInput,
    BrokerInput,
    CommandInput,
    Input,
    OutcomeInput,
    SendOutcome,
    TimerInput,
)
from alphaweave.live.journal import Journal
from alphaweave.live.journal_records import Decision
from alphaweave.live.live_commands import CommandPost, Surroundings
from alphaweave.live.reports import BrokerEvent, BrokerOrder
from alphaweave.live.sending_line import OrderSend, Send, SendingLine
from alphaweave.monitoring.monitor import Alert
from simulation.clock import MILLISECOND, SECOND, Happening
from simulation.script import FaultKind

if TYPE_CHECKING:
    from simulation.day import Day

__all__ = ["Crash", "Process", "journal_of"]

_T = TypeVar("_T")

_HAND_OVER = MILLISECOND
# What the driver gives to requests that are on their way when the run ends.
_WIND_UP = 10 * SECOND
_LOOKS_EVERY = 100 * MILLISECOND
_ANSWERS_WITHIN = 0.4


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


class FaultyControl(ControlStore):
    """A real control store, on a disk that cannot be used for a while; ``again`` has it looked into then."""

    _day: Day
    _again: Callable[[], None]

    @classmethod
    def of(cls, day: Day, again: Callable[[], None]) -> FaultyControl:
        """That of the day's run."""
        store = cls(cls.path_beside(day.folder / f"day-{day.script.seed}.db"))
        store._day, store._again = day, again
        return store

    def take(self, at_ns: int) -> tuple[Command, ...]:
        self._check(FaultKind.CONTROL_UNREADABLE)
        return super().take(at_ns)

    def answer(self, number: int, answer: Mapping[str, Any], at_ns: int) -> None:
        self._check(FaultKind.CONTROL_UNWRITABLE)
        super().answer(number, answer, at_ns)

    def mirror(self, latches: Mapping[str, Latch], at_ns: int) -> bool:
        self._check(FaultKind.CONTROL_UNWRITABLE)
        return super().mirror(latches, at_ns)

    def _check(self, kind: FaultKind) -> None:
        now = self._day.agenda.now
        later = self._day.operator.readable_from(now)
        if later > now:
            self._day.broker.struck[kind] += 1
            self._day.agenda.at(later, self._again)
            raise ControlError("disk I/O error", self.path)


class _NoWaiting(Surroundings):
    """Virtual time, and a disk that is never slow."""

    def __init__(self, later: Callable[[int, Callable[[], None]], Happening]) -> None:
        self._later = later

    async def blocking(self, work: Callable[[], _T]) -> _T:
        return work()

    def later(self, seconds: float, act: Callable[[], None]) -> Happening:
        return self._later(round(seconds * SECOND), act)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            work.send(None)
        except StopIteration:
            return
        raise RuntimeError("it waits for something, and here nothing ever does")


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
        self._busy_until = 0
        self._inbox: deque[tuple[Callable[[int], Input], Callable[[], None]]] = deque()
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
        self._surroundings = _NoWaiting(self._later)
        self._post = CommandPost(
            FaultyControl.of(day, self.look_soon),
            sender=self.line,
            put=self._command,
            now=lambda: day.agenda.now,
            alert=lambda severity, code, text: self.alerts.append(
                Alert(from_ns(day.agenda.now), severity, code, text)
            ),
            answer_within=_ANSWERS_WITHIN,
            latched=lambda: self.live.core.latches,
            cancel=self._cancel_own,
            surroundings=self._surroundings,
        )
        self._shown: object = None

    def start(self) -> None:
        """Recover what the journal has, and begin."""
        at = self.day.agenda.now
        self._guarded(lambda: self.live.core.start(self.journal.recover(), at))
        if self.alive:
            self.day.broker.attach(self._on_event)
            self._look(first=True)

    def take(self, make: Callable[[int], Input], then: Callable[[], None] = lambda: None) -> None:
        """Hand the core one input, stamped with the time at which it gets there."""
        self._inbox.append((make, then))
        self._work()

    def look_soon(self) -> None:
        """There may be something in the control file, or something to be shown there."""
        self.day.agenda.after(_LOOKS_EVERY, self._look)

    def die(self) -> None:
        """Nothing of this process is left but what is in its journal, and what it had sent."""
        self.alive = False
        self.queue.clear()
        self.day.broker.attach(None)
        if self._timer is not None:
            self._timer.off = True
        self.journal.close()

    @property
    def asleep_until(self) -> int:
        """When it went on that last stood still, or will."""
        return self._asleep_until

    def _awake(self, act: Callable[[], None]) -> bool:
        """Whether it does anything now; what a process that stalls is to do, it does when it goes on."""
        if self.alive and self.day.agenda.now < self._asleep_until:
            self.day.agenda.at(self._asleep_until, act)
            return False
        return self.alive

    def _later(self, delay: int, act: Callable[[], None]) -> Happening:
        """What it does by itself after a while, if it is there then."""

        def due() -> None:
            if self._awake(due):
                act()

        return self.day.agenda.after(delay, due)

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
            if self.live.core.latches is not self._shown:
                self._shown = self.live.core.latches
                self.look_soon()
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
        elif isinstance(action, Reply):
            self._post.reply(action.command, dict(action.document))
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
            self._surroundings.start(self._post.close())
            self.day.ended(self)

    def _work(self) -> None:
        """Deal with what has come, in that order, as far as it is neither standing still nor thinking."""
        while self._inbox and self.alive:
            now = self.day.agenda.now
            idle_until = max(self._asleep_until, self._busy_until)
            if now < idle_until:
                self.day.agenda.at(idle_until, self._work)
                return
            make, then = self._inbox.popleft()
            given = make(now)
            self.day.before(self, given)
            self._guarded(partial(self.live.core.handle, given))
            if self.alive:
                then()

    # What operators say.

    def _look(self, *, first: bool = False) -> None:
        if self._awake(lambda: self._look(first=first)):
            self._surroundings.start(self._post.look(first=first))

    def _command(self, command: Command, then: Callable[[], None]) -> None:
        busy = self.day.operator.busy()
        if busy:
            self._busy_until = max(self._busy_until, self.day.agenda.now + busy)
            if self.day.operator.kills():
                self.day.agenda.after(busy // 2, lambda: self.day.killed(self))

        def dealt_with() -> None:
            then()
            # What it latched is shown once no command waits.
            self.look_soon()

        self.take(lambda at: CommandInput(at, command), dealt_with)

    def _cancel_own(self, scope: str) -> None:
        """What the loop does by itself about a halt that the core does not come to: `cancel_own`."""
        self.day.broker.struck[FaultKind.CANCELLED_BY_THE_LOOP] += 1
        query = OpenOrdersQuery(0, (scope,) if scope else None)

        def listed(answer: Answer, error: str | None) -> None:
            if error is not None or not self.alive or not isinstance(answer, tuple):
                return
            for order in answer:
                if isinstance(order, BrokerOrder) and not order.foreign and scope in {"", order.ref.symbol}:
                    name = f"loop-{self.day.agenda.now}-{order.ref.client_order_id}"
                    self.day.broker.send(SendCancel(name, order.ref), lambda outcome: None)

        self.day.broker.ask(query, listed)

    # What leaves.

    def _launch(self, action: Send) -> None:
        stall = 0 if isinstance(action, SendCancel) else self.day.stall()
        if stall:
            self._asleep_until = max(self._asleep_until, self.day.agenda.now + stall)
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
        if self.queue.pop(intent, None) is not None:
            self.day.departures.withdrawn(intent)
        self.day.agenda.after(0, lambda: self.take(lambda at: OutcomeInput(at, intent, outcome)))

    def _answerer(self, query: Query) -> Callable[[Answer, str | None], None]:
        return lambda answer, error: self.take(lambda at: AnswerInput(at, query, answer, error))

    def _on_event(self, event: BrokerEvent) -> None:
        self.take(lambda at: BrokerInput(at, event))


def journal_of(day: Day) -> Journal:
    """The day's journal, opened anew."""
    path: Path = day.folder / f"day-{day.script.seed}.db"
    return Journal.open(path, run=day.identity, clock_ns=lambda: day.agenda.now)
