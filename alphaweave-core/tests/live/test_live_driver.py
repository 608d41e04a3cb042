"""The live driver: in order, never blocked by the core, held back at once, wound up whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event, get_ident
from typing import Any

import pytest
from attrs import evolve

from alphaweave.core.clock import SystemClock
from alphaweave.core.errors import AlphaweaveError, BrokerUnavailable, InvariantViolation, StrategyError
from alphaweave.core.market import Bar
from alphaweave.core.order import OrderRef, OrderRequest, OrderStatus, Side
from alphaweave.data.series import Series
from alphaweave.live.actions import (
    Action,
    Ask,
    Finish,
    Gate,
    OpenOrdersQuery,
    OrderQuery,
    Reply,
    SendCancel,
    SendSubmit,
    Tell,
)
from alphaweave.live.adapters.timer import LoopTimer
from alphaweave.live.control import ControlStore
from alphaweave.live.control_records import Latch
from alphaweave.live.datafeed import FeedEvent, ReplayDataFeed
from alphaweave.live.feed_pump import FeedPump
from alphaweave.live.inputs import (
    AnswerInput,
    BrokerInput,
    CommandInput,
    Input,
    OutcomeInput,
    OutcomeKind,
    SliceInput,
    TimerInput,
)
from alphaweave.live.journal_records import Recovered
from alphaweave.live.live_driver import DriverSettings, LiveDriver
from alphaweave.live.live_monitors import LiveMonitors
from alphaweave.live.monitor_queue import MonitorQueues
from alphaweave.live.reports import BrokerEvent, BrokerNotice, BrokerOrder, OrderAck, OrderUpdate
from alphaweave.live.run_clock import RunClock
from alphaweave.monitoring.memory import InMemoryMonitor
from alphaweave.monitoring.monitor import Alert, BarSnapshot
from alphaweave.monitoring.status import EngineStatus

WHEN = datetime(2026, 3, 2, tzinfo=UTC)
DAY_NS = 86_400 * 10**9
OPEN = Gate(open=True)
DONE = Finish(0, "done")


def ref(name: str) -> OrderRef:
    return OrderRef(name, "A")


def submit(name: str) -> SendSubmit:
    return SendSubmit(name, ref(name), OrderRequest(symbol="A", side=Side.BUY, quantity=Decimal(1)), 0)


class Core:
    """Answers inputs as a test says; what it was given, with the thread it was given on.

    Attributes:
        answers: asked for each input; what it answers is done.
        busy: while it is clear, a slice keeps the core busy.
    """

    def __init__(self, answers: Callable[[Input], Sequence[Action]] = lambda given: ()) -> None:
        self.answers = answers
        self.begin: Sequence[Action] = (OPEN,)
        self.reconciled = True
        self.latches: Mapping[str, Latch] | None = None
        self.given: list[Input] = []
        self.threads: set[int] = set()
        self.wakeup: int | None = None
        self.free = Event()
        self.free.set()
        self.stopped: list[str] = []

    def start(self, recovered: Recovered | None, at: int) -> Sequence[Action]:
        return self.begin

    def handle(self, given: Input) -> Sequence[Action]:
        self.threads.add(get_ident())
        self.given.append(given)
        if isinstance(given, SliceInput):
            assert self.free.wait(5)
        return self.answers(given)

    def next_wakeup(self) -> int | None:
        return self.wakeup

    def stop(self, reason: str, at: int) -> Sequence[Action]:
        self.stopped.append(reason)
        return (DONE,)

    def kinds(self) -> list[str]:
        """Of what it was given, but for the word that the feed is there."""
        return [one.kind for one in self.given if one.kind != "feed_link"]


class Venue:
    """A simulated broker: what came to it, in order."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.queue: asyncio.Queue[BrokerEvent | None] = asyncio.Queue()
        self.working: list[BrokerOrder] = []

    async def events(self) -> AsyncIterator[BrokerEvent]:
        while True:
            event = await self.queue.get()
            try:
                if event is None:
                    return
                yield event
            finally:
                self.queue.task_done()

    def on_market(self, bars: Sequence[Bar]) -> None:
        self.log.append(f"market {bars[0].close:g}")

    async def delivered(self) -> None:
        await self.queue.join()

    async def submit_order(self, ref: OrderRef, request: OrderRequest) -> OrderAck:
        self.log.append(f"submit {ref.client_order_id}")
        self.queue.put_nowait(OrderUpdate(ref, OrderStatus.ACCEPTED, WHEN))
        return OrderAck(ref, WHEN)

    async def cancel_order(self, ref: OrderRef) -> None:
        self.log.append(f"cancel {ref.client_order_id}")

    async def get_open_orders(self, symbols: Sequence[str] | None = None) -> Sequence[BrokerOrder]:
        return self.working

    async def get_order(self, ref: OrderRef) -> None:
        raise BrokerUnavailable("the line is busy")


