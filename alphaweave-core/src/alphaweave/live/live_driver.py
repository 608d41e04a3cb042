"""The live driver: the asyncio shell around the synchronous core of a live run.

The event loop owns the broker, the feed, the timers and the sender; the core, and with it the strategy and
the journal, works on a thread of its own. Inputs go one way, actions the other, both in order. Nothing here
decides about an order: what an operator halts is held back at once, and what has not left by then never does.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from attrs import frozen

from alphaweave.core.clock import from_ns
from alphaweave.core.errors import AlphaweaveError, BrokerUnavailable
from alphaweave.core.market import Bar, BarCorrection
from alphaweave.live.actions import Action, Ask, Finish, Gate, Query, Reply, Tell
from alphaweave.live.adapters.timer import LoopTimer, Timer
from alphaweave.live.broker import Broker
from alphaweave.live.broker_queries import asked, cancel_own
from alphaweave.live.control import ControlStore
from alphaweave.live.datafeed import FeedGap
from alphaweave.live.feed_pump import FeedLink, FeedPump, Pumped
from alphaweave.live.inputs import (
    AnswerInput,
    BrokerInput,
    CommandInput,
    CorrectionInput,
    FeedLinkInput,
    GapInput,
    Input,
    LateBarInput,
    OutcomeInput,
    SendOutcome,
    SliceInput,
    TimerInput,
)
from alphaweave.live.journal_records import Recovered
from alphaweave.live.kernel_thread import Core, KernelThread
from alphaweave.live.live_commands import CommandPost
from alphaweave.live.live_monitors import LiveMonitors
from alphaweave.live.reports import BrokerEvent, BrokerNotice
from alphaweave.live.run_clock import RunClock
from alphaweave.live.sender import Sender
from alphaweave.live.sending_line import Send
from alphaweave.live.slices import LateBar, Slice

__all__ = ["DriverSettings", "LiveDriver", "MarketBroker"]


@runtime_checkable
class MarketBroker(Protocol):
    """A simulated broker, whose market is what it is shown.

    It sees a slice before the core does, and a slice waits until all that was decided on the one before has
    reached it, so that a run fills as a replay over the same slices does.
    """

    def on_market(self, bars: Sequence[Bar]) -> None: ...

    async def delivered(self) -> None:
        """Return when all events so far were taken from the stream."""
        ...


@frozen(kw_only=True)
class DriverSettings:
    """How the driver goes about it, all in seconds.

    Attributes:
        control_every: how often operators' commands are looked for.
        answer_within: after so long a command is answered although the core has not come to it.
        pulse_every: how often monitors are told how the engine is.
        stop_within: how long what is on its way may take when the run ends.
        open_within: how long the first slice waits for start-up reconciliation.
        call_within: how long a call of the broker may take; adapters have limits of their own below that.
        busy_after: after so long with one input the core is told of as busy.
        abreast: how many orders may be on their way at once.
    """

    control_every: float = 0.1
    answer_within: float = 0.4
    pulse_every: float = 1.0
    stop_within: float = 10.0
    open_within: float = 30.0
    call_within: float = 60.0
    busy_after: float = 30.0
    abreast: int = 8


class LiveDriver:
    """One live run, from the start of its core to its end.

    Broker and feed are connected already; ``events`` is the broker's stream, taken before that.

    Attributes:
        finish: how the core wanted the run to end; None before that.
        fed: whether the feed had no more to say.
        ended: whether the core's thread has ended, so that its journal may be closed.
        now: what inputs are stamped with.
    """

    def __init__(
        self,
        core: Core,
        *,
        broker: Broker,
        events: AsyncIterator[BrokerEvent],
        pump: Callable[[Callable[[], int]], FeedPump],
        monitors: LiveMonitors,
        control: ControlStore | None = None,
        settings: DriverSettings | None = None,
        timer: Timer | None = None,
        objection: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Set up.

        Args:
            pump: makes one with the driver's clock, once the core has started and knows where it stands.
            objection: see `Sender`.
        """
        self.finish: Finish | None = None
        self.fed = False
        self.ended = False
        self._core = core
        self._broker = broker
        self._events = events
        self._monitors = monitors
        self._settings = settings or DriverSettings()
        self._timer = timer or LoopTimer()
        self._objection = objection
        self.now = RunClock(self._timer.clock)
        self._make_pump = pump
        self._loop = asyncio.get_running_loop()
        self.thread = KernelThread(self._loop, failed=self._core_failed)
        # What a market of its own is to see in the order in which it was decided does not line up.
        self._market = broker if isinstance(broker, MarketBroker) else None
        abreast = self._settings.abreast if self._market is None else sys.maxsize
        self._outgoing: list[Send] = []
        self._undecided = 0
        self.sender = Sender(
            broker,
            report=self._report,
            now=self.now,
            objection=self._objects,
            abreast=abreast,
            patience=self._settings.call_within,
        )
        self._wakeup: int | None = None
        self._rescheduled = asyncio.Event()
        self._opened = asyncio.Event()
        self._ending = asyncio.Event()
        self._started = False
        self._stopping: str | None = None
        self._failure: BaseException | None = None
        self._post: CommandPost | None = None
        if control is not None:
            self._post = CommandPost(
                control,
                sender=self.sender,
                put=lambda command, then: self._put(CommandInput(self.now(), command), then),
                now=self.now,
                alert=lambda level, code, text: self._monitors.alert(level, code, text, self._moment()),
                answer_within=self._settings.answer_within,
                latched=lambda: core.latches,
                cancel=lambda scope: self._start(cancel_own(broker, self._settings.stop_within, scope)),
            )
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[None]] = set()

    @property
    def opened(self) -> bool:
        """Whether start-up reconciliation has passed."""
        return self._opened.is_set()

    def request_stop(self, reason: str) -> None:
        """End the run in good order; a second call changes nothing. On the loop's thread only."""
        if self._stopping is None:
            self._stopping = reason
            if self._started:
                self._stop(reason)

    def _stop(self, reason: str) -> None:
        at = self.now()
        self.thread.put(self._core, lambda: self._core.stop(reason, at), self._deliver)

    async def run(self, recovered: Recovered | None) -> Finish:
        """Drive the run to its end.

        Raises:
            BaseException: what the core raised, once everything is closed.
        """
        at = self.now()
        self.thread.put(self._core, lambda: self._core.start(recovered, at), self._deliver)
        self._started = True
        if self._stopping is not None:
            self._stop(self._stopping)
        try:
            if self._post is not None:
                # Before anything else is decided: a run that was halted while it was down begins halted.
                await self._post.look(first=True)
                self._start(self._watch_control(self._post))
            for work in (self._hear_broker(), self._feed_slices(), self._watch_time(), self._pulse()):
                self._start(work)
            await self._ending.wait()
        finally:
            await self._wind_up()
        if (failure := self.thread.failure or self._failure) is not None:
            raise failure
        assert self.finish is not None
        return self.finish

    # Towards the core.

    def _put(self, given: Input, then: Callable[[], None] = lambda: None) -> None:
        def deliver(actions: Sequence[Action], wakeup: int | None) -> None:
            self._undecided -= 1
            self._deliver(actions, wakeup)
            then()

        self._undecided += 1
        self.thread.put(self._core, lambda: self._core.handle(given), deliver)

    def _report(self, intent: str, outcome: SendOutcome) -> None:
        self._put(OutcomeInput(self.now(), intent, outcome))

    async def _hear_broker(self) -> None:
        async for event in self._events:
            if isinstance(event, BrokerNotice):
                self._monitors.hear(event)
            self._put(BrokerInput(self.now(), event))
        raise BrokerUnavailable(
            "the broker's stream of events ended, and nothing more would be heard of fills"
        )

    async def _feed_slices(self) -> None:
        # A slice that came before the books were found to be right could not be traded on.
        opened = asyncio.ensure_future(self._opened.wait())
        limit = asyncio.ensure_future(self._timer.sleep(self._settings.open_within))
        try:
            await asyncio.wait({opened, limit}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            opened.cancel()
            limit.cancel()
        await self._make_pump(self.now).run(self._take)
        await self._quiet()
        self.fed = True
        self.request_stop("the datafeed has no more to say")

    async def _take(self, pumped: Pumped) -> None:
        if self._stopping is not None or self._ending.is_set():
            return
        if isinstance(pumped, Slice):
            await self._take_slice(pumped)
        elif isinstance(pumped, LateBar):
            self._put(LateBarInput(self.now(), pumped))
        elif isinstance(pumped, BarCorrection):
            self._put(CorrectionInput(self.now(), pumped))
        elif isinstance(pumped, FeedGap):
            self._put(GapInput(self.now(), pumped))
        elif isinstance(pumped, FeedLink):
            self._put(FeedLinkInput(self.now(), pumped.up, pumped.reason))
        else:
            self._monitors.notice(pumped)

    async def _take_slice(self, one: Slice) -> None:
        if self._market is not None:
            await self._quiet()
            self._market.on_market(one.bars)
            await self._quiet()
        self._put(SliceInput(self.now(), one))
        if self._market is not None:
            # Before anything more is read: what comes next would make the decision an old one.
            await self._quiet()

    async def _quiet(self) -> None:
        """Return when all that was decided has left, and all that came of it was heard."""
        while True:
            await self.sender.settled()
            asking = set() if self._market is None else self._asking
            if self._market is not None:
                await asyncio.gather(*asking, return_exceptions=True)
                await self._market.delivered()
            await self.thread.settled()
            if self.sender.quiet and self.thread.idle and not asking:
                return

    async def _watch_time(self) -> None:
        while True:
            self._rescheduled.clear()
            due = self._wakeup
            waits: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._rescheduled.wait())}
            if due is not None:
                seconds = max(0.0, (due - self.now()) / 1e9)
                waits.add(asyncio.ensure_future(self._timer.sleep(seconds)))
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waits:
                    each.cancel()
            if due is not None and due == self._wakeup and self.now() >= due:
                self._wakeup = None
                self._put(TimerInput(self.now()))

    # From the core.

    def _deliver(self, actions: Sequence[Action], wakeup: int | None) -> None:
        self._wakeup = wakeup
        self._rescheduled.set()
        if self._core.reconciled:
            self._opened.set()
        # What the same decision wants sent has to pass the gate as that decision left it.
        for gate in (action for action in actions if isinstance(action, Gate)):
            self.sender.set_gate(gate)
            self._monitors.gate(gate)
        for action in actions:
            if isinstance(action, Gate):
                continue
            if isinstance(action, Send):
                self._outgoing.append(action)
            elif isinstance(action, Ask):
                task = self._loop.create_task(self._ask(action.query))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
            elif isinstance(action, Tell):
                self._monitors.tell(action)
            elif isinstance(action, Reply):
                if self._post is not None:
                    self._post.reply(action.command, dict(action.document))
            else:
                self._end(action)
        # As in a replay, a market hears what was decided on all that it told, but for an operator's halt.
        if self._market is None or not self._undecided or self.sender.held is not None:
            outgoing, self._outgoing = self._outgoing, []
            for send in outgoing:
                self.sender.put(send)

    async def _ask(self, query: Query) -> None:
        if self._market is not None:
            await self._market.delivered()
        answer, error = await asked(self._broker, query, self._settings.call_within)
        self._put(AnswerInput(self.now(), query, answer, error))

    def _objects(self) -> str | None:
        if self.thread.failure is not None:
            return "the core of the run has failed"
        return self._objection()

    def _core_failed(self, error: BaseException) -> None:
        """Nothing it would say can be believed any more: nothing leaves, and what works is cancelled."""
        self._monitors.alert("error", "engine_failed", f"{type(error).__name__}: {error}", self._moment())
        self._start(self._cancel_own())

    async def _cancel_own(self) -> None:
        # A start that fails has sent nothing, and what works was left there to protect positions.
        if self.opened:
            await cancel_own(self._broker, self._settings.stop_within)
        self._end(Finish(1, "the core of the run has failed"))

    def _end(self, finish: Finish) -> None:
        if self.finish is None:
            self.finish = finish
        self._ending.set()

    async def _watch_control(self, post: CommandPost) -> None:
        while True:
            await self._timer.sleep(self._settings.control_every)
            await post.look()

    async def _pulse(self) -> None:
        told = False
        while True:
            self._monitors.pulse(busy_seconds=self.thread.busy, held=self.sender.held)
            busy = self.thread.busy > self._settings.busy_after
            if busy and not told:
                text = f"for more than {self._settings.busy_after:g} s the core has been busy with one input"
                self._monitors.alert("error", "engine_busy", text, self._moment())
            told = busy
            await self._timer.sleep(self._settings.pulse_every)

    def _moment(self) -> datetime:
        return from_ns(self.now())

    # Tasks.

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self._ending.is_set():
            what = str(error) if isinstance(error, AlphaweaveError) else f"{type(error).__name__}: {error}"
            self._monitors.alert("error", "driver_failed", what, self._moment())
            self.sender.hold(what)
            self._failure = error
            self.request_stop(what)

    async def _wind_up(self) -> None:
        """Let what is on its way end, hear of it, and stop everything."""
        seconds = self._settings.stop_within
        await self.sender.close(seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet()
        for task in (*self._tasks, *self._asking):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._asking, return_exceptions=True)
        if self._post is not None:
            await self._post.close()
        self.ended = await self.thread.end(seconds)
