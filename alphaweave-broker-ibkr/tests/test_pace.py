"""How fast messages leave: within the gateway's rate, in their order, and not after they were called off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from attrs import define, field

from alphaweave.live.adapters.rate_budget import Use, asked_again
from alphaweave.live.adapters.timer import ManualTimer
from alphaweave_broker_ibkr.pace import Pace, Unsent


@define
class Line:
    """Messages that leave when it is their turn."""

    timer: ManualTimer = field(factory=ManualTimer)
    pace: Pace = field(init=False)
    left: list[tuple[float, str]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.pace = Pace(10, 30.0, self.timer)

    async def leave(self, use: Use, word: str, messages: int = 1) -> None:
        async with self.pace.turn(use, lambda: None, messages):
            self.left += [(self.timer.clock.monotonic(), word)] * messages

    async def play(self, *calls: Awaitable[None], seconds: int = 5) -> None:
        """Let them leave while that many seconds pass."""
        waiting = [asyncio.ensure_future(call) for call in calls]
        for _ in range(10 * seconds):
            for _ in range(50):
                await asyncio.sleep(0)
            self.timer.advance(0.1)
        await asyncio.gather(*waiting)


def run(scenario: Callable[[Line], Awaitable[None]]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(scenario(Line()), 15.0)

    asyncio.run(whole())


def test_no_second_has_more_than_the_rate() -> None:
    """Wherever it begins, and whatever the messages are for."""

    async def scenario(line: Line) -> None:
        orders = [line.leave(Use.ORDER, "order") for _ in range(12)]
        questions = [line.leave(Use.QUERY, "question") for _ in range(12)]
        await line.play(*orders, *questions, *(line.leave(Use.CANCEL, "cancel") for _ in range(3)))
        times = [at for at, _ in line.left]
        assert len(times) == 27
        assert max(sum(begin <= at < begin + 1 for at in times) for begin in times) <= 10

    run(scenario)


def test_orders_leave_in_their_order() -> None:
    """Their numbers have to rise."""

    async def scenario(line: Line) -> None:
        await line.play(*(line.leave(Use.ORDER, str(number)) for number in range(20)))
        assert [word for _, word in line.left] == [str(number) for number in range(20)]

    run(scenario)


def test_group_leaves_at_once() -> None:
    """Not half of it now and half a second later."""

    async def scenario(line: Line) -> None:
        await line.play(
            *(line.leave(Use.ORDER, "order") for _ in range(6)), line.leave(Use.ORDER, "group", messages=3)
        )
        assert len({at for at, word in line.left if word == "group"}) == 1

    run(scenario)


@pytest.mark.parametrize("use", [Use.QUERY, Use.ORDER])
def test_what_waits_too_long_does_not_leave(use: Use) -> None:
    """It is said that it never did."""

    async def scenario(line: Line) -> None:
        line.pace._patience = 0.5
        calls = [line.leave(use, "word") for _ in range(10)]
        found = await asyncio.gather(*calls, return_exceptions=True)
        unsent = [one for one in found if isinstance(one, Unsent)]
        assert len(unsent) + len(line.left) == 10
        assert len(line.left) == (6 if use is Use.QUERY else 8)

    run(scenario)


def test_order_that_was_called_off_while_it_waited_does_not_leave() -> None:
    """The run may have been halted meanwhile."""

    async def scenario(line: Line) -> None:
        for _ in range(8):
            await line.leave(Use.ORDER, "order")
        with asked_again(lambda: "the run is halted"):
            waiting = asyncio.ensure_future(line.leave(Use.ORDER, "late"))
        await line.timer.asleep()
        line.timer.advance(1.0)
        with pytest.raises(Unsent, match="the run is halted"):
            await waiting
        assert len(line.left) == 8

    run(scenario)


def test_rate_that_was_too_much_stops_all_but_cancels() -> None:
    """For a second."""

    async def scenario(line: Line) -> None:
        line.pace.slow_down()
        waiting = asyncio.ensure_future(line.leave(Use.ORDER, "order"))
        await line.timer.asleep()
        await line.leave(Use.CANCEL, "cancel")
        assert [word for _, word in line.left] == ["cancel"]
        line.timer.advance(1.0)
        await waiting
        assert [word for _, word in line.left] == ["cancel", "order"]

    run(scenario)