class Stage:
    """A driver with everything around it."""

    def __init__(
        self, core: Core, *, bars: int = 3, control: ControlStore | None = None, **settings: Any
    ) -> None:
        self.core = core
        self.venue = Venue()
        self.memory = InMemoryMonitor()
        self.queues = MonitorQueues([("memory", self.memory)])
        series = Series("A", "1d")
        for day in range(bars):
            series.append(day * DAY_NS, (day + 1) * DAY_NS, 1.0, 9.0, 1.0, day + 1.0, 1.0)
        self.feed = ReplayDataFeed({"A": series})
        timer = LoopTimer()
        self.driver = LiveDriver(
            core,
            broker=self.venue,  # type: ignore[arg-type]
            events=self.venue.events(),
            pump=lambda now: FeedPump(
                self.feed, symbols=("A",), interval="1d", grace=1.0, warmup=0, timer=timer, now=now
            ),
            monitors=LiveMonitors(self.queues, state=lambda: "active", now=lambda: WHEN),
            control=control,
            settings=evolve(
                DriverSettings(
                    control_every=0.005, answer_within=0.05, pulse_every=0.01, stop_within=2, open_within=2
                ),
                **settings,
            ),
            timer=timer,
        )

    async def run(self) -> Finish:
        try:
            return await asyncio.wait_for(self.driver.run(None), 10)
        finally:
            self.queues.stop(5)

    def alerts(self) -> list[str]:
        return [alert.code for alert in self.memory.alerts]


