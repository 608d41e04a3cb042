"""Monitors of a live run, each on a thread and with a bounded queue of its own.

Whatever a monitor does, telling it costs the engine one append. A full queue drops its oldest note, an
alert only where nothing but alerts wait; an alert overtakes what waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Condition, Event, Thread
from typing import Any, Final

from attrs import frozen

from alphaweave.core.clock import Clock, SystemClock
from alphaweave.live.effects import Note
from alphaweave.live.fanout import Fanout
from alphaweave.monitoring.monitor import Alert, BarColumns, Monitor, RunSummary
from alphaweave.monitoring.status import EngineStatus

__all__ = ["MonitorQueue", "MonitorQueues", "MonitorTrouble"]

_Call = Callable[[], None]
_FAILED: Final = "monitor_failed"
_HUNG: Final = "monitor_hung"
_BEHIND: Final = "monitor_behind"
_ABANDONED: Final = "monitor_abandoned"


@frozen(eq=False)
class MonitorTrouble:
    """Something a monitor did; each kind is told once for each monitor.

    Attributes:
        monitor: the name in the config.
        code: ``monitor_failed`` (it raised, and is told nothing more), ``monitor_hung`` (one call has not
            come back), ``monitor_behind`` (its queue was full) or ``monitor_abandoned`` (it had not ended
            when the run did).
        error: what it raised.
    """

    monitor: str
    code: str
    text: str
    error: BaseException | None = None


class MonitorQueue:
    """One monitor, and what it has still to be told. All methods return at once, but for `join`.

    Attributes:
        name: as the config gives it.
        dropped: what it was never told, alerts among them.
        dropped_alerts: alerts among those.
    """

    def __init__(
        self, name: str, monitor: Monitor, *, capacity: int, hang_seconds: float, clock: Clock
    ) -> None:
        if capacity < 1:
            raise ValueError(f"a monitor's queue holds at least one note, not {capacity}")
        self.name = name
        self.dropped = 0
        self.dropped_alerts = 0
        # Asked for as any attribute: a monitor may stand behind another that passes things on.
        self._on_status: Callable[[EngineStatus], None] | None = getattr(monitor, "on_status", None)
        self._fanout = Fanout([monitor])
        self._capacity = capacity
        self._hang_seconds = hang_seconds
        self._clock = clock
        self._ready = Condition()
        # Each of these waits for what stands before it, but for alerts, which overtake notes.
        self._start: _Call | None = None
        self._alerts: deque[_Call] = deque()
        self._status: EngineStatus | None = None
        self._notes: deque[_Call] = deque()
        self._end: _Call | None = None
        self._closing = False
        self._ended = Event()
        self._busy_since: float | None = None
        self._failure: BaseException | None = None
        self._told: set[str] = set()
        # A thread that hangs must not keep the process alive.
        self._thread = Thread(target=self._work, name=f"monitor {name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Notes and alerts it has still to be told."""
        return len(self._notes) + len(self._alerts)

    def start(self, meta: Mapping[str, Any]) -> None:
        self._put(start=partial(self._fanout.start, meta))

    def bars(self, columns: BarColumns) -> None:
        self._put(note=partial(self._fanout.bars, columns))

    def note(self, note: Note) -> None:
        call = partial(self._fanout.notes, (note,))
        if isinstance(note, Alert):
            self._put(alert=call)
        else:
            self._put(note=call)

    def status(self, status: EngineStatus) -> None:
        if self._on_status is not None:
            self._put(status=status)

    def end(self, summary: RunSummary) -> None:
        """The last it is told, after all that waits."""
        self._put(end=partial(self._fanout.end, summary))

    def close(self) -> None:
        """Take nothing more; the thread ends when all is told."""
        with self._ready:
            self._closing = True
            self._ready.notify()

    def join(self, seconds: float) -> bool:
        """Wait for the end of a queue that was closed; whether it came in time."""
        return self._ended.wait(max(0.0, seconds))

    def troubles(self) -> list[MonitorTrouble]:
        """What is new since the last call."""
        found = []
        failure, busy, name = self._failure, self._busy_since, self.name
        if failure is not None and self._new(_FAILED):
            text = f"monitor {name} raised {type(failure).__name__}: {failure}; it is told nothing more"
            found.append(MonitorTrouble(name, _FAILED, text, failure))
        elif busy is not None and failure is None:
            seconds = self._clock.monotonic() - busy
            if seconds >= self._hang_seconds and self._new(_HUNG):
                text = f"monitor {name} has not come back for {seconds:.0f} s; {self.waiting} notes wait"
                found.append(MonitorTrouble(name, _HUNG, text))
        if self.dropped and self._new(_BEHIND):
            text = f"monitor {name} is too slow: {self._capacity} notes wait, the oldest are dropped"
            found.append(MonitorTrouble(name, _BEHIND, text))
        return found

    def abandon(self) -> MonitorTrouble:
        """Give up a monitor that has not ended; its thread is left to die with the process."""
        with self._ready:
            waiting = self.waiting
            self._clear()
        text = f"monitor {self.name} did not end in time and was abandoned; {waiting} notes were not told"
        return MonitorTrouble(self.name, _ABANDONED, text)

    def _new(self, code: str) -> bool:
        known = code in self._told
        self._told.add(code)
        return not known

    def _put(
        self,
        *,
        start: _Call | None = None,
        alert: _Call | None = None,
        status: EngineStatus | None = None,
        note: _Call | None = None,
        end: _Call | None = None,
    ) -> None:
        with self._ready:
            if self._closing or self._failure is not None:
                return
            self._start = start or self._start
            self._status = status or self._status
            self._end = end or self._end
            if (alert or note) and self.waiting >= self._capacity:
                self.dropped += 1
                if self._notes:
                    self._notes.popleft()
                elif alert:
                    self._alerts.popleft()
                    self.dropped_alerts += 1
                else:
                    return
            if alert:
                self._alerts.append(alert)
            elif note:
                self._notes.append(note)
            self._ready.notify()

    def _next(self) -> _Call | None:
        """What is told next; None when nothing waits. The lock is held."""
        if self._start is not None:
            start, self._start = self._start, None
            return start
        if self._alerts:
            return self._alerts.popleft()
        if self._status is not None:
            status, self._status = self._status, None
            return partial(self._tell_status, status)
        if self._notes:
            return self._notes.popleft()
        end, self._end = self._end, None
        return end

    def _tell_status(self, status: EngineStatus) -> None:
        if self._on_status is not None:
            self._on_status(status)

    def _work(self) -> None:
        try:
            while self._failure is None:
                with self._ready:
                    while (call := self._next()) is None:
                        if self._closing:
                            return
                        self._ready.wait()
                    self._busy_since = self._clock.monotonic()
                try:
                    call()
                    failure: BaseException | None = next((each.error for each in self._fanout.failures), None)
                except BaseException as error:  # a monitor's SystemExit ends its thread, and nothing else
                    failure = error
                with self._ready:
                    self._busy_since = None
                    self._failure = failure
                    if failure is not None:
                        self._clear()
        finally:
            self._ended.set()

    def _clear(self) -> None:
        self._closing = True
        self._start = self._status = self._end = None
        self._alerts.clear()
        self._notes.clear()


