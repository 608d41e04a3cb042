"""The supervisor and the timer it waits by."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from functools import partial
from random import Random
from typing import Any

import pytest

from alphaweave.core.errors import AlphaweaveError, BrokerUnavailable, Unsupported
from alphaweave.live.adapters.backoff import Backoff
from alphaweave.live.adapters.failures import as_broker_error, told_of
from alphaweave.live.adapters.supervisor import LinkReport, Supervisor, SupervisorLimits
from alphaweave.live.adapters.timer import LoopTimer, ManualTimer
from alphaweave.live.reports import ConnectionLost, ConnectionRestored


class HandLink:
    """A connection that ends when told to."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = asyncio.Event()
        self.closing: Callable[[], Coroutine[Any, Any, None]] | None = None

    async def run(self) -> None:
        await self.ended

    async def close(self) -> None:
        self.closed.set()
        if self.closing is not None:
            await self.closing()


class Scene:
    """A supervisor over such connections."""

    def __init__(self, **limits: Any) -> None:
        self.timer = ManualTimer()
        self.links: list[HandLink] = []
        self.said: list[LinkReport] = []
        self.trouble: list[Exception] = []
        self.ready_trouble: list[Exception] = []
        self.answers = True
        self.hang = False
        self.rests_until = 0.0
        self.backoff = Backoff(random=Random(1), base=4, stable_after=60)
        self.supervisor: Supervisor[HandLink] = Supervisor(
            connect=self.connect,
            ready=self.ready,
            report=self.said.append,
            timer=self.timer,
            backoff=self.backoff,
            limits=SupervisorLimits(**limits),
            name="test",
            resting=self.resting,
        )

    def resting(self) -> float:
        return max(0.0, self.rests_until - self.timer.clock.monotonic())

    async def connect(self) -> HandLink:
        if self.hang:
            await asyncio.Event().wait()
        if self.trouble:
            raise self.trouble.pop(0)
        self.links.append(HandLink())
        return self.links[-1]

    async def ready(self, link: HandLink) -> None:
        if self.ready_trouble:
            raise self.ready_trouble.pop(0)
        if self.answers:
            self.supervisor.beat()

    async def until(self, happened: Callable[[], object], step: float = 0.0) -> None:
        for _ in range(5000):
            if happened():
                return
            await asyncio.sleep(0)
            self.timer.advance(step)
        pytest.fail(f"it never happened: {self.said}")

    @property
    def codes(self) -> list[str]:
        return [getattr(one, "code", type(one).__name__) for one in self.said]


def play(scene: Callable[[Scene], Coroutine[Any, Any, None]], **limits: Any) -> None:
    async def whole() -> None:
        one = Scene(**{"silence": None, **limits})
        try:
            async with asyncio.timeout(10):
                await scene(one)
        finally:
            await one.supervisor.stop()

    asyncio.run(whole())


def test_a_stop_in_the_moment_of_a_loss_closes_the_connection() -> None:
    """Whatever the supervisor was at, no connection is left open for somebody to find."""

    async def scene(one: Scene, rounds: int) -> None:
        await one.supervisor.start()
        one.links[0].ended.set_result(None)
        for _ in range(rounds):
            await asyncio.sleep(0)
        await one.supervisor.stop()
        assert all(link.closed.is_set() for link in one.links)

    for rounds in range(8):
        play(partial(scene, rounds=rounds))


def test_a_loss_is_told_before_anything_is_closed() -> None:
    """Closing may take long, and trading must stop now."""

    async def scene(one: Scene) -> None:
        await one.supervisor.start()
        first = one.links[0]

        async def hang() -> None:
            assert one.codes == ["ConnectionLost"]
            await asyncio.Event().wait()

        first.closing = hang
        first.ended.set_exception(ConnectionResetError(104, "Connection reset by peer"))
        await first.closed.wait()
        lost = one.said[0]
        assert isinstance(lost, ConnectionLost)
        assert lost.reason == "test: ConnectionResetError: Connection reset by peer"
        assert not one.supervisor.is_up
        # A close that hangs is abandoned after its time, and a fresh connection is made.
        await one.until(lambda: one.codes[-1:] == ["ConnectionRestored"], step=0.1)
        assert one.codes == ["ConnectionLost", "close_failed", "ConnectionRestored"]
        assert len(one.links) == 2

    play(scene, closing=5)


def test_a_connection_is_up_only_when_it_was_heard() -> None:
    """An open socket is not enough; silence ends it."""

    async def scene(one: Scene) -> None:
        one.answers = False
        starting = asyncio.create_task(one.supervisor.start())
        await one.timer.asleep()
        assert not one.supervisor.is_up
        one.supervisor.beat()
        await starting
        one.links[0].ended.set_result(None)
        await one.until(lambda: len(one.links) == 2, step=0.1)
        await one.until(lambda: len(one.links) == 3, step=0.1)
        assert one.codes[:2] == ["ConnectionLost", "reconnect_failed"]
        assert isinstance(one.said[0], ConnectionLost)
        assert one.said[0].reason == "test: closed by the other side"
        assert "silent for 10 s" in str(one.said[1])
        one.supervisor.beat()
        await one.until(lambda: one.supervisor.is_up)
        assert isinstance(one.said[-1], ConnectionRestored)

    play(scene, silence=10)


