"""One connection to a gateway: questions that nobody answers, and messages that nobody can read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, field
from ib_async import ExecutionFilter

from alphaweave.core.errors import BrokerUnavailable
from alphaweave.core.order import OrderRequest, Side
from alphaweave.live.adapters.base import Services
from alphaweave.live.adapters.rate_budget import Use
from alphaweave.live.adapters.timer import ManualTimer
from alphaweave.testing.clock import RunningClock
from alphaweave_broker_ibkr.gateway import Gateway, NoAnswer, Refused
from alphaweave_broker_ibkr.order_wire import Listing, OrderWire
from alphaweave_broker_ibkr.orders import contract_of, order_of
from alphaweave_broker_ibkr.pace import Pace, Unsent
from alphaweave_broker_ibkr.sandbox.control import IbkrSandbox
from alphaweave_broker_ibkr.sandbox.options import SandboxOptions
from alphaweave_broker_ibkr.settings import Reach

# An upper bound only: what is waited for comes at once, unless the machine is busy.
_PATIENCE = 15.0
NAME = "awkit00-0000000000000000000001"


@define
class Site:
    """A gateway, and connections to it whose time stands still unless it is moved."""

    venue: IbkrSandbox
    timer: ManualTimer = field(factory=ManualTimer)
    beats: list[None] = field(factory=list)
    opened: list[Gateway] = field(factory=list)

    def gateway(self, client_id: int = 7, rate: int = 45, **named: Any) -> Gateway:
        reach = Reach(port=named.pop("port", self.venue.port), client_id=client_id, rate=rate, **named)
        pace = Pace(rate, 30.0, self.timer)
        made = Gateway(reach, self.timer, pace, lambda: self.beats.append(None))
        self.opened.append(made)
        return made

    async def open(self, client_id: int = 7, **named: Any) -> Gateway:
        made = self.gateway(client_id, **named)
        await made.open()
        return made

    async def until(self, true: Callable[[], Any], what: str = "it") -> None:
        end = time.monotonic() + _PATIENCE
        while not true():
            assert time.monotonic() < end, f"{what} did not come"
            await asyncio.sleep(0.002)


Scenario = Callable[[Site], Awaitable[None]]


def at_gateway(scenario: Scenario, **options: Any) -> None:
    async def whole() -> None:
        venue = IbkrSandbox(SandboxOptions(**options), Services(clock=RunningClock()))
        await venue.start()
        site = Site(venue)
        try:
            await asyncio.wait_for(scenario(site), _PATIENCE)
        finally:
            for one in site.opened:
                await one.close()
            await venue.stop()

    asyncio.run(whole())


def raw(gateway: Gateway) -> Any:
    """The client library's part of it, which is not annotated."""
    return gateway.client


def order(gateway: Gateway, number: int = 1) -> None:
    """Write an order that is filled at once."""
    terms = OrderRequest("ONE", Side.BUY, Decimal(10))
    wire = OrderWire(client=7, order=number, listing=Listing(8894, "STK", "SMART", "USD"), terms=terms)
    raw(gateway).placeOrder(number, contract_of(wire), order_of(wire, NAME, "DU1234567"))


def executions(gateway: Gateway, client: int = 0) -> Awaitable[list[tuple[Any, ...]]]:
    asked = ExecutionFilter(clientId=client)
    return gateway.ask(
        lambda number: raw(gateway).reqExecutions(number, asked), rows="execDetails", ends="execDetailsEnd"
    )


# Connecting.


def test_connection_knows_its_accounts() -> None:
    """And what number an order may have."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        assert gateway.accounts == ("DU1234567",)
        assert gateway.next_order >= 1
        assert gateway.is_open

    at_gateway(scenario)


def test_client_id_in_use_is_known_at_once() -> None:
    """The client library waits out its whole time limit, and says that time is up."""

    async def scenario(site: Site) -> None:
        await site.open(7)
        with pytest.raises(BrokerUnavailable, match="client id 7 is in use") as caught:
            await site.open(7, timeout=3600.0)
        assert caught.value.code == "326"

    at_gateway(scenario)


def test_port_where_nobody_listens_is_said() -> None:
    """With what to do about it."""

    async def scenario(site: Site) -> None:
        port = site.venue.port
        await site.venue.stop()
        with pytest.raises(BrokerUnavailable, match="start TWS or IB Gateway"):
            await site.open(port=port)
        await site.venue.start()

    at_gateway(scenario)


# Questions.


def test_questions_without_a_number_take_turns() -> None:
    """Two at once share one answer in the client library, and the first is never answered."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        told = await asyncio.gather(*(gateway.time() for _ in range(3)))
        now = site.venue.now()
        assert all(abs(one - now) < timedelta(seconds=30) for one in told)

    at_gateway(scenario)