class MonitorQueues:
    """The monitors of a live run: told everything, none of them able to delay the run or another.

    It is told what a `Fanout` is, by one thread at a time; `pulse` may come from another. Notes are records
    that nobody changes any more: they are read on other threads.
    """

    def __init__(
        self,
        monitors: Sequence[tuple[str, Monitor]],
        *,
        clock: Clock | None = None,
        capacity: int = 10_000,
        hang_seconds: float = 5.0,
    ) -> None:
        """``monitors`` with their names in the config; ``hang_seconds`` is how long one call may take."""
        self._clock = clock or SystemClock()
        self.queues = tuple(
            MonitorQueue(name, monitor, capacity=capacity, hang_seconds=hang_seconds, clock=self._clock)
            for name, monitor in monitors
        )

    def start(self, meta: Mapping[str, Any]) -> None:
        for queue in self.queues:
            queue.start(meta)

    def bars(self, columns: BarColumns) -> None:
        for queue in self.queues:
            queue.bars(columns)

    def notes(self, notes: Sequence[Note]) -> None:
        for queue in self.queues:
            for note in notes:
                queue.note(note)

    def end(self, summary: RunSummary) -> None:
        for queue in self.queues:
            queue.end(summary)

    def drops(self) -> dict[str, int]:
        """Monitor -> what it was never told."""
        return {queue.name: queue.dropped for queue in self.queues}

    def pulse(
        self, trading_state: str, *, busy_seconds: float = 0.0, held: str | None = None
    ) -> tuple[MonitorTrouble, ...]:
        """Tell how the engine is, and hear what is new about the monitors.

        The driver calls it once a second and at each change of the trading state, and makes alerts of the
        troubles, which tell the other monitors and the journal.
        """
        found = tuple(trouble for queue in self.queues for trouble in queue.troubles())
        status = EngineStatus(self._clock.now(), trading_state, self.drops(), busy_seconds, held)
        for queue in self.queues:
            queue.status(status)
        return found

    def stop(self, seconds: float) -> tuple[MonitorTrouble, ...]:
        """Let all be told what waits, for ``seconds`` together, and give up those that have not ended."""
        for queue in self.queues:
            queue.close()
        deadline = self._clock.monotonic() + seconds
        found: list[MonitorTrouble] = []
        for queue in self.queues:
            ended = queue.join(deadline - self._clock.monotonic())
            found += queue.troubles()
            if not ended:
                found.append(queue.abandon())
        return tuple(found)