def test_a_connection_that_is_not_made_in_time_is_given_up() -> None:
    """The first, too."""

    async def scene(one: Scene) -> None:
        one.hang = True
        starting = asyncio.create_task(one.supervisor.start())
        await one.timer.asleep()
        one.timer.advance(15)
        with pytest.raises(BrokerUnavailable, match="test: no answer within 15 s"):
            await starting

    play(scene)


def test_waits_grow_until_a_connection_was_stable() -> None:
    """And a wait that the other side asked for is kept."""

    async def scene(one: Scene) -> None:
        await one.supervisor.start()
        one.trouble = [BrokerUnavailable("busy", retry_after=500), OSError(111, "Connection refused")]
        one.ready_trouble = [BrokerUnavailable("no such channel")]
        before = one.timer.clock.monotonic()
        one.links[0].ended.set_result(None)
        await one.until(lambda: one.codes[-1:] == ["ConnectionRestored"], step=0.5)
        assert one.timer.clock.monotonic() - before > 500
        assert one.codes == ["ConnectionLost", *["reconnect_failed"] * 3, "ConnectionRestored"]
        assert "no such channel" in str(one.said[3])
        assert one.backoff.attempt == 4
        one.timer.advance(60)
        one.said.clear()
        one.links[-1].ended.set_result(None)
        await one.until(lambda: one.codes[-1:] == ["ConnectionRestored"], step=0.5)
        assert one.backoff.attempt == 1

    play(scene)


def test_nothing_is_tried_while_the_venue_rests() -> None:
    """One attempt may find that out; the next one comes when it is over."""

    async def scene(one: Scene) -> None:
        await one.supervisor.start()
        one.rests_until = over = one.timer.clock.monotonic() + 3600
        one.trouble = [OSError(111, "Connection refused")] * 50
        one.links[0].ended.set_result(None)
        await one.until(lambda: one.timer.clock.monotonic() >= over - 1, step=1.0)
        assert len(one.trouble) == 50
        await one.until(lambda: len(one.trouble) < 50, step=1.0)
        assert one.timer.clock.monotonic() >= over

    play(scene)


def test_stopping_says_nothing_and_closes() -> None:
    """A run that ends lost nothing; stopping twice does no harm, and starting twice is refused."""

    async def scene(one: Scene) -> None:
        await one.supervisor.start()
        with pytest.raises(RuntimeError, match="supervised already"):
            await one.supervisor.start()
        await one.supervisor.stop()
        await one.supervisor.stop()
        assert one.said == []
        assert one.links[0].closed.is_set()

    play(scene)


def test_stopping_while_connecting_leaves_nothing_open() -> None:
    """Also when the connection is made at that very moment."""

    async def scene(one: Scene) -> None:
        starting = asyncio.create_task(one.supervisor.start())
        await one.until(lambda: one.links)
        await one.supervisor.stop()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        assert all(link.closed.is_set() for link in one.links)

    play(scene)


def test_limits_that_make_no_sense_are_refused() -> None:
    """Silence of no time, say."""
    for wrong in ({"silence": 0.0}, {"opening": 0.0}, {"closing": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SupervisorLimits(**wrong)  # type: ignore[arg-type]


def test_error_that_nobody_foresaw_says_where_it_was_raised() -> None:
    """Its words are not repeated, and its type alone would leave an author with nothing to go by."""
    with pytest.raises(RuntimeError) as own:
        _breaks()
    where = r"test_supervisor\.py line \d+"
    assert re.fullmatch(rf"RuntimeError \({where}, {where}\)", told_of(own.value))


def _breaks() -> None:
    raise RuntimeError("wss://x?key=secret")


def test_what_a_library_says_is_not_repeated() -> None:
    """It may hold the URL with the key."""
    assert told_of(RuntimeError("wss://x?key=secret")) == "RuntimeError"
    assert told_of(OSError("wss://x?key=secret")) == "OSError"
    assert told_of(ConnectionRefusedError(111, "Connection refused")) == (
        "ConnectionRefusedError: Connection refused"
    )
    assert told_of(AlphaweaveError("ours")) == "ours"
    assert str(as_broker_error(KeyError("secret"), "login")) == "login: KeyError"
    for known in (BrokerUnavailable("x"), Unsupported("y")):
        assert as_broker_error(known, "login") is known


def test_a_manual_timer_wakes_in_order_at_the_time_of_each() -> None:
    """And not those that were cancelled."""

    async def scene() -> None:
        timer = ManualTimer()
        start = timer.clock.monotonic()
        woken: list[tuple[str, float]] = []

        async def sleeper(name: str, seconds: float) -> None:
            await timer.sleep(seconds)
            woken.append((name, timer.clock.monotonic() - start))

        tasks = [
            asyncio.create_task(sleeper(*one)) for one in (("b", 2.0), ("a", 1.0), ("c", 3.0), ("d", 9.0))
        ]
        await timer.asleep(4)
        tasks[2].cancel()
        await asyncio.sleep(0)
        assert timer.waiting == 3
        timer.advance(5)
        await asyncio.gather(tasks[0], tasks[1])
        assert [name for name, _ in woken] == ["a", "b"]
        assert timer.clock.monotonic() == start + 5
        await timer.sleep(0)
        with pytest.raises(ValueError, match="backwards"):
            timer.advance(-1)
        tasks[3].cancel()
        await LoopTimer().sleep(-1)

    asyncio.run(scene())
