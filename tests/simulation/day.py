"""One day: a script, a broker, a run that dies and comes back, and the invariants after each event."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from sqlite3 import connect

from attrs import frozen

from alphaweave.core.errors import InvariantViolation, JournalError, StateError
from alphaweave.core.instrument import Instrument
from alphaweave.core.order import OrderStatus
from alphaweave.live.actions import Action, SendCancel, SendGroup, SendReplace, SendSubmit, Tell
from alphaweave.live.control_records import Verb
from alphaweave.live.inputs import CommandInput, CorrectionInput, Input, LateBarInput, SliceInput
from alphaweave.live.journal_records import RunIdentity
from alphaweave.live.live_ports import JournalWriter, NullJournal
from alphaweave.live.sending_line import OrderSend, Send
from alphaweave.live.trading_state import TradingState
from alphaweave.monitoring.monitor import Alert
from simulation import invariants
from simulation.broker import ACCOUNT, ScriptedBroker
from simulation.build import LIMITS, OLDEST, Live, build
from simulation.clock import MILLISECOND, SECOND, Agenda
from simulation.departures import Departures
from simulation.exits import Exits
from simulation.exposure import need, ordered, terms
from simulation.feed import ScriptedFeed
from simulation.invariants import LocalBooks, Need, Violation
from simulation.operator import Operator, Order
from simulation.process import Crash, Process, journal_of
from simulation.report import DayReport, Violated
from simulation.script import APART, OPENS_AT, FaultKind, Script

__all__ = ["Day", "live_a_day"]

_SETTLING = 60 * SECOND
# How many of the requests that are sent find that their process stands still.
_STALLING = 0.02
# When orders still wait by then, the one before them is not answered.
_PATIENCE = 300 * MILLISECOND
_RESTARTED_AFTER = 3 * SECOND
_COMMITS = frozenset({FaultKind.CRASH_BEFORE_COMMIT, FaultKind.CRASH_AFTER_COMMIT})
# Of so many days without a crash one is decided on again, from its inputs alone.
_DECIDED_AGAIN = 3


@frozen
class _Seen:
    """What was so before an input."""

    halted: frozenset[str]
    doubted: frozenset[str]


class Day:
    """The stage: everything that outlives the run's process, and the checks.

    Attributes:
        disk_fails: every commit from now on does.
        abreast: how many orders a process has on their way at once.
        departures: what left the process that runs, or ran last.
    """

    def __init__(self, script: Script, folder: Path) -> None:
        self.script = script
        self.folder = folder
        self.agenda = Agenda(OPENS_AT - 5 * SECOND)
        self.instruments = {symbol: Instrument(symbol=symbol, venue_symbol=symbol) for symbol in script.bars}
        self.broker = ScriptedBroker(script, self.agenda, self.instruments)
        self.feed = ScriptedFeed(script, self.agenda, self.broker.struck)
        self.identity = RunIdentity(
            run_id="day", broker="sim", account=ACCOUNT, strategy="Busy", mode="live", config_digest="1"
        )
        self.report = DayReport(script.seed)
        self._journal = folder / f"day-{script.seed}.db"
        self.disk_fails = False
        self._stalls = Random(f"stalls {script.seed}")
        self.abreast = 1 if script.hasty else self._stalls.choice((1, 2, 8))
        self.departures = Departures(OLDEST)
        self.operator = Operator(script, self._journal, self.broker.struck)
        self._process: Process | None = None
        self._crashes = list(script.crashes)
        self._given: Counter[str] = Counter()
        self._seen = _Seen(frozenset(), frozenset())
        self._exits = Exits()
        self._by_hand: set[str] = set()
        self._tape: list[Input] = []
        self._decided: list[Action] = []
        self._events = 0
        self._commanded = False
        self._started = self._starts = 0

    def run(self) -> DayReport:
        """Live it."""
        try:
            self._live()
        except Violated as error:
            self.report.violation = error.violation
        except (InvariantViolation, StateError, JournalError) as error:
            self.report.violation = Violation("I8", f"{type(error).__name__}: {error}", self.agenda.now)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            text = f"the run ends with {type(error).__name__} at {place}: {error}"
            self.report.violation = Violation("progress", text, self.agenda.now)
        finally:
            if self._process is not None and self._process.alive:
                self._process.die()
        self.report.faults = self.broker.struck
        self.report.fills = len(self.broker.truth.executions)
        self.report.orders = sum(self.broker.truth.accepted.values())
        return self.report

    def build(self, journal: JournalWriter) -> Live:
        """A core as a new process has it."""
        raising = [number for number, kind in self._scheduled() if kind is FaultKind.CALLBACK_RAISES]
        return build(
            self.instruments,
            journal,
            seed=self.script.seed,
            hasty=self.script.hasty,
            bounds=self.script.bounds,
            foreign=self.script.foreign,
            raises_at=raising[0] if raising else -1,
        )

    # What the process tells the stage.

    def boundary(self, kind: FaultKind) -> None:
        """A place where a process may die.

        Raises:
            Crash: it dies here.
        """
        if self.agenda.now >= self.script.calm_from:
            return
        if self._commanded and kind in _COMMITS and self.operator.kills():
            self._crashes.insert(0, (kind, 1, 2 * SECOND))
            self.broker.struck[FaultKind.CRASH_AT_COMMAND] += 1
            raise Crash
        if not self._crashes:
            return
        wanted, left, away = self._crashes[0]
        if wanted is not kind:
            return
        if left > 1:
            self._crashes[0] = (wanted, left - 1, away)
            return
        self.broker.struck[kind] += 1
        raise Crash

    def crashed(self, process: Process) -> None:
        """It died; another one starts a while later."""
        kind, _, away = self._crashes.pop(0)
        self.report.crashes += 1
        working = tuple(process.live.open_orders())
        if any(order.version or order.change_ref is not None for order in working):
            self.broker.struck[FaultKind.CRASH_AMID_REPLACE] += 1
        if any(order.group is not None for order in working):
            self.broker.struck[FaultKind.CRASH_AMID_GROUP] += 1
        self._plan(self.operator.meddles(self.agenda.now, away))
        amid = kind in _COMMITS
        broken = self.disk_fails or process.journal.broken
        lost = None if amid or broken else process.live.state()
        process.die()
        self.feed.detach()
        if lost is not None:
            self._recovers(lost)
        self.agenda.after(away, self._start)

    def killed(self, process: Process) -> None:
        """It dies over a command that it had found and not decided on."""
        if process.alive:
            self._crashes.insert(0, (FaultKind.CRASH_AT_COMMAND, 1, 2 * SECOND))
            self.broker.struck[FaultKind.CRASH_AT_COMMAND] += 1
            self.crashed(process)

    def ended(self, process: Process) -> None:
        """It has ended, and what was on its way with it; what an operator stopped is started again."""
        assert process.finished is not None
        lost = None if self.disk_fails or process.journal.broken else process.live.state()
        process.die()
        if lost is not None:
            self._recovers(lost)
        if not process.finished.exit_code:
            self.agenda.after(_RESTARTED_AFTER, self._start)

    def before(self, process: Process, given: Input) -> None:
        """An input is about to be decided."""
        self._tape.append(given)
        self._events += 1
        self._commanded = isinstance(given, CommandInput)
        states = process.live.states
        self._seen = _Seen(
            frozenset(s for s in self.instruments if states.state(s) is TradingState.HALTED),
            _doubted(process),
        )

    def decided(self, actions: tuple[Action, ...]) -> None:
        """This is what the core wants done."""
        self._decided.extend(actions)
        for note in (note for action in actions if isinstance(action, Tell) for note in action.notes):
            if isinstance(note, Alert) and note.code == "bad_bar":
                self._violated("data", f"a good bar is told to be bad: {note.message}")

    def after(self, process: Process) -> None:
        """An input is decided, and its actions are under way: safety."""
        if process.live.core.failed:
            self.broker.struck[FaultKind.CALLBACK_RAISES] = 1
        truth, local = self.broker.truth, process.live.books()
        self._check("I1", invariants.at_most_one_order(truth))
        for name, text in invariants.nothing_invented(truth, local):
            self._violated(name, text)
        self._check("I6", invariants.exposure_counted(local, self._need(process, local)))
        if self.script.foreign == "halt":
            halted = {s for s in self.instruments if process.live.states.state(s) is TradingState.HALTED}
            self._check("I7", invariants.foreign_halts(local, self._by_hand, halted))
            self._by_hand |= {key for key, fill in local.executions.items() if fill.foreign}
        if self._tape and isinstance(self._tape[-1], SliceInput | LateBarInput | CorrectionInput):
            self._check("data", invariants.bars_in_order(process.live.bars(), self.feed.said))

    def stall(self) -> int:
        """How long a process stands still that has just been told to send."""
        struck, long = self._stalls.random() < _STALLING, self._stalls.randrange(2 * SECOND, 12 * SECOND)
        if not struck or self.agenda.now >= self.script.calm_from:
            return 0
        self.broker.struck[FaultKind.STALL] += 1
        return long

    def leaves(self, process: Process, action: Send) -> None:
        """A request is handed to the adapter."""
        now = self.agenda.now
        for name, text in self.departures.leaves(action, now):
            self._violated(name, text)
        if not isinstance(action, SendCancel) and not (isinstance(action, SendSubmit) and action.exit):
            _, symbol, _ = terms(action)
            for name, text in self.operator.allowed(action.intent, symbol, now, process.asleep_until):
                self._violated(name, text)

    def handed_out(self, process: Process, action: OrderSend) -> None:
        """A submit or a replacement leaves the core."""
        self.departures.handed_out(action)
        self._given[action.intent] += 1
        if isinstance(action, SendGroup):
            self._exits.sent(action)
        elif isinstance(action, SendReplace):
            self._exits.replaced(action)
        local = process.live.books()
        sent = ordered(
            action,
            process,
            local,
            self._need(process, local),
            journaled=self._journaled(action),
            halted=self._seen.halted,
            # Where this very input says what became of the order, there is no doubt any more.
            doubted=self._seen.doubted & _doubted(process),
            ended=process.finished is not None or self.disk_fails or process.live.core.failed,
            apart=abs(self.script.skew) >= APART,
            times=self._given[action.intent],
        )
        for name, text in invariants.sending_allowed(sent):
            self._violated(name, text)
        self._check("I6", invariants.within_limits(sent, LIMITS))
        if self.script.hasty:
            self.agenda.after(_PATIENCE, lambda: self._hurry(process))

    # The day.

    def _hurry(self, process: Process) -> None:
        if process.alive and process.queue:
            self._plan(self.operator.hurries(self.agenda.now))

    def _live(self) -> None:
        script, agenda = self.script, self.agenda
        agenda.at(agenda.now + SECOND, self._start)
        for number, end in enumerate(script.ends):
            agenda.at(end, partial(self._bar, number))
        for when, kind in script.happenings:
            agenda.at(when, partial(self._happen, kind))
        self._plan(self.operator.plan)
        while agenda.step(script.ends[-1] + _SETTLING):
            pass
        self.report.events = self._events
        self._converged()
        if self._starts == 1 and not self.disk_fails and script.seed % _DECIDED_AGAIN == 0:
            self._decides_again()

    def _start(self) -> None:
        ended = self._process.finished if self._process is not None else None
        if ended is not None and ended.exit_code:
            return
        self.departures = Departures(OLDEST)
        self._process = process = Process(self)
        self._started = self.agenda.now
        self._starts += 1
        process.start()
        if not process.alive:
            return
        self.feed.attach(process.take, process.live.core.closed_to, process.live.core.latest_bars(16))

    def _bar(self, number: int) -> None:
        self.broker.on_bar(number)
        self.feed.on_bar(number)

    def _happen(self, kind: FaultKind) -> None:
        if kind is FaultKind.DISK_ERROR:
            self.disk_fails = True
        elif kind is FaultKind.OPERATOR_HALT:
            self._say(Order(self.agenda.now, Verb.HALT))
        elif kind is not FaultKind.CALLBACK_RAISES:
            self.broker.happen(kind)

    def _plan(self, orders: Iterable[Order]) -> None:
        for order in orders:
            self.agenda.at(order.at, partial(self._say, order))

    def _say(self, order: Order) -> None:
        process = self._process
        self.operator.tell(order, down=process is None or not process.alive)
        if process is not None:
            process.look_soon()

    def _scheduled(self) -> Iterator[tuple[int, FaultKind]]:
        """Which slice each happening comes before."""
        for when, kind in self.script.happenings:
            yield sum(end <= when for end in self.script.ends), kind

    # What holds at the end.

    def _converged(self) -> None:
        process = self._process
        if process is None or not process.alive or process.finished is not None:
            if not self.script.halts:
                self._violated("progress", "the run is over, and its script names no halt")
            return
        truth, local = self.broker.truth, process.live.books()
        self._check("I2", invariants.executions_equal(truth, local))
        self._check("I3", invariants.positions_equal(truth, local))
        self._check("I4", invariants.cash_equal(truth, local))
        self._check("I5", invariants.no_doubt(local))
        if not self.broker.struck[FaultKind.CALLBACK_RAISES]:
            due, bars = self.script.ends, process.live.bars()
            self._check(
                "data", invariants.bars_to_the_last_word(bars, self.feed.told, due, process.live.gaps())
            )
        named = self.script.halts or self.operator.leaves_halted
        self._check("progress", self.operator.obeyed(process.live.core.latches or {}))
        meddled = {fill.symbol for fill in local.executions.values() if fill.foreign}
        by_hand = meddled if self.script.foreign == "halt" else set()
        halted = {scope: why for scope, why in process.live.halted().items() if scope not in by_hand}
        self._check("progress", invariants.ends_active(halted, named=named))
        if not named and not process.line.gate.open:
            self._violated("progress", f"the gate is shut at the end: {process.line.gate.reason}")
        came: dict[str, OrderStatus] = {}
        for order in local.orders:
            for name in order.names:
                found = self.broker.order(name)
                if found is not None:
                    came[name] = found.status
        self.report.outcomes = invariants.orders_come_out(local, came)

    # Within.

    def _recovers(self, lost: str) -> None:
        """I8: what was in memory when the process died is what its journal gives."""
        journal = journal_of(self)
        try:
            shadow = self.build(NullJournal())
            shadow.recover(journal.recover())
        finally:
            journal.close()
        self._check("I8", invariants.same_state(lost, shadow.state()))

    def _decides_again(self) -> None:
        """I9: another process decides the same on the same inputs."""
        other = self.build(NullJournal())
        again = list(other.core.start(None, self._started))
        for given in self._tape:
            again.extend(other.core.handle(given))
        self._check("I9", invariants.same_decisions([*map(str, self._decided)], [*map(str, again)]))

    def _need(self, process: Process, local: LocalBooks) -> Need:
        return need(self.broker, self._exits, process, local, counts=self.script.counts)

    def _journaled(self, action: Send) -> bool:
        names = (
            [ref.client_order_id for ref in action.refs] if isinstance(action, SendGroup) else [action.intent]
        )
        with connect(f"file:{self._journal}?mode=ro", uri=True) as reader:
            found = [
                reader.execute("SELECT 1 FROM intents WHERE client_order_id = ?", (name,)).fetchone()
                for name in names
            ]
        reader.close()
        return all(found)

    def _check(self, name: str, texts: Iterator[str]) -> None:
        for text in texts:
            self._violated(name, text)

    def _violated(self, name: str, text: str) -> None:
        raise Violated(Violation(name, text, self.agenda.now))


def live_a_day(script: Script, folder: Path) -> DayReport:
    """One day, from its script."""
    return Day(script, folder).run()


def _doubted(process: Process) -> frozenset[str]:
    """Symbols with an order whose outcome nobody knows."""
    return frozenset(o.symbol for o in process.live.open_orders() if o.status is OrderStatus.UNKNOWN)