def test_question_that_is_not_answered_is_no_answer() -> None:
    """The time limit is the adapter's own: the client library has none."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        site.venue.quirks.silent_executions = True
        asking = asyncio.ensure_future(executions(gateway))
        await site.timer.asleep()
        site.timer.advance(10.0)
        with pytest.raises(NoAnswer, match="no answer within 10 s"):
            await asking
        # It bears a number, so that the next one is another.
        assert gateway.is_open
        assert await executions(gateway, client=7) == []

    at_gateway(scenario)


@pytest.mark.parametrize("given_up", [False, True])
def test_answer_that_comes_late_is_nobody_s(given_up: bool) -> None:
    """A question without a number that was not answered ends the connection: the next would take it."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        await site.venue.mute(True)
        asking = asyncio.ensure_future(gateway.time())
        await site.timer.asleep()
        if given_up:
            asking.cancel()
        else:
            site.timer.advance(10.0)
        await asyncio.gather(asking, return_exceptions=True)
        assert not gateway.is_open
        with pytest.raises(Unsent, match="not connected"):
            await gateway.time()

    at_gateway(scenario)


def test_numbers_of_questions_are_no_orders() -> None:
    """An error bears one number, and does not say whose it is."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        numbers: list[int] = []

        def ask(number: int) -> None:
            numbers.append(number)
            raw(gateway).cancelHistoricalData(number)

        with pytest.raises(Refused, match="366"):
            await gateway.ask(ask, rows="historicalData", ends="historicalDataEnd")
        assert min(numbers) >= 10**9
        assert gateway.next_order < 10**9

    at_gateway(scenario)


def test_read_only_gateway_answers_with_an_error() -> None:
    """It answers a question for open orders with 321 and the number -1, and no end."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        with pytest.raises(Refused) as caught:
            await gateway.ask_alone(raw(gateway).reqOpenOrders, rows="openOrder", ends="openOrderEnd")
        assert caught.value.code == 321
        assert gateway.is_open
        assert (await gateway.time()).tzinfo is UTC

    at_gateway(scenario, read_only=True)


_NO_NUMBER = ["4", "2", "-1", "321", "The API interface is currently in Read-Only mode.", ""]


def test_one_refusal_without_a_number_is_one_questions() -> None:
    """Two questions about orders are refused with the first of two, and the second is nobody else's."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        await site.venue.mute(True)
        orders = gateway.ask_alone(raw(gateway).reqOpenOrders, rows="openOrder", ends="openOrderEnd")
        over = gateway.ask_alone(
            lambda: raw(gateway).reqCompletedOrders(False), rows="completedOrder", ends="completedOrdersEnd"
        )
        asking = [asyncio.ensure_future(each) for each in (orders, over)]
        await site.timer.asleep(2)
        raw(gateway).decoder.interpret(_NO_NUMBER)
        told = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(each) for each in told] == [Refused, Refused]
        asked = asyncio.ensure_future(gateway.time())
        await site.timer.asleep()
        raw(gateway).decoder.interpret(_NO_NUMBER)
        assert gateway.is_open
        raw(gateway).decoder.interpret(["49", "1", "1930000000"])
        assert (await asked).year == 2031

    at_gateway(scenario)


@pytest.mark.parametrize("orders", [False, True])
def test_refusal_that_may_be_any_questions_ends_the_connection(orders: bool) -> None:
    """The answer to a question that was not refused would be taken for the next one's."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        await site.venue.mute(True)
        asking: list[asyncio.Future[Any]] = [asyncio.ensure_future(gateway.time())]
        if orders:
            listed = gateway.ask_alone(raw(gateway).reqOpenOrders, rows="openOrder", ends="openOrderEnd")
            asking.append(asyncio.ensure_future(listed))
        await site.timer.asleep(len(asking))
        raw(gateway).decoder.interpret(_NO_NUMBER)
        told = await asyncio.gather(*asking, return_exceptions=True)
        assert {type(each) for each in told} == {NoAnswer}
        assert "does not say which" in str(told[0])
        assert not gateway.is_open

    at_gateway(scenario)


