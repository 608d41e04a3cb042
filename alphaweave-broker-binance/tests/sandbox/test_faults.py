"""What can go wrong on the way to Binance goes wrong here on demand, and the books tell what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from alphaweave.core.money import Money
from alphaweave.testing.clock import RunningClock
from alphaweave.testing.sandbox import Action, Fault, Power
from alphaweave_broker_binance.sandbox.control import BinanceSandbox

# Fault -> status and code over REST, or None where nothing comes; whether it was done.
FAULTS: tuple[tuple[Fault, tuple[int, int] | None, bool], ...] = (
    (Fault.REJECT, (400, -2010), False),
    (Fault.DUPLICATE_ID, (400, -2010), False),
    (Fault.THROTTLE, (429, -1003), False),
    (Fault.LOSE_REQUEST, None, False),
    (Fault.LOSE_ANSWER, None, True),
    (Fault.HANG_UP, None, True),
    (Fault.ERROR_BEFORE, (500, -1001), False),
    (Fault.ERROR_AFTER, (503, -1007), True),
)
PLACE = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1",
    "price": "50",
}


async def nothing_comes(asked: Any) -> None:
    """The connection ends, or nothing is heard of it."""
    with pytest.raises((asyncio.TimeoutError, aiohttp.ClientError)):
        await asyncio.wait_for(asked, 0.2)


@pytest.mark.parametrize(("fault", "told", "done"), FAULTS, ids=[row[0].value for row in FAULTS])
def test_fault_befalls_one_order_over_rest(
    at_sandbox: Callable[..., None], fault: Fault, told: tuple[int, int] | None, done: bool
) -> None:
    """The order is at the venue or not, as the fault says, and the next one goes through."""

    async def scenario(site: Any) -> None:
        await site.venue.arm(Action.SUBMIT, fault)
        asked = site.order(newClientOrderId="one")
        if told is None:
            await nothing_comes(asked)
        else:
            reply = await asked
            assert reply.refusal[:2] == told
            assert ("Retry-After" in reply.headers) is (fault is Fault.THROTTLE)
        await site.placed(newClientOrderId="two")
        ids = [order.client_order_id for order in site.venue.truth().orders]
        assert ids == (["one", "two"] if done else ["two"])
        sent = [one.client_order_ids for one in site.venue.requests if one.action is Action.SUBMIT]
        assert sent == [("one",), ("two",)]

    at_sandbox(scenario)


@pytest.mark.parametrize(("fault", "told", "done"), FAULTS, ids=[row[0].value for row in FAULTS])
def test_fault_befalls_one_order_over_the_websocket_api(
    at_sandbox: Callable[..., None], fault: Fault, told: tuple[int, int] | None, done: bool
) -> None:
    """The same with status and code in the message."""

    async def scenario(site: Any) -> None:
        socket = await site.connect()
        await site.venue.arm(Action.SUBMIT, fault)
        number = await socket.send("order.place", signed=True, **PLACE, newClientOrderId="one")
        if fault is Fault.HANG_UP:
            await site.until(lambda: socket.ended)
        else:
            await site.settled(socket)
            answers = [
                (one["status"], one["error"]["code"]) for one in socket.heard if one.get("id") == number
            ]
            assert answers == ([] if told is None else [told])
        await site.placed(newClientOrderId="two")
        ids = [order.client_order_id for order in site.venue.truth().orders]
        assert ids == (["one", "two"] if done else ["two"])

    at_sandbox(scenario)


def test_fault_may_be_forgotten(at_sandbox: Callable[..., None]) -> None:
    """Armed for several requests, it strikes so many, unless it is disarmed."""

    async def scenario(site: Any) -> None:
        await site.venue.arm(Action.SUBMIT, Fault.REJECT, times=3)
        assert [(await site.order()).status for _ in range(2)] == [400, 400]
        await site.venue.arm(Action.SUBMIT, Fault.REJECT, times=0)
        await site.placed()
        await site.venue.arm(Action.SUBMIT, Fault.REJECT, times=2)
        assert [(await site.order()).status for _ in range(3)] == [400, 400, 200]

    at_sandbox(scenario)


def test_garbled_answer_is_no_json(at_sandbox: Callable[..., None]) -> None:
    """On both channels; the order was placed."""

    async def scenario(site: Any) -> None:
        socket = await site.connect()
        await site.venue.arm(Action.SUBMIT, Fault.GARBLE, times=2)
        reply = await site.order()
        assert isinstance(reply.body, str)
        await socket.send("order.place", signed=True, **PLACE)
        await site.until(lambda: socket.heard)
        assert "garbled" in socket.heard[0]
        assert len(site.venue.truth().orders) == 2

    at_sandbox(scenario)


def test_held_answer_comes_when_it_is_released(at_sandbox: Callable[..., None]) -> None:
    """Its events come before; other requests are answered meanwhile."""

    async def scenario(site: Any) -> None:
        socket = await site.listen()
        await site.venue.arm(Action.SUBMIT, Fault.HOLD, times=2)
        over_rest = asyncio.ensure_future(site.order(newClientOrderId="one"))
        number = await socket.send("order.place", signed=True, **PLACE, newClientOrderId="two")
        await site.until(lambda: len(socket.of("executionReport")) == 2)
        await site.settled(socket)
        assert not over_rest.done()
        assert not [one for one in socket.heard if one.get("id") == number]
        await site.venue.release_answers()
        assert (await over_rest).status == 200
        await site.until(lambda: [one for one in socket.heard if one.get("id") == number])

    at_sandbox(scenario)


def test_answer_to_nobody_is_no_error(
    at_sandbox: Callable[..., None], sign: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Who asked has hung up when the answer is released."""

    async def scenario(site: Any) -> None:
        await site.venue.arm(Action.SUBMIT, Fault.HOLD)
        _, writer = await asyncio.open_connection("127.0.0.1", site.venue.port)
        text = "&".join(f"{name}={value}" for name, value in PLACE.items()) + f"&timestamp={site.stamp()}"
        path = f"/api/v3/order?{text}&signature={sign(site.secret, text)}"
        writer.write(f"POST {path} HTTP/1.1\r\nHost: here\r\nX-MBX-APIKEY: {site.key}\r\n\r\n".encode())
        await site.until(lambda: site.venue.truth().orders)
        writer.close()
        await writer.wait_closed()
        await site.venue.release_answers()
        await site.placed()

    at_sandbox(scenario)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(("first", "wanted"), [(False, "answer"), (True, "event")])