def played(scene: Callable[..., Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(scene())

    run.__doc__ = scene.__doc__
    return run


@pytest.fixture
def control(tmp_path: Path) -> ControlStore:
    return ControlStore(tmp_path / "run.control")


def replying(document: dict[str, Any]) -> Callable[[Input], Sequence[Action]]:
    """A core that answers every command so."""
    return lambda given: (Reply(given.command.id, document),) if isinstance(given, CommandInput) else ()


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not what():  # noqa: ASYNC110 - what is waited for happens on another thread
            await asyncio.sleep(0.002)


@played
async def test_slice_waits_for_all_that_came_of_the_one_before() -> None:
    """The simulated venue sees each slice first, and no order comes late to it."""

    def decide(given: Input) -> Sequence[Action]:
        if isinstance(given, SliceInput):
            return (submit(f"{given.slice.bars[0].close:g}"),)
        return ()

    stage = Stage(Core(decide))
    assert await stage.run() == DONE
    assert stage.venue.log == [line for day in "123" for line in (f"market {day}", f"submit {day}")]
    kinds = stage.core.kinds()
    assert [kind for kind in kinds if kind == "slice"] == ["slice"] * 3
    assert sorted(kinds[1:3]) == ["broker", "outcome"]
    assert len(stage.core.threads) == 1
    assert get_ident() not in stage.core.threads
    assert stage.core.stopped == ["the datafeed has no more to say"]
    assert stage.driver.ended


@played
async def test_no_slice_before_the_books_are_known_to_be_right() -> None:
    """They are compared, and only then the first slice is decided on."""
    core = Core()

    def agree(given: Input) -> Sequence[Action]:
        core.reconciled = core.reconciled or isinstance(given, AnswerInput)
        return ()

    core.answers, core.reconciled = agree, False
    core.begin = (Ask(OpenOrdersQuery(1)),)
    stage = Stage(core)
    await stage.run()
    assert core.kinds() == ["answer", "slice", "slice", "slice"]


@played
async def test_query_that_fails_is_an_answer_that_says_so() -> None:
    core = Core(lambda given: (OPEN,) if isinstance(given, AnswerInput) else ())
    core.begin = (Ask(OrderQuery(ref("1"), 7)),)
    await Stage(core).run()
    (answer,) = (one for one in core.given if isinstance(one, AnswerInput))
    assert (answer.query.number, answer.answer, answer.error) == (7, None, "the line is busy")


@played
async def test_wake_up_comes_when_it_is_due() -> None:
    core = Core()

    def waking(given: Input) -> Sequence[Action]:
        if isinstance(given, SliceInput):
            core.wakeup = given.at + 20_000_000
            core.free.clear()
        elif isinstance(given, TimerInput):
            core.wakeup = None
            core.free.set()
        return ()

    core.answers = waking
    stage = Stage(core, bars=1)
    stage.feed.stream = lambda: endless(stage.feed)  # type: ignore[method-assign]
    running = asyncio.ensure_future(stage.run())
    await until(lambda: "timer" in core.kinds())
    stage.driver.request_stop("enough")
    await running
    timer = next(one for one in core.given if isinstance(one, TimerInput))
    first = next(one for one in core.given if isinstance(one, SliceInput))
    assert timer.at >= first.at + 20_000_000
    assert core.kinds().count("timer") == 1


async def endless(feed: ReplayDataFeed) -> AsyncIterator[FeedEvent]:
    """A stream that stays open."""
    async for event in ReplayDataFeed.stream(feed):
        yield event
    await asyncio.Event().wait()


def test_halt_holds_while_the_strategy_thinks(control: ControlStore) -> None:
    """Orders that were decided before do not leave, what works is cancelled, and the operator is answered."""

    async def scene() -> None:
        core = Core(replying({"late": True}))
        stage = Stage(core, control=control)
        stage.venue.working = [working("w"), working("theirs", foreign=True)]
        core.free.clear()
        running = asyncio.ensure_future(stage.run())
        await until(lambda: "slice" in core.kinds())
        number = control.post("halt", operator="eva", reason="odd", at_ns=1)
        await until(lambda: stage.driver.sender.held is not None)
        assert stage.driver.sender.held == "eva said halt"
        stage.driver._deliver((submit("1"), SendCancel("c", ref("0"))), None)
        await until(lambda: "cancel 0" in stage.venue.log)
        await until(lambda: (found := control.get(number)) is not None and found.answered_at is not None)
        answered = control.get(number)
        assert answered is not None
        assert answered.answer is not None
        assert (answered.answer["taken"], answered.answer["gate"]) == (True, "held")
        await until(lambda: "cancel w" in stage.venue.log)
        assert "cancel theirs" not in stage.venue.log
        core.free.set()
        await running
        assert "submit 1" not in stage.venue.log
        outcome = next(one for one in core.given if isinstance(one, OutcomeInput) and one.intent == "1")
        assert outcome.outcome.kind is OutcomeKind.NOT_SENT
        # The core has dealt with it, and its own gate holds from then on.
        assert stage.driver.sender.held is None
        # What became of it is said once that is known.
        decided = control.get(number)
        assert decided is not None
        assert decided.answer == {"late": True}

    asyncio.run(scene())


def test_command_that_waited_for_the_run_comes_before_everything(control: ControlStore) -> None:
    """Also one that a run took which died before it answered; both are answered."""

    async def scene() -> None:
        control.post("halt", operator="eva", reason="odd", at_ns=1)
        assert control.take(2)
        control.post("status", operator="eva", at_ns=3)
        core = Core(replying({"ok": 1}))
        await Stage(core, control=control).run()
        assert core.kinds()[:3] == ["command", "command", "slice"]
        assert [one.command.verb for one in core.given if isinstance(one, CommandInput)] == ["halt", "status"]
        assert [one.answer for one in map(control.get, (1, 2)) if one is not None] == [{"ok": 1}, {"ok": 1}]

    asyncio.run(scene())


def working(name: str, *, foreign: bool = False) -> BrokerOrder:
    return BrokerOrder(
        ref(name), name, OrderStatus.ACCEPTED, Side.BUY, Decimal(1), Decimal(0), WHEN, foreign=foreign
    )


@played
async def test_core_that_fails_sends_nothing_more_and_cancels_its_own() -> None:
    """Other people's orders are theirs."""

    def fail(given: Input) -> Sequence[Action]:
        if isinstance(given, SliceInput):
            raise InvariantViolation("the books disagree")
        return ()

    stage = Stage(Core(fail))
    stage.venue.working = [working("1"), working("2", foreign=True)]
    with pytest.raises(InvariantViolation, match="the books disagree"):
        await stage.run()
    assert stage.venue.log == ["market 1", "cancel 1"]
    assert stage.core.kinds() == ["slice"]
    assert "engine_failed" in stage.alerts()
    stage.driver.sender.put(submit("3"))
    assert "submit 3" not in stage.venue.log


class Unborn(Core):
    """It never starts, as where ``init`` fails."""

    def start(self, recovered: Recovered | None, at: int) -> Sequence[Action]:
        raise StrategyError("init failed", strategy="Unborn", callback="init")


class Undecided(Core):
    """It starts, and does not know yet whether its books are right."""

    def __init__(self) -> None:
        super().__init__(self.fail)
        self.reconciled, self.wakeup = False, 0

    def fail(self, given: Input) -> Sequence[Action]:
        raise InvariantViolation("the books disagree")


@pytest.mark.parametrize("core", [Unborn, Undecided])
def test_start_that_fails_leaves_what_works(core: type[Core]) -> None:
    """It has sent nothing, and what an earlier process left protects its positions."""

    async def scene() -> None:
        stage = Stage(core())
        stage.venue.working = [working("1")]
        with pytest.raises(AlphaweaveError, match=r"init failed|the books disagree"):
            await stage.run()
        assert stage.venue.log == []
        assert stage.driver.finish == Finish(1, "the core of the run has failed")
        assert "engine_failed" in stage.alerts()

    asyncio.run(scene())


@played
async def test_stream_of_events_that_ends_ends_the_run() -> None:
    """Fills would go unheard; the core is stopped in good order, and the run has failed."""
    stage = Stage(Core())
    stage.feed.stream = lambda: endless(stage.feed)  # type: ignore[method-assign]
    stage.venue.queue.put_nowait(None)
    with pytest.raises(BrokerUnavailable, match="stream of events ended"):
        await stage.run()
    assert len(stage.core.stopped) == 1
    assert "driver_failed" in stage.alerts()


@played
async def test_feed_that_fails_ends_the_run() -> None:
    stage = Stage(Core())

    async def broken() -> AsyncIterator[FeedEvent]:
        raise RuntimeError("what a feed must not raise")
        yield

    stage.feed.stream = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="must not raise"):
        await stage.run()
    assert len(stage.core.stopped) == 1


@played
async def test_request_to_stop_ends_the_run_once() -> None:
    stage = Stage(Core())
    stage.feed.stream = lambda: endless(stage.feed)  # type: ignore[method-assign]
    running = asyncio.ensure_future(stage.run())
    await until(lambda: stage.core.kinds().count("slice") == 3)
    stage.driver.request_stop("ctrl-c")
    stage.driver.request_stop("again")
    assert await running == DONE
    assert stage.core.stopped == ["ctrl-c"]


@played
async def test_monitors_hear_of_slices_notices_and_the_engine() -> None:
    """Slices one by one, with positions as they change."""

    def decide(given: Input) -> Sequence[Action]:
        if isinstance(given, SliceInput):
            index = int(given.slice.bars[0].close) - 1
            positions = {"A": 2.0} if index == 1 else {}
            at = given.slice.bars[0].end
            return (
                Tell(bars=(BarSnapshot(at, index, {"A": index + 1.0}, 100.0, 90.0, 10.0, 10.0, positions),)),
            )
        if isinstance(given, BrokerInput):
            return (Tell((Alert(WHEN, "warning", "maintenance", "tonight"),)),)
        return ()

    stage = Stage(Core(decide))
    stage.venue.queue.put_nowait(BrokerNotice(WHEN, "warning", "maintenance", "tonight"))
    await stage.run()
    frame = stage.memory.positions_df()
    assert list(stage.memory.bars_df()["equity"]) == [100.0] * 3
    assert list(frame["A"]) == [0.0, 2.0, 0.0]
    assert stage.alerts().count("maintenance") == 1  # by the loop at once, and not by the core again
    assert BrokerInput in {type(one) for one in stage.core.given}


@played
async def test_query_that_is_never_answered_fails_after_a_while() -> None:
    """It would never be asked again, and the books never be compared."""
    core = Core(lambda given: (OPEN,) if isinstance(given, AnswerInput) else ())
    core.begin = (Ask(OrderQuery(ref("1"), 7)),)
    stage = Stage(core, call_within=0.02)
    stage.feed.stream = lambda: endless(stage.feed)  # type: ignore[method-assign]
    stage.venue.get_order = forever  # type: ignore[assignment, method-assign]
    running = asyncio.ensure_future(stage.run())
    await until(lambda: "answer" in core.kinds())
    stage.driver.request_stop("enough")
    await running
    (answer,) = (one for one in core.given if isinstance(one, AnswerInput))
    assert (answer.query.number, answer.error) == (7, "no answer within 0.02 s")


async def forever(ref: OrderRef) -> None:
    """An adapter that forgot about time."""
    await asyncio.Event().wait()


@played
async def test_what_the_loop_cannot_carry_out_ends_the_run() -> None:
    """Whatever came after it in the same decision would never leave, and nobody would hear of it."""
    stage = Stage(Core(lambda given: (Tell(bars=(None,)),) if isinstance(given, SliceInput) else ()))  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match="NoneType"):
        await stage.run()
    assert "engine_failed" in stage.alerts()