def test_connection_that_has_no_room_for_a_probe_is_kept() -> None:
    """What fills the room is answered, or not, which proves as much."""

    async def scenario(site: Site) -> None:
        gateway = await site.open(heartbeat=20.0)
        running = asyncio.ensure_future(gateway.run())
        await site.timer.asleep()
        gateway._pace._budget.bar(round(site.timer.clock.monotonic() * 1e9), 100.0, cancels=False)
        for _ in range(4):
            site.timer.advance(20.0)
            await site.timer.asleep()
            assert gateway.is_open
            assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    at_gateway(scenario)


def test_connection_that_ends_answers_every_question() -> None:
    """None waits for its time limit."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        ends: list[None] = []
        gateway.hear("ended", lambda: ends.append(None))
        running = asyncio.ensure_future(gateway.run())
        site.venue.quirks.silent_executions = True
        asking = asyncio.ensure_future(executions(gateway))
        await site.timer.asleep(2)
        await site.venue.drop()
        with pytest.raises(NoAnswer, match="the connection ended"):
            await asking
        with pytest.raises(BrokerUnavailable):
            await running
        assert ends == [None]

    at_gateway(scenario)


def test_silent_gateway_is_noticed() -> None:
    """No side of the protocol says that it is alive unless it is asked."""

    async def scenario(site: Site) -> None:
        gateway = await site.open(heartbeat=20.0)
        running = asyncio.ensure_future(gateway.run())
        await site.timer.asleep()
        site.timer.advance(20.0)
        await site.until(lambda: [one for one in site.venue.requests if one.what.startswith("reqCurrent")])
        await site.timer.asleep()
        await site.venue.mute(True)
        site.timer.advance(20.0)
        await site.timer.asleep()
        site.timer.advance(10.0)
        with pytest.raises(BrokerUnavailable, match="no answer within 10 s"):
            await running

    at_gateway(scenario)


# What comes.


def test_executions_are_heard_live_and_in_answers() -> None:
    """The client library tells no event of those in answers, so that what was missed stays missed."""

    async def scenario(site: Site) -> None:
        await site.venue.set_price("ONE", Decimal(60))
        gateway = await site.open()
        heard: list[int] = []
        gateway.hear("execDetails", lambda number, *_: heard.append(number))
        async with gateway.turn(Use.ORDER):
            order(gateway)
        await site.until(lambda: heard, "the execution")
        ((_, told),) = await executions(gateway)
        assert told.orderRef == NAME
        assert heard[0] == -1
        assert heard[1] >= 10**9

    at_gateway(scenario)


def test_times_without_a_zone_are_the_gateway_s() -> None:
    """They are read as those of this machine otherwise."""

    async def scenario(site: Site) -> None:
        await site.venue.set_price("ONE", Decimal(60))
        site.venue.quirks.bare_times = True
        gateway = await site.open(timezone="America/New_York")
        heard: list[Any] = []
        gateway.hear("execDetails", lambda _, __, execution: heard.append(execution))
        async with gateway.turn(Use.ORDER):
            order(gateway)
        await site.until(lambda: heard, "the execution")
        true = site.venue.truth().executions[0].at
        assert heard[0].time == true.replace(microsecond=0)

    at_gateway(scenario)


@pytest.mark.parametrize(
    "message",
    [
        ["3", "1", "Filled", "ten"],
        ["5", "1"],
        ["11", "-1", *["0"] * 13, "x.01", "20310304 15:00:00 Nowhere/Atall", *["0"] * 16],
        ["999"],
    ],
)
def test_message_that_cannot_be_read_ends_the_connection(message: list[str]) -> None:
    """The client library logs it and goes on: an execution of which nobody hears."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        running = asyncio.ensure_future(gateway.run())
        await site.timer.asleep()
        raw(gateway).decoder.interpret(message)
        with pytest.raises(BrokerUnavailable, match="cannot be read") as caught:
            await running
        assert caught.value.code == "unreadable_message"

    at_gateway(scenario)