def test_answer_comes_before_its_events(at_sandbox: Callable[..., None], first: bool, wanted: str) -> None:
    """Or after them, if the sandbox is told so: clients have to bear both."""

    async def scenario(site: Any) -> None:
        socket = await site.listen()
        before = len(socket.heard)
        await socket.ask("order.place", signed=True, **PLACE)
        await site.settled(socket)
        kinds = ["event" if "event" in one else "answer" for one in socket.heard[before:]]
        assert kinds[0] == wanted

    at_sandbox(scenario, events_first=first)


def test_requests_of_each_kind_are_told_apart(at_sandbox: Callable[..., None]) -> None:
    """Submissions, cancels, replacements, questions and history, on either channel."""

    async def scenario(site: Any) -> None:
        socket = await site.connect()
        await site.placed(newClientOrderId="one")
        await socket.ask("order.status", signed=True, symbol="BTCUSDT", origClientOrderId="one")
        await site.ask(
            "POST",
            "/api/v3/order/cancelReplace",
            **PLACE,
            cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrigClientOrderId="one",
            newClientOrderId="two",
        )
        await socket.ask(
            "order.cancel", signed=True, symbol="BTCUSDT", origClientOrderId="two", newClientOrderId="gone"
        )
        await site.ask("GET", "/api/v3/klines", signed=False, symbol="BTCUSDT", interval="1m")
        await site.ask("GET", "/api/v3/time", signed=False)
        told = [(one.action, one.client_order_ids) for one in site.venue.requests]
        assert told == [
            (Action.SUBMIT, ("one",)),
            (Action.QUERY, ("one",)),
            (Action.REPLACE, ("one", "two")),
            (Action.CANCEL, ("two",)),
            (Action.HISTORY, ()),
            (Action.OTHER, ()),
        ]
        connections = [one.connection for one in site.venue.requests]
        assert connections[1] == connections[3] != connections[0]
        assert b"X-MBX-APIKEY" in site.venue.requests[0].raw
        assert b"quantity=1&" in site.venue.requests[0].raw

    at_sandbox(scenario)


def test_mute_venue_keeps_connections_and_says_nothing(at_sandbox: Callable[..., None]) -> None:
    """Neither answers nor events nor pings; what is asked is lost, and later requests are answered."""

    async def scenario(site: Any) -> None:
        socket = await site.listen()
        before = len(socket.heard)
        await site.venue.mute(True)
        await socket.send("order.place", signed=True, **PLACE)
        await nothing_comes(site.order())
        await site.venue.cash_flow(Money("USDT", Decimal(5)))
        await site.until(lambda: len(site.venue.requests) == 3)
        await site.venue.mute(False)
        await site.settled(socket)
        assert [one for one in socket.heard[before:] if "event" in one] == []
        assert not site.venue.truth().orders
        assert not socket.ended
        await site.placed()

    at_sandbox(scenario)