@played
async def test_callback_that_does_not_come_back_is_told_once() -> None:
    core = Core()
    stage = Stage(core, busy_after=0.02)
    core.free.clear()
    running = asyncio.ensure_future(stage.run())
    await until(lambda: "engine_busy" in stage.alerts())
    monitors, pulses = stage.driver._monitors, [0]
    pulse = monitors.pulse

    def counted(**words: Any) -> None:
        pulses[0] += 1
        pulse(**words)

    monitors.pulse = counted  # type: ignore[method-assign]
    await until(lambda: pulses[0] > 2)
    core.free.set()
    await running
    assert stage.alerts().count("engine_busy") == 1


@played
async def test_status_tells_of_a_busy_core_and_of_a_hold() -> None:
    """From the loop, for the core cannot say so itself."""
    core = Core()
    stage = Stage(core, pulse_every=0.01)
    told: list[EngineStatus] = []
    stage.queues.queues[0].status = told.append  # type: ignore[assignment, method-assign]
    core.free.clear()
    running = asyncio.ensure_future(stage.run())
    await until(lambda: any(one.kernel_busy_seconds > 0.02 for one in told))
    stage.driver.sender.hold("eva said halt")
    await until(lambda: told[-1].held == "eva said halt")
    stage.driver.sender.release()
    await until(lambda: told[-1].held is None)
    core.free.set()
    await running