def test_handler_that_fails_ends_the_connection() -> None:
    """What was told is asked for anew, and not dropped."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        running = asyncio.ensure_future(gateway.run())

        def fails(*_: Any) -> None:
            raise ValueError("an execution has a side")

        gateway.hear("execDetails", fails)
        await site.timer.asleep()
        await site.venue.set_price("ONE", Decimal(60))
        async with gateway.turn(Use.ORDER):
            order(gateway)
        with pytest.raises(BrokerUnavailable, match="an execution has a side"):
            await running

    at_gateway(scenario)


# What leaves.


def test_messages_leave_at_once() -> None:
    """The client library's own queue holds what is more than 45 a second, and sends it whatever happens."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        for _ in range(60):
            raw(gateway).reqMarketDataType(1)
        assert not raw(gateway)._msgQ

    at_gateway(scenario, rate=200)


def test_cancel_does_not_wait_behind_questions() -> None:
    """Part of the rate is kept for cancels, and part for orders."""

    async def scenario(site: Site) -> None:
        gateway = await site.open(rate=10)
        left: list[str] = []

        async def leave(use: Use, word: str) -> None:
            async with gateway.turn(use):
                left.append(word)

        waiting = [asyncio.ensure_future(leave(Use.QUERY, f"question {one}")) for one in range(8)]
        await site.timer.asleep()
        await leave(Use.ORDER, "order")
        await leave(Use.CANCEL, "cancel")
        assert left[-2:] == ["order", "cancel"]
        assert len(left) == 8
        site.timer.advance(1.0)
        await asyncio.gather(*waiting)
        assert len(left) == 10

    at_gateway(scenario)


@pytest.mark.parametrize("how", ["given up", "connection ended", "too long"])
def test_order_that_waits_for_room_never_leaves_later(how: str) -> None:
    """It is withdrawn, and whoever sent it knows that not a byte of it left."""

    async def scenario(site: Site) -> None:
        gateway = await site.open(rate=10)
        left: list[str] = []

        async def leave() -> None:
            async with gateway.turn(Use.ORDER):
                left.append("order")

        for _ in range(8):
            await leave()
        waiting = asyncio.ensure_future(leave())
        await site.timer.asleep()
        if how == "given up":
            waiting.cancel()
        elif how == "connection ended":
            gateway.fail("over")
        else:
            gateway._pace._patience = 0.0
            gateway._pace._budget.bar(round(site.timer.clock.monotonic() * 1e9), 60.0, cancels=False)
        site.timer.advance(1.0)
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(outcome, asyncio.CancelledError if how == "given up" else Unsent)
        assert left == ["order"] * 8

    at_gateway(scenario)


def test_what_was_written_and_did_not_leave_never_does() -> None:
    """Giving a connection up drops what the socket has not taken."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        assert gateway.is_written
        transport = raw(gateway).conn.transport
        gateway.fail("over")
        assert transport.is_closing()
        assert not gateway.is_open

    at_gateway(scenario)


def test_gateway_that_is_asked_too_much_is_left_alone_for_a_while() -> None:
    """But for cancels."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        raw(gateway).decoder.interpret(["4", "2", "-1", "100", "Max rate of messages", ""])
        waiting = asyncio.ensure_future(gateway.turn(Use.QUERY).__aenter__())
        await site.timer.asleep()
        async with gateway.turn(Use.CANCEL):
            assert not waiting.done()
        waiting.cancel()

    at_gateway(scenario)


def test_library_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What it calls an error is mostly none, and what is one is told."""

    async def scenario(site: Site) -> None:
        gateway = await site.open()
        raw(gateway).decoder.interpret(["5", "1"])
        with pytest.raises(BrokerUnavailable):
            await site.open(8, port=1)

    caplog.set_level("DEBUG")
    at_gateway(scenario)
    assert [record.name for record in caplog.records if record.name.startswith("ib_async")] == []