def test_connections_end_and_are_refused(at_sandbox: Callable[..., None]) -> None:
    """Dropped, then not taken, then taken again on the same port, with the books as they were."""

    async def scenario(site: Any) -> None:
        await site.placed()
        socket = await site.listen()
        await site.venue.drop()
        await site.until(lambda: socket.ended)
        other = await site.listen()
        await site.venue.refuse(True)
        await site.until(lambda: other.ended)
        with pytest.raises(aiohttp.ClientError):
            await site.order()
        port = site.venue.port
        await site.venue.refuse(False)
        assert site.venue.port == port
        third = await site.listen()
        await site.venue.restart()
        await site.until(lambda: third.ended)
        await site.placed()
        assert len(site.venue.truth().orders) == 2

    at_sandbox(scenario)


def test_events_are_held_lost_doubled_and_turned_round(at_sandbox: Callable[..., None]) -> None:
    """As they are asked to be; the books are not touched."""

    async def scenario(site: Any) -> None:
        socket = await site.listen()

        await site.venue.hold_events()
        for _ in range(2):
            await site.placed()
        await site.settled(socket)
        assert socket.events == []
        await site.venue.release_events(times=2, backwards=True)
        await site.settled(socket)
        assert [report["i"] for report in socket.of("executionReport")] == [2, 2, 1, 1]
        await site.venue.lose_events(2)
        await site.placed()
        await site.placed()
        await site.settled(socket)
        assert [report["i"] for report in socket.of("executionReport")] == [2, 2, 1, 1, 4]

    at_sandbox(scenario)


def test_servers_roll_over(at_sandbox: Callable[..., None]) -> None:
    """Every socket hears of it and is closed; a new one is taken at once."""

    async def scenario(site: Any) -> None:
        user = await site.listen()
        market = await site.connect("/stream?streams=!serverShutdown")
        await site.venue.roll_over()
        await site.until(lambda: user.ended and market.ended)
        assert user.heard[-1]["event"]["e"] == "serverShutdown"
        assert market.heard[-1]["stream"] == "!serverShutdown"
        assert market.heard[-1]["data"]["e"] == "serverShutdown"
        await site.listen()

    at_sandbox(scenario)


def test_firewall_answers_without_json(at_sandbox: Callable[..., None]) -> None:
    """403 and HTML, once."""

    async def scenario(site: Any) -> None:
        await site.venue.wall()
        reply = await site.order()
        assert (reply.status, reply.body[:6]) == (403, "<html>")
        await site.placed()

    at_sandbox(scenario)


def test_socket_has_a_lifetime_and_has_to_answer_pings(at_sandbox: Callable[..., None]) -> None:
    """It is closed when either is over."""

    async def living(site: Any) -> None:
        socket = await site.connect()
        await site.until(lambda: socket.ended)

    at_sandbox(living, ping=0.01, lifetime=0.05)

    async def answering(site: Any) -> None:
        url = f"ws://127.0.0.1:{site.venue.port}/ws-api/v3"
        async with site.session.ws_connect(url, autoping=False) as wire:
            kinds = [message.type async for message in wire]
        assert set(kinds) <= {aiohttp.WSMsgType.PING}
        assert wire.close_code == 1008
        socket = await site.connect()
        await site.settled(socket)

    at_sandbox(answering, ping=0.01, pong=0.05)


def test_new_order_may_not_be_found_yet(at_sandbox: Callable[..., None]) -> None:
    """The database that answers questions lags behind the engine."""
    clock = RunningClock()

    async def scenario(site: Any) -> None:
        await site.placed(newClientOrderId="one")
        names = {"symbol": "BTCUSDT", "origClientOrderId": "one"}
        early = await site.ask("GET", "/api/v3/order", **names)
        assert early.refusal == (400, -2013, "Order does not exist.")
        assert (await site.ask("GET", "/api/v3/openOrders")).body == []
        clock.advance(5)
        assert (await site.ask("GET", "/api/v3/order", **names)).body["status"] == "NEW"

    at_sandbox(scenario, clock=clock, lag=5.0)


def test_every_fault_is_a_power() -> None:
    """Nothing is declared that is not there: what Binance never does is left out."""
    faults = {Power(fault.value) for fault in Fault}
    assert faults <= BinanceSandbox.powers
    # An event that is lost leaves no gap in any number there.
    never = {"BUST", "CORRECT", "LATE_FEE", "CORRECT_BAR", "LOSE_EVENTS"}
    assert {power.name for power in set(Power) - BinanceSandbox.powers} <= never