@played
async def test_machine_whose_clock_is_set_back_still_wakes_the_core() -> None:
    """An hour without a question to the broker would be an hour in which nobody looks."""
    core = Core()
    stage = Stage(core, bars=1)
    stage.feed.stream = lambda: endless(stage.feed)  # type: ignore[method-assign]
    clock = MovableClock()
    stage.driver.now = RunClock(clock)  # type: ignore[misc]

    def waking(given: Input) -> Sequence[Action]:
        if isinstance(given, SliceInput):
            core.wakeup = given.at + 20_000_000
            clock.behind = timedelta(hours=1)
        elif isinstance(given, TimerInput):
            core.wakeup = None
        return ()

    core.answers = waking
    running = asyncio.ensure_future(stage.run())
    await until(lambda: "timer" in core.kinds())
    stage.driver.request_stop("enough")
    await running


class MovableClock(SystemClock):
    """The machine's, as wrong as wanted."""

    behind = timedelta(0)

    def now(self) -> datetime:
        return super().now() - self.behind


def test_store_that_cannot_be_read_is_told_once_until_it_can(tmp_path: Path) -> None:
    """It is looked at ten times a second, and says the same each time."""

    async def scene() -> None:
        path = tmp_path / "run.control"
        stage = Stage(Core(), control=ControlStore(path))
        stage.feed.stream = lambda: endless(stage.feed)  # type: ignore[method-assign]
        running = asyncio.ensure_future(stage.run())
        await until(lambda: "slice" in stage.core.kinds())
        away = path.rename(tmp_path / "away")
        await until(lambda: "control_failed" in stage.alerts())
        assert stage.alerts().count("control_failed") == 1
        away.rename(path)
        await until(lambda: "control_restored" in stage.alerts())
        stage.driver.request_stop("enough")
        await running

    asyncio.run(scene())
